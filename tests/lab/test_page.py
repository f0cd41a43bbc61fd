"""The tenants' page before the real cluster: a browser beside the nodes, and guests that do what it was told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from lab import inside, services, wires
from lab.ganeti import NETWORK
from lab.step import until
from lab.story import Story
from tests.browser import person
from tests.browser.person import SCREENSHOTS, Account, Person
from tests.lab import guests

pytestmark = pytest.mark.long
NAMES = ("page-1", "page-2")
FIRST, SECOND = NAMES
PRIVATE, PICTURE = "page-private", "page-picture"
PATIENCE = 180.0  # seconds: three nodes and their guests share this machine's processors
TYPED = "echo wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
LEAST = 500  # pixels that so many letters light, which a cursor that blinks does not
# Of a picture that is black but for letters.
_LIT = """canvas => {
    const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let lit = 0;
    for (let each = 0; each < all.length; each += 4) if (all[each] + all[each + 1] + all[each + 2] > 192) lit += 1;
    return lit;
}"""


class Visit:
    """The tenant of the demo before the page, signed in; what the API and the guests say of what he does."""

    def __init__(self, story: Story, someone: Person) -> None:
        self.story, self.person, self.page = story, someone, someone.page

    def shown(self, name: str) -> dict[str, Any]:
        return self.story.tenant.show(name)

    def at(self, name: str) -> None:
        """On a server's own page."""
        self.person.goes("machines", str(self.shown(name)["id"]))
        self.page.get_by_role("heading", name=name, exact=True).wait_for()


@pytest.fixture(scope="module")
def visit(story: Story) -> Iterator[Visit]:
    if not person.there():
        pytest.skip("there is no chromium, or no playwright")
    words = dict(re.findall(r"(OS_[A-Z_]+)=(\S+)", services.OPENRC.read_text()))
    front = f"http://{story.nodes[2].address}:{services.PORT}"
    account = Account(front, words["OS_USERNAME"], words["OS_PASSWORD"], services.PROJECT, 10)
    with ExitStack() as stack:
        with inside.namespace(wires.SWITCHES):  # what is started there stays there
            browser = stack.enter_context(person.chromium())
        someone = Person(browser, account, int(PATIENCE * 1000))
        with someone.seeing("lab-overview"):
            someone.sign_in()
            someone.page.evaluate("window.never = 'loaded again'")
        yield Visit(story, someone)
        someone.context.close()


@pytest.fixture
def there(visit: Visit) -> Visit:
    """With the servers that the first test makes."""
    missing = set(NAMES) - {each["Name"] for each in visit.story.tenant.openstack("server", "list")}
    assert not missing, f"{missing} were not made: see the test before"
    return visit


@pytest.fixture(autouse=True)
def seen(visit: Visit, request: pytest.FixtureRequest) -> Iterator[None]:
    """A picture of how each test leaves the page, which was not loaded again and has met no error."""
    yield
    visit.person.shows(f"lab-{request.node.name.removeprefix('test_')}")
    assert visit.page.evaluate("window.never") == "loaded again"
    assert not visit.person.wrong, "\n".join(visit.person.wrong)


def test_two_servers_are_made_in_the_wizard_and_seen_to_run(visit: Visit) -> None:
    page = visit.page
    with visit.person.seeing("lab-create"):
        visit.person.goes("create")
        page.get_by_role("radio", name=_called(services.IMAGE)).check()
        visit.person.press("Next")
        page.get_by_role("radio", name=_called(services.FLAVOR)).check()
        visit.person.press("Next")
        page.get_by_role("checkbox", name=_called(NETWORK)).check()
        visit.person.press("Next")
        page.get_by_label("Name", exact=True).fill("page")
        page.get_by_label("Number of machines").fill("2")
        visit.person.press("Next")
        visit.person.shows("lab-create-confirm")
        visit.person.press("Create")
        page.get_by_role("heading", name="Your machine is being built").wait_for()
    with visit.person.seeing("lab-machines"):
        visit.person.goes("machines")
        for name in NAMES:
            page.locator(".machines li", has_text=name).get_by_text("Running").wait_for()
    for name in NAMES:
        found = visit.shown(name)
        assert found["status"] == "ACTIVE", found


def test_a_mode_of_the_firewall_is_in_force(there: Visit) -> None:
    addresses = there.story.tenant.addresses(FIRST, NETWORK)
    until(f"{FIRST} answers", lambda: guests.pings(addresses[0]), PATIENCE)
    with there.person.seeing("lab-firewall-closed"):
        there.at(FIRST)
        _mode(there, "Closed", [])
        guests.expect(FIRST, addresses, open_=False, within=5)
    with there.person.seeing("lab-firewall-open"):
        _mode(there, "unprotected", [{"name": "unprotected"}])
        guests.expect(FIRST, addresses, open_=True, within=5)


def _mode(visit: Visit, name: str, groups: list[object]) -> None:
    """Choose one, and wait until the API says that the server has these groups."""
    visit.page.get_by_role("radio", name=name, exact=True).first.check()
    visit.person.told(f"Firewall of {FIRST}: done")
    until(f"{FIRST} has {groups}", lambda: (visit.shown(FIRST).get("security_groups") or []) == groups, PATIENCE)


def test_a_server_is_connected_to_a_network_and_disconnected(there: Visit) -> None:
    page = there.page
    with there.person.seeing("lab-networks"), _network(there):
        page.get_by_role("button", name=f"Connect a machine: {PRIVATE}").click()
        page.get_by_label("Machine", exact=True).select_option(label=FIRST)
        there.person.press("Connect a machine", within="form")
        off = page.get_by_role("button", name=f"Disconnect: {FIRST}, {PRIVATE}")
        off.wait_for()
        there.person.shows("lab-networks-connected")
        assert set(there.shown(FIRST)["addresses"]) == {NETWORK, PRIVATE}, there.shown(FIRST)
        with _console(there.story, FIRST) as console:
            until(f"{FIRST} has a second NIC", lambda: "eth1" in console.ask("ls /sys/class/net"), PATIENCE)
        off.click()
        there.person.press("Disconnect", within="form")
        off.wait_for(state="detached")
        until(f"{FIRST} is off {PRIVATE}", lambda: set(there.shown(FIRST)["addresses"]) == {NETWORK}, PATIENCE)


@contextmanager
def _network(visit: Visit) -> Iterator[None]:
    visit.person.goes("networks")
    visit.person.press("Make a private network")
    visit.page.get_by_label("Name", exact=True).fill(PRIVATE)
    visit.page.get_by_label("Addresses").fill("10.9.0.0/24")
    visit.person.press("Make it", within="form")
    visit.person.told(f"Private network {PRIVATE}: done")
    yield
    visit.page.get_by_role("button", name=f"Remove: {PRIVATE}", exact=True).click()
    visit.person.press("Remove", within="form")
    visit.page.get_by_role("heading", name=PRIVATE, exact=True).wait_for(state="detached")


def test_the_guests_screen_shows_what_is_typed(there: Visit) -> None:
    with _console(there.story, FIRST) as console:  # the screen's own terminal has nobody who reads from it
        console.ask("(setsid sh -c 'exec sh < /dev/tty1 > /dev/tty1 2>&1' &)")
    with there.person.seeing("lab-console"):
        there.at(FIRST)
        with there.person.context.expect_page() as opened:
            there.person.press("Console")
        screen = opened.value
        canvas = screen.locator("canvas").first
        canvas.wait_for()
        until(f"something is on the screen, which says {_said(screen)!r}", lambda: canvas.evaluate(_LIT) > 0, PATIENCE)
        canvas.screenshot(path=SCREENSHOTS / "lab-screen-before.png")
        before = canvas.evaluate(_LIT)
        canvas.click()
        screen.keyboard.type(TYPED, delay=50)
        try:
            until("what is typed shows", lambda: canvas.evaluate(_LIT) > before + LEAST, PATIENCE / 3)
        finally:
            canvas.screenshot(path=SCREENSHOTS / "lab-screen-after.png")
            screen.close()


def _said(screen: Any) -> str:
    """What noVNC tells of the connection."""
    return str(screen.locator("body").inner_text())


def test_what_a_guest_uses_is_drawn(there: Visit) -> None:
    """Nodes measure each minute, and two measurements make a line."""
    with there.person.seeing("lab-load"):
        there.at(FIRST)
        for name in ("Processors", "Memory"):
            there.page.get_by_role("img", name=re.compile(rf"^{name}.*[1-9][0-9.]* at most")).wait_for()


def test_a_snapshot_is_an_image(there: Visit) -> None:
    tenant = there.story.tenant
    with there.person.seeing("lab-snapshot"):
        there.at(FIRST)
        there.person.press("Snapshot")
        there.page.get_by_label("Name of the snapshot").fill(PICTURE)
        there.person.press("Snapshot", within="form")
        there.person.told(f"Snapshot {FIRST}: done")
    with there.person.seeing("lab-images"):
        there.person.goes("images")
        row = there.page.locator(".rows li", has_text=PICTURE)
        row.get_by_text("Ready").wait_for()
        images = {each["Name"]: each["Status"] for each in tenant.openstack("image", "list", "--private")}
        assert images.get(PICTURE) == "active", images
        row.get_by_role("button", name="Remove").click()
        there.person.press("Remove", within="form")
        row.wait_for(state="detached")


def test_both_are_destroyed_together(there: Visit) -> None:
    with there.person.seeing("lab-destroyed"):
        there.person.goes("machines")
        for name in NAMES:
            there.page.get_by_role("checkbox", name=f"Choose {name}").check()
        there.person.press("Destroy")
        there.person.press("Destroy", within="form")
        for name in NAMES:
            there.page.get_by_role("link", name=name).wait_for(state="detached")
    left = {each["Name"] for each in there.story.tenant.openstack("server", "list")} & set(NAMES)
    assert not left, left


def _called(name: str) -> re.Pattern[str]:
    """A card whose title is a name; what else it says comes after it."""
    return re.compile(rf"^{re.escape(name)}(\s|$)")


@contextmanager
def _console(story: Story, name: str) -> Iterator[Any]:
    story.ids[name] = str(story.tenant.show(name)["id"])
    try:
        with story.console(name) as console:
            yield console
    finally:
        del story.ids[name]
