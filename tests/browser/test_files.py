"""Files that go up and come down: images into the real store, and what the command line's tools read."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PASSWORD, Cloud
from tests.browser.person import Person

CONTENT = b"disk" * 100_000 + bytes(112_000)
SLOW = 20_000  # octets a second: half a minute for all of it


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    if shutil.which("qemu-img") is None:
        pytest.skip("makes an image with qemu-img")
    (tmp_path / "disk.raw").write_bytes(CONTENT)
    made = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", tmp_path / "disk.raw", made], check=True)
    return made


@contextmanager
def slow(person: Person) -> Iterator[None]:
    """What is sent goes slowly in a `with` block."""
    line = person.context.new_cdp_session(person.page)
    line.send("Network.enable")

    def pace(octets: int) -> None:
        line.send("Network.emulateNetworkConditions", {**any_, "uploadThroughput": octets})

    any_ = {"offline": False, "latency": 0, "downloadThroughput": -1}
    pace(SLOW)
    yield
    pace(-1)


def bring(person: Person, name: str, file: Path) -> Any:
    """The bar that shows how far it is."""
    person.goes("images")
    person.press("Bring an image")
    person.page.get_by_label("Name", exact=True).fill(name)
    person.page.get_by_label("File").set_input_files(file)
    person.press("Send it", within="form")
    return person.page.get_by_role("progressbar", name=f"Image {name}")


def test_an_image_is_sent_with_its_progress_into_the_store(ada: Person, cloud: Cloud, disk: Path) -> None:
    page = ada.page
    seen: list[int] = []
    with slow(ada):
        bar = bring(ada, "brought", disk)
        while not seen or max(seen) < 20:
            seen.append(int(str(bar.get_attribute("value"))))
            page.wait_for_timeout(100)
        ada.looks("images-sending")
    ada.told("Image brought: done")
    assert seen == sorted(seen)
    assert len(set(seen)) > 2, seen
    row = page.locator(".rows li", has_text="brought")
    row.get_by_text("Ready").wait_for()
    (image,) = cloud.call("GET", "/image/v2/images?name=brought")["images"]
    assert (image["status"], image["size"]) == ("active", len(CONTENT))
    assert cloud.content(f"/image/v2/images/{image['id']}/file") == CONTENT
    assert [name for name in cloud.store.stored() if image["id"] in name]
    row.get_by_role("button", name="Remove").click()
    ada.press("Remove", within="form")
    row.wait_for(state="detached")
    assert cloud.store.stored() == []


def test_what_is_sent_can_be_stopped(ada: Person, cloud: Cloud, disk: Path) -> None:
    with slow(ada):
        bring(ada, "stopped short", disk).wait_for()
        ada.page.locator(".notice").get_by_role("button", name="Stop").click()
        ada.told("Image stopped short: stopped")
    assert cloud.call("GET", "/image/v2/images?name=stopped short".replace(" ", "%20"))["images"] == []
    assert cloud.store.stored() == []


def test_what_is_saved_lets_the_command_lines_tools_in(ada: Person, cloud: Cloud, tmp_path: Path) -> None:
    ada.goes("access")
    for name in ("clouds.yaml", "openrc.sh"):
        with ada.page.expect_download() as saved:
            ada.press(f"Save as {name}")
        assert saved.value.suggested_filename == name
        saved.value.save_as(tmp_path / name)
        assert PASSWORD not in (tmp_path / name).read_text()
    clouds = importlib.import_module("yaml").safe_load((tmp_path / "clouds.yaml").read_text())["clouds"]
    assert list(clouds) == ["physics"]
    assert clouds["physics"]["region_name"] == "RegionOne"
    assert _enters({**clouds["physics"]["auth"], "password": PASSWORD}) == cloud.projects["physics"]
    words = subprocess.run(["sh", "-c", ". ./openrc.sh; env"], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = dict(line.split("=", 1) for line in words.stdout.splitlines() if line.startswith("OS_"))
    assert (found.pop("OS_REGION_NAME"), found.pop("OS_IDENTITY_API_VERSION")) == ("RegionOne", "3")
    auth = {key.removeprefix("OS_").lower(): value for key, value in found.items()}
    assert _enters({**auth, "password": PASSWORD}) == cloud.projects["physics"]


def test_what_is_saved_of_a_credential_lets_a_program_in(ada: Person, cloud: Cloud, tmp_path: Path) -> None:
    ada.goes("access")
    ada.press("Make a credential")
    ada.page.get_by_label("Name", exact=True).fill("program: 'x' #1")
    ada.press("Make it", within="form")
    made = ada.page.locator(".secret", has_text="application_credential_secret")
    with ada.page.expect_download() as saved:
        made.get_by_role("button", name="Save as clouds.yaml").click()
    saved.value.save_as(tmp_path / "clouds.yaml")
    clouds = importlib.import_module("yaml").safe_load((tmp_path / "clouds.yaml").read_text())["clouds"]
    (one,) = clouds.values()
    assert list(clouds) == ["program: 'x' #1"]
    assert one["auth_type"] == "v3applicationcredential"
    assert _enters(one["auth"], "v3applicationcredential") == cloud.projects["physics"]


def _enters(auth: dict[str, str], kind: str = "v3password") -> str:
    """The project that OpenStack's own library gets a token for."""
    plugin = importlib.import_module("keystoneauth1.loading").get_plugin_loader(kind).load_from_options(**auth)
    session = importlib.import_module("keystoneauth1.session").Session(auth=plugin)
    return str(session.get_project_id())
