"""What a machine uses, as its page draws it: measurements are in the front's database."""

from __future__ import annotations

import itertools
import math
import re
import time
from typing import Any

from sqlalchemy import insert

from frontend.database import db
from tests.browser.conftest import Cloud
from tests.browser.person import Person


def measured(cloud: Cloud, ident: str, minutes: range, began: str = "a", **rates: float) -> None:
    """A measurement at so many minutes before now each; `rates`: what its counters grow in a second."""
    now = time.time()
    rows = [_row(ident, began, now - 60 * each, 60 * (minutes.start - each), rates) for each in minutes]
    assert cloud.ganeti.engine is not None
    with cloud.ganeti.engine.begin() as connection:
        connection.execute(insert(db.sample), rows)


def _row(ident: str, began: str, at: float, seconds: float, rates: dict[str, float]) -> dict[str, Any]:
    def grown(key: str) -> int:
        return int(rates.get(key, 0) * seconds)

    told = {"cpu_ns": int(1e9 * rates.get("cpu", 0) * seconds), "memory_kib": int(rates.get("memory", 256)) << 10}
    nics = [["tap0", grown("received"), 0, 0, 0, grown("sent"), 0, 0, 0]]
    counters = {"read": grown("read"), "written": grown("written"), "nics": nics}
    return {"server_id": ident, "at": at, "began": began, **told, **counters}


def _wave(minute: int, length: float, depth: float = 0.4) -> float:
    return 1 + depth * math.sin(minute / length) + depth / 2 * math.sin(minute * 2.4)


def busy(cloud: Cloud, ident: str) -> None:
    """An hour as a web server may have it, with a backup in it."""
    now, rows = time.time(), []
    kinds = {"cpu_ns": (9e9, 7), "received": (9e6, 9), "sent": (6e7, 9), "read": (2e7, 5), "written": (4e7, 4)}
    grown = [{key: size * _wave(minute, length) for key, (size, length) in kinds.items()} for minute in range(65)]
    for minute in range(40, 48):
        grown[minute]["read"] += 9e8
        grown[minute]["cpu_ns"] += 2.2e10
    for key in kinds:
        for each, total in zip(grown, itertools.accumulate(each[key] for each in grown), strict=True):
            each[key] = int(total)
    for minute, each in enumerate(grown):
        nics = [["tap0", each.pop("received"), 0, 0, 0, each.pop("sent"), 0, 0, 0]]
        told = {"nics": nics, "memory_kib": int(262_144 * _wave(minute, 20, 0.1))}
        rows.append({"server_id": ident, "at": now - 60 * (64 - minute), "began": "a", **each, **told})
    assert cloud.ganeti.engine is not None
    with cloud.ganeti.engine.begin() as connection:
        connection.execute(insert(db.sample), rows)


def drawn(person: Person, name: str) -> str:
    """What a screen reader is told of a plot."""
    return str(person.page.get_by_role("img", name=re.compile(f"^{name}")).get_attribute("aria-label"))


def test_a_machine_that_was_never_measured_says_so(ada: Person, cloud: Cloud) -> None:
    page, ident = ada.page, cloud.server("new")
    ada.goes("machines", ident)
    page.get_by_text("No measurements yet: they come each minute while it runs.").wait_for()
    assert "Held: no measurements" in drawn(ada, "Memory")
    ada.looks("load-none")
    cloud.call("POST", f"/compute/v2.1/servers/{ident}/action", {"os-stop": None})
    page.get_by_text("No measurements in this time").wait_for(timeout=15_000)
    assert page.locator(".curves").count() == 0
    cloud.call("DELETE", f"/compute/v2.1/servers/{ident}")


def test_what_a_machine_uses_is_drawn_told_and_followed(person: Person, cloud: Cloud) -> None:
    page, ident = person.page, cloud.server("busy")
    measured(cloud, ident, range(50, 30, -1), "a", cpu=0.5, received=1_000_000, sent=125_000, read=4000, memory=400)
    measured(cloud, ident, range(28, 1, -1), "b", cpu=0.25, received=250_000, sent=125_000, written=90_000)
    page.clock.install()
    person.sign_in()
    person.goes("machines", ident)
    page.locator(".curves .area").first.wait_for()
    page.get_by_text("as the machine itself sees it").wait_for()
    assert page.locator(".curves h3").all_inner_texts() == [
        "Processors (% of its cores)",
        "Network (Mbit/s)",
        "Disks (kB/s)",
        "Memory that its node holds for it (MiB)",
    ]
    assert "50 at most" in drawn(person, "Processors")
    assert "Received: " in drawn(person, "Network")
    assert "8 at most" in drawn(person, "Network")
    assert "Written: " in drawn(person, "Disks")
    assert "400 at most" in drawn(person, "Memory")
    line = page.locator(".curves", has_text="Processors").locator("path:not(.area)")
    assert str(line.get_attribute("d")).count("M") == 2  # a gap where its counters began anew
    _table(person)
    person.looks("load")
    measured(cloud, ident, range(1, 0, -1), "b")  # later than the others: nothing is known of it yet
    with page.expect_response(lambda each: "/diagnostics?since=" in each.url) as more:
        page.clock.fast_forward(31_000)
    assert len(more.value.json()["samples"]) == 2  # the last one that was known, and the new one
    _not_followed_unseen(person)
    cloud.call("DELETE", f"/compute/v2.1/servers/{ident}")


def _not_followed_unseen(person: Person) -> None:
    page, asked = person.page, []
    words = "(is) => { Object.defineProperty(document, 'hidden', { value: is, configurable: true }); }"
    page.on("request", lambda each: asked.append(each.url) if "/diagnostics" in each.url else None)
    page.evaluate(words, True)
    page.clock.fast_forward(120_000)
    page.wait_for_timeout(300)  # what is not to happen, tells of nothing
    assert asked == []
    page.evaluate(words, False)
    with page.expect_response(lambda each: "/diagnostics?since=" in each.url):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.fast_forward(20_000)
    page.wait_for_timeout(300)
    assert len(asked) == 1


def _table(person: Person) -> None:
    network = person.page.locator(".curves", has_text="Network")
    network.get_by_text("The same as a table").click()
    assert network.get_by_role("columnheader").all_inner_texts() == ["Mean, from", "Received", "Sent"]
    rows = network.get_by_role("row").all_inner_texts()
    assert len(rows) == 13
    assert [row.split("\t")[1:] for row in rows].count(["8", "1"]) >= 3
    network.get_by_text("The same as a table").click()


def test_a_busy_hour_is_drawn_minute_by_minute(ada: Person, cloud: Cloud) -> None:
    page, ident = ada.page, cloud.server("web")
    busy(cloud, ident)
    ada.goes("machines", ident)
    page.locator(".curves .area").first.wait_for()
    for name in ("Processors", "Network", "Disks", "Memory"):
        points = page.locator(".curves", has_text=name).locator(".readout")
        assert points.count() in (59, 60), name
        assert re.search(r"\n.*: [\d.]+", str(points.nth(30).locator("title").text_content()))
    page.wait_for_load_state("networkidle")
    page.set_viewport_size({"width": 1280, "height": 1100})
    ada.shows("machine-load", whole=False)
    cloud.call("DELETE", f"/compute/v2.1/servers/{ident}")


def test_the_last_day_is_chosen_and_kept(ada: Person, cloud: Cloud) -> None:
    page, ident = ada.page, cloud.server("days")
    measured(cloud, ident, range(23 * 60, 10 * 60, -1), "a", cpu=1, sent=12_500_000, memory=300)
    measured(cloud, ident, range(4 * 60, 0, -1), "b", cpu=0.1, received=2_500_000, read=3e6, written=1e6)
    ada.goes("machines", ident)
    page.locator(".curves .area").first.wait_for()
    assert "10 at most" in drawn(ada, "Processors")
    high = [each.bounding_box() for each in page.locator(".curves").all()]
    page.get_by_label("Show").select_option(label="The last day")
    page.get_by_role("img", name=re.compile("^Processors.*100 at most")).wait_for()
    assert [each.bounding_box() for each in page.locator(".curves").all()] == high  # nothing moves
    page.get_by_text("Network (Mbit/s)").wait_for()
    page.get_by_label("Language").select_option(label="Ελληνικά")
    page.get_by_role("heading", name="Επεξεργαστές (% των πυρήνων της)").wait_for()
    ada.looks("load-day-el")
    page.get_by_label("Γλώσσα").select_option(label="English")
    page.reload()
    ada.sign_in()
    ada.goes("machines", ident)
    page.get_by_role("img", name=re.compile("^Processors.*100 at most")).wait_for()
    cloud.call("DELETE", f"/compute/v2.1/servers/{ident}")
