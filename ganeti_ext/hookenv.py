"""What Ganeti tells a hook (ganeti-doc, hooks.rst)."""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext.env import need, optional
from ganeti_ext.nicenv import Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NIC_FIELDS = ("name", "uuid", "ip", "mac", "mode", "link", "network_name")
DATA_DIRECTORY = "/var/lib/ganeti"


class Hook(
    namedtuple(
        "Hook",
        "opcode phase object_type cluster master instance primary nics"
        " networks tags new_name old_primary data_directory",
        defaults=((), (), None, None, DATA_DIRECTORY),
    )
):
    """One run of a hook.

    `primary` is the node that runs the instance once the operation is done: in the post phase of a
    migration or failover Ganeti still calls the old node INSTANCE_PRIMARY and names the new one apart;
    `old_primary` is set by these two alone, `new_name` by a rename, whose `instance` is the old name.
    `nics` holds, in index order, a mapping of NIC_FIELDS to text ("" where Ganeti has none), and `networks`
    the Ganeti network of each, or None. NICs are those of the configuration once the operation is done,
    whatever a guest that was not restarted has. `tags` are the instance's own.
    """

    __slots__ = ()
    opcode: str
    phase: str
    object_type: str
    cluster: str | None
    master: str | None
    instance: str | None
    primary: str | None
    nics: tuple[dict[str, str], ...]
    networks: tuple[Network | None, ...]
    tags: tuple[str, ...]
    new_name: str | None
    old_primary: str | None
    data_directory: str

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Hook:
        return cls(
            opcode=need(env, "GANETI_OP_CODE", str),
            phase=need(env, "GANETI_HOOKS_PHASE", str),
            object_type=need(env, "GANETI_OBJECT_TYPE", str),
            cluster=optional(env, "GANETI_CLUSTER", str),
            master=optional(env, "GANETI_MASTER", str),
            instance=optional(env, "GANETI_INSTANCE_NAME", str),
            primary=optional(env, "GANETI_NEW_PRIMARY", str) or optional(env, "GANETI_INSTANCE_PRIMARY", str),
            nics=tuple(_nic(env, index) for index in range(_count(env))),
            networks=tuple(_network(env, index) for index in range(_count(env))),
            tags=_words(env, "GANETI_INSTANCE_TAGS"),
            new_name=optional(env, "GANETI_INSTANCE_NEW_NAME", str),
            old_primary=optional(env, "GANETI_OLD_PRIMARY", str),
            data_directory=env.get("GANETI_DATA_DIR") or DATA_DIRECTORY,
        )


def _count(env: Mapping[str, str]) -> int:
    return optional(env, "GANETI_INSTANCE_NIC_COUNT", _natural) or 0


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _nic(env: Mapping[str, str], index: int) -> dict[str, str]:
    return {name: env.get(f"GANETI_INSTANCE_NIC{index}_{name.upper()}", "") for name in NIC_FIELDS}


def _network(env: Mapping[str, str], index: int) -> Network | None:
    """The NIC's network. One that Ganeti has lost (BuildInstanceHookEnv) comes with its name alone."""
    prefix = f"GANETI_INSTANCE_NIC{index}_NETWORK_"
    if not env.get(prefix + "NAME"):
        return None
    return Network(
        name=env[prefix + "NAME"],
        uuid=env.get(prefix + "UUID", ""),
        subnet=optional(env, prefix + "SUBNET", str),
        gateway=optional(env, prefix + "GATEWAY", str),
        subnet6=optional(env, prefix + "SUBNET6", str),
        gateway6=optional(env, prefix + "GATEWAY6", str),
        mac_prefix=optional(env, prefix + "MAC_PREFIX", str),
        tags=_words(env, prefix + "TAGS"),
    )


def _words(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(sorted(env.get(name, "").split()))
