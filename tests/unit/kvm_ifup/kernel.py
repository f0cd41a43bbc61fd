"""A node that takes our texts for nft, ip, bridge and ovs-vsctl, and refuses what the real ones refuse.

Only what taps have: sets, maps and chains; routes, rules, proxy neighbours and ports of bridges. The words of errors
are those of Linux 6.18 with nft 1.0.6 and iproute2 6.15.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

from ganeti_ext.errors import CommandError

_NFT = re.compile(
    r"(add|delete|flush) (table|set|map|chain|rule|element) (netdev|bridge|inet) ganeti_ext(?: (\w+))?(?: (.*))?"
)
_BATCHES = ("ip", "bridge")
_INTERVALS = ("peers", "ip4_more", "ip6_prefix")


class Kernel:
    """`links` are the interfaces by name; `calls` what was run; the nth call of those in `fail` fails, from 1."""

    def __init__(self) -> None:
        self.links: dict[str, int] = {}
        self.calls: list[tuple[tuple[str, ...], str]] = []
        self.fail: dict[int, BaseException] = {}
        self.flush()
        # Each is (family, rest of the line) or what the name says.
        self.routes: set[str] = set()
        self.policies: list[str] = []
        self.proxies: set[str] = set()
        self.neighbours: set[str] = set()
        self.masters: dict[str, str] = {}
        self.ports: dict[str, str] = {}
        self.up: set[str] = set()
        self.vlans: set[tuple[str, str]] = set()

    def flush(self) -> None:
        """`nft flush ruleset`."""
        self.tables: set[str] = set()
        self.sets: set[tuple[str, str]] = set()
        self.chains: set[tuple[str, str]] = set()
        self.rules: dict[tuple[str, str], list[str]] = {}
        self.elements: dict[tuple[str, str, str], str] = {}

    def index(self, name: str) -> int | None:
        return self.links.get(name)

    def sysctl(self, path: str, value: str) -> None:
        """Take a sysctl, and forget it: it goes with its tap."""

    def lose(self, tap: str) -> None:
        """The interface is gone, and what goes with it."""
        del self.links[tap]
        self.masters.pop(tap, None)
        self.up.discard(tap)
        self.routes = {route for route in self.routes if f" dev {tap} " not in f"{route} "}
        self.neighbours = {entry for entry in self.neighbours if not entry.endswith(f" dev {tap}")}
        self.vlans = {entry for entry in self.vlans if entry[0] != tap}

    def run(self, argv: list[str], *, stdin: str = "") -> str:
        self.calls.append((tuple(argv), stdin))
        if len(self.calls) in self.fail:
            raise self.fail[len(self.calls)]
        if argv == ["nft", "-j", "list", "ruleset"]:
            return self._listing()
        if argv == ["nft", "-f", "-"]:
            self._nft(stdin)
        elif argv[-2:] == ["-batch", "-"]:
            assert argv[0] in _BATCHES, argv
            for line in stdin.splitlines():
                assert not line.startswith("-"), f"an option in a batch: {line}"
                self._program([*argv[:-2], *line.split()])
        else:
            assert stdin == ""
            self._program(argv)
        return ""

    def ran(self, program: str) -> list[str]:
        """The lines that a program got, of all its calls."""
        found: list[str] = []
        for argv, stdin in self.calls:
            if argv[0] == program:
                found += stdin.splitlines() or [" ".join(argv[1:])]
        return found

    def of(self, tap: str) -> list[Any]:
        """All that there is of a tap; chains of profiles and shared elements are not a tap's."""
        found: list[Any] = [key for key in self.elements if f'"{tap}"' in key[2]]
        found += [chain for chain in self.chains if chain[1].startswith("port_")]
        found += [text for text in (*self.routes, *self.policies, *self.neighbours) if tap in text.split()]
        return [*found, *self.proxies, *[name for name in (*self.masters, *self.ports, *self.up) if name == tap]]

    def _nft(self, text: str) -> None:
        rules = {chain: list(texts) for chain, texts in self.rules.items()}
        before = set(self.tables), set(self.sets), set(self.chains), rules, dict(self.elements)
        try:
            for line in text.splitlines():
                found = _NFT.fullmatch(line)
                assert found, f"not of our grammar: {line}"
                verb, kind, family, name, rest = found.groups(default="")
                if kind == "table":
                    self.tables.add(family)
                    continue
                if family not in self.tables:
                    raise CommandError(f"nft -f -: exit code 1: {line}: No such file or directory")
                getattr(self, f"_{kind}")(verb, family, name, rest)
        except CommandError:
            self.tables, self.sets, self.chains, self.rules, self.elements = before
            raise

    def _set(self, verb: str, family: str, name: str, _rest: str) -> None:
        assert verb == "add"
        self.sets.add((family, name))

    _map = _set

    def _chain(self, verb: str, family: str, name: str, _rest: str) -> None:
        key = (family, name)
        if verb == "add":
            self.chains.add(key)
        elif key not in self.chains:
            raise CommandError(f"nft -f -: exit code 1: chain {name}: No such file or directory")
        if verb in ("flush", "delete"):
            self.rules.pop(key, None)
        if verb == "delete":
            if any(data.endswith(f" {name}") for at, data in self.elements.items() if at[0] == family):
                raise CommandError(f"nft -f -: exit code 1: chain {name}: Device or resource busy")
            self.chains.remove(key)

    def _rule(self, verb: str, family: str, name: str, rest: str) -> None:
        assert verb == "add"
        assert (family, name) in self.chains, name
        for used in re.findall(r"@(?![nt]h,)(\w+)", rest):
            assert (family, used) in self.sets, rest
        for target in re.findall(r"(?:goto|jump) (\w+)", rest):
            assert (family, target) in self.chains, rest
        self.rules.setdefault((family, name), []).append(rest)

    def _element(self, verb: str, family: str, name: str, rest: str) -> None:
        assert (family, name) in self.sets, f"{family} {name}"
        key, _, data = rest.removeprefix("{ ").removesuffix(" }").partition(" : ")
        target = data.partition(" ")[2]
        if target and (family, target) not in self.chains:
            raise CommandError(f"nft -f -: exit code 1: {rest}: No such file or directory")
        place = (family, name, key.removesuffix("/32"))
        if verb == "delete":
            if place not in self.elements:
                raise CommandError(f"nft -f -: exit code 1: {rest}: No such file or directory")
            del self.elements[place]
        elif self.elements.get(place, data) != data or self._overlaps(place):
            raise CommandError(f"nft -f -: exit code 1: {rest}: File exists")
        else:
            self.elements[place] = data

    def _overlaps(self, place: tuple[str, str, str]) -> bool:
        """Whether one end of a new interval is inside one that is there (net/netfilter/nft_set_pipapo.c)."""
        own = _interval(place[2]) if place[1] in _INTERVALS else None
        if own is None or place in self.elements:
            return False
        there = (_interval(key) for *where, key in self.elements if tuple(where) == place[:2])
        return any(one and one[0] == own[0] and any(one[1] <= end <= one[2] for end in own[1:]) for one in there)

    def _listing(self) -> str:
        found: list[dict[str, Any]] = [{"metainfo": {"json_schema_version": 1}}]
        found += [{"table": {"family": family, "name": "ganeti_ext"}} for family in sorted(self.tables)]
        for family, name in sorted(self.sets):
            elements = [(key, data) for (*place, key), data in self.elements.items() if place == [family, name]]
            listed = [[_json(key), data] if data else _json(key) for key, data in elements]
            found.append({"set": {"family": family, "name": name, "table": "ganeti_ext", "elem": listed}})
        return json.dumps({"nftables": found})

    def _program(self, argv: list[str]) -> None:
        program, *rest = argv
        line = " ".join(rest)
        if program == "bridge":
            words = re.fullmatch(r"vlan (add|del) dev (\S+) vid (\d+(?: pvid untagged)?) master", line)
            assert words, line
            self._need(words[2])
            (self.vlans.add if words[1] == "add" else self.vlans.discard)((words[2], words[3]))
        elif program == "ovs-vsctl":
            self._ovs(line)
        else:
            assert program == "ip", program
            self._ip(line)

    def _ip(self, line: str) -> None:
        family = "-6 " if line.startswith("-6 ") else ""
        line = line.removeprefix("-6 ")
        device = re.search(r" dev (\S+)", line)
        if device:
            self._need(device[1])
        what, verb, _, rest = (*line.split(" ", 2)[:2], "", line.split(" ", 2)[2])
        if what == "link":
            self._link(rest.split())
        elif what == "rule":
            assert " from " not in f" {rest}", "of which family?"
            self._listed(verb, self.policies, family + rest)
        elif what == "route":
            self._route(verb, re.sub(" onlink| proto static", "", rest))
        elif rest.startswith("proxy "):
            self._kept(verb, self.proxies, rest.removeprefix("proxy "), "No such file or directory")
        else:
            assert what == "neigh", line
            self.neighbours.add(re.sub(r" lladdr \S+| nud permanent", "", rest))

    def _link(self, words: list[str]) -> None:
        assert words[0] == "dev", words
        tap, *rest = words[1:]
        if "nomaster" in rest:
            self.masters.pop(tap, None)
        if "master" in rest:
            self.masters[tap] = rest[rest.index("master") + 1]
            self._need(self.masters[tap])
        if "up" in rest:
            self.up.add(tap)
        if "down" in rest:
            self.up.discard(tap)
            self.routes = {route for route in self.routes if f" dev {tap} " not in f"{route} "}
            self.neighbours = {entry for entry in self.neighbours if not entry.endswith(f" dev {tap}")}

    def _route(self, verb: str, rest: str) -> None:
        table = rest.partition(" table ")[2]
        if verb == "del" and table and not any(route.endswith(f" table {table}") for route in self.routes):
            raise CommandError("ip route: exit code 2: Error: FIB table does not exist.")
        self._kept(verb, self.routes, rest, "No such process")

    @staticmethod
    def _kept(verb: str, where: set[str], text: str, absent: str) -> None:
        if verb == "replace":
            where.add(text)
        elif text not in where:
            raise CommandError(f"ip: exit code 2: RTNETLINK answers: {absent}")
        else:
            where.remove(text)

    @staticmethod
    def _listed(verb: str, where: list[str], text: str) -> None:
        """The kernel takes a rule twice."""
        if verb == "add":
            where.append(text)
        elif text not in where:
            raise CommandError("ip: exit code 2: RTNETLINK answers: No such file or directory")
        else:
            where.remove(text)

    def _ovs(self, line: str) -> None:
        for command in line.split(" -- "):
            words = command.split()
            if "del-port" in words:
                gone = self.ports.pop(words[-1], None)
                assert gone or "--if-exists" in words, line
            else:
                assert words[0] == "add-port", line
                self.ports[words[2]] = " ".join((words[1], *words[3:]))

    def _need(self, name: str) -> None:
        if name not in self.links:
            raise CommandError(f'ip: exit code 1: Cannot find device "{name}"')


def _interval(key: str) -> tuple[str, int, int] | None:
    """The tap, the first and the last of a key."""
    tap, _, value = key.partition(" . ")
    first, dash, last = value.partition("-")
    if dash:
        return tap, int(first.replace(":", ""), 16), int(last.replace(":", ""), 16)
    net = ipaddress.ip_network(value)
    return tap, int(net[0]), int(net[-1])


def _json(key: str) -> Any:
    """A key as libnftables-json(5) has it."""
    parts = [_part(part) for part in key.split(" . ")]
    return {"concat": parts} if len(parts) > 1 else parts[0]


def _part(text: str) -> Any:
    first, dash, last = text.partition("-")
    if text.startswith('"'):
        return text.strip('"')
    if "/" in text:
        address, _, length = text.partition("/")
        return {"prefix": {"addr": address, "len": int(length)}}
    if dash:
        return {"range": [first, last]}
    return int(text) if text.isdecimal() else text
