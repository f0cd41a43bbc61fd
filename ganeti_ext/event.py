"""Messages of the update path: what eventd says and the front hears.

Types, keys and routing keys are those of Synnefo's eventd, so that an existing consumer works; `version`,
`op_index` and `order` are ours. A message is a JSON object of at least:

    type        one of the constants below
    version     VERSION
    event_time  [seconds, microseconds]
    cluster     the cluster's name

OP_STATUS, NETWORK_STATUS, NODE_STATUS, GROUP_STATUS and CLUSTER_STATUS tell of one status of one opcode of one job:

    jobId, op_index   the job and the place of the opcode in it (from 0)
    operation         OP_INSTANCE_CREATE, ...
    status            queued waiting canceling running canceled success error
    order             [seconds, microseconds, jobId, op_index, rank of the status]: all from the job file, so
                      of the master's clock alone, which may be set back
    seq               [term, number]: what was seen later, by the later master, is greater; compare as a list. No
                      clock decides. What Ganeti was asked (read_at) is newer than that
    began             [seconds, microseconds] when the opcode began its work, or null
    logmsg            text of the last log entry, or null
    result            node names of a creation, new name of a renaming, else null; for a failure a readable line
    error_code        Ganeti's code of a refused opcode (temp_insufficient_resources, ...), or null
    job_fields        the part of the opcode's input that a consumer needs, without secrets
    reason            who wanted it and why: [source, text][], without secrets
    instance / network / node / group   the object's name; `cluster` is CLUSTER_STATUS's

and OP_STATUS: tags[] of the opcode's input; applied {nics[], disks[]} of a success of CREATE and SET_PARAMS, what
the job itself says was done: {index, action (add remove attach detach modify), values that are known, hotplug (done or
not)}; and in a final status, where Ganeti answered: read_at [seconds, microseconds], when it was asked, and unless it
knows no such instance: instance_nics[] {name, network, ip, mac, mode, link, uuid}, instance_disks[] {name, size (MiB),
uuid}, instance_state {uuid, ctime, admin_state, pnode, tags[], beparams {vcpus, minmem, maxmem}, oper_state}; there is
no oper_state when the node was not asked, and null is that of a silent node. NETWORK_STATUS likewise read_at and
network_data {name, uuid, subnet, gateway, subnet6, gateway6, mac_prefix, tags[], groups[] [name, mode, link, vlan]}.
A final message that went without read_at comes once more, with it and the same seq, when Ganeti answers.

HEARTBEAT has the keys of an opcode and `probe`: of a dry-run OP_TAGS_SET on the cluster whose only tag is
HEARTBEAT_TAG and the probe, in place of CLUSTER_STATUS and once a job, at its final status.

NET_STATUS is a hook's note from a node: event_time is that node's clock and must not be compared with others.
    instance, operation, node (who wrote it), primary, nics[] {name, uuid, ip, mac, mode, link, network}
PROGRESS is a storage provider's note, by the node's clock as well: newer ones may overtake it.
    instance, disk (its name), node, position and total (bytes), progress (0.0 to 100.0)
LOST says that the spool ran over and `count` messages, of which `final` were final, went before this one: by
the clock of `node`. Whoever hears it compares all that he knows with Ganeti.
MASTER says that `node`, by whose clock it is, has become the master, or that Ganeti's daemons were started there anew,
or eventd: the configuration may be another one than that before. Whoever hears it compares likewise.

SAMPLES is what the instances that run on a node use, measured there at event_time by the node's clock: node,
instances[] {instance, began, cpu_ns, memory_kib, read, written (octets of all disks), nics[] [tap, octets, packets,
errors and drops of what the guest received, and of what it sent]}. All but memory_kib count from a moment on that
`began`, a text, stands for: another text, and they began anew. Nobody needs one of them: each may be lost, and only
who asks for SAMPLES_BINDING hears them.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1
EXCHANGE = "ganeti"

OP_STATUS = "ganeti-op-status"
NETWORK_STATUS = "ganeti-network-status"
NODE_STATUS = "ganeti-node-status"
GROUP_STATUS = "ganeti-group-status"
CLUSTER_STATUS = "ganeti-cluster-status"
HEARTBEAT = "eventd-heartbeat"
NET_STATUS = "ganeti-net-status"
PROGRESS = "image-copy-progress"
LOST = "ganeti-events-lost"
MASTER = "ganeti-master"
SAMPLES = "ganeti-samples"
SAMPLES_KEY = "sample.node"

HEARTBEAT_TAG = "ganeti-ext:heartbeat:"

# Rising as a job goes on, so that a late message about an earlier status can be told.
RANKS = {"queued": 0, "waiting": 1, "canceling": 2, "running": 3, "canceled": 4, "success": 4, "error": 4}
FINAL = frozenset(("canceled", "success", "error"))


# Of messages that do not belong to one instance or network.
_FIXED = {
    NODE_STATUS: "ganeti.event.node",
    GROUP_STATUS: "ganeti.event.group",
    CLUSTER_STATUS: "ganeti.event.cluster",
    HEARTBEAT: "eventd.heartbeat",
    LOST: "ganeti.event.lost",
    MASTER: "ganeti.event.master",
    SAMPLES: SAMPLES_KEY,
}
_SUFFIX = {OP_STATUS: "op", NETWORK_STATUS: "network", NET_STATUS: "net", PROGRESS: "progress"}
_TYPES = frozenset((*_FIXED, *_SUFFIX))
# What a queue is bound to that is to get all of them.
BINDINGS = ("ganeti.#", "eventd.#")
# But for SAMPLES: a consumer of all that happens has not asked for what does not happen.
SAMPLES_BINDING = "sample.#"
_ENCODER = json.JSONEncoder(separators=(",", ":"), sort_keys=True)  # made once: that takes as long as to use it


def routing_key(message: dict[str, Any]) -> str:
    """The AMQP routing key; the prefix is what stands before the first "-" of the object's name."""
    kind = message["type"]
    if kind in _FIXED:
        return _FIXED[kind]
    name: str = message.get("instance") or message.get("network") or ""
    # A dot would make another level of the key, so a plain FQDN has to go without its domain.
    prefix = name.split("-", 1)[0].split(".", 1)[0] or "unknown"
    return f"ganeti.{prefix}.event.{_SUFFIX[kind]}"


def seconds(moment: object) -> float | None:
    """A message's [seconds, microseconds] as one number; None when it is none."""
    if not isinstance(moment, list) or len(moment) != 2:
        return None
    whole, micros = moment
    return whole + micros / 1e6 if isinstance(whole, int) and isinstance(micros, int) else None


def encode(message: dict[str, Any]) -> str:
    """One line of JSON."""
    return _ENCODER.encode(message)


def decode(body: str | bytes) -> dict[str, Any]:
    """The message in a body; ValueError when it is none of ours."""
    return checked(json.loads(body), body)


def checked(message: Any, body: str | bytes) -> dict[str, Any]:
    """What was read in a body, if it is a message; ValueError when it is none of ours."""
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ValueError(f"not a message of a known type: {body[:80]!r}")
    if message.get("version") != VERSION:
        raise ValueError(f"message of version {message.get('version')!r}, this program reads {VERSION}")
    return message  # type: ignore[no-any-return]
