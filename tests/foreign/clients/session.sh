#!/bin/sh
# A tenant's day with the `openstack` command. OS_* say who he is; IMAGE, FLAVOR, BIGGER and NETWORK what he uses.
. "$(dirname "$0")/common.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
set -x

# Who and where
openstack token issue -f json > /dev/null
has "$(one catalog list -c Name)" nova
openstack project list
openstack availability zone list
openstack extension list --compute
openstack limits show --absolute
openstack limits show --rate
openstack quota show --compute

# What there is
has "$(one flavor list -c Name)" "$FLAVOR"
is "$(one flavor show "$FLAVOR" -c name)" "$FLAVOR"
has "$(one image list -c Name)" "$IMAGE"
is "$(one image show "$IMAGE" -c status)" active
has "$(one network list -c Name)" "$NETWORK"
openstack network show "$NETWORK"
openstack subnet list
openstack port list
openstack router list
openstack floating ip list
openstack security group list
openstack security group show default
openstack security group rule list

# Keys and groups
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
openstack keypair create --public-key "$work/key.pub" day
openstack keypair create --private-key "$work/made" made
grep -q 'PRIVATE KEY' "$work/made"
has "$(one keypair list -c Name)" day
is "$(one keypair show day -c name)" day
openstack keypair delete made
openstack server group create --policy anti-affinity day
is "$(one server group show day -c name)" day
has "$(one server group list -c Name)" day

# A server
printf '#!/bin/sh\necho hello\n' > "$work/data"
group=$(one server group show day -c id)
openstack server create --image "$IMAGE" --flavor "$FLAVOR" --network "$NETWORK" --key-name day \
    --property purpose=test --user-data "$work/data" --hint group="$group" --wait day
is "$(one server show day -c status)" ACTIVE
has "$(one server list -c Name)" day
has "$(one server list --name '^da' --status ACTIVE -c Name)" day
is "$(one server list --status SHUTOFF -c Name)" ""
has "$(one server show day -c properties)" purpose
is "$(one server show day -c key_name)" day
openstack server set --property colour=blue --description 'for a day' day
has "$(one server show day -c properties)" blue
openstack server unset --property colour day
openstack server set --name today day
openstack server set --name day today
openstack server event list day
openstack console log show --lines 5 day
has "$(one console url show --novnc day -c url)" http

# What it can do
openstack server stop day
reaches SHUTOFF server show day
refused server stop day
openstack server start day
reaches ACTIVE server show day
openstack server reboot --hard --wait day
openstack server lock day
refused server stop day
openstack server unlock day
openstack server resize --flavor "$BIGGER" --wait day
is "$(one server show day -c status)" VERIFY_RESIZE
openstack server resize confirm day
reaches ACTIVE server show day
openstack server rebuild --image "$IMAGE" --wait day
reaches ACTIVE server show day
openstack server image create --name day-then --wait day
is "$(one image show day-then -c status)" active
openstack image delete day-then
openstack server remove security group day default || true
openstack server add security group day default
refused server pause day
refused server create --image "$IMAGE" --flavor "$FLAVOR" --network "$NETWORK" --key-name nobodys other
refused server show nobodys
refused hypervisor list

# Something to log in with that is not the password
openstack application credential create day -f json > "$work/credential"
said() { # the client's releases differ in the case of their columns
    python3 -c 'import json, sys
print({key.lower(): value for key, value in json.load(open(sys.argv[1])).items()}[sys.argv[2]])' "$work/credential" "$1"
}
set +x
ident=$(said id)
secret=$(said secret)
env -u OS_USERNAME -u OS_PASSWORD -u OS_PROJECT_NAME -u OS_USER_DOMAIN_NAME -u OS_PROJECT_DOMAIN_NAME \
    OS_AUTH_TYPE=v3applicationcredential OS_APPLICATION_CREDENTIAL_ID="$ident" \
    OS_APPLICATION_CREDENTIAL_SECRET="$secret" openstack server list
set -x
has "$(one application credential list -c Name)" day
openstack application credential delete day

# And away with it
openstack server delete --wait day
is "$(one server list -c Name)" ""
openstack server group delete day
openstack keypair delete day
set +x
echo "session done"
