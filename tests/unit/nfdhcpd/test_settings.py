from __future__ import annotations

import re
from pathlib import Path

import pytest

from ganeti_ext.errors import ConfigError
from nfdhcpd import duid, settings
from nfdhcpd.settings import Dhcp, General, Ipv6, Settings
from nfdhcpd.terms import Terms

CONF = Path(__file__).parents[3] / "debian" / "conf" / "nfdhcpd.conf"


def write(path: Path, text: str) -> str:
    (path / "nfdhcpd.conf").write_text(text)
    return str(path / "nfdhcpd.conf")


def test_no_file_is_all_defaults(tmp_path: Path) -> None:
    found = settings.load(str(tmp_path / "none"))
    assert (found[:3], found.guests.of()) == (Settings()[:3], Terms())


def test_a_file(tmp_path: Path) -> None:
    found = settings.load(
        write(tmp_path, "[dhcp]\nqueue = 0\n[guests]\nnameservers = 9.9.9.9, ::1\n[ipv6]\nenable = no\n")
    )
    assert (found.dhcp.queue, found.guests.of().nameservers, found.ipv6.enable) == (0, ("9.9.9.9", "::1"), False)


def test_the_servers_identifier_is_read_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duid, "load", lambda: b"\0\4identifier")
    assert settings.load(str(tmp_path / "none")).duid == b"\0\4identifier"


def test_a_network_tag_speaks_louder_than_all_guests_and_a_binding_louder_than_a_tag(tmp_path: Path) -> None:
    text = (
        "[guests]\nlease = 100\ndomain = all\nntp = ::1\n[guests a]\nlease = 200\ndomain = a\n[guests b]\nlease = 300\n"
    )
    guests = settings.load(write(tmp_path, text)).guests
    found = guests.of(("x", "a", "b"), (("lease", "400"),))
    assert (found.lease, found.domain, found.ntp) == (400, "a", ("::1",))
    assert guests.of(("b", "a")).lease == 200
    assert guests.of().lease == 100


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[general]\ntap_prefix = gnt", "Ganeti's own taps"),
        ("[general]\ntap_prefix = g", "Ganeti's own taps"),
        ("[general]\ntap_prefix = gnt.com.", "Ganeti's own taps"),
        ("[general]\ntap_prefix = gnt.com.1", "Ganeti's own taps"),
        ("[general]\ntap_prefix =", "tap_prefix"),
        ("[general]\ntap_prefix = tap -j ACCEPT", "tap_prefix"),
        ("[general]\ntap_prefix = abcdefghijklmn", "tap_prefix"),
        ("[general]\nlog_level = LOUD", "LOUD"),
        ("[general]\nuser = nobody", "unknown key"),
        ("[dhcp]\nqueue = 65536", "65536"),
        ("[dhcp]\nqueue = 43", r"are both 43"),
        ("[guests]\nlease = 59", "59"),
        ("[guests x]\nlease = 4294967295", r"\[guests x\] lease .*4294967295"),
        ("[guests]\nmtu = 67", "mtu"),
        ("[guests]\nntp = here", "ntp"),
        ("[guests]\nroutes = 192.0.2.0/24", "routes"),
        ("[guests]\nroutes = 192.0.2.0/24@::1", "one family"),
        ("[guests]\noptions = 43", "CODE:HEX"),
        ("[guests]\noptions = 255:00", "254"),
        ("[guests]\noptions = 53:05", "the protocol's own"),
        ("[guests x]\noptions = 43:00 43:01", "more than once"),
        ("[guests]\noptions6 = 3:00", "the protocol's own"),
        ("[guests]\nprefix6 = 2001:db8::/56", "to every guest"),
        ("[guests]\noptions = 43:xx", "options"),
        ("[guests]\noptions6 = 65536:00", "65535"),
        ("[guests]\nipv6_only = 299", "ipv6_only"),
        ("[guests]\nboot_server = ::1", "boot_server"),
        ("[guests]\nboot_file = \u03b1", "ASCII"),
        ("[guests]\nipv6_mode = slac", "slaac"),
        ("[guests]\nrouter_preference = best", "low, medium or high"),
        ("[guests]\npref64 = 64:ff9b::/95", "96"),
        ("[guestsx]\nlease = 60", "unknown section"),
        ("[dhcp]\nserver_ip = ::1", "server_ip"),
        ("[guests]\nnameservers = 9.9.9.9 ::g", "nameservers"),
        ("[guests]\ndomain = a..b", "domain"),
        ("[guests]\nsearch = a..b", "search"),
        ("[ipv6]\nra_period = 3", "ra_period"),
        ("[ipv6]\nra_period = 1801", "ra_period"),
    ],
)
def test_a_bad_value_names_its_key(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        settings.load(write(tmp_path, text + "\n"))


def test_the_shipped_file_documents_every_key_with_its_default(tmp_path: Path) -> None:
    shipped = CONF.read_text()
    plain = re.sub(r"(?m)^#(\w+ *=)", r"\1", shipped)
    for found in (settings.load(str(CONF)), settings.load(write(tmp_path, plain))):
        assert found[:3] == Settings()[:3]
        assert found.guests.of() == Terms()
    keys = set(re.findall(r"(?m)^#(\w+) *=", shipped))
    assert keys == {key for kind in (General, Dhcp, Ipv6, Terms) for key in kind.__annotations__} - {"prefix6"}
