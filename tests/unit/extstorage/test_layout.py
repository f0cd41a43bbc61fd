"""Which names become files, and where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extstorage.layout import ID_MAX, NAME_MAX, Settings, checked_name, existing, opened, required
from ganeti_ext import config
from ganeti_ext.errors import ConfigError, ContractError, ExtError

GANETI = "0f9e0aa4-3a8c-4b4b-9d0e-7d3f0b2f9c11.ext.disk0"


def test_names_of_ganeti_and_of_its_snapshots_are_fit() -> None:
    settings = Settings("/d", "/r")
    assert settings.volume(GANETI) == f"/d/volumes/{GANETI}.raw"
    assert settings.volume(f"{GANETI}.snap") == f"/d/volumes/{GANETI}.snap.raw"
    assert settings.image("debian-13@2026:amd64+x") == "/d/images/debian-13@2026:amd64+x.raw"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a/b", "only letters"),
        ("../etc/passwd", "only letters"),
        ("a b", "only letters"),
        ("a\n", "only letters"),
        ("a\0", "only letters"),
        ("caf\u00e9", "only letters"),
        ("\u0661", "only letters"),  # a digit, but not of ASCII
        (".", "start with a dot"),
        ("..", "start with a dot"),
        (".hidden", "start with a dot"),
        ("x" * (NAME_MAX + 1), f"longer than {NAME_MAX}"),
    ],
)
def test_garbage_is_refused_with_its_reason(name: str, told: str) -> None:
    with pytest.raises(ContractError, match=told) as caught:
        Settings().volume(name)
    assert repr(name) in str(caught.value)


@given(st.text(min_size=1))
def test_a_name_that_passes_stays_in_its_directory(name: str) -> None:
    try:
        path = Path("/d") / f"{checked_name('volume', name, ID_MAX)}.raw"
    except ContractError:
        return
    assert path.parent == Path("/d") == path.resolve().parent
    assert not path.name.startswith(".")
    assert len(path.name.encode()) <= 255


def test_settings_come_from_the_section_and_must_be_absolute(tmp_path: Path) -> None:
    file = tmp_path / "cow.conf"
    assert config.load(str(file), "cow", Settings)[:2] == ("/srv/ganeti-ext", "/run/ganeti-ext/cow")
    file.write_text("[cow]\ndirectory = /mnt/x\n")
    assert config.load(str(file), "cow", Settings).checked()[:2] == ("/mnt/x", "/run/ganeti-ext/cow")
    file.write_text("[cow]\nrun_directory = run\n")
    with pytest.raises(ConfigError, match="run_directory must be an absolute path, found 'run'"):
        config.load(str(file), "cow", Settings).checked()
    file.write_text("[cow]\npools = fast:/mnt/fast slow\n")
    with pytest.raises(ConfigError, match="directory of pool 'slow' must be an absolute path, found ''"):
        config.load(str(file), "cow", Settings).checked()


def test_a_pool_has_directories_of_its_own() -> None:
    settings = Settings("/d", "/r", ("fast:/mnt/fast", "slow:/mnt/slow")).checked()
    assert settings.of("fast")[:2] == ("/mnt/fast", "/r/.pool-fast")
    assert settings.of("")[:2] == ("/d", "/r")
    with pytest.raises(ContractError, match=r"pool 'medium' is not in cow\.conf; known: fast, slow"):
        settings.of("medium")
    with pytest.raises(ContractError, match="known: none"):
        Settings().of("x")


def test_the_shipped_configuration_is_all_defaults(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "debian/conf/cow.conf"
    assert config.load(str(shipped), "cow", Settings) == Settings()
    said = tmp_path / "cow.conf"
    said.write_text(re.sub(r"\n#(\w+) =", r"\n\1 =", shipped.read_text()))
    assert config.load(str(said), "cow", Settings) == Settings()
    assert set(re.findall(r"\n(\w+) =", said.read_text())) == set(Settings._fields)


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/storage.md").read_text()
    for key, default in Settings()._asdict().items():
        assert f"\n| `{key}` | " in page
        assert not isinstance(default, str) or not default or f"| `{key}` | `{default}` |" in page


def test_no_volume_is_another_thing_than_no_share(tmp_path: Path) -> None:
    settings = Settings(str(tmp_path), "/r")
    with pytest.raises(ExtError, match="is the shared directory mounted"):
        existing(settings, "v")
    (tmp_path / "volumes").mkdir()
    assert existing(settings, "v") is None
    assert opened(settings, "v") is None
    with pytest.raises(ExtError, match="volume 'v' does not exist"):
        required(settings, "v")


def test_a_share_that_cannot_be_read_is_an_error_not_an_absence(tmp_path: Path) -> None:
    (tmp_path / "volumes").symlink_to("volumes")  # ELOOP stands for ESTALE and EIO
    with pytest.raises(OSError, match="Too many levels"):
        existing(Settings(str(tmp_path), "/r"), "v")
