"""Guests on two nodes, what is done to them, and whether each node has what it must have by then."""

from __future__ import annotations

from functools import partial
from random import Random

from lab.faults import kill
from lab.ganeti import NETWORK
from lab.node import Node
from lab.step import at_once, until
from lab.story import Story
from tests.lab.guests import Guest, seen
from tests.lab.routed_site import FAR

NETWORKS = {"lab-one": NETWORK, "lab-two": NETWORK, "lab-far": FAR.name}
PROFILES = ("protected", "limited", "unprotected")
DEFAULT = "unprotected"
PATIENCE = 20.0  # seconds until a node has what it must have
# No system is on the disk: what a guest says is not the matter here.
_WORDS = ("--disk=0:size=4M,provider=cow", "--backend-parameters=memory=64")
_REAPER = "ganeti-ext-reaper"

UP, DOWN, DEAD = "up", "down", "dead"  # dead: Ganeti takes it for running, but its QEMU is gone


class Fleet:
    """`states` and `profiles` (what tags say, if any do) are the model. Each operation is a method.

    `did` tells what was done. An operation that finds no guest that it could be done to does nothing.
    """

    def __init__(self, story: Story, random: Random) -> None:
        self.nodes = story.nodes[:2]
        self.random = random
        self.guests = [Guest(story, name, random.choice(self.nodes)) for name in NETWORKS]
        self.states = dict.fromkeys(self.guests, DOWN)
        self.profiles: dict[Guest, str] = {}
        self.did: list[str] = []

    def add(self) -> None:
        at_once(partial(guest.add, NETWORKS[guest.name], *_WORDS) for guest in self.guests)
        self.states = dict.fromkeys(self.guests, UP)
        self.did += [f"add {guest.name} on {guest.home.name}" for guest in self.guests]

    def start(self) -> None:
        if guest := self._one("start", DOWN, DEAD):
            guest.gnt("start")
            self.states[guest] = UP

    def stop(self) -> None:
        if guest := self._one("stop", UP, DEAD):
            guest.gnt("shutdown", "--timeout=1")
            self.states[guest] = DOWN

    def reboot(self) -> None:
        if guest := self._one("reboot", UP, DEAD):
            guest.gnt("reboot", "--type=hard", "--shutdown-timeout=1")
            self.states[guest] = UP

    def kill(self) -> None:
        if guest := self._one("kill", UP):
            guest.kill()
            self.states[guest] = DEAD

    def kill_reaper(self) -> None:
        """It is killed, and perhaps misses how a guest dies."""
        node = self.random.choice(self.nodes)
        self.did.append(f"kill the reaper of {node.name}")
        before = _main_pid(node)
        kill(node, _REAPER)
        if self.random.random() < 0.5:
            self.kill()
        until(f"the reaper of {node.name} is back", lambda: _main_pid(node) not in ("", before), PATIENCE)

    def migrate(self) -> None:
        if guest := self._one("migrate", UP):
            self._moves(guest, "migrate", "--force")

    def failover(self) -> None:
        if guest := self._one("failover", UP, DOWN, DEAD):
            self._moves(guest, "failover", "--force", "--shutdown-timeout=1")
            if self.states[guest] == DEAD:
                self.states[guest] = UP

    def tag(self) -> None:
        """Add the tag that says a profile, or remove it."""
        if not (guest := self._one("tag", UP, DOWN, DEAD)):
            return
        if said := self.profiles.pop(guest, None):
            self.did.append(f"remove {said}")
            guest.tag("remove", said)
        else:
            self.profiles[guest] = self.random.choice(PROFILES)
            self.did.append(f"add {self.profiles[guest]}")
            guest.tag("add", self.profiles[guest])

    def remove(self) -> None:
        """All guests go."""
        self.did.append("remove all")
        self.states = dict.fromkeys(self.guests, DOWN)
        at_once(guest.remove for guest in self.guests)

    def check(self) -> None:
        """Wait until all nodes have what they must have, and nothing else; AssertionError tells what is wrong."""
        wrong: dict[str, list[str]] = {}

        def look(node: Node) -> None:
            here = {guest.name: guest for guest in self.guests if guest.home is node and self.states[guest] == UP}
            now = seen(node)
            wrong[node.name] = now.wrong(here, self.guests)
            profiles = {tap["instance"]: tap["profile"]["name"] for tap in now.listed}
            wanted = {name: self.profiles.get(guest, DEFAULT) for name, guest in here.items()}
            if profiles != wanted:
                wrong[node.name].append(f"profiles: {profiles}, must be {wanted}")

        def right() -> bool:
            at_once(partial(look, node) for node in self.nodes)
            return not any(wrong.values())

        try:
            until("all nodes have what they must have", right, PATIENCE)
        except TimeoutError:
            raise AssertionError("\n".join(f"{name}: {line}" for name in wrong for line in wrong[name])) from None

    def _moves(self, guest: Guest, *words: str) -> None:
        (other,) = (node for node in self.nodes if node is not guest.home)
        guest.gnt(*words, f"--target-node={other.name}")
        guest.home = other

    def _one(self, what: str, *states: str) -> Guest | None:
        """One of the guests that are in one of these states, to do something to."""
        found = [guest for guest in self.guests if self.states[guest] in states]
        guest = self.random.choice(found) if found else None
        if guest:
            self.did.append(f"{what} {guest.name}, {self.states[guest]} on {guest.home.name}")
        return guest


def _main_pid(node: Node) -> str:
    """The reaper's process, once it is ready; else empty."""
    shown = node.run("systemctl", "show", "--property=ActiveState,MainPID", _REAPER)
    said = dict(line.split("=", 1) for line in shown.splitlines())
    return said["MainPID"] if said["ActiveState"] == "active" else ""
