from __future__ import annotations

from pathlib import Path

import pytest

from ganeti_ext.errors import ConfigError
from hooks import dnssettings

USUAL = "server = ns\nkey = /k\nzones = Example.org, cloud.example.org\n"
SHIPPED = Path(__file__).parents[3] / "debian/conf/dns.conf"


def load(tmp_path: Path, text: str) -> dnssettings.Settings | None:
    path = tmp_path / "dns.conf"
    path.write_text("[dns]\n" + text)
    return dnssettings.load(str(path))


def test_without_a_server_it_is_off(tmp_path: Path) -> None:
    assert dnssettings.load(str(tmp_path / "none")) is None
    assert load(tmp_path, "key = /k\nzones = example.org\n") is None
    assert dnssettings.load(str(SHIPPED)) is None


def test_zones_are_absolute_names(tmp_path: Path) -> None:
    settings = load(tmp_path, USUAL)
    assert settings == dnssettings.Settings(server="ns", key="/k", zones=("example.org.", "cloud.example.org."))
    assert (settings.port, settings.reverse, settings.tag, settings.owner) == (53, dnssettings.AUTO, "dns", "")
    assert (settings.ttl, settings.timeout) == (300, 5.0)


@pytest.mark.parametrize(
    "line",
    ["ttl = 0", "ttl = 2147483647", "port = 1", "port = 65535", "timeout = 0.1", "timeout = 60", "owner = a-B_9.c"],
)
def test_the_last_that_makes_sense(tmp_path: Path, line: str) -> None:
    key, value = line.split(" = ")
    settings = load(tmp_path, f"{USUAL}{line}\n")
    assert str(getattr(settings, key)).removesuffix(".0") == value


@pytest.mark.parametrize(
    ("reverse", "zones"),
    [
        ("auto", ("auto",)), ("none", ()),
        ("192.0.2.0/24 2001:db8::/32", ("2.0.192.in-addr.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa.")),
    ],
)  # fmt: skip
def test_prefixes_become_zones(tmp_path: Path, reverse: str, zones: tuple[str, ...]) -> None:
    settings = load(tmp_path, f"{USUAL}reverse = {reverse}\n")
    assert settings is not None
    assert settings.reverse == zones


@pytest.mark.parametrize("key", ["key", "zones"])
def test_what_is_needed_is_named(tmp_path: Path, key: str) -> None:
    rest = "".join(line for line in USUAL.splitlines(keepends=True) if not line.startswith(key))
    with pytest.raises(ConfigError, match=rf"dns.conf: \[dns\] {key} is not set"):
        load(tmp_path, rest)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("zones = example..org", r"zones has a bad value 'example\.\.org': not a domain name"),
        ("reverse = 192.0.2.0/25", r"reverse has a bad value '192.0.2.0/25': .* multiple of 8 bits"),
        ("server = a b", "server has a bad value 'a b'"), ("port = 0", "port has a bad value 0"),
        ("port = 65536", "port has a bad value"), ("ttl = -1", "ttl has a bad value -1"),
        ("ttl = 2147483648", "ttl has a bad value"), ("timeout = 0", "timeout has a bad value"),
        ("timeout = 61", "timeout has a bad value"), ("timeout = nan", "timeout has a bad value nan"),
        ('owner = a"b', "owner has a bad value"), ("owner = é", "owner has a bad value"),
        ("owner = a b", "owner has a bad value"), ("timeout = 60.5", "timeout has a bad value"),
        ("tag =", "tag is not set"), ("colour = red", "unknown key 'colour'"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_named(tmp_path: Path, line: str, why: str) -> None:
    key = line.partition(" ")[0]
    rest = "".join(each for each in USUAL.splitlines(keepends=True) if not each.startswith(key))
    with pytest.raises(ConfigError, match=why):
        load(tmp_path, f"{rest}{line}\n")


def test_every_key_is_shown_with_its_default() -> None:
    shown = dict(
        line[1:].split(" =", 1) for line in SHIPPED.read_text().splitlines() if line.startswith("#") and " =" in line
    )
    defaults = dnssettings.Settings()._asdict()
    assert {key: text.strip() for key, text in shown.items()} == {
        key: " ".join(value) if isinstance(value, tuple) else str(value) for key, value in defaults.items()
    }
