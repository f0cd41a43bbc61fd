"""Somebody who looks at the page, in a browser without a window: before any front, pretended Ganeti or real."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build/screenshots"
CHROMIUM = Path("/usr/bin/chromium")
AXE = ROOT / "build/page/node_modules/axe-core/axe.min.js"
WIDTHS = {"360": (360, 740), "1920": (1920, 1080)}
PATIENCE = 30_000  # milliseconds: others may want the processors, too
# What the browser tells as an error and is none of the page: that a call of the API was refused, which tests ask for;
# and that a front without TLS cannot have a window of its own, which one of the lab is.
_OTHERS = ("Failed to load resource", "Cross-Origin-Opener-Policy header has been ignored")


class Account(NamedTuple):
    """Who signs in where."""

    base: str
    """The front's address, without a slash at its end."""
    user: str
    password: str
    project: str
    servers: int
    """How many the project may have: by that the overview shows that it is this project's."""


def there() -> bool:
    return CHROMIUM.exists() and importlib.util.find_spec("playwright") is not None


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Debian's, for the length of a `with` block."""
    with importlib.import_module("playwright.sync_api").sync_playwright() as made:
        browser = made.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Person:
    """With an account; what went wrong meanwhile is found at the end in `wrong`."""

    def __init__(self, browser: Any, account: Account, patience: int = PATIENCE) -> None:
        """`patience` are the milliseconds in which what is waited for has to come."""
        self.account = account
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        self.context.set_default_timeout(patience)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.wrong: list[str] = []
        self._looking = False
        self.context.add_init_script(
            "addEventListener('securitypolicyviolation', (event) =>"
            " console.error('forbidden by policy: ' + event.violatedDirective + ' ' + event.blockedURI))"
        )
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("dialog", self._asked)
        self.page.on("console", self._heard)

    def _asked(self, dialog: Any) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _heard(self, message: Any) -> None:
        # Screenshots and axe would like to write styles into the page, which the policy does not let them, either.
        ours = not (self._looking and ("inline style" in message.text or "style-src-elem" in message.text))
        if message.type == "error" and ours and not any(each in message.text for each in _OTHERS):
            self.wrong.append(f"console: {message.text}")

    def sign_in(self) -> None:
        """Into the account's project."""
        self.page.goto(f"{self.account.base}/page/")
        self.page.get_by_label("User name").fill(self.account.user)
        self.page.get_by_label("Password").fill(self.account.password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.get_by_role("heading", name="Overview").wait_for()
        self.page.get_by_label("Project").select_option(label=self.account.project)
        self.page.get_by_text(f"of {self.account.servers}", exact=False).first.wait_for()

    def goes(self, *words: str) -> None:
        self.page.evaluate("where => { location.hash = where }", "#/" + "/".join(words))

    def press(self, name: str, *, within: str = "main") -> None:
        self.page.locator(within).get_by_role("button", name=name, exact=True).first.click()

    def told(self, text: str) -> None:
        """Waits until a notice says so."""
        self.page.locator(".notice", has_text=text).first.wait_for()

    @contextlib.contextmanager
    def seeing(self, name: str) -> Iterator[None]:
        """What was on the screen goes with whatever fails in a `with` block; and a picture of it is kept, as ever."""
        try:
            yield
        except Exception as err:
            words = self.page.locator("body").inner_text(timeout=PATIENCE)
            err.add_note(f"{self.page.url} showed, see {SCREENSHOTS}/{name}.png:\n{words}\n{self.wrong}")
            raise
        finally:
            self.shows(name)

    def shows(self, name: str, *, whole: bool = True) -> None:
        """A picture of the view, or of what is on the screen of it."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        before, self._looking = self._looking, True
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)
        self._looking = before

    def looks(self, name: str) -> None:
        """Screenshots of the view, in light and dark, narrow and wide, in each of which axe finds nothing."""
        found, self._looking = [], True
        for width, size in WIDTHS.items():
            self.page.set_viewport_size({"width": size[0], "height": size[1]})
            for theme in ("light", "dark"):
                self.page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
                self.shows(f"{name}-{theme}-{width}")
                found += [f"{name} {theme} {width}: {each}" for each in self._axe()]
                wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
                if wide > 0:
                    found.append(f"{name} {width}: {wide} pixels wider than the screen")
        self.page.evaluate("delete document.documentElement.dataset.theme")
        self.page.set_viewport_size({"width": 1280, "height": 900})
        self._looking = False
        assert not found, "\n".join(found)

    def _axe(self) -> list[str]:
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        rows = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        return [f"{row['id']}: {node['html'][:200]} {node['failureSummary']}" for row in rows for node in row["nodes"]]
