"""What Ganeti tells an interface script (ganeti hv_base.py, ConfigureNIC)."""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext.env import need, optional

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# All that is read of the environment.
VARIABLES = (
    *("INTERFACE", "INTERFACE_INDEX", "INTERFACE_UUID", "INTERFACE_NAME", "INSTANCE", "MAC", "IP", "MODE", "LINK"),
    *("VLAN", "BRIDGE", "TAGS", "NETWORK_NAME", "NETWORK_UUID", "NETWORK_SUBNET", "NETWORK_GATEWAY"),
    *("NETWORK_SUBNET6", "NETWORK_GATEWAY6", "NETWORK_MAC_PREFIX", "NETWORK_TAGS"),
)
_HEX = frozenset("0123456789abcdef")


class Network(namedtuple("Network", "name uuid subnet gateway subnet6 gateway6 mac_prefix tags")):
    """The Ganeti network that a NIC belongs to; subnets in CIDR form."""

    __slots__ = ()
    name: str
    uuid: str
    subnet: str | None
    gateway: str | None
    subnet6: str | None
    gateway6: str | None
    mac_prefix: str | None
    tags: tuple[str, ...]


class Nic(namedtuple("Nic", "tap index uuid name instance mac ip mode link vlan bridge tags network")):
    """One NIC of an instance, and the tap that Ganeti made for it.

    `tap` is INTERFACE; `name` is INTERFACE_NAME, which an administrator may have given to the NIC.
    `bridge` is the bridge to join in bridged mode, without a VLAN suffix.
    """

    __slots__ = ()
    tap: str
    index: int
    uuid: str
    name: str | None
    instance: str
    mac: str
    ip: str | None
    mode: str
    link: str | None
    vlan: str | None
    bridge: str | None
    tags: tuple[str, ...]
    network: Network | None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Nic:
        return cls(
            tap=need(env, "INTERFACE", _interface),
            index=need(env, "INTERFACE_INDEX", int),
            uuid=need(env, "INTERFACE_UUID", str),
            name=optional(env, "INTERFACE_NAME", str),
            instance=need(env, "INSTANCE", str),
            mac=need(env, "MAC", mac),
            ip=optional(env, "IP", str),
            mode=need(env, "MODE", str),
            link=optional(env, "LINK", str),
            vlan=optional(env, "VLAN", str),
            bridge=optional(env, "BRIDGE", _interface),
            tags=_tags(env, "TAGS"),
            network=_network(env) if env.get("NETWORK_NAME") else None,
        )


def pick(env: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that a NIC can be made of again."""
    return {name: env[name] for name in VARIABLES if name in env}


def _network(env: Mapping[str, str]) -> Network:
    return Network(
        name=env["NETWORK_NAME"],
        uuid=need(env, "NETWORK_UUID", str),
        subnet=optional(env, "NETWORK_SUBNET", str),
        gateway=optional(env, "NETWORK_GATEWAY", str),
        subnet6=optional(env, "NETWORK_SUBNET6", str),
        gateway6=optional(env, "NETWORK_GATEWAY6", str),
        mac_prefix=optional(env, "NETWORK_MAC_PREFIX", str),
        tags=_tags(env, "NETWORK_TAGS"),
    )


def _tags(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(sorted(env.get(name, "").split()))


def _interface(text: str) -> str:
    # The kernel's dev_valid_name: IFNAMSIZ is 16 octets with the final zero; no "/", ":" or white space.
    if len(text.encode()) > 15 or "/" in text or ":" in text or text in (".", "..") or text.split() != [text]:
        raise ValueError("not an interface name")
    return text


def mac(text: str) -> str:
    """A MAC in lower case; ValueError when it is none."""
    parts = text.lower().split(":")
    if len(parts) != 6 or any(len(part) != 2 or not _HEX.issuperset(part) for part in parts):
        raise ValueError("not a MAC address")
    return ":".join(parts)
