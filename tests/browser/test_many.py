"""The page with hundreds of machines."""

from __future__ import annotations

from tests.browser.conftest import Cloud
from tests.browser.person import Person


def test_five_hundred_machines_are_searched_and_chosen(ada: Person, cloud: Cloud) -> None:
    page = ada.page
    cloud.server("many", min_count=250, max_count=250)
    cloud.server("more", min_count=250, max_count=250)
    ada.goes("machines")
    page.get_by_text("Choose all 500").wait_for(timeout=20_000)
    ada.shows("machines-500", whole=False)
    page.get_by_role("searchbox").fill("more-24")
    page.get_by_text("Choose all 11").wait_for()
    # From a key that is pressed to a list that is drawn: a tenth of a second is what feels like at once.
    took = page.evaluate(
        """() => new Promise((done) => {
            const [input, start] = [document.querySelector("input[type=search]"), performance.now()];
            input.value = "";
            input.dispatchEvent(new Event("input", { bubbles: true }));
            requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
        })"""
    )
    assert took < 2000  # on a machine that does much else
    page.get_by_text("Choose all 500").wait_for()
