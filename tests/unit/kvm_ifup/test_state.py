"""Records are whole or not there."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvm_ifup import state
from kvm_ifup.elements import Element, of_tap
from kvm_ifup.state import Assigned, Record, RecordError, Records

# What a line of a record can hold.
WORDS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
TEXTS = st.text(st.characters(categories=["L", "N", "P", "S"], include_characters=" "), max_size=40)


def test_a_record_comes_back_as_it_was(records: Records, record: Record) -> None:
    bare = record._replace(tap="tap1", binding=None, firewall=None, elements=(), undo=())
    told = record._replace(tap="tap2", told="1700000000.000000001", firewall=Assigned("web", 4095, None, ()))
    for one in (record, bare, told):
        records.write(one)
    assert [records.read(one.tap) for one in (record, bare, told)] == [record, bare, told]
    assert sorted(records.taps()) == ["tap0", "tap1", "tap2"]


@given(
    env=st.dictionaries(st.from_regex(r"[A-Z_0-9]{1,9}", fullmatch=True), TEXTS),
    binding=st.none() | WORDS,
    profile=st.none() | st.builds(Assigned, WORDS, st.integers(1), st.none() | st.just("br0"), st.tuples(WORDS, WORDS)),
    elements=st.lists(st.builds(Element, WORDS, WORDS, TEXTS)),
    undo=st.lists(st.tuples(WORDS, TEXTS)),
)
def test_any_record_comes_back(
    env: dict[str, str],
    binding: str | None,
    profile: Assigned | None,
    elements: list[Element],
    undo: list[tuple[str, str]],
) -> None:
    whole = {**env, "INSTANCE": "gx-1", "INTERFACE_UUID": "nic-1"}
    record = Record("tap0", 12, whole, "1.000000000", binding, profile, tuple(elements), tuple(undo))
    assert state.parse("tap0", state.render(record)) == record


def test_an_element_of_a_map_and_an_equals_sign_survive(record: Record) -> None:
    odd = record._replace(
        env={**record.env, "TAGS": "a=b ==c UNDO=ip"},
        elements=(of_tap("inet", "zones", "tap0", "10.0.0.5", "7"), of_tap("bridge", "filtered", "tap0")),
    )
    assert state.parse("tap0", state.render(odd)) == odd


@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x85", "\u2028"])
@pytest.mark.parametrize("field", ["env", "binding", "undo"])
def test_no_value_makes_a_line_of_its_own(records: Records, record: Record, field: str, end: str) -> None:
    text = f"x{end}UNDO=reboot now"
    odd = {
        "env": record._replace(env={**record.env, "INTERFACE_NAME": text}),
        "binding": record._replace(binding=text),
        "undo": record._replace(undo=(("ip", text),)),
    }[field]
    with pytest.raises(RecordError, match="tap0"):
        records.write(odd)
    assert list(records.taps()) == []


def test_the_text(record: Record) -> None:
    text = state.render(
        record._replace(binding="/b/tap0", env={"INSTANCE": "gx-1", "INTERFACE_UUID": "nic-1"}, told="17.000000000")
    )
    assert text.splitlines() == [
        "IFINDEX=12",
        "TOLD=17.000000000",
        "BINDING=/b/tap0",
        "FIREWALL=protected 3 br0 10.0.0.5",
        "ENV=INSTANCE=gx-1",
        "ENV=INTERFACE_UUID=nic-1",
        'ELEMENT=netdev macs "tap0" . 52:54:00:00:00:01',
        'ELEMENT=netdev ip4 "tap0" . 10.0.0.5',
        "UNDO=ip link set dev tap0 down",
        "UNDO=ip link set dev tap0 nomaster",
    ]


def test_a_record_knows_whose_it_is(record: Record) -> None:
    assert (record.instance, record.nic) == ("gx-1.example.org", "nic-1")


def test_no_record(records: Records) -> None:
    assert list(records.taps()) == []
    assert records.read("tap0") is None
    assert list(records.of_instance("gx-1.example.org")) == []
    records.remove("tap0")


def test_a_removed_record_is_gone(records: Records, record: Record) -> None:
    records.write(record)
    records.remove("tap0")
    assert list(records.taps()) == []
    assert records.read("tap0") is None


def test_drafts_are_no_records(records: Records, record: Record, tmp_path: Path) -> None:
    records.write(record)
    (tmp_path / "run" / "taps" / ".tap1.4711").write_text("IFINDEX=")
    assert list(records.taps()) == ["tap0"]


def test_the_taps_of_an_instance(records: Records, record: Record, tmp_path: Path) -> None:
    second = record._replace(tap="tap1", env={**record.env, "INTERFACE_UUID": "nic-2"})
    other = record._replace(tap="tap2", env={**record.env, "INSTANCE": "gx-1.example.org.uk"})
    for one in (record, second, other):
        records.write(one)
    (tmp_path / "run" / "taps" / "tap3").write_text("INSTANCE=gx-1.example.org")
    found = sorted(records.of_instance("gx-1.example.org"), key=lambda one: one.tap)
    assert found == [record, second]


PROXY = ("ip", "neigh del proxy 10.0.0.5 dev eth0")


@pytest.fixture
def sharing(record: Record) -> Record:
    firewall = Assigned("protected", 3, "br0", ("10.0.0.5", "2001:db8::5"))
    return record._replace(firewall=firewall, undo=(PROXY, ("ip", "link set dev tap0 down")))


def test_what_there_is_one_of_for_an_address(sharing: Record) -> None:
    assert sharing.shared() == {PROXY, ("br0", "10.0.0.5"), ("br0", "2001:db8::5")}
    routed = sharing._replace(firewall=Assigned("protected", 3, None, ("10.0.0.5",)), undo=())
    assert routed.shared() == routed._replace(firewall=None).shared() == frozenset()


def test_a_record_less_what_is_anothers(sharing: Record) -> None:
    less = sharing.without(frozenset((PROXY, ("br0", "10.0.0.5"), ("br1", "2001:db8::5"))))
    assert less == sharing._replace(
        firewall=Assigned("protected", 3, "br0", ("2001:db8::5",)), undo=(("ip", "link set dev tap0 down"),)
    )
    assert sharing.without(frozenset()) == sharing


def test_a_record_with_all_of_another_is_told_what_the_first_was(sharing: Record) -> None:
    other = sharing._replace(
        told="17.000000000",
        env={**sharing.env, "TAGS": "x"},
        firewall=Assigned("limited", 4, "br0", ("10.0.0.5", "10.0.0.6")),
        elements=(sharing.elements[0], of_tap("netdev", "ip4", "tap0", "10.0.0.6")),
        undo=(),
    )
    both = sharing.with_all_of(other)
    assert both == sharing._replace(
        firewall=Assigned("protected", 3, "br0", ("10.0.0.5", "2001:db8::5", "10.0.0.6")),
        elements=(*sharing.elements, other.elements[1]),
    )
    assert sharing._replace(binding=None, firewall=None).with_all_of(other)[4:6] == (other.binding, other.firewall)
    assert sharing.with_all_of(other._replace(binding=None, firewall=None))[4:6] == sharing[4:6]


def test_who_shares(records: Records, sharing: Record, tmp_path: Path) -> None:
    alone = sharing._replace(tap="tap1", firewall=None, undo=())
    other = sharing._replace(tap="tap2", firewall=None)
    for one in (sharing, alone, other):
        records.write(one)
    (tmp_path / "run" / "taps" / "tap3").write_text("?")
    assert sorted(one.tap for one in records.with_any_of(sharing.shared())) == ["tap0", "tap2"]
    assert [one.tap for one in records.with_any_of(frozenset((("br0", "2001:db8::5"),)))] == ["tap0"]


def test_what_is_shared_has_one_lock_that_is_no_taps(records: Records, tmp_path: Path) -> None:
    with records.shared(), records.lock("tap0"):
        (path,) = (path for path in (tmp_path / "run" / "locks").iterdir() if path.name != "tap0")
        assert ":" in path.name  # dev_valid_name refuses it
        with open(path) as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


GOOD = "IFINDEX=1\nTOLD=\nBINDING=\nENV=INSTANCE=i\nENV=INTERFACE_UUID=u\n"


def test_the_least_that_a_record_has() -> None:
    found = state.parse("tap0", GOOD)
    assert found == Record("tap0", 1, {"INSTANCE": "i", "INTERFACE_UUID": "u"}, "", None, None, (), ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        *(GOOD.replace(line, "") for line in GOOD.splitlines(keepends=True)),
        GOOD.replace("=i", "="),
        GOOD.replace("=u", "="),
        GOOD.replace("=1", "=x"),
        GOOD + "ENV=x\n",
        GOOD + "ELEMENT=netdev macs\n",
        GOOD + "FIREWALL=protected\n",
        GOOD + "FIREWALL=protected three br0\n",
        "\udcff",
    ],
)
def test_a_damaged_record_is_named(records: Records, record: Record, tmp_path: Path, text: str) -> None:
    records.write(record)
    path = tmp_path / "run" / "taps" / "tap0"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(RecordError, match=str(path)):
        records.read("tap0")


def test_a_lock_is_of_one_tap(records: Records, tmp_path: Path) -> None:
    path = tmp_path / "run" / "locks" / "tap0"
    with records.lock("tap0"), records.lock("tap1"), open(path) as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(path) as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
