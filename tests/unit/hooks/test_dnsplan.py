from __future__ import annotations

import pytest

from hooks import dnsplan
from hooks.dnsanswer import Answer, Question
from hooks.dnsplan import Plan
from hooks.dnssettings import Settings
from hooks.dnstask import Task
from tests.unit.hooks.dns import FOUR, MARK, SETTINGS, SIX, WEB, wants

ZONE4 = "2.0.192.in-addr.arpa."
FOUR_PTR = "5.2.0.192.in-addr.arpa."
SIX_PTR = "5.0.0.0.0.0.e.f.f.f.0.0.0.0.8.a.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
HEAD = "server 192.0.2.53 53\nzone example.org.\nprereq nxrrset web.example.org. CNAME\n"
CLEAR = "update delete web.example.org. A\nupdate delete web.example.org. AAAA\n"
OURS = f"prereq yxrrset _ganeti-ext.web.example.org. TXT {MARK}\n"
NOT_MARKED = "prereq nxrrset _ganeti-ext.web.example.org. TXT\n"
NO_A, NO_AAAA = "prereq nxrrset web.example.org. A\n", "prereq nxrrset web.example.org. AAAA\n"

Known = dict[Question, Answer]


def knows(**records: tuple[str, ...]) -> Known:
    """What a server says that has these records, and zones for all but IPv6 addresses."""
    known: Known = {(FOUR_PTR, "SOA"): Answer(True, zone=ZONE4), (SIX_PTR, "SOA"): Answer()}
    names = {"a": (WEB, "A"), "aaaa": (WEB, "AAAA"), "mark": (f"_ganeti-ext.{WEB}", "TXT"), "ptr": (FOUR_PTR, "PTR")}
    known[SIX_PTR, "PTR"] = Answer()
    return known | {question: Answer(True, records.get(name, ())) for name, question in names.items()}


def planned(task: Task, known: Known, settings: Settings = SETTINGS) -> Plan:
    """The plan once all has been asked that must be."""
    seen: Known = {}
    while missing := dnsplan.questions(task, settings, seen):
        seen |= {question: known[question] for question in missing}
    return dnsplan.plan(task, settings, seen)


def in_reverse(*lines: str, zone: str = ZONE4) -> dict[str, str]:
    return {zone: f"server 192.0.2.53 53\nzone {zone}\n" + "".join(f"{line}\n" for line in lines) + "send\n"}


def test_a_new_name_is_taken_if_still_nobody_has_it() -> None:
    add = "update add web.example.org. 300 A 192.0.2.5\nupdate add web.example.org. 300 AAAA 2001:db8::a800:ff:fe00:5\n"
    mark = f"update add _ganeti-ext.web.example.org. 300 TXT {MARK}\n"
    assert planned(wants(FOUR, SIX), knows()) == Plan(
        {"example.org.": f"{HEAD}{NO_A}{NO_AAAA}{NOT_MARKED}{CLEAR}{add}{mark}send\n"},
        in_reverse(f"update add {FOUR_PTR} 300 PTR {WEB}"),
        (),
    )


def test_what_stands_is_left_alone() -> None:
    assert planned(wants(FOUR, SIX), knows(a=(FOUR,), aaaa=(SIX,), mark=(MARK,), ptr=(WEB,))) == Plan({}, {}, ())


def test_what_stands_is_replaced_whole() -> None:
    known = knows(a=("192.0.2.8", "192.0.2.9"), mark=(MARK,))
    for host, names in (("8", (WEB, "other.")), ("9", ())):
        known[f"{host}.2.0.192.in-addr.arpa.", "PTR"] = Answer(True, names)
        known[f"{host}.2.0.192.in-addr.arpa.", "SOA"] = Answer(True, zone=ZONE4)
    was = "prereq yxrrset web.example.org. A 192.0.2.8\nprereq yxrrset web.example.org. A 192.0.2.9\n"
    assert planned(wants(FOUR, own=(FOUR,)), known) == Plan(
        {"example.org.": f"{HEAD}{was}{NO_AAAA}{OURS}{CLEAR}update add web.example.org. 300 A 192.0.2.5\nsend\n"},
        in_reverse(
            f"update add {FOUR_PTR} 300 PTR {WEB}",
            f"update delete 8.2.0.192.in-addr.arpa. PTR {WEB}",
        ),
        (),
    )


def test_all_goes_when_nothing_is_wanted() -> None:
    known = knows(a=(FOUR,), mark=(MARK,), ptr=("other.", WEB))
    was = "prereq yxrrset web.example.org. A 192.0.2.5\n"
    gone = f"update delete _ganeti-ext.web.example.org. TXT {MARK}\n"
    assert planned(wants(), known) == Plan(
        {"example.org.": f"{HEAD}{was}{NO_AAAA}{OURS}{CLEAR}{gone}send\n"},
        in_reverse(f"update delete {FOUR_PTR} PTR {WEB}"),
        (),
    )


def test_a_pointer_goes_although_the_name_is_gone() -> None:
    assert planned(wants(), knows(ptr=(WEB,))) == Plan({}, in_reverse(f"update delete {FOUR_PTR} PTR {WEB}"), ())


def test_nothing_wanted_and_nothing_there() -> None:
    assert planned(wants(own=()), knows()) == Plan({}, {}, ())


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (knows(a=("192.0.2.80",)), "it has addresses, and no mark says that they are ours"),
        (knows(a=(FOUR, "192.0.2.80")), "it has addresses, and no mark says that they are ours"),
        (knows(a=(FOUR,), mark=('"ganeti-ext:b"',)), 'its mark says "ganeti-ext:b"'),
        (knows(mark=('"ganeti-ext:b"',)), 'its mark says "ganeti-ext:b"'),
        (knows(mark=('"ganeti-ext:b"', MARK)), f'its mark says "ganeti-ext:b" {MARK}'),
        ({**knows(), (WEB, "A"): Answer(True, alias="www.example.org.")}, "it is an alias"),
        ({**knows(), (WEB, "A"): Answer()}, "the server is not authoritative for it"),
    ],
)
@pytest.mark.parametrize("addresses", [(FOUR, SIX), ()])
def test_a_name_that_is_not_ours_stays(known: Known, why: str, addresses: tuple[str, ...]) -> None:
    ptr = {(FOUR_PTR, "PTR"): Answer(True, (WEB,)), ("80.2.0.192.in-addr.arpa.", "PTR"): Answer(True, (WEB,))}
    zones = {("80.2.0.192.in-addr.arpa.", "SOA"): Answer(True, zone=ZONE4)}
    found = planned(wants(*addresses), {**known, **ptr, **zones})
    assert found == Plan({}, {}, (f"web.example.org. is left as it is: {why}",))


def test_of_an_instance_that_is_not_to_be_in_the_dns_nothing_is_said() -> None:
    known = knows(a=("192.0.2.80",))
    known["80.2.0.192.in-addr.arpa.", "SOA"] = Answer(True, zone=ZONE4)
    known["80.2.0.192.in-addr.arpa.", "PTR"] = Answer(True, (WEB,))
    assert planned(wants(own=()), known) == Plan({}, {}, ())


def test_a_name_whose_addresses_are_the_instances_own_becomes_ours() -> None:
    known = knows(a=(FOUR,), ptr=(WEB,))
    was = "prereq yxrrset web.example.org. A 192.0.2.5\n"
    text = planned(wants(FOUR, SIX), known).forward["example.org."]
    assert text.startswith(f"{HEAD}{was}{NO_AAAA}{NOT_MARKED}{CLEAR}update add ")
    assert text.endswith(f"update add _ganeti-ext.web.example.org. 300 TXT {MARK}\nsend\n")
    # It is so even if its addresses are right.
    text = planned(wants(FOUR, own=(FOUR,)), known).forward["example.org."]
    assert text.endswith(f"update add _ganeti-ext.web.example.org. 300 TXT {MARK}\nsend\n")


def test_and_goes_without_ever_being_marked() -> None:
    text = planned(wants(), knows(a=(FOUR,))).forward["example.org."]
    assert text.endswith(f"{NOT_MARKED}{CLEAR}send\n")


def test_a_pointer_that_is_right_stays_when_the_name_lacks_its_address() -> None:
    plan = planned(wants(FOUR), knows(ptr=(WEB,)))
    assert (list(plan.forward), plan.reverse) == (["example.org."], {})


@pytest.mark.parametrize(
    ("other", "stays"),
    [
        (Answer(True, ("192.0.2.7",)), False), (Answer(True), False), (Answer(True, (FOUR, "192.0.2.7")), True),
        (Answer(), True), (Answer(True, alias="x."), True),
    ],
    ids=["elsewhere", "nowhere", "here too", "unknown", "alias"],
)  # fmt: skip
def test_another_name_at_the_address_goes_if_it_does_not_lead_back(other: Answer, stays: bool) -> None:
    known = {**knows(ptr=("old.example.org.",)), ("old.example.org.", "A"): other}
    gone = () if stays else (f"update delete {FOUR_PTR} PTR old.example.org.",)
    assert planned(wants(FOUR), known).reverse == in_reverse(*gone, f"update add {FOUR_PTR} 300 PTR {WEB}")
    # What the instance does not want is not its business.
    assert planned(wants(), known).reverse == {}


@pytest.mark.parametrize("value", ["-k./etc/passwd.", "a\\032b.", "+tcp.", "\\@host."])
def test_what_cannot_be_asked_stays(value: str) -> None:
    plan = planned(wants(FOUR), knows(ptr=(value,)))
    assert plan.reverse == in_reverse(f"update add {FOUR_PTR} 300 PTR {WEB}")


def test_a_rename_within_a_zone_is_one_update() -> None:
    task = Task({WEB: (), "new.example.org.": (FOUR,)}, (FOUR,), "cluster", ())
    known = knows(a=(FOUR,), mark=(MARK,), ptr=(WEB,))
    known |= {("new.example.org.", kind): Answer(True) for kind in ("A", "AAAA")}
    known["_ganeti-ext.new.example.org.", "TXT"] = Answer(True)
    plan = planned(task, known)
    assert list(plan.forward) == ["example.org."]
    assert plan.forward["example.org."].count("send\n") == 1
    assert "update delete web.example.org. A\n" in plan.forward["example.org."]
    assert "update add new.example.org. 300 A 192.0.2.5\n" in plan.forward["example.org."]
    assert plan.reverse == in_reverse(
        f"update delete {FOUR_PTR} PTR {WEB}", f"update add {FOUR_PTR} 300 PTR new.example.org."
    )


def test_a_rename_to_a_name_that_is_taken_lets_the_old_one_go() -> None:
    task = Task({WEB: (), "new.cloud.example.org.": (FOUR,)}, (FOUR,), "cluster", ())
    known = knows(a=(FOUR,), mark=(MARK,), ptr=(WEB,))
    known["new.cloud.example.org.", "A"] = Answer(True, alias="x.")
    known["new.cloud.example.org.", "AAAA"] = known["_ganeti-ext.new.cloud.example.org.", "TXT"] = Answer(True)
    plan = planned(task, known)
    assert list(plan.forward) == ["example.org."]
    assert plan.reverse == in_reverse(f"update delete {FOUR_PTR} PTR {WEB}")
    assert plan.complaints == ("new.cloud.example.org. is left as it is: it is an alias",)


def test_reverse_zones_that_are_named_are_not_asked_for() -> None:
    known = knows()
    del known[FOUR_PTR, "SOA"], known[SIX_PTR, "SOA"], known[FOUR_PTR, "PTR"]
    known[SIX_PTR, "PTR"] = Answer(True)
    zone = "8.b.d.0.1.0.0.2.ip6.arpa."
    plan = planned(wants(FOUR, SIX), known, SETTINGS._replace(reverse=("10.in-addr.arpa.", zone)))
    assert plan.reverse == in_reverse(f"update add {SIX_PTR} 300 PTR {WEB}", zone=zone)
    del known[SIX_PTR, "PTR"]
    assert planned(wants(FOUR, SIX), known, SETTINGS._replace(reverse=())).reverse == {}


def test_a_pointer_that_is_an_alias_is_told() -> None:
    known = {**knows(), (FOUR_PTR, "PTR"): Answer(True, alias="5.0-63.2.0.192.in-addr.arpa.")}
    plan = planned(wants(FOUR), known)
    assert plan.reverse == {}
    assert plan.complaints == ("no PTR for 192.0.2.5: 5.2.0.192.in-addr.arpa. is an alias",)


def test_complaints_of_the_task_are_passed_on() -> None:
    assert planned(Task({}, (FOUR,), "cluster", ("no",)), knows()).complaints == ("no",)


def test_most_is_asked_at_once() -> None:
    questions = dnsplan.questions(wants(FOUR), SETTINGS, {})
    assert questions == [
        (WEB, "A"), (WEB, "AAAA"), (f"_ganeti-ext.{WEB}", "TXT"), (FOUR_PTR, "SOA"), (FOUR_PTR, "PTR"),
        (SIX_PTR, "SOA"), (SIX_PTR, "PTR"),
    ]  # fmt: skip
    assert dnsplan.questions(wants(FOUR), SETTINGS, knows(a=(FOUR,), ptr=(WEB,))) == []
