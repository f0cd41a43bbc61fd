"""Questions to the server and its answers, in the words of dig(1)."""

from __future__ import annotations

import ipaddress
from collections import namedtuple

from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Question = tuple[str, str]  # an absolute name and a type
_ANSWERED = ("NOERROR", "NXDOMAIN", "REFUSED")  # the last for names of other servers
_REASONS = {"NOTAUTH": "our key is not accepted"}  # RFC 8945 section 5.3.2


class Answer(namedtuple("Answer", "authoritative values alias zone", defaults=(False, (), None, None))):
    """What a server knows of one name and type.

    `values` are those of the name's own records: names absolute, addresses in their one form, texts as dig quotes
    them. `alias` is where a CNAME there leads to. `zone`, asked for by type SOA, is the zone that holds the name.
    """

    __slots__ = ()
    authoritative: bool
    values: tuple[str, ...]
    alias: str | None
    zone: str | None


def batch(questions: Iterable[Question]) -> str:
    """What `dig -f -` reads."""
    return "".join(f"{name} {kind}\n" for name, kind in questions)


def parse(text: str) -> dict[Question, Answer]:
    """What dig printed, by question. ExtError when the server could not, or would not, answer one."""
    found: dict[Question, Answer] = {}
    for block in text.split(";; ->>HEADER<<-")[1:]:
        lines = block.splitlines()
        status = lines[0].partition("status: ")[2].partition(",")[0]
        if status not in _ANSWERED:
            raise ExtError(f"{_REASONS.get(status, 'no answer but an error')} ({status})")
        question, answer = _answer(lines)
        found[question] = answer
    # Spoken of before the header: such an answer may be anybody's.
    if "Couldn't verify signature" in text:
        raise ExtError("an answer is not signed with our key")
    return found


def _answer(lines: list[str]) -> tuple[Question, Answer]:
    name, kind, flags = "", "", ""
    records: list[tuple[str, str, str]] = []
    for line in lines:
        if line.startswith(";; flags: "):
            flags = line.removeprefix(";; flags: ").partition(";")[0]
        elif line.startswith(";") and line[1:2] not in ("", ";", " "):  # the question
            name, _, kind = line[1:].split()
            name = name.lower()
        elif line and not line.startswith(";"):
            owner, _, _, type_, rdata = line.split(None, 4)
            records.append((owner.lower(), type_, rdata))
    if "aa" not in flags.split():
        return (name, kind), Answer()
    own = {type_: rdata for owner, type_, rdata in records if owner == name}
    values = tuple(sorted(_value(kind, rdata) for owner, type_, rdata in records if (owner, type_) == (name, kind)))
    return (name, kind), Answer(True, values, own.get("CNAME"), _zone(records) if kind == "SOA" else None)


def _zone(records: Iterable[tuple[str, str, str]]) -> str | None:
    for owner, type_, rdata in records:
        # BIND has empty zones of its own for private addresses (RFC 6303), with no mailbox: nobody may update them.
        if type_ == "SOA" and rdata.split()[1] != ".":
            return owner
    return None


def _value(kind: str, rdata: str) -> str:
    if kind in ("A", "AAAA"):
        return str(ipaddress.ip_address(rdata))
    return rdata.lower() if kind == "PTR" else rdata


def values(seen: Mapping[Question, Answer], name: str, *kinds: str) -> tuple[str, ...]:
    """The values of these types at a name that was asked for."""
    return tuple(value for kind in kinds for value in seen[name, kind].values)
