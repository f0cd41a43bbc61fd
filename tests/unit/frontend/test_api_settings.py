"""The configuration file: what is wrong in it is named."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from frontend import settings
from frontend.identity import settings_identity
from frontend.image import settings_images
from ganeti_ext.errors import ConfigError

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "debian/conf/frontend.conf"


def test_no_file_means_defaults(tmp_path: Path) -> None:
    assert settings.read(str(tmp_path / "none")) == settings.Settings()


def test_shipped_file_says_the_defaults(tmp_path: Path) -> None:
    assert settings.read(str(SHIPPED)) == settings.Settings()
    path = tmp_path / "frontend.conf"
    path.write_text(
        "\n".join(
            line.removeprefix("#") if line[1:2].isalpha() and line[0] == "#" else line
            for line in SHIPPED.read_text().splitlines()
        )
    )
    assert settings.read(str(path)) == settings.Settings()


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("front", settings.Front),
        ("rapi", settings.RapiAccess),
        ("broker", settings.Broker),
        ("images", settings_images.Images),
        ("reconcile", settings.Reconcile),
        ("identity", settings_identity.Identity),
        ("federation", settings_identity.Federation),
        ("keystone", settings_identity.Keystone),
        ("quota", settings.Quota),
        ("volumes", settings.Volumes),
        ("firewall", settings.Firewall),
        ("console", settings.Console),
    ],
)
def test_shipped_file_names_every_key(section: str, kind: type) -> None:
    text = SHIPPED.read_text().partition(f"[{section}]")[2].partition("\n[")[0]
    named = {line[1:].partition(" ")[0] for line in text.splitlines() if line[1:2].isalpha() and line[0] == "#"}
    assert named == set(kind.__annotations__)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[front]\ntoken_hours = 0", "token_hours"),
        ("[front]\nshutdown_timeout = -1", "shutdown_timeout"),
        ("[front]\npublic_url = cloud.example", "cloud.example"),
        ("[front]\nkey_type = dsa", "dsa"),
        ("[quota]\nkeypairs = -1", "keypairs"),
        ("[volumes]\ntypes = cow, Some Thing", "'Some'"),
        ("[volumes]\ntypes = cow\ndefault = rbd", "'rbd'"),
        ("[firewall]\nprofiles = limited, Web Server", "'Web'"),
        ("[firewall]\nprofiles = default", "'default'"),
        ("[firewall]\nprofiles = limited, protected", "'protected'"),
        ("[front]\nthread = 1", "'thread'"),
        ("[frontend]\nthreads = 1", "frontend"),
        ("[identity]\nsource = ldap", "ldap"),
        ("[identity]\nattempts = -1", "attempts"),
        ("[identity]\nattempt_minutes = 0", "attempt_minutes"),
        ("[federation]\nseparator = ;;", "separator"),
        ("[federation]\nvalid_days = -1", "valid_days"),
        ("[federation]\norigins = javascript:x", "origins"),
    ],
)
def test_bad_value_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "frontend.conf"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re_escape(named)):
        settings.read(str(path))


def re_escape(text: str) -> str:
    return text.replace(".", r"\.")


def test_remote_api_must_be_named() -> None:
    with pytest.raises(ConfigError, match=r"\[rapi\] password is not set"):
        settings.RapiAccess(url="https://x:5080", user="u", ca="/x").need()


def test_secrets_are_not_in_what_is_printed() -> None:
    shown = repr(
        settings.Settings(
            rapi=settings.RapiAccess(password="pa55"),
            broker=settings.Broker("amqp://u:pa55@h/"),
            keystone=settings_identity.Keystone(password="pa55"),
        )
    )
    assert "pa55" not in shown


def test_service_ends_with_one_line_that_names_the_key(tmp_path: Path) -> None:
    path = tmp_path / "frontend.conf"
    path.write_text("[rapi]\nurl = https://localhost:5080\n")
    assert started(path) == (3, f"ganeti-ext-api: {path}: [rapi] user is not set\n")


def test_database_that_is_away_is_one_line_without_its_password(tmp_path: Path) -> None:
    certificate = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    path = tmp_path / "frontend.conf"
    path.write_text(
        f"[rapi]\nurl = https://localhost:5080\nuser = u\npassword = pa55\nca = {certificate}\n"
        f"[front]\nsecret_file = {tmp_path}/secret\ndatabase = sqlite:////nowhere/front.db\n"
    )
    code, words = started(path)
    assert code == 1
    assert words == f"ganeti-ext-api: {path}: [front] database: unable to open database file\n"


def started(path: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", "import frontend.serve"],
        env={"GANETI_EXT_FRONTEND_CONF": str(path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr
