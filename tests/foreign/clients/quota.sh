#!/bin/sh
# An administrator's quotas with the `openstack` command. OS_* say who he is, and that his project's quotas are to be tried.
. "$(dirname "$0")/common.sh"
limit() { # NAME ...: of the project, as `quota show` says
    openstack quota show "$OS_PROJECT_NAME" -f json | python3 -c 'import json, sys
said = json.load(sys.stdin)
rows = said if isinstance(said, list) else [{"Resource": name, "Limit": limit} for name, limit in said.items()]
found = {row["Resource"]: row["Limit"] for row in rows}
print(*(found[name] for name in sys.argv[1:]))' "$@"
}
back() { openstack quota delete --all "$OS_PROJECT_NAME"; }
trap back EXIT
set -x
back

# What there is: of all three services, and what nobody has set
openstack quota show
openstack quota show --default
openstack quota show --usage
openstack quota list --compute
openstack quota list --network
openstack quota list --volume
before=$(limit instances cores networks volumes)

# Other numbers, of each service
openstack quota set --instances 7 --cores 9 --ram 8192 "$OS_PROJECT_NAME"
is "$(limit instances cores ram)" '7 9 8192'
openstack quota set --networks 3 --subnets 4 --ports 5 --secgroups 6 --secgroup-rules 30 "$OS_PROJECT_NAME"
is "$(limit networks subnets ports)" '3 4 5'
openstack quota set --volumes 2 --snapshots 1 --gigabytes 20 "$OS_PROJECT_NAME"
is "$(limit volumes snapshots gigabytes)" '2 1 20'
openstack quota set --instances -1 "$OS_PROJECT_NAME"
is "$(limit instances cores)" '-1 9'
refused quota set --instances many "$OS_PROJECT_NAME"
refused quota set --instances -2 "$OS_PROJECT_NAME"
refused quota set --instances 1 of-nobody

# They hold
openstack quota set --force --networks 0 --volumes 0 "$OS_PROJECT_NAME"
refused network create beyond
refused volume create --size 1 beyond
openstack limits show --absolute

# And away with it
openstack quota delete --compute "$OS_PROJECT_NAME"
openstack quota delete --network "$OS_PROJECT_NAME"
openstack quota delete --volume "$OS_PROJECT_NAME"
is "$(limit instances cores networks volumes)" "$before"
set +x
echo "session done"
