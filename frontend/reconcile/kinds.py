"""The kinds of differences between the database and Ganeti: what each means, and what is done about it.

The database is what is mended, and only where the kind says so; Ganeti is never changed by that. What is to be done
there, the front owes from then on (frontend/effect/owed.py).
"""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    name: str
    means: str
    fix: str
    """What mending does; for a kind that is only reported, what an administrator can do."""
    mendable: bool = True


KINDS = (
    Kind("stale", "The database has a server whose instance Ganeti has not.", "the server is marked as deleted"),
    Kind(
        "build",
        "A server is being built, but its job has failed or is not known to Ganeti.",
        "the server is shown as broken, with what the job said",
    ),
    Kind(
        "missing",
        "Ganeti has an instance that says whose it is, and the database has no server for it, or a deleted one.",
        "the server is made from the instance and its tags",
    ),
    Kind("renamed", "An instance has another name than its server remembers.", "the server gets the name"),
    Kind(
        "duplicate",
        "Two servers stand for one instance.",
        "the one whose id is not the instance's is marked as deleted, and no longer linked to the instance",
    ),
    Kind("power", "A server's status is not what its instance does.", "the server gets the status"),
    Kind("host", "A server is on another node.", "the server gets the node"),
    Kind("size", "A server has other CPUs or another memory.", "the server gets the instance's"),
    Kind("disks", "A server's disks have another size.", "the server gets the size"),
    Kind("nics", "A server has other NICs: another number, network, MAC or UUID.", "the server gets the instance's"),
    Kind("addresses", "A server's NICs have other addresses.", "the server gets the instance's"),
    Kind("owner", "The instance's tags name another project or user.", "the server gets the owner"),
    Kind("name", "The instance's tags give another display name.", "the server gets the name"),
    Kind("metadata", "The instance's tags hold other metadata.", "the server gets the tags'"),
    Kind(
        "facts",
        "The instance's tags say something else of its key, description, labels, lock or group, and the like.",
        "the server gets what the tags say",
    ),
    Kind(
        "flavor",
        "The instance's tags tell of another flavor, image or time of creation.",
        "the server gets what the tags say",
    ),
    Kind(
        "task",
        "A server has a task, or waits for its tags to be changed, and the job is over, or not known to Ganeti.",
        "the task is cleared",
    ),
    Kind(
        "action",
        "A job's end was not told, though it is over or not known to Ganeti.",
        "its end counts as told, once, with all that hangs on it",
    ),
    Kind(
        "saved",
        "An image or a snapshot waits for a job that is over or not known to Ganeti, or of which there never was one.",
        "it is shown as its job has ended, as failed when nobody knows; what was to be removed, is or can be",
    ),
    Kind(
        "tag-left",
        "An instance has a tag that asks its hook for a snapshot, a copy or a removal that nobody waits for.",
        "a job takes the tag away a minute later, if it is left over still and no job is about the instance",
    ),
    Kind(
        "volume-missing",
        "Ganeti has the holder of a volume, and the database has no such volume, or a deleted one.",
        "the volume is made from its holder and its tags",
    ),
    Kind(
        "volume-stale",
        "The database has a volume that Ganeti has no holder of.",
        "the volume is marked as deleted, or shown as broken if it was never made",
    ),
    Kind(
        "volume",
        "A volume is another size, another server's, of another owner, name or type, or its job is over.",
        "the volume gets what its holder and the servers' disks say",
    ),
    Kind(
        "port-missing",
        "Ganeti keeps a port or a floating address of a project's, and the database has none such.",
        "it is made from the network's tags; of an older release, from the server's NIC, without a name",
    ),
    Kind(
        "port-stale",
        "The database has a port whose address was given back to its network's pool an hour ago or longer.",
        "the port is removed",
    ),
    Kind(
        "group-missing",
        "The cluster's tags tell of a tenant's security group that the database has not.",
        "the group is made from the tags",
    ),
    Kind(
        "group-stale",
        "The database has a security group of which the cluster's tags tell nothing, or that it is gone.",
        "the group is removed",
    ),
    Kind("group", "The cluster's tags say something else of a security group.", "the group gets what the tags say"),
    Kind(
        "group-untold",
        "Another cluster than the home cluster lacks a security group, or what is new of it.",
        "the cluster is told by a job",
    ),
    Kind("network-missing", "Ganeti has a network that the database has not.", "the network is added"),
    Kind("network-stale", "The database has a network that Ganeti has not.", "the network is removed"),
    Kind("network", "A network's name, subnets, gateways or tags differ.", "the network gets Ganeti's"),
    Kind(
        "network-connect",
        "A tenant's network is not connected to every node group that has nodes, as one that was added later.",
        "a job connects it a minute later, by the bridge of the other groups, if it lacks there still",
    ),
    Kind(
        "link-twice",
        "A bridge that a tenant's network has to itself is another network's, too.",
        "connect the other one elsewhere, or its guests and the tenant's are on one wire",
        mendable=False,
    ),
    Kind(
        "orphan",
        "An instance with our prefix or our tags does not say which project it belongs to.",
        "give it a tag with its project, or remove it",
        mendable=False,
    ),
    Kind(
        "untagged",
        "A server's instance has no tag with its project: a new database would not know whose it is.",
        "give the instance the tag",
        mendable=False,
    ),
    Kind(
        "volume-lost",
        "A volume's disk is attached to no instance: a job was broken off, or a server removed with it.",
        "the consumer attaches it to its holder, and tries again while that fails; if there is no such disk any more,"
        " its tenant can only delete the volume",
        mendable=False,
    ),
    Kind(
        "volume-orphan",
        "A volume's holder does not say whose it is, or is gone while a server has the disk.",
        "give it a tag with its project, or remove it; make a holder again",
        mendable=False,
    ),
    Kind(
        "group-unread",
        "The cluster's tags of a security group are damaged: nodes let nothing come by it.",
        "take those tags away; then change the group, or make it again",
        mendable=False,
    ),
    Kind(
        "group-outside",
        "A server has no tag for its groups, and its project has made `default` a group of its own: it is not in it.",
        "give the instance the tags",
        mendable=False,
    ),
    Kind(
        "network-groups",
        "A network is not connected to every node group that has nodes.",
        "connect it, or servers with a NIC in it cannot live there",
        mendable=False,
    ),
    Kind(
        "apart",
        "Servers are in a group that keeps them apart, and the cluster has no tag that says so to its allocator.",
        "give the cluster the tag; then see where the servers live",
        mendable=False,
    ),
    Kind(
        "address-twice",
        "Two NICs of one network have the same address or MAC.",
        "give one of them another one",
        mendable=False,
    ),
    Kind(
        "address-unreserved",
        "A NIC has an address that is free in the network's pool, so that Ganeti may give it away again.",
        "reserve it",
        mendable=False,
    ),
    Kind(
        "address-unused",
        "An address is reserved for an instance, and no instance has it.",
        "nothing has to be done but to know that the pool has one less; no command of Ganeti frees it",
        mendable=False,
    ),
)
BY_NAME = {kind.name: kind for kind in KINDS}
MENDABLE = frozenset(kind.name for kind in KINDS if kind.mendable)

# Of each column of a server, the kind of difference that it is. NICs are told apart in difference_server.py.
OF_COLUMN = {
    **dict.fromkeys(("power", "fault", "status"), "power"),
    "host": "host",
    **dict.fromkeys(("vcpus", "ram"), "size"),
    **dict.fromkeys(("disk", "disks"), "disks"),
    "nics": "nics",
    **dict.fromkeys(("project_id", "user_id"), "owner"),
    "name": "name",
    "metadata": "metadata",
    "facts": "facts",
    **dict.fromkeys(("flavor_id", "image_id", "created"), "flavor"),
    **dict.fromkeys(("task", "wished"), "task"),
    "deleted": "missing",
    "instance": "renamed",
}
