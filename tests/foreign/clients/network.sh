#!/bin/sh
# A tenant's networks with the `openstack` command. OS_* say who he is; IMAGE, FLAVOR and EXTERNAL, an
# external network, what he uses.
. "$(dirname "$0")/common.sh"
set -x
for ident in $(one floating ip list -c ID); do openstack floating ip delete "$ident"; done
left "fifty fiftieth waiting early" port
left "first outermost other" network
left "tiers" security group

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

openstack port set --tag ours --disable fiftieth
has "$(one port show fiftieth -c tags)" ours
is "$(one port show fiftieth -c admin_state_up)" False
openstack port set --enable fiftieth
openstack network create bare
openstack port create --network bare early
is "$(one port show early -c fixed_ips)" '[]'
refused network delete bare
openstack port delete early
openstack network delete bare
has "$(openstack quota show --network --usage)" ports

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

# A group whose members let each other in
openstack security group create tiers
tiers=$(one security group show tiers -c id)
openstack security group rule create --remote-group tiers --protocol tcp --dst-port 80 tiers
openstack security group rule create --remote-group tiers --ethertype IPv6 --protocol ipv6-icmp tiers
has "$(one security group rule list tiers -c 'Remote Security Group')" "$tiers"
refused security group rule create --remote-group tiers --protocol tcp --dst-port 80 tiers
openstack server add security group networked tiers
has "$(one server show networked -c security_groups)" tiers
refused security group delete tiers
openstack server remove security group networked tiers
openstack security group delete tiers

# An address that goes from server to server
has "$(one network list --external -c Name)" "$EXTERNAL"
floating=$(one floating ip create --description 'of a day' "$EXTERNAL" -c floating_ip_address)
is "$(one floating ip show "$floating" -c description)" 'of a day'
is "$(one floating ip show "$floating" -c status)" DOWN
openstack server add floating ip networked "$floating"
has "$(one server show networked -c addresses)" "$floating"
is "$(one floating ip show "$floating" -c status)" ACTIVE
has "$(one floating ip list --status ACTIVE -c 'Floating IP Address')" "$floating"
openstack server remove floating ip networked "$floating"
lacks "$(one server show networked -c addresses)" "$floating"
openstack floating ip set --port "$port" "$floating"
is "$(one floating ip show "$floating" -c port_id)" "$port"
openstack floating ip unset --port "$floating"
is "$(one floating ip show "$floating" -c status)" DOWN
refused floating ip create outermost
refused router create none
openstack floating ip delete "$floating"
is "$(one floating ip list -c ID)" ''
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
