"""What a guest uses is told to its tenant: what its node measured, on its way through the broker and the database."""

from __future__ import annotations

import re
import urllib.error
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab import services, wires
from lab.node import Node
from lab.step import until
from lab.story import Story, clear, create_words
from tests.lab.caller import COMPUTE, Caller

pytestmark = pytest.mark.long
NAME = "busy"
_CONF = "/etc/ganeti-ext/eventd.conf"
_BUSY = "n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done"
_WRITE = "dd if=/dev/zero of=/filler bs=1M count=16 2>/dev/null; sync; rm /filler"


@pytest.fixture
def busy(story: Story) -> Iterator[str]:
    """The path of a server that runs, whose node measures more often than usual."""
    clear(story)
    story.ids[NAME] = story.tenant.openstack(*create_words(NAME), "--wait")["id"]
    node = story.node_of(NAME)
    before = node.read(_CONF)
    _configure(node, f"{before.rstrip()}\nsample_seconds = 2\n")
    yield f"{COMPUTE}/servers/{story.ids[NAME]}"
    _configure(node, before)
    story.tenant.run("server", "delete", "--wait", story.ids.pop(NAME))


def test_what_a_guest_does_is_seen_in_what_it_uses(story: Story, busy: str) -> None:
    words = dict(re.findall(r"(OS_[A-Z_]+)=(\S+)", services.OPENRC.read_text()))
    tenant = Caller(words["OS_USERNAME"], words["OS_PASSWORD"], words["OS_PROJECT_NAME"])
    tap = story.tap(NAME)
    first = _diagnostics(tenant, busy, lambda _: True)
    assert first["memory-rss"] > 32 * 1024, first
    with story.console(NAME) as console:
        console.ask(_BUSY, timeout=180)
        console.ask(_WRITE)
        console.ask(f"ping -c 20 -i 0.1 -s 1000 {wires.GATEWAY}")
    least = {"cpu0_time": 200_000_000, "vda_write": 16 << 20, f"{tap}_rx": 20_000, f"{tap}_tx": 20_000}
    _diagnostics(tenant, busy, lambda now: all(now[key] - first[key] >= more for key, more in least.items()))
    assert story.tenant.openstack("server", "show", "--diagnostics", NAME)["cpu_details"]

    found = tenant.call("GET", f"{busy}/diagnostics?since=2020-01-01T00:00:00Z")["samples"]
    assert len({sample["began"] for sample in found}) == 1, found
    assert [sample["cpu_ns"] for sample in found] == sorted(sample["cpu_ns"] for sample in found), found
    story.tenant.run("server", "stop", NAME)
    story.status(NAME, "SHUTOFF", 180)
    with pytest.raises(urllib.error.HTTPError, match="409"):
        tenant.call("GET", f"{busy}/diagnostics")
    assert tenant.call("GET", f"{busy}/diagnostics?since=2020-01-01T00:00:00Z")["samples"][: len(found)] == found


def _configure(node: Node, text: str) -> None:
    node.write(_CONF, text, "640")
    node.run("systemctl", "restart", "ganeti-ext-eventd")


def _diagnostics(tenant: Caller, path: str, suit: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What is told as soon as it suits."""
    shown: dict[str, Any] = {}

    def there() -> bool:
        try:
            shown.update(tenant.call("GET", f"{path}/diagnostics"))
        except urllib.error.HTTPError as err:
            assert err.code == 409, err  # it was not measured yet
            return False
        return suit(shown)

    until("what the guest uses is told", there, 60, pause=0.5)
    return dict(shown)
