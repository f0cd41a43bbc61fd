"""What Ganeti tells a hook (ganeti-doc, hooks.rst)."""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext.env import need, optional

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NIC_FIELDS = ("name", "uuid", "ip", "mac", "mode", "link", "network_name")


class Hook(namedtuple("Hook", "opcode phase object_type cluster master instance primary nics")):
    """One run of a hook.

    `primary` is the node that runs the instance once the operation is done: in the post phase of a
    migration or failover Ganeti still calls the old node INSTANCE_PRIMARY and names the new one apart.
    `nics` holds, in index order, a mapping of NIC_FIELDS to text ("" where Ganeti has none).
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
