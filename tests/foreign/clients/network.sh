#!/bin/sh
# A tenant's networks with the `openstack` command. OS_* say who he is; IMAGE and FLAVOR what he uses.
# Every command must do what it says; what must be refused is said by `refused`.
set -eu

one() { openstack "$@" --format value; }
refused() {
    if said=$(openstack "$@" 2>&1); then echo "not refused: openstack $*" >&2; exit 1; fi
    echo "refused, as it should be: openstack $*: $(echo "$said" | tail -n 1)"
}
is() { [ "$1" = "$2" ] || { echo "expected '$2', got '$1'" >&2; exit 1; }; }
has() { case "$1" in *"$2"*) ;; *) echo "expected '$2' in '$1'" >&2; exit 1 ;; esac; }
lacks() { case "$1" in *"$2"*) echo "did not expect '$2' in '$1'" >&2; exit 1 ;; esac; }
until_lacks() { # TEXT COMMAND ...: what has no --wait
    text=$1; shift
    for _ in $(seq 60); do
        case "$(one "$@")" in *"$text"*) sleep 1 ;; *) return 0 ;; esac
    done
    echo "$text is in $* still" >&2; exit 1
}
left() { # NAMES KIND: what a session that was broken off has left
    names=" $1 "; shift
    one "$@" list -c ID -c Name | while read -r ident name; do
        case "$names" in *" $name "*) openstack "$@" delete "$ident" ;; esac
    done
}
set -x
left "fifty fiftieth waiting" port
left "first outermost other" network

# A network, and what is said of it
openstack network create --description 'of a day' --tag day first
is "$(one network show first -c description)" 'of a day'
has "$(one network list --tags day -c Name)" first
openstack subnet create --network first --subnet-range 10.77.0.0/24 --dns-nameserver 10.77.0.2 \
    --host-route destination=10.78.0.0/16,gateway=10.77.0.3 inner
is "$(one subnet show inner -c gateway_ip)" 10.77.0.1
has "$(one subnet show inner -c dns_nameservers)" 10.77.0.2
has "$(one subnet show inner -c host_routes)" 10.78.0.0/16
openstack subnet create --network first --ip-version 6 --subnet-range fd00:77::/64 --ipv6-ra-mode slaac \
    --ipv6-address-mode slaac inner6
has "$(one subnet list --network first -c Name)" inner6
openstack subnet set --name innermost --no-dhcp inner
is "$(one subnet show innermost -c enable_dhcp)" False
openstack subnet set --dhcp --no-dns-nameservers innermost
openstack network set --name outermost --description changed first
is "$(one network show outermost -c description)" changed
openstack network unset --tag day outermost
refused subnet create --network outermost --subnet-range 10.79.0.0/24 second
refused network set --external outermost

# Ports
openstack port create --network outermost --fixed-ip subnet=innermost,ip-address=10.77.0.50 fifty
has "$(one port show fifty -c fixed_ips)" 10.77.0.50
refused port create --network outermost --fixed-ip subnet=innermost,ip-address=10.77.0.50 again
openstack port set --name fiftieth --description 'kept' fifty
has "$(one port list --network outermost -c Name)" fiftieth
refused network delete outermost

# A server in it, with more NICs while it runs
port=$(one port show fiftieth -c id)
openstack server create --image "$IMAGE" --flavor "$FLAVOR" --nic port-id="$port" --wait networked
has "$(one server show networked -c addresses)" 10.77.0.50
is "$(one port show fiftieth -c status)" ACTIVE
openstack network create other
openstack subnet create --network other --subnet-range 10.80.0.0/24 others
openstack server add network networked other
has "$(one server show networked -c addresses)" 10.80.0.
extra=$(one port list --server networked --network other -c ID)
openstack server remove port networked "$extra"
until_lacks 10.80.0. server show networked -c addresses
openstack port create --network other waiting
openstack server add port networked waiting
has "$(one server show networked -c addresses)" 10.80.0.
mac=$(one port show fiftieth -c mac_address)
openstack server rebuild --image "$IMAGE" --wait networked
is "$(one port show fiftieth -c mac_address)" "$mac"
has "$(one server show networked -c addresses)" 10.77.0.50
openstack server delete --wait networked
until_lacks compute port show fiftieth -c device_owner

# And away with it
openstack port delete fiftieth waiting
openstack subnet delete inner6
openstack network delete outermost other
lacks "$(one network list -c Name)" outermost
openstack quota show --network
set +x
echo "session done"
