"""From what the DNS has now to what it must have: the text for nsupdate(1).

The addresses at a name are ours if the mark beside it says so: a TXT record at _ganeti-ext.NAME (RFC 8552) with the
owner, by default the cluster. A name without addresses is taken, and so is one whose addresses are all the instance's
own, as an older hook or a hand may have left it. All other names stay as they are.

What is planned follows from what the server was seen to have, and is conditional on that (RFC 2136 section 2.4): when
another has changed the name meanwhile, the zone is not touched. A PTR record is deleted by its exact value.
"""

from __future__ import annotations

from collections import namedtuple

from hooks.dnsanswer import Answer, values
from hooks.dnsname import absolute, pointer, zone_of
from hooks.dnssettings import AUTO
from hooks.dnstask import version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hooks.dnsanswer import Question
    from hooks.dnssettings import Settings
    from hooks.dnstask import Task

    Seen = Mapping[Question, Answer]
    Lines = dict[str, list[str]]  # of nsupdate, by zone

ADDRESS = ("A", "AAAA")
_UNSEEN = Answer()


class Plan(namedtuple("Plan", "forward reverse complaints")):
    """Texts for nsupdate by zone: first those of names, then those of addresses. `complaints` are what cannot be."""

    __slots__ = ()
    forward: dict[str, str]
    reverse: dict[str, str]
    complaints: tuple[str, ...]


def questions(task: Task, settings: Settings, seen: Seen) -> list[Question]:
    """What must still be asked before there can be a plan."""
    needed: list[Question] = []
    for name in task.wanted:
        needed += [(name, "A"), (name, "AAAA"), (mark_of(name), "TXT")]
    for address in _addresses(task, seen):
        if settings.reverse == AUTO:
            needed.append((pointer(address), "SOA"))
        if settings.reverse == AUTO or zone_of(pointer(address), settings.reverse):
            needed.append((pointer(address), "PTR"))
        needed += [(other, _kind(address)) for other in _others(task, address, seen)]
    return [question for question in dict.fromkeys(needed) if question not in seen]


def plan(task: Task, settings: Settings, seen: Seen) -> Plan:
    """The updates, once `questions` has no more."""
    forward: Lines = {}
    reverse: Lines = {}
    complaints = list(task.complaints)
    ours: dict[str, tuple[str, ...]] = {}
    for name, addresses in task.wanted.items():
        foreign = _foreign(task, name, seen)
        if not foreign:
            ours[name] = addresses
            lines = _of_name(task, name, settings.ttl, seen)
            forward.setdefault(zone_of(name, settings.zones) or "", []).extend(lines)
        elif task.own:
            complaints.append(f"{name} is left as it is: {foreign}")
    for address in _addresses(task, seen):
        zone = _reverse_zone(address, settings, seen)
        lines = list(_of_address(task, address, ours, settings.ttl, seen)) if zone else []
        if lines and seen[pointer(address), "PTR"].alias:
            complaints.append(f"no PTR for {address}: {pointer(address)} is an alias")
        elif zone:
            reverse.setdefault(zone, []).extend(lines)
    return Plan(_texts(forward, settings), _texts(reverse, settings), tuple(complaints))


def mark_of(name: str) -> str:
    """Where the mark of a name stands."""
    return "_ganeti-ext." + name


def _mark(task: Task) -> str:
    return f'"ganeti-ext:{task.owner}"'


def _kind(address: str) -> str:
    return "AAAA" if version(address) == 6 else "A"


def _foreign(task: Task, name: str, seen: Seen) -> str:
    """Why a name is not ours to change; "" when it is."""
    if not seen[name, "A"].authoritative:
        return "the server is not authoritative for it"
    if seen[name, "A"].alias:
        return "it is an alias"
    marks = set(values(seen, mark_of(name), "TXT"))
    if not marks and not set(values(seen, name, *ADDRESS)) <= set(task.own):
        return "it has addresses, and no mark says that they are ours"
    if marks > {_mark(task)} or (marks and _mark(task) not in marks):
        return f"its mark says {' '.join(sorted(marks))}"
    return ""


def _of_name(task: Task, name: str, ttl: int, seen: Seen) -> list[str]:
    """nsupdate's lines for a name that is ours."""
    addresses, mark = task.wanted[name], mark_of(name)
    found, marked = values(seen, name, *ADDRESS), values(seen, mark, "TXT")
    if set(found) == set(addresses) and bool(marked) == bool(addresses):
        return []
    lines = [f"prereq nxrrset {name} CNAME"]
    for owner, kind in ((name, "A"), (name, "AAAA"), (mark, "TXT")):
        lines += [f"prereq yxrrset {owner} {kind} {value}" for value in values(seen, owner, kind)] or [
            f"prereq nxrrset {owner} {kind}"
        ]
    lines += [f"update delete {name} {kind}" for kind in ADDRESS]
    lines += [f"update add {name} {ttl} {_kind(address)} {address}" for address in addresses]
    if addresses and not marked:
        lines.append(f"update add {mark} {ttl} TXT {_mark(task)}")
    elif marked and not addresses:
        lines.append(f"update delete {mark} TXT {_mark(task)}")
    return lines


def _addresses(task: Task, seen: Seen) -> dict[str, None]:
    """All addresses that have something to do with the names: the instance's, and those that the DNS has there."""
    stated = (seen.get((name, kind), _UNSEEN).values for name in task.wanted for kind in ADDRESS)
    return dict.fromkeys((*task.own, *(address for each in stated for address in each)))


def _others(task: Task, address: str, seen: Seen) -> list[str]:
    """Foreign names that a PTR record of a wanted address has."""
    if not any(address in wanted for wanted in task.wanted.values()):
        return []
    named = seen.get((pointer(address), "PTR"), _UNSEEN).values
    return [name for name in named if name not in task.wanted and _is_askable(name)]


def _is_askable(name: str) -> bool:
    try:
        return absolute(name) == name
    except ValueError:
        return False


def _reverse_zone(address: str, settings: Settings, seen: Seen) -> str | None:
    if settings.reverse == AUTO:
        return seen[pointer(address), "SOA"].zone
    return zone_of(pointer(address), settings.reverse)


def _of_address(task: Task, address: str, ours: Mapping[str, tuple[str, ...]], ttl: int, seen: Seen) -> Iterator[str]:
    """nsupdate's lines for the PTR records of an address."""
    owner = pointer(address)
    found = seen[owner, "PTR"].values
    for name in found:
        if address not in ours.get(name, (address,)):
            yield f"update delete {owner} PTR {name}"
    takers = [name for name, wanted in ours.items() if address in wanted]
    for name in _others(task, address, seen) if takers else ():
        # Left behind: the address is this instance's now. A name that has the address, too, keeps its PTR.
        stated = seen[name, _kind(address)]
        if stated.authoritative and not stated.alias and address not in stated.values:
            yield f"update delete {owner} PTR {name}"
    for name in takers:
        if name not in found:
            yield f"update add {owner} {ttl} PTR {name}"


def _texts(zones: Lines, settings: Settings) -> dict[str, str]:
    """One update for each zone that has something to change."""
    head = f"server {settings.server} {settings.port}\n"
    return {zone: "\n".join((f"{head}zone {zone}", *lines, "send\n")) for zone, lines in zones.items() if lines}
