"""Files of firewall profiles: what they say, and how they say what is wrong."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeti_ext.errors import ConfigError
from kvm_ifup import profile, profile_fields, profiles
from kvm_ifup.profile import ANY4, ANY6, Allow, Profile

HEAD = "[profile]\ndescription = Web server\n"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    for name in ("shipped", "own"):
        (tmp_path / name).mkdir()
    return str(tmp_path / "shipped"), str(tmp_path / "own")


def read(folders: tuple[str, str], text: str) -> Profile:
    Path(folders[1], "web.conf").write_text(text)
    return profiles.load("web", folders)


def allow(folders: tuple[str, str], text: str) -> Allow:
    return read(folders, f"{HEAD}[allow one]\n{text}").allowed[0]


class TestShipped:
    """What comes with the package."""

    def test_all_can_be_read(self) -> None:
        assert sorted(profiles.load_all((profiles.SHIPPED,))) == ["limited", "protected", "ssh", "unprotected"]
        assert all(each.description for each in profiles.load_all((profiles.SHIPPED,)).values())

    def test_unprotected(self) -> None:
        found = profiles.load("unprotected", (profiles.SHIPPED,))
        assert (found.new, found.established, found.allowed) == ("accept", "keep", ())

    def test_protected(self) -> None:
        found = profiles.load("protected", (profiles.SHIPPED,))
        assert (found.new, found.established, found.allowed) == ("drop", "keep", ())

    def test_limited(self) -> None:
        found = profiles.load("limited", (profiles.SHIPPED,))
        assert found.new == "drop"
        assert {(each.protocol, each.ports, each.types) for each in found.allowed} == {
            (6, ((22, 22),), ()),
            (6, ((3389, 3389),), ()),
            (17, ((3389, 3389),), ()),
            (1, (), (8,)),
            (58, (), (128,)),
        }


class TestFile:
    """One file."""

    def test_defaults(self, folders: tuple[str, str]) -> None:
        assert read(folders, "[profile]\n") == Profile(
            name="web", path=f"{folders[1]}/web.conf", description="", established="keep", new="drop", allowed=()
        )

    def test_all_that_can_be_said(self, folders: tuple[str, str]) -> None:
        found = read(
            folders,
            f"{HEAD}established = cut\nnew = drop\n"
            "[allow web]\nprotocol = tcp\nports = 443, 80 8000-8010\nsources = 10.0.0.0/8 2001:db8::/32\n"
            "[allow ping]\nprotocol = icmp\ntypes = echo-request 13\n",
        )
        assert (found.description, found.established) == ("Web server", "cut")
        assert found.allowed == (
            Allow("web", 6, ((80, 80), (443, 443), (8000, 8010)), (), ("10.0.0.0/8",), ("2001:db8::/32",)),
            Allow("ping", 1, (), (8, 13), (ANY4,), ()),
        )

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "there is no section [profile]"),
            ("[profil]\n", "there is no section [profile]"),
            ("[profile]\nnew = deny\n", "[profile] new has a bad value 'deny': say drop or accept"),
            ("[profile]\nestablished = drop\n", "[profile] established has a bad value 'drop': say keep or cut"),
            ("[profile]\ncolour = red\n", "[profile] unknown key 'colour'; known: description, established, new"),
            ("[profile]\n[allowed x]\n", "unknown section [allowed x]; known: [profile] and [allow NAME]"),
            ("[profile]\n[allow]\n", "unknown section [allow]; known: [profile] and [allow NAME], where a name is 1"),
            ("[profile]\n[allow SSH]\n", "where a name is 1 to 24 of a-z, 0-9 and '-'"),
            ("[profile]\nnew = accept\n[allow x]\nprotocol = tcp\n", "[allow x] has nothing to allow"),
            ("[profile]\nnew\n", ":2: expected [section] or key = value"),
        ],
    )
    def test_what_is_wrong(self, folders: tuple[str, str], text: str, words: str) -> None:
        with pytest.raises(ConfigError) as caught:
            read(folders, text)
        assert str(caught.value).startswith(f"{folders[1]}/web.conf:")
        assert words in str(caught.value)


class TestAllow:
    """One section of what may come."""

    @pytest.mark.parametrize(
        ("text", "number"),
        [("tcp", 6), ("udp", 17), ("sctp", 132), ("gre", 47), ("esp", 50), ("6", 6), ("89", 89), ("255", 255)],
    )
    def test_protocols_of_both_families(self, folders: tuple[str, str], text: str, number: int) -> None:
        found = allow(folders, f"protocol = {text}\n")
        assert (found.protocol, found.ip4, found.ip6) == (number, (ANY4,), (ANY6,))

    @pytest.mark.parametrize(("text", "number"), [("icmp", 1), ("43", 43), ("51", 51)])
    def test_protocols_of_ipv4(self, folders: tuple[str, str], text: str, number: int) -> None:
        found = allow(folders, f"protocol = {text}\n")
        assert (found.protocol, found.ip4, found.ip6) == (number, (ANY4,), ())

    def test_icmpv6_is_of_ipv6(self, folders: tuple[str, str]) -> None:
        assert allow(folders, "protocol = icmpv6\n")[4:6] == ((), (ANY6,))

    def test_any_protocol(self, folders: tuple[str, str]) -> None:
        assert allow(folders, "protocol = any\n").protocol is None

    def test_one_family(self, folders: tuple[str, str]) -> None:
        assert allow(folders, "protocol = tcp\nfamily = ipv4\n")[4:6] == ((ANY4,), ())
        assert allow(folders, "protocol = tcp\nfamily = ipv6\n")[4:6] == ((), (ANY6,))
        assert allow(folders, "protocol = tcp\nsources = 2001:db8::1\n")[4:6] == ((), ("2001:db8::1/128",))

    def test_sources_that_overlap_are_one(self, folders: tuple[str, str]) -> None:
        found = allow(folders, "protocol = tcp\nsources = 10.1.0.0/16, 10.0.0.0/8, 10.0.0.1, ::/0, 2001:db8::/32\n")
        assert found[4:6] == (("10.0.0.0/8",), (ANY6,))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "protocol is not set: say tcp, udp, icmp"),
            ("protocol = tpc", "protocol has a bad value 'tpc': say tcp, udp, icmp, icmpv6, sctp, gre, esp, any, or"),
            ("protocol = 0", "protocol has a bad value '0'"),
            ("protocol = 256", "protocol has a bad value '256'"),
            ("protocol = ٦", "protocol has a bad value '٦'"),
            ("protocol =", "protocol has a bad value ''"),
            ("protocol = tcp\nport = 22", "unknown key 'port'; known: protocol, ports, types, sources, family"),
            ("protocol = tcp\nports =", "ports has a bad value '': name some ports, or leave the key out for all"),
            ("protocol = tcp\nports = 0", "'0' is no port from 1 to 65535"),
            ("protocol = tcp\nports = 65536", "'65536' is no port"),
            ("protocol = tcp\nports = ssh", "'ssh' is no port"),
            ("protocol = tcp\nports = 80-", "'80-' is no port"),
            ("protocol = tcp\nports = 90-80", "'90-80' is no port"),
            ("protocol = gre\nports = 80", "ports has a bad value '80': only tcp, udp and sctp have ports"),
            ("protocol = any\nports = 80", "only tcp, udp and sctp have ports"),
            ("protocol = tcp\ntypes = 8", "types has a bad value '8': only icmp and icmpv6 have types"),
            ("protocol = icmp\ntypes =", "types has a bad value '': name some types"),
            (
                "protocol = icmp\ntypes = packet-too-big",
                "'packet-too-big' is no number from 0 to 255 and none of echo-",
            ),
            ("protocol = icmpv6\ntypes = 256", "'256' is no number from 0 to 255"),
            ("protocol = tcp\nsources =", "sources has a bad value '': name some networks"),
            ("protocol = tcp\nsources = 10.0.0.1/8", "10.0.0.1/8 has host bits set"),
            ("protocol = tcp\nsources = example.org", "'example.org' does not appear to be an IPv4 or IPv6 network"),
            ("protocol = tcp\nsources = fe80::1%eth0", "'fe80::1%eth0' names an interface"),
            ("protocol = tcp\nfamily = inet", "family has a bad value 'inet': say ipv4 or ipv6"),
            ("protocol = icmp\nfamily = ipv6", "family has a bad value 'ipv6': this protocol is of IPv4 alone"),
            ("protocol = icmpv6\nfamily = ipv4", "family has a bad value 'ipv4': this protocol is of IPv6 alone"),
            ("protocol = 60\nfamily = ipv6", "this protocol is of IPv4 alone"),
            ("protocol = icmp\nsources = 10.0.0.0/8 ::1", "::1/128 is none of IPv4"),
            ("protocol = tcp\nfamily = ipv6\nsources = 10.0.0.0/8", "10.0.0.0/8 is none of IPv6"),
        ],
    )
    def test_what_is_wrong(self, folders: tuple[str, str], text: str, words: str) -> None:
        with pytest.raises(ConfigError) as caught:
            allow(folders, text)
        assert str(caught.value).startswith(f"{folders[1]}/web.conf: [allow one] ")
        assert words in str(caught.value)


class TestDirectories:
    """Which file is read."""

    def test_the_administrators_comes_first(self, folders: tuple[str, str]) -> None:
        for folder, text in zip(folders, ("shipped", "own"), strict=True):
            Path(folder, "web.conf").write_text(f"[profile]\ndescription = {text}\n")
        assert profiles.load("web", folders).description == "own"
        assert profiles.load_all(folders)["web"].path == f"{folders[1]}/web.conf"

    def test_an_empty_file_does_not_mean_the_shipped_one(self, folders: tuple[str, str]) -> None:
        Path(folders[0], "web.conf").write_text(HEAD)
        with pytest.raises(ConfigError, match=r"own/web\.conf: there is no section"):
            read(folders, "")

    def test_no_other_file_is_opened(self, folders: tuple[str, str]) -> None:
        Path(folders[1], "bad.conf").write_text("nonsense")
        assert read(folders, HEAD).description == "Web server"
        with pytest.raises(ConfigError, match=r"bad\.conf"):
            profiles.load_all(folders)

    def test_which_there_are_is_told(self, folders: tuple[str, str]) -> None:
        with pytest.raises(
            ConfigError, match=r"there is no firewall profile 'web' in .*shipped or .*own; there are none"
        ):
            profiles.load("web", folders)
        Path(folders[0], "limited.conf").write_text(HEAD)
        with pytest.raises(ConfigError, match=r"there are limited$"):
            profiles.load("web", folders)

    def test_what_is_no_profile(self, folders: tuple[str, str]) -> None:
        for name in (".web.conf", "web.conf~", "README"):
            Path(folders[1], name).write_text("nonsense")
        assert profiles.load_all((*folders, "/nonexistent")) == {}

    @pytest.mark.parametrize("name", ["Web", "web_1", "a" * 25, "ü"])
    def test_names(self, folders: tuple[str, str], name: str) -> None:
        Path(folders[1], f"{name}.conf").write_text(HEAD)
        with pytest.raises(ConfigError, match=f"{name!r} cannot name a profile: a name is 1 to 24 of a-z"):
            profiles.load_all(folders)


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 30)), min_size=1))
def test_ports_are_ascending_and_apart(ranges: list[tuple[int, int]]) -> None:
    found = profile_fields.ports(", ".join(f"{first}-{first + more}" for first, more in ranges))
    assert {port for first, last in found for port in range(first, last + 1)} == {
        port for first, more in ranges for port in range(first, first + more + 1)
    }
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("number", "mask", "mark"),
    [(1, 0x0FFF0000, 0x10000), (4094, 0x0FFF0000, 0x0FFE0000), (3, 0xFF, 3), (1, 0xC0000000, 0x40000000)],
)
def test_mark(number: int, mask: int, mark: int) -> None:
    assert profile.mark(number, mask) == mark


@pytest.mark.parametrize(("number", "mask"), [(0, 0x0FFF0000), (4096, 0x0FFF0000), (2, 0x80000000), (1, 0)])
def test_mark_without_room(number: int, mask: int) -> None:
    with pytest.raises(ConfigError, match=f"{mask:#010x} has no room for a profile with the number {number}"):
        profile.mark(number, mask)
