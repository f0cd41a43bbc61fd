"""The page as a tenant uses it, from signing in to signing out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from sqlalchemy import insert

from frontend.database import db
from tests.browser.conftest import GRACE, PASSWORD, Cloud
from tests.browser.person import Person


def test_who_signs_in_wrongly_is_told_what_to_do(person: Person) -> None:
    person.page.goto(f"{person.account.base}/")  # a browser is led to the page
    person.page.get_by_role("heading", name="Sign in").wait_for()
    person.looks("signin")
    person.page.get_by_label("User name").fill("ada")
    person.page.get_by_label("Password").fill("wrong")
    person.page.keyboard.press("Enter")
    person.page.get_by_role("alert").get_by_text("Check the name and the password").wait_for()


def test_who_is_of_the_federation_signs_in_without_a_token_in_any_address(person: Person) -> None:
    page, sent = person.page, []
    page.on("request", lambda each: sent.append((each.method, each.url, each.post_data or "")))
    page.goto(f"{person.account.base}/page/")
    page.get_by_role("link", name="Sign in by the federation").click()
    page.get_by_role("heading", name="Overview").wait_for()
    page.get_by_text(GRACE).wait_for()
    page.get_by_label("Project").select_option(label="physics")
    page.get_by_text("of 600").first.wait_for()
    (token,) = [unquote(body).removeprefix("token=") for method, _, body in sent if body.startswith("token=")]
    assert len(token) > 100
    assert not [url for _, url, _ in sent if token in unquote(url)]
    assert token not in page.content() + page.evaluate("JSON.stringify([localStorage, document.cookie, location.href])")
    sent.clear()
    page.reload()  # which posts nothing again, and asks who one is
    page.get_by_role("heading", name="Sign in").wait_for()
    assert [method for method, url, _ in sent if url.endswith("/page/")] == ["GET"]


def test_two_machines_are_created_and_their_password_is_shown_once(ada: Person, cloud: Cloud) -> None:
    page = ada.page
    ada.looks("overview")
    page.get_by_role("link", name="Create a machine").click()
    page.get_by_role("radio", name="debian-13").check()
    ada.looks("create-image")
    ada.press("Next")
    page.get_by_role("radio", name="small").check()
    assert page.get_by_role("radio", name="huge").is_disabled()
    ada.looks("create-flavor")
    ada.press("Next")
    page.get_by_role("checkbox", name="public").check()
    ada.looks("create-network")
    ada.press("Next")
    page.get_by_label("Name", exact=True).fill("web")
    page.get_by_label("Number of machines").fill("2")
    page.get_by_label("User data").fill("#cloud-config\n# Ωμέγα")
    ada.looks("create-name")
    ada.press("Next")
    page.get_by_text("credits an hour").wait_for()
    ada.looks("create-confirm")
    ada.press("Create")
    password = page.locator("output").inner_text()
    assert len(password) >= 10
    ada.looks("create-made")
    page.locator("main").get_by_role("link", name="Machines", exact=True).click()
    page.get_by_role("link", name="web-1").wait_for()
    assert password not in page.content()
    page.locator("li", has_text="web-2").get_by_text("Running").wait_for()
    ada.looks("machines")


def test_what_was_used_is_drawn_by_day(ada: Person, cloud: Cloud) -> None:
    page, start = ada.page, datetime.combine(datetime.now(UTC).date() - timedelta(days=9), datetime.min.time(), UTC)
    _used(cloud, start.timestamp(), hours=72, vcpus=4)
    page.get_by_label("Project").select_option(label="chemistry")  # where nothing else is used
    page.get_by_text("of 3").first.wait_for()
    section = page.locator("section", has_text="Use by day")
    drawn = section.get_by_role("img")
    assert f"288 in all, most on {start:%b} {start.day} (96)" in str(drawn.get_attribute("aria-label"))
    heights = [round(float(str(each.get_attribute("height")))) for each in drawn.locator("rect").all()]
    assert heights[:4] == [0, 0, 0, 0]
    assert heights[4:7] == [heights[4]] * 3, heights
    assert heights[4] > 100
    ada.looks("overview-used")
    page.get_by_label("Show").select_option(label="Machine hours")
    section.get_by_text("The same as a table").click()
    row = section.get_by_role("row", name=f"{start:%b} {start.day}")
    assert row.get_by_role("cell").inner_text() == "24"
    page.get_by_label("Language").select_option(label="Ελληνικά")
    page.get_by_role("row", name="24").first.wait_for()
    ada.looks("overview-used-el")
    page.get_by_label("Γλώσσα").select_option(label="English")


def _used(cloud: Cloud, began: float, hours: int, vcpus: int) -> None:
    """By a server of ada's that there is no more."""
    size = {"flavor_id": "", "vcpus": vcpus, "ram": 2048, "gib": 10.0}
    what = {"kind": "server", "thing": str(uuid4()), "job": 1, "op_index": 0, "said": {}, "alive": True}
    times = {"began": began, "until": began + hours * 3600}
    assert cloud.ganeti.engine is not None
    with cloud.ganeti.engine.begin() as connection:
        connection.execute(
            insert(db.usage_span).values(project_id=cloud.projects["chemistry"], **size, **what, **times)
        )


def test_machines_are_acted_upon_together_and_followed(ada: Person, cloud: Cloud) -> None:
    page = ada.page
    ada.goes("machines")
    page.get_by_role("checkbox", name="Choose web-1").check()
    page.get_by_role("checkbox", name="Choose web-2").check()
    ada.press("Shut down")
    question = page.get_by_role("form")
    assert question.get_by_role("listitem").all_inner_texts() == ["web-2", "web-1"]
    ada.looks("confirm")
    page.keyboard.press("Escape")
    assert question.count() == 0
    ada.press("Shut down")
    ada.press("Shut down", within="form")
    ada.told("Shut down web-2: done")
    page.locator("li", has_text="web-1").get_by_text("Shut down").wait_for()
    assert not any(each.runs for each in cloud.ganeti.instances.values())
    ada.press("Destroy")
    ada.press("Destroy", within="form")
    page.get_by_role("button", name="Undo").click()
    ada.told("nothing was sent")
    assert len(cloud.ganeti.instances) == 2
    ada.press("Destroy")
    ada.press("Destroy", within="form")
    ada.told("Destroy web-1: done")
    page.get_by_text("There are no machines yet").wait_for()
    assert not cloud.ganeti.instances


def test_a_machine_is_changed_on_its_own_page(ada: Person, cloud: Cloud) -> None:
    page, ident = ada.page, cloud.server("solo")
    ada.goes("machines", ident)
    page.get_by_role("heading", name="solo").wait_for()
    ada.press("Add an item")
    page.get_by_label("Key", exact=True).fill("role")
    page.get_by_label("Value").fill("<b>database</b>")
    ada.press("Add an item", within="form")
    page.get_by_text("<b>database</b>").wait_for()
    page.get_by_role("radio", name="ssh").first.check()
    ada.told("Firewall of solo: done")
    page.get_by_role("radio", name="ssh", checked=True).first.wait_for()
    assert _groups(cloud, ident) == ["ssh"]
    _a_connection_has_a_mode_of_its_own(ada, cloud, ident)
    ada.press("Rename")
    page.get_by_label("New name").fill("alone")
    ada.press("Rename", within="form")
    page.get_by_role("heading", name="alone").wait_for()
    ada.press("Snapshot")
    ada.press("Snapshot", within="form")
    ada.told("Snapshot alone: done")
    page.get_by_text("Snapshot made").wait_for()
    ada.looks("machine")
    ada.context.route("http://console.example/**", lambda route: route.fulfill(body="a screen"))
    with ada.context.expect_page() as opened:
        ada.press("Console")
    opened.value.get_by_text("a screen").wait_for()
    assert opened.value.evaluate("window.opener") is None
    cloud.call("DELETE", f"/compute/v2.1/servers/{ident}")


def _a_connection_has_a_mode_of_its_own(ada: Person, cloud: Cloud, ident: str) -> None:
    (nic,) = cloud.call("GET", f"/network/v2.0/ports?device_id={ident}")["ports"]
    where = f"public, {nic['fixed_ips'][0]['ip_address']}"
    ada.page.locator("summary", has_text=where).click()
    modes = ada.page.get_by_role("group", name=f"What may come in by {where}")
    modes.locator(".mode", has_text="limited").locator("summary").click()
    modes.get_by_text("In: TCP port 3389 from anywhere (IPv4)").wait_for()
    ada.looks("machine-port")
    modes.get_by_role("radio", name="Closed").check()
    ada.told(f"Firewall of {where}: done")
    ada.page.locator("summary", has_text=f"{where}: Closed").wait_for()
    assert cloud.call("GET", f"/network/v2.0/ports/{nic['id']}")["port"]["security_groups"] == []
    modes.get_by_role("radio", name="ssh").check()
    ada.page.locator("summary", has_text=f"{where}: ssh").wait_for()
    ids = cloud.call("GET", f"/network/v2.0/ports/{nic['id']}")["port"]["security_groups"]
    assert ids == [_group(cloud, "ssh")]
    modes.get_by_role("radio", name="As the machine has it").check()
    ada.page.locator("summary", has_text=f"{where}: as the machine (ssh)").wait_for()
    assert modes.get_by_role("radio", name="As the machine has it").is_checked()
    shown = cloud.call("GET", f"/network/v2.0/ports/{nic['id']}")["port"]
    assert (shown["own_security_groups"], shown["security_groups"]) == (False, [_group(cloud, "ssh")])


def _group(cloud: Cloud, name: str) -> Any:
    (found,) = cloud.call("GET", f"/network/v2.0/security-groups?name={name}")["security_groups"]
    return found["id"]


def _groups(cloud: Cloud, ident: str) -> Any:
    return [each["name"] for each in cloud.call("GET", f"/compute/v2.1/servers/{ident}")["server"]["security_groups"]]


def test_what_others_do_shows_by_itself(ada: Person, cloud: Cloud) -> None:
    ada.goes("machines")
    ident = cloud.server("elsewhere")
    ada.page.get_by_role("link", name="elsewhere").wait_for(timeout=15_000)
    cloud.call("DELETE", f"/compute/v2.1/servers/{ident}")
    ada.page.get_by_role("link", name="elsewhere").wait_for(state="detached", timeout=15_000)


def test_what_was_asked_in_another_project_is_not_shown_in_this_one(person: Person) -> None:
    page, held, tokens = person.page, [], []

    def hold(route: Any) -> None:
        tokens.append(route.request.headers["x-auth-token"])
        if tokens[-1] == tokens[0]:
            held.append(route)
        else:
            route.continue_()

    person.context.route("**/compute/v2.1/limits", hold)
    person.sign_in()
    assert held
    for route in held:
        with page.expect_response("**/compute/v2.1/limits"):
            route.continue_()
    page.wait_for_timeout(500)  # what is not to happen, tells of nothing
    assert page.get_by_text("0 of 3", exact=True).count() == 0
    page.get_by_text("of 600").first.wait_for()
    person.context.unroute_all()


def test_projects_are_apart_and_a_reload_forgets_all(ada: Person, cloud: Cloud) -> None:
    ident = cloud.server("only-here")
    ada.goes("machines")
    page = ada.page
    page.get_by_role("link", name="only-here").wait_for(timeout=15_000)
    page.get_by_label("Project").select_option("chemistry")
    page.get_by_text("0 of 3").first.wait_for()
    ada.goes("machines")
    page.get_by_text("There are no machines yet").wait_for()
    with page.expect_request(lambda each: each.method == "DELETE" and "auth/tokens" in each.url) as ended:
        page.get_by_role("button", name="Sign out").click()
    assert ended.value.response().status == 204
    page.get_by_role("heading", name="Sign in").wait_for()
    ada.sign_in()
    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])")
    assert PASSWORD not in kept
    assert set(page.evaluate("Object.keys(localStorage)")) <= {"language", "theme", "look", "span"}
    page.reload()
    page.get_by_role("heading", name="Sign in").wait_for()
    cloud.call("DELETE", f"/compute/v2.1/servers/{ident}")
