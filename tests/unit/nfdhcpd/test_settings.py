from __future__ import annotations

import re
from pathlib import Path

import pytest

from ganeti_ext.errors import ConfigError
from nfdhcpd import settings
from nfdhcpd.settings import Settings

CONF = Path(__file__).parents[3] / "debian" / "conf" / "nfdhcpd.conf"


def write(path: Path, text: str) -> str:
    (path / "nfdhcpd.conf").write_text(text)
    return str(path / "nfdhcpd.conf")


def test_no_file_is_all_defaults(tmp_path: Path) -> None:
    assert settings.load(str(tmp_path / "none")) == Settings()


def test_a_file(tmp_path: Path) -> None:
    found = settings.load(write(tmp_path, "[dhcp]\nqueue = 0\nnameservers = 9.9.9.9, 1.1.1.1\n[ipv6]\nenable = no\n"))
    assert (found.dhcp.queue, found.dhcp.nameservers, found.ipv6.enable) == (0, ("9.9.9.9", "1.1.1.1"), False)


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
        ("[dhcp]\nlease = 59", "59"),
        ("[dhcp]\nlease = 4294967295", "4294967295"),
        ("[dhcp]\nserver_ip = ::1", "server_ip"),
        ("[dhcp]\nnameservers = 9.9.9.9 ::1", "nameservers"),
        ("[dhcp]\ndomain = a..b", "domain"),
        ("[dhcp]\nsearch = a..b", "search"),
        ("[ipv6]\nra_period = 3", "ra_period"),
        ("[ipv6]\nra_period = 1801", "ra_period"),
        ("[ipv6]\nnameservers = 9.9.9.9", "nameservers"),
        ("[ipv6]\ndomains = a..", "domains"),
    ],
)
def test_a_bad_value_names_its_key(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        settings.load(write(tmp_path, text + "\n"))


def test_the_shipped_file_documents_every_key_with_its_default(tmp_path: Path) -> None:
    shipped = CONF.read_text()
    assert settings.load(str(CONF)) == Settings()
    plain = re.sub(r"(?m)^#(\w+ *=)", r"\1", shipped)
    assert settings.load(write(tmp_path, plain)) == Settings()
    keys = set(re.findall(r"(?m)^#(\w+) *=", shipped))
    assert keys == {key for section in Settings() for key in section.__annotations__}
