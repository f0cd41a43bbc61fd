"""Verbs and their files, and what a call must carry."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from extstorage import attachment, cow, loop, provider
from ganeti_ext.errors import ConfigError, ContractError, ExtError

ROOT = Path(__file__).parents[3]
COW = ROOT / "extstorage/cow"
OS = ROOT / "extstorage/os"
main = provider.main(cow)
HEAVY = {"typing", "re", "logging", "json", "pathlib", "dataclasses", "subprocess", "contextlib", "configparser"}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "s/volumes").mkdir(parents=True)
    (tmp_path / "cow.conf").write_text(f"[cow]\ndirectory = {tmp_path}/s\nrun_directory = {tmp_path}/run\n")
    return {"GANETI_EXT_CONFIG_DIR": str(tmp_path), "VOL_NAME": "v"}


def test_every_verb_is_an_executable_of_its_name() -> None:
    found = {path.name for path in COW.iterdir() if path.is_symlink()}
    assert found == {*provider.VERBS}
    for name in found:
        assert os.readlink(COW / name) == "_run"
        assert os.access(COW / name, os.X_OK)
    lines = (COW / "parameters.list").read_text().splitlines()
    assert [line.split(None, 1)[0] for line in lines] == ["origin", "reuse_data", "pool"]
    assert all(len(line.split(None, 1)) == 2 for line in lines)


def test_the_os_definition_is_complete() -> None:
    assert (OS / "ganeti_api_version").read_text() == "20\n"
    assert (OS / "variants.list").read_text() == "default\n"
    lines = (OS / "parameters.list").read_text().splitlines()
    assert [line.split(None, 1)[0] for line in lines] == ["seed", "update"]
    for script in ("create", "import", "export", "rename", "verify"):
        assert os.access(OS / script, os.X_OK)
        assert (OS / script).read_text().startswith("#!/bin/sh\n")


def test_a_verb_loads_nothing_slow() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from extstorage import cow, provider; print(*sys.modules)"
    loaded = subprocess.run(["/usr/bin/python3", "-SEIc", code], capture_output=True, text=True, check=True).stdout
    assert "extstorage.cow" in loaded
    assert not HEAVY & set(loaded.split())


@pytest.mark.parametrize(
    ("verb", "missing"),
    [("attach", "VOL_NAME"), ("create", "VOL_SIZE"), ("grow", "VOL_NEW_SIZE"), ("snapshot", "VOL_SNAPSHOT_NAME")],
)
def test_what_a_verb_needs_is_named(env: dict[str, str], verb: str, missing: str) -> None:
    if missing == "VOL_NAME":
        del env["VOL_NAME"]
    with pytest.raises(ContractError, match=f"{missing} is not set"):
        main(verb, env)


def test_an_unknown_verb_and_an_unknown_key_are_refused(env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="unknown verb; known: create, attach"):
        main("_run", env)
    (tmp_path / "cow.conf").write_text("[cow]\ndir = /x\n")
    with pytest.raises(ConfigError, match="unknown key 'dir'"):
        main("attach", env)


def test_a_lost_volume_detaches_and_removes_but_does_not_open(env: dict[str, str]) -> None:
    assert main("attach", env) == ""
    assert main("detach", env) is None
    assert main("remove", env) is None
    assert main("close", env) is None
    for verb, more in (("open", {}), ("setinfo", {}), ("grow", {"VOL_NEW_SIZE": "1"})):
        with pytest.raises(ExtError, match="volume 'v' does not exist"):
            main(verb, {**env, **more})


def test_a_fault_of_the_system_is_no_bug(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(os, "lstat", broken)
    for verb in ("attach", "open", "remove"):
        with pytest.raises(ExtError, match=r"volume 'v': \[Errno 116\] Stale file handle"):
            main(verb, env)


def test_structures_have_the_kernel_s_sizes() -> None:
    assert (loop.INFO.size, loop.CONFIG.size) == (232, 304)  # linux/loop.h
    packed = loop.INFO.pack(1, 2, 0, 0, 0, 9, 0, 0, loop.DIRECT_IO, b"mark", b"", b"", 0, 0)
    assert packed[52:56] == b"\x10\0\0\0"
    assert packed[56:61] == b"mark\0"


def test_no_free_loop_is_told_after_many_tries(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    main("create", {**env, "VOL_SIZE": "1"})
    monkeypatch.setattr(attachment, "TRIES", 3)
    monkeypatch.setattr(loop, "free", lambda: 5)
    monkeypatch.setattr(loop, "opened", lambda *_: os.open("/dev/null", os.O_RDONLY))
    monkeypatch.setattr(loop, "configure", lambda *_: False)
    with pytest.raises(ExtError, match="no free loop device after 3 tries; is /dev/loop5 usable"):
        main("attach", env)
    assert [name for name in os.listdir(Path(env["GANETI_EXT_CONFIG_DIR"]) / "run") if name[0] != "."] == []
