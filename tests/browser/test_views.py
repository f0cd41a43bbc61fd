"""The views besides machines, and what hostile names do to all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Cloud
from tests.browser.person import Person

HOSTILE = '"><img src=x onerror="window.harmed=1"><script>window.harmed=1</script>\'${window.harmed=1}&lt;'
LONG = "w" * 255
ARABIC = "\u062e\u0627\u062f\u0645 \u0627\u0644\u0648\u064a\u0628"


def test_a_private_network_is_made_joined_drawn_and_removed(ada: Person, cloud: Cloud) -> None:
    page, ident, *others = ada.page, *map(cloud.server, ("router", "web", "mail"))
    ada.goes("networks")
    ada.press("Make a private network")
    page.get_by_label("Name", exact=True).fill("lab")
    page.get_by_label("Addresses").fill("10.9.0.0/24")
    ada.press("Make it", within="form")
    ada.told("Private network lab: done")
    page.get_by_role("button", name="Connect a machine: lab").click()
    page.get_by_label("Machine", exact=True).select_option("router")
    ada.press("Connect a machine", within="form")
    ada.told("Connect a machine to lab: done")
    page.get_by_role("button", name="Disconnect: router, lab").wait_for()
    assert len(cloud.call("GET", f"/compute/v2.1/servers/{ident}")["server"]["addresses"]) == 2
    ada.looks("networks")
    ada.shows("networks", whole=False)
    page.get_by_role("button", name="Disconnect: router, lab").click()
    ada.press("Disconnect", within="form")
    ada.told("Disconnect router: done")
    page.get_by_role("button", name="Remove: lab").click()
    ada.press("Remove", within="form")
    ada.told("Remove lab: done")
    page.get_by_role("heading", name="lab").wait_for(state="detached")
    for each in (ident, *others):
        cloud.call("DELETE", f"/compute/v2.1/servers/{each}")


def test_a_machine_is_dragged_onto_a_network(ada: Person, cloud: Cloud) -> None:
    page, ident = ada.page, cloud.server("wanderer")
    network = cloud.call("POST", "/network/v2.0/networks", {"network": {"name": "shore"}})["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": "10.8.0.0/24"}
    cloud.call("POST", "/network/v2.0/subnets", {"subnet": subnet})
    ada.goes("networks")
    box, shore = page.locator(".box", has_text="wanderer"), page.locator(".net", has_text="shore")
    _drag(box, shore.locator("line").first)
    question = page.get_by_role("form", name="Connect a machine to shore")
    assert question.get_by_role("listitem").all_inner_texts() == ["wanderer"]
    page.keyboard.press("Escape")
    assert list(_addresses(cloud, ident)) == ["public"]
    _drag(box, shore.locator("line").first, drop=False)
    ada.shows("networks-drag")
    page.mouse.up()
    ada.press("Connect a machine", within="form")
    ada.told("Connect a machine to shore: done")
    page.get_by_role("button", name="Disconnect: wanderer, shore").wait_for()
    assert set(_addresses(cloud, ident)) == {"public", "shore"}
    _drag(box, shore.locator("line").first)  # where it is already
    assert page.get_by_role("form").count() == 0
    cloud.call("DELETE", f"/compute/v2.1/servers/{ident}")
    cloud.call("DELETE", f"/network/v2.0/networks/{network}")


def _addresses(cloud: Cloud, ident: str) -> Any:
    return cloud.call("GET", f"/compute/v2.1/servers/{ident}")["server"]["addresses"]


def _drag(what: Any, onto: Any, *, drop: bool = True) -> None:
    """With the mouse, from one's middle to the other's."""
    (x, y), (to_x, to_y) = (_middle(each.bounding_box()) for each in (what, onto))
    mouse = what.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(to_x, to_y, steps=5)
    if drop:
        mouse.up()


def _middle(box: Any) -> tuple[float, float]:
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_group_of_rules_is_made_and_removed(ada: Person, cloud: Cloud) -> None:
    ada.goes("firewall")
    ada.page.get_by_text("In: ICMP type 8 from anywhere (IPv4)").wait_for()
    ada.press("Make a group")
    ada.page.get_by_label("Name", exact=True).fill("web")
    ada.press("Make it", within="form")
    ada.page.get_by_role("button", name="Add a rule: web").click()
    ada.page.get_by_label("Port or ports").fill("8000-8080")
    ada.page.get_by_label("From which addresses").fill("198.51.100.0/24")
    ada.press("Add a rule", within="form")
    ada.page.get_by_text("In: TCP ports 8000 to 8080 from 198.51.100.0/24 (IPv4)").wait_for()
    ada.looks("firewall")
    ada.page.get_by_role("button", name="Remove: web", exact=True).click()
    ada.press("Remove", within="form")
    ada.told("Remove web: done")
    names = [each["name"] for each in cloud.call("GET", "/network/v2.0/security-groups")["security_groups"]]
    assert "web" not in names


def test_a_volume_is_made_attached_and_removed(ada: Person, cloud: Cloud) -> None:
    page, ident = ada.page, cloud.server("holder")
    ada.goes("volumes")
    page.get_by_text("There are no volumes yet").wait_for()
    ada.press("Make a volume")
    page.get_by_label("Name", exact=True).fill("data")
    page.get_by_label("Size in GiB").fill("3")
    ada.press("Make it", within="form")
    page.locator("li", has_text="data").get_by_text("Available").wait_for()
    page.get_by_role("button", name="Attach a volume: data").click()
    page.get_by_label("Machine", exact=True).select_option("holder")
    ada.press("Attach a volume", within="form")
    page.locator("li", has_text="data").get_by_text("In use").wait_for()
    ada.looks("volumes")
    page.get_by_role("button", name="Detach: data").click()
    ada.press("Detach", within="form")
    page.get_by_role("button", name="Remove: data").click()
    ada.press("Remove", within="form")
    page.get_by_text("There are no volumes yet").wait_for()
    cloud.call("DELETE", f"/compute/v2.1/servers/{ident}")


def test_a_pair_of_keys_is_shown_once_and_files_are_saved(ada: Person, cloud: Cloud) -> None:
    page = ada.page
    ada.goes("keys")
    ada.press("Make a pair")
    page.get_by_label("Name", exact=True).fill("laptop")
    ada.press("Make it", within="form")
    page.get_by_text("PRIVATE KEY").first.wait_for()
    with page.expect_download() as saved:
        ada.press("Save as laptop.pem")
    assert "PRIVATE KEY" in Path(saved.value.path()).read_text()
    ada.goes("access")
    page.get_by_role("heading", name="API access").wait_for()
    assert "PRIVATE KEY" not in page.content()
    with page.expect_download() as saved:
        ada.press("Save as clouds.yaml")
    assert cloud.projects["physics"] in Path(saved.value.path()).read_text()
    ada.press("Make a credential")
    page.get_by_label("Name", exact=True).fill("robot")
    ada.press("Make it", within="form")
    page.get_by_text("application_credential_secret").wait_for()
    page.get_by_role("button", name="Remove: robot").wait_for()
    ada.looks("access")
    ada.goes("keys")
    page.get_by_text("laptop").first.wait_for()
    ada.looks("keys")


def test_an_image_is_shared_and_what_is_refused_is_told(ada: Person, cloud: Cloud) -> None:
    page = ada.page
    wish = {"name": "mine", "disk_format": "raw", "container_format": "bare"}
    cloud.call("POST", "/image/v2/images", wish)
    ada.goes("images")
    page.get_by_role("button", name="Share: mine").click()
    page.get_by_label("Id of the project").fill(cloud.projects["chemistry"])
    ada.press("Share", within="form")
    ada.told("Share mine: done")
    ada.press("Bring an image")
    page.get_by_label("Name", exact=True).fill("too large")
    large = {"name": "disk.raw", "mimeType": "application/octet-stream", "buffer": b"\0" * ((1 << 20) + 1)}
    page.get_by_label("File").set_input_files(large)
    ada.press("Send it", within="form")
    ada.told("Image too large failed")
    assert page.get_by_role("button", name="Accept: mine").count() == 0  # it is offered to others
    ada.looks("images")
    images = cloud.call("GET", "/image/v2/images?visibility=all")["images"]
    assert "too large" not in [each["name"] for each in images]
    page.get_by_label("Project").select_option("chemistry")
    page.get_by_text("0 of 3").first.wait_for()
    ada.goes("images")
    ada.press("Accept: mine")
    page.locator(".rows li", has_text="mine").wait_for()


@pytest.mark.parametrize("language", ["English", "Ελληνικά"])
def test_hostile_names_are_text_everywhere(person: Person, cloud: Cloud, language: str) -> None:
    page = person.page
    idents = [cloud.server(name, metadata={"note": HOSTILE}) for name in (HOSTILE, LONG, ARABIC)]
    group = {"security_group": {"name": HOSTILE, "description": HOSTILE}}
    made = cloud.call("POST", "/network/v2.0/security-groups", group)["security_group"]["id"]
    volume = cloud.call(
        "POST", f"/volume/v3/{cloud.projects['physics']}/volumes", {"volume": {"name": HOSTILE, "size": 1}}
    )
    for ident in idents:
        cloud.call("PUT", f"/compute/v2.1/servers/{ident}/tags/{'x' * 60}")
    person.sign_in()
    page.get_by_label("Language").select_option(label=language)
    for view in ("machines", "networks", "firewall", "volumes", "images", "keys", "access", "create", "overview"):
        person.goes(view)
        page.locator("main h1").wait_for()
        page.wait_for_load_state("networkidle")
        page.locator(".waiting").first.wait_for(state="detached")
        person.looks(f"hostile-{view}-{'en' if language == 'English' else 'el'}")
    person.goes("machines")
    for box in page.locator(".machines input").all():
        box.check()
    page.get_by_role("group").locator(".danger").click()
    person.looks(f"hostile-confirm-{'en' if language == 'English' else 'el'}")
    page.keyboard.press("Escape")
    for ident in idents[:2]:
        person.goes("machines", ident)
        page.locator(".events li").first.wait_for()
    person.looks(f"hostile-machine-{'en' if language == 'English' else 'el'}")
    assert page.evaluate("window.harmed") is None
    assert page.locator("img, main script, iframe").count() == 0
    for ident in idents:
        cloud.call("DELETE", f"/compute/v2.1/servers/{ident}")
    cloud.call("DELETE", f"/network/v2.0/security-groups/{made}")
    cloud.call("DELETE", f"/volume/v3/{cloud.projects['physics']}/volumes/{volume['volume']['id']}")
