"""The file between kvm_ifup and nfdhcpd."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeti_ext import binding
from ganeti_ext.binding import TERMS, Binding, BindingError

FULL = Binding(
    tap="tap0",
    mac="aa:00:00:fa:3a:3f",
    hostname="web",
    instance="gx-1.example",
    indev="br0",
    ip="192.0.2.5",
    subnet="192.0.2.0/24",
    gateway="192.0.2.1",
    subnet6="2001:db8::/64",
    gateway6="2001:db8::1",
    eui64="2001:db8::a800:ff:fefa:3a3f",
    mtu=1400,
    ifindex=12,
    macspoof=True,
    private=True,
    tags=("nfdhcpd", "blue"),
)
LEAST = Binding(tap="tap1", mac="aa:00:00:00:00:01", hostname="db")

# What a value may hold: no line ends of any kind, no quotes or blanks at its ends.
_value = st.text(st.characters(exclude_categories=("Cc", "Cs", "Z"), exclude_characters='"'), min_size=1)
_maybe = st.none() | _value
_number = st.none() | st.integers(0, 2**32)
_bindings = st.builds(
    Binding,
    tap=st.just("tap7"),
    mac=_value.map(str.lower).filter(lambda text: text == text.lower()),
    hostname=_value,
    instance=_value | st.just(""),
    indev=_maybe,
    ip=_maybe,
    subnet=_maybe,
    gateway=_maybe,
    subnet6=_maybe,
    gateway6=_maybe,
    eui64=_maybe,
    mtu=_number,
    ifindex=_number,
    macspoof=st.booleans(),
    private=st.booleans(),
    tags=st.lists(_value).map(tuple),
    terms=st.fixed_dictionaries({}, optional=dict.fromkeys(TERMS, _value)).map(
        lambda said: tuple((name, said[name]) for name in TERMS if name in said)
    ),
)


@pytest.mark.parametrize("one", [FULL, LEAST], ids=["full", "least"])
def test_what_is_written_is_read(one: Binding, tmp_path: Path) -> None:
    binding.write(one, str(tmp_path))
    assert binding.read(one.tap, str(tmp_path)) == one


@given(_bindings)
def test_every_binding_survives_the_file(one: Binding) -> None:
    assert binding.parse(one.tap, binding.render(one)) == one


def test_the_original_writers_file_is_read() -> None:
    # As snf-network's kvm-vif-bridge leaves it: other keys, empty values, quotes.
    text = (
        'INDEV=br0\nIP=10.0.0.5\nMAC=AA:00:00:FA:3A:3F\nHOSTNAME="web"\nTAGS="one two"\n'
        "GATEWAY=10.0.0.1\nSUBNET=10.0.0.0/24\nGATEWAY6=\nSUBNET6=\nEUI64=\nNAMESERVERS=\nMTU=\n"
    )
    assert binding.parse("tap0", text) == Binding(
        tap="tap0",
        mac="aa:00:00:fa:3a:3f",
        hostname="web",
        indev="br0",
        ip="10.0.0.5",
        gateway="10.0.0.1",
        subnet="10.0.0.0/24",
        tags=("one", "two"),
    )


@pytest.mark.parametrize(
    ("line", "mtu"), [("MTU=", None), ("", None), ("MTU=1400", 1400), ("MTU = 1400", None), ("MTU= 1400 ", 1400)]
)
def test_an_empty_mtu_is_none(line: str, mtu: int | None) -> None:
    assert binding.parse("tap0", f"MAC=aa:00:00:00:00:01\nHOSTNAME=db\n{line}\n").mtu == mtu


def test_lines_may_end_as_on_windows() -> None:
    text = binding.render(FULL).replace("\n", "\r\n")
    assert binding.parse("tap0", text) == FULL


def test_a_value_may_hold_an_equals_sign() -> None:
    text = "MAC=aa:00:00:00:00:01\nHOSTNAME=a=b=c\nTAGS=k=v\n"
    found = binding.parse("tap0", text)
    assert (found.hostname, found.tags) == ("a=b=c", ("k=v",))


@pytest.mark.parametrize(
    "text", ["", "garbage", "MAC=\nHOSTNAME=web", "MAC=aa:00:00:00:00:01", "HOSTNAME=web", "\0\xff"]
)
def test_a_file_without_mac_or_host_name_is_refused_by_tap(text: str) -> None:
    with pytest.raises(BindingError, match="binding of tap9: MAC and HOSTNAME must be set"):
        binding.parse("tap9", text)


@pytest.mark.parametrize(("key", "value"), [("MTU", "big"), ("MTU", "-1"), ("IFINDEX", "0x10"), ("IFINDEX", "1.5")])
def test_a_bad_number_is_named_with_its_value(key: str, value: str) -> None:
    with pytest.raises(BindingError) as caught:
        binding.parse("tap0", f"MAC=aa:00:00:00:00:01\nHOSTNAME=db\n{key}={value}\n")
    assert str(caught.value) == f"binding of tap0: {key} has a bad value {value!r}"


@given(st.text())
def test_any_text_is_a_binding_or_an_error_of_ours(text: str) -> None:
    try:
        found = binding.parse("tap0", text)
    except BindingError:
        return
    assert found.mac
    assert found.hostname


@given(st.text(st.sampled_from("0٣²9-.x"), min_size=1))
def test_any_number_is_read_or_refused(text: str) -> None:
    try:
        found = binding.parse("tap0", f"MAC=aa:00:00:00:00:01\nHOSTNAME=db\nMTU={text}\n")
    except BindingError:
        return
    assert found.mtu == int(text)


def test_a_missing_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(BindingError, match=str(tmp_path / "tap3")):
        binding.read("tap3", str(tmp_path))


def test_a_file_that_is_no_text_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "tap3").write_bytes(b"MAC=\xff\xfe")
    with pytest.raises(BindingError, match=str(tmp_path / "tap3")):
        binding.read("tap3", str(tmp_path))


def test_taps_are_the_plain_files_that_are_no_drafts(tmp_path: Path) -> None:
    binding.write(FULL, str(tmp_path))
    binding.write(LEAST, str(tmp_path))
    (tmp_path / ".tap5.123").write_text("MAC=")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("tap0")
    assert sorted(binding.taps(str(tmp_path))) == ["tap0", "tap1"]


def test_a_later_binding_replaces_the_file_and_leaves_no_draft(tmp_path: Path) -> None:
    binding.write(LEAST, str(tmp_path))
    binding.write(LEAST._replace(ip="192.0.2.9"), str(tmp_path))
    assert binding.read("tap1", str(tmp_path)).ip == "192.0.2.9"
    assert [entry.name for entry in tmp_path.iterdir()] == ["tap1"]


def test_everyone_may_read_the_file(tmp_path: Path) -> None:
    binding.write(LEAST, str(tmp_path))
    assert (tmp_path / "tap1").stat().st_mode & 0o777 == 0o644


def test_removing_tells_whether_there_was_a_file(tmp_path: Path) -> None:
    binding.write(LEAST, str(tmp_path))
    assert binding.remove("tap1", str(tmp_path)) is True
    assert binding.remove("tap1", str(tmp_path)) is False
