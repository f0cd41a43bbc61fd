"""hooks/note run as Ganeti runs hooks: full path, bare environment, no stdin."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("GANETI_EXT_ROOT", Path(__file__).parents[2]))
ENV = {
    "PATH": "/sbin:/bin:/usr/sbin:/usr/bin", "GANETI_HOOKS_VERSION": "2", "GANETI_DATA_DIR": "/var/lib/ganeti",
    "GANETI_HOOKS_PATH": "instance-start", "GANETI_OP_CODE": "OP_INSTANCE_STARTUP", "GANETI_HOOKS_PHASE": "post",
    "GANETI_OBJECT_TYPE": "INSTANCE", "GANETI_CLUSTER": "c", "GANETI_MASTER": "node1",
    "GANETI_INSTANCE_NAME": "gx-1", "GANETI_INSTANCE_PRIMARY": "node1", "GANETI_INSTANCE_NIC_COUNT": "0",
}  # fmt: skip


def call(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "hooks/note"],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_note_is_left_without_a_word(tmp_path: Path) -> None:
    done = call({**ENV, "GANETI_EXT_SPOOL": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (path,) = tmp_path.iterdir()
    assert re.fullmatch(r"\d{19}-\d+\.json", path.name)
    assert '"instance":"gx-1"' in path.read_text()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"GANETI_EXT_SPOOL": "/nonexistent/notes"}, "note: no note for ganeti-ext-eventd: [Errno 2]"),
        ({"GANETI_EXT_SPOOL": "/proc"}, "note: no note for ganeti-ext-eventd: "),
        ({"GANETI_EXT_SPOOL": "/dev/null"}, "note: no note for ganeti-ext-eventd: [Errno 20]"),
        ({"GANETI_OP_CODE": ""}, "note: GANETI_OP_CODE is not set"),
        ({"GANETI_INSTANCE_NIC_COUNT": "x"}, "note: GANETI_INSTANCE_NIC_COUNT has a bad value 'x'"),
    ],
)
def test_whatever_goes_wrong_the_job_goes_on(change: dict[str, str], line: str) -> None:
    done = call({**ENV, **change})
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", disk], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting takes root")
    try:
        (disk / "filler").write_bytes(b"x" * 4096)
        done = call({**ENV, "GANETI_EXT_SPOOL": str(disk)})
        assert done.returncode == 0
        assert "No space left on device" in done.stderr
        assert [path.name for path in disk.iterdir()] == ["filler"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_the_conffile_does_nothing_once_the_package_is_gone() -> None:
    text = (Path(__file__).parents[2] / "debian/ganeti-ext-eventd.hook").read_text()
    gone = text.replace("/usr/share/ganeti-ext/hooks/note", "/nonexistent/note")
    done = subprocess.run(["sh", "-c", gone], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
