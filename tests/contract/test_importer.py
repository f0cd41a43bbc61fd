"""Images through the real image store: sent to the API, imported by the daemon, over its death."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontend import settings
from tests.contract.manage_site import ENVIRONMENT, ROOT, Manage, site
from tests.unit.frontend.conftest import Api, FakeRapi, serve
from tests.unit.frontend.images import IMAGES, make, send, shown
from tests.waiting import until

IMPORTER = ROOT / "frontend" / "ganeti-ext-importer"
CONTENT = b"disk" * 100_000 + bytes(112_000)


@pytest.fixture
def manage() -> Iterator[Manage]:
    with site() as made:
        text = made.config.read_text()
        made.config.write_text(text.replace("[images]\n", f"[images]\nstaging = {made.folder}/staging\n"))
        yield made


@pytest.fixture
def api(manage: Manage) -> Api:
    config = settings.read(str(manage.config))
    return serve(config.front, FakeRapi(), config).become("alice")


def daemon(manage: Manage) -> subprocess.Popen[str]:
    argv = [sys.executable, "-I", str(IMPORTER), "--config", str(manage.config)]
    return subprocess.Popen(argv, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


def qcow2(folder: Path) -> bytes:
    if shutil.which("qemu-img") is None:
        pytest.skip("makes an image with qemu-img")
    (folder / "disk.raw").write_bytes(CONTENT)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", folder / "disk.raw", folder / "disk.qcow2"], check=True)
    return (folder / "disk.qcow2").read_bytes()


def test_an_upload_is_made_raw(manage: Manage, api: Api) -> None:
    ident = make(api, disk_format="qcow2")
    answer = send(api, ident, qcow2(manage.folder))
    assert answer.status_code == 204, answer.text
    assert shown(api, ident)["size"] == len(CONTENT)
    assert api.get(f"{IMAGES}/{ident}/file").data == CONTENT
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    assert manage.stored() == []


def test_what_is_none_is_refused(manage: Manage, api: Api) -> None:
    ident = make(api, disk_format="qcow2")
    for data in (CONTENT, b"QFI\xfb\x00\x00\x00\x03" + bytes(512), b""):
        assert send(api, ident, data).status_code == 400
    assert (shown(api, ident)["status"], manage.stored()) == ("queued", [])


def test_the_daemon_imports_what_was_staged(manage: Manage, api: Api) -> None:
    ident = make(api)
    assert send(api, ident, CONTENT, "stage").status_code == 204
    sent = {"method": {"name": "glance-direct"}}
    assert api.call("POST", f"{IMAGES}/{ident}/import", json=sent).status_code == 202
    process = daemon(manage)
    try:
        until(lambda: shown(api, ident)["status"] == "active")
        facts = manage.folder / "store" / "images" / f"{ident}.json"
        until(lambda: facts.exists() and '"owner_name"' in facts.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
    assert api.get(f"{IMAGES}/{ident}/file").data == CONTENT
