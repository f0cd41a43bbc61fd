"""Sets of addresses for rules of iptables, in the language of ipset(8) (linux/netfilter/ipset/ip_set.h).

Its program is not needed; where it is installed, `ipset list` shows them.
"""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import ip_address

from ganeti_ext.errors import CommandError
from kvm_ifup import member_sets, xtables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")
_NETFILTER, _ERROR, _DONE = 12, 2, 3
_DUMP = 0x301  # NLM_F_REQUEST with NLM_F_DUMP
_TELL = 0x5  # NLM_F_REQUEST with NLM_F_ACK; without NLM_F_EXCL what is there already is no error
_SUBSYSTEM = 6 << 8  # NFNL_SUBSYS_IPSET
_CREATE, _DESTROY, _FLUSH, _SWAP, _LIST, _ADD = 2, 3, 4, 6, 7, 9  # IPSET_CMD_*
_PROTOCOL, _NAME, _TYPE, _REVISION, _FAMILY, _FLAGS, _DATA, _MANY, _LINE, _MOST = 1, 2, 3, 4, 5, 6, 7, 8, 9, 19
_NAMES_ALONE = 2  # IPSET_FLAG_LIST_SETNAME
_OTHER_NAME = 3  # of two that are swapped
_IP = 1
_NESTED, _NETWORK_ORDER = 0x8000, 0x4000
_FAMILIES = {4: (socket.AF_INET, 1), 6: (socket.AF_INET6, 2)}  # IPSET_ATTR_IPADDR_IPV4, _IPV6
_LARGEST = 65536  # elements
_CHUNK = 500  # addresses in one message
_ROOM = 1 << 16
_GONE = 2  # ENOENT


def put(keys: Iterable[str], known: Mapping[str, Iterable[str]]) -> None:
    """Make the sets of these groups hold their members' addresses, each at once. CommandError when that fails."""
    with xtables.locked(), _Kernel() as kernel:
        for key in sorted(keys):
            for family in member_sets.FAMILIES:
                kernel.replace(member_sets.legacy(key, family), family, member_sets.of(key, family, known))


def remove(keys: Iterable[str]) -> None:
    """Take the sets of groups away, if they are there; CommandError while a rule has one."""
    with xtables.locked(), _Kernel() as kernel:
        for key in sorted(keys):
            for family in member_sets.FAMILIES:
                kernel.destroy(member_sets.legacy(key, family))


def names() -> list[str]:
    """Those of ours that are there."""
    with _Kernel() as kernel:
        return sorted(name for name in kernel.names() if name.startswith(member_sets.LEGACY))


def held(wanted: Iterable[str]) -> dict[str, list[str]]:
    """What sets hold, by their names; of one that is not there, nothing. CommandError when that cannot be asked."""
    with _Kernel() as kernel:
        return {name: kernel.addresses(name) for name in wanted}


def remove_all() -> None:
    """Take all of ours away; CommandError while a rule has one."""
    with xtables.locked(), _Kernel() as kernel:
        for name in names():
            kernel.destroy(name)


class _Kernel:
    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)

    def __enter__(self) -> _Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def replace(self, name: str, family: int, addresses: Sequence[str]) -> None:
        """Another set is filled and takes its place."""
        draft = f"{name}+"
        for each in (name, draft):
            self._tell(_CREATE, each, _kind(family))
        self._tell(_FLUSH, draft)
        for start in range(0, len(addresses), _CHUNK):
            self._tell(_ADD, draft, _line() + _nested(_MANY, _elements(family, addresses[start : start + _CHUNK])))
        self._tell(_SWAP, draft, _attribute(_OTHER_NAME, f"{name}\0".encode()))
        self.destroy(draft)

    def destroy(self, name: str) -> None:
        self._tell(_DESTROY, name, fine=_GONE)

    def names(self) -> list[str]:
        """The sets of all."""
        flags = _attribute(_FLAGS | _NETWORK_ORDER, struct.pack("!I", _NAMES_ALONE))
        return [name.rstrip(b"\0").decode() for told in self._listed(flags) for name in _values(told, _NAME)]

    def addresses(self, name: str) -> list[str]:
        """What a set of addresses holds."""
        return sorted(
            str(ip_address(packed))
            for told in self._listed(_attribute(_NAME, f"{name}\0".encode()), name)
            for several in _values(told, _MANY)
            for element in _values(several, _DATA)
            for address in _values(element, _IP)
            for kind in (_FAMILIES[4][1], _FAMILIES[6][1])
            for packed in _values(address, kind)
        )

    def _listed(self, wanted: bytes, name: str = "") -> Iterator[bytes]:
        """The attributes of each message about sets; none of a set that is not there."""
        body = bytes(4) + _attribute(_PROTOCOL, b"\6") + wanted
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), _SUBSYSTEM | _LIST, _DUMP, 1, 0) + body)
        while True:
            data, at = self._socket.recv(_ROOM), 0
            while at < len(data):
                length, kind, *_ = _HEADER.unpack_from(data, at)
                if kind in (_ERROR, _DONE):
                    code = -struct.unpack_from("=i", data, at + _HEADER.size)[0] if length > _HEADER.size else 0
                    _check(name, code, _GONE)
                    return
                yield data[at + _HEADER.size + 4 : at + length]
                at += (length + 3) & ~3

    def _tell(self, command: int, name: str, more: bytes = b"", fine: int = 0) -> None:
        body = bytes(4) + _attribute(_PROTOCOL, b"\6") + _attribute(_NAME, f"{name}\0".encode()) + more
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), _SUBSYSTEM | command, _TELL, 1, 0) + body)
        answer = self._socket.recv(_ROOM)
        kind = _HEADER.unpack_from(answer)[1]
        code = -struct.unpack_from("=i", answer, _HEADER.size)[0] if kind == _ERROR else 0
        _check(name, code, fine)


def _check(name: str, code: int, fine: int) -> None:
    if code not in (0, fine):
        words = os.strerror(code) if code < 4096 else f"error {code} (IPSET_ERR_*)"
        raise CommandError(f"ipset {name}: {words}")


def _values(attributes: bytes, wanted: int) -> Iterator[bytes]:
    """The values of one kind of attribute."""
    at = 0
    while at < len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if kind & ~(_NESTED | _NETWORK_ORDER) == wanted:
            yield attributes[at + 4 : at + length]
        at += (length + 3) & ~3


def _kind(family: int) -> bytes:
    """A hash of addresses."""
    number = bytes((_FAMILIES[family][0],))
    most = _nested(_DATA, _attribute(_MOST | _NETWORK_ORDER, struct.pack("!I", _LARGEST)))
    return _attribute(_TYPE, b"hash:ip\0") + _attribute(_REVISION, b"\0") + _attribute(_FAMILY, number) + most


def _elements(family: int, addresses: Iterable[str]) -> bytes:
    kind = _FAMILIES[family][1] | _NETWORK_ORDER
    each = (_attribute(kind, ip_address(address).packed) for address in addresses)
    return b"".join(_nested(_DATA, _nested(_IP, packed)) for packed in each)


def _line() -> bytes:
    return _attribute(_LINE, struct.pack("=I", 0))


def _nested(kind: int, value: bytes) -> bytes:
    return _attribute(kind | _NESTED, value)


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)
