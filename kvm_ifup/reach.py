"""The nftables rules for what reaches a tap of a network that shares its bridge with others (`private-filtered`).

Such networks are told apart by the front of their guests' MACs. Every frame on its way out of such a tap is judged,
broadcast and flooded ones too; nfdhcpd's answers do not come this way.
"""

from __future__ import annotations

from kvm_ifup.elements import Element, of_tap

TABLE = "bridge ganeti_ext"

_SKELETON = f"""add table {TABLE}
add set {TABLE} filtered {{ type ifname; }}
add set {TABLE} peers {{ type ifname . ether_addr; flags interval; }}
"""
_RULES = f"""add chain {TABLE} reach {{ type filter hook postrouting priority -300; policy accept; }}
flush chain {TABLE} reach
add rule {TABLE} reach oifname @filtered oifname . ether saddr != @peers drop
"""


def skeleton() -> str:
    """Table, sets and the rule; says nothing of any tap."""
    return _SKELETON + _RULES


def sets() -> str:
    """Table and sets alone, so that elements can be taken out of them."""
    return _SKELETON


def peers(tap: str, mac: str, mask: str) -> tuple[Element, ...]:
    """Only stations whose MAC has the same bits as the guest's under the mask reach its tap."""
    number, bits = _number(mac), _number(mask)
    first = number & bits
    last = first | ~bits & (1 << 48) - 1
    return (
        of_tap("bridge", "filtered", tap),
        of_tap("bridge", "peers", tap, f"{_mac(first)}-{_mac(last)}"),
    )


def network(mac: str, mask: str) -> str:
    """The first MAC of the network that a MAC belongs to."""
    return _mac(_number(mac) & _number(mask))


def _number(mac: str) -> int:
    return int(mac.replace(":", ""), 16)


def _mac(number: int) -> str:
    return number.to_bytes(6, "big").hex(":")
