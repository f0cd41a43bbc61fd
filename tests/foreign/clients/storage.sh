#!/bin/sh
# A tenant's images and volumes with the `openstack` command. OS_* say who he is; IMAGE, FLAVOR and NETWORK what he uses.
. "$(dirname "$0")/common.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
set -x
left "then later while" volume snapshot
left "data bigger of-image of-volume of-snapshot root" volume
left "mine ours piped of-a-volume" image

# An image of one's own
dd if=/dev/urandom of="$work/disk.raw" bs=64k count=40 2> /dev/null
sum=$(sha256sum < "$work/disk.raw" | cut -d' ' -f1)
openstack image create --file "$work/disk.raw" --disk-format raw --container-format bare --min-disk 1 \
    --property os_distro=debian --tag kept mine
is "$(one image show mine -c status)" active
is "$(one image show mine -c min_disk)" 1
has "$(one image show mine -c properties)" "$sum"
openstack image save --file "$work/again.raw" mine
cmp "$work/disk.raw" "$work/again.raw"
has "$(one image list --tag kept -c Name)" mine
has "$(one image list --property os_distro=debian -c Name)" mine
is "$(one image list --status queued -c Name)" ""
openstack image set --name ours --property os_version=13 --min-ram 64 mine
has "$(one image show ours -c properties)" "os_version"
openstack image unset --property os_version --tag kept ours
openstack image set --protected ours
refused image delete ours
openstack image set --unprotected ours
openstack image set --deactivate ours
refused image save --file "$work/no.raw" ours
openstack image set --activate ours
refused image set --public ours
openstack image set --shared ours
openstack image member list ours
openstack image set --community ours
openstack image set --private ours

# From a pipe, as the client reads what is no file
openstack image create --disk-format raw --container-format bare piped < "$work/disk.raw"
is "$(one image show piped -c status)" active
openstack image delete piped

# Volumes
has "$(one volume type list -c Name)" cow
openstack volume create --size 1 --description 'of a day' --property colour=blue data
reaches available volume show data
has "$(one volume list -c Name)" data
has "$(one volume show data -c properties)" blue
openstack volume set --name bigger --property colour=red --size 2 data
reaches available volume show bigger
is "$(one volume show bigger -c size)" 2
openstack volume unset --property colour bigger
openstack volume set --read-only bigger
openstack volume set --read-write bigger
openstack volume set --bootable bigger
openstack volume set --non-bootable bigger
openstack volume create --image ours --size 1 of-image
reaches available volume show of-image
is "$(one volume show of-image -c bootable)" True
openstack volume create --source of-image of-volume
reaches available volume show of-volume
openstack volume snapshot create --volume of-volume --description 'of a volume' then
reaches available volume snapshot show then
has "$(one volume snapshot list -c Name)" then
openstack volume snapshot set --name later --property of=day then
refused volume delete of-volume
openstack volume create --snapshot later of-snapshot
reaches available volume show of-snapshot
openstack volume revert later || openstack --os-volume-api-version 3.40 volume revert later
reaches available volume show of-volume
openstack image create --volume of-volume of-a-volume
reaches available volume show of-volume
reaches active image show of-a-volume
openstack image save --file "$work/volume.raw" of-a-volume
head -c "$(stat -c %s "$work/disk.raw")" "$work/volume.raw" | cmp - "$work/disk.raw"

# Given away, and taken
openstack volume transfer request create --name gift of-snapshot -f json > "$work/gift"
is "$(one volume show of-snapshot -c status)" awaiting-transfer
word() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/gift" "$1"; }
refused volume transfer request accept --auth-key wrong "$(word id)"
openstack volume transfer request accept --auth-key "$(word auth_key)" "$(word id)"
reaches available volume show of-snapshot

# With a server, which has been booted from one
openstack volume create --image "$IMAGE" --size 1 root
reaches available volume show root
openstack server create --volume root --flavor "$FLAVOR" --network "$NETWORK" --wait stored
openstack server add volume stored bigger
reaches in-use volume show bigger
has "$(one server volume list stored -c 'Volume ID')" "$(one volume show bigger -c id)"
refused volume delete bigger
openstack volume snapshot create --force --volume bigger while
reaches available volume snapshot show while
openstack volume snapshot delete while
gone volume snapshot show while
openstack server remove volume stored bigger
reaches available volume show bigger
openstack server delete --wait stored
reaches available volume show root

# And away with it
openstack volume snapshot delete later
gone volume snapshot show later
openstack volume delete bigger of-image of-volume of-snapshot root
for each in bigger of-image of-volume of-snapshot root; do gone volume show "$each"; done
openstack image delete ours of-a-volume
is "$(one volume list -c Name)" ""
openstack limits show --absolute
openstack quota show --volume
set +x
echo "session done"
