"""Tenants' servers, and what must hold of them whatever an administrator does to the cluster below them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from ganeti_ext.errors import ExtError
from ganeti_ext.rapi import Rapi
from lab import inside, master, services
from lab.ganeti import NETWORK
from lab.node import Node
from lab.step import at_once, until
from lab.story import PREFIX, Story, clear, create_words
from tests.lab import views
from tests.lab.caller import COMPUTE, Caller
from tests.lab.guests import pings
from tests.lab.jobfiles import key
from tests.lab.watch import Told, Watch

WALKS, GUARDED, SLEEPS = "walks", "guarded", "sleeps"
"""One that anybody may ping, one that nobody may, and one that is stopped."""
RUNNING = (WALKS, GUARDED)
VOLUME = "kept"  # that no server has: its holder is an instance, too
_PROFILE = "ganeti-ext:firewall:protected"
_RUNS: set[Told] = {("ACTIVE", None), ("MIGRATING", "migrating")}
_STOPPED: set[Told] = {("SHUTOFF", None), ("SHUTOFF", "migrating")}
_MOVES = ("live-migration", "migrate")
_STILL = 30.0  # seconds that a guest may stand still while it moves: these are emulated, on two processors
_SOON = 20.0  # seconds until all is as it must be
_SLOW = 5.0  # seconds that an answer may take


class Day:
    """The servers run when this is made, until `end`."""

    def __init__(self, story: Story) -> None:
        self.story, self.nodes, self.front = story, story.nodes, story.nodes[2]
        self.rapi: Rapi = inside.remote_api(story.master)
        password = re.findall(r"OS_PASSWORD=(\S+)", services.OPENRC.read_text())[0]
        self.tenant = Caller(services.PROJECT, password, services.PROJECT)
        operator = services.account(self.front, "operator", services.PROJECT, "admin")
        self.operator = Caller("operator", operator, services.PROJECT)
        self._clear()
        self._make()
        self.complained = self.complaints()
        """What was wrong before."""
        self.addresses = {name: story.tenant.addresses(name, NETWORK) for name in RUNNING}
        until("the guests answer, or do not", lambda: self._reached() == {WALKS: {True}, GUARDED: {False}}, 90)

    def _make(self) -> None:
        story, names = self.story, (*RUNNING, SLEEPS)
        made = at_once(partial(story.tenant.openstack, *create_words(name), "--wait", timeout=300) for name in names)
        story.ids.update((name, shown["id"]) for name, shown in zip(names, made, strict=True))
        self.gnt("instance", "add-tags", story.instance(GUARDED), _PROFILE)
        story.tenant.run("server", "stop", SLEEPS)
        story.tenant.run("volume", "create", "--size=1", VOLUME)
        story.status(SLEEPS, "SHUTOFF")
        self.holder = PREFIX + "vol-" + story.tenant.openstack("volume", "show", VOLUME)["id"]
        until("the volume is there", lambda: self._volume() == "available", 60)
        for name in RUNNING:
            with story.console(name) as console:
                assert console.report()["boots"] == "1"

    def _clear(self) -> None:
        """Also what a run that was broken off has left."""
        clear(self.story)
        if left := [each["ID"] for each in self.story.tenant.openstack("volume", "list") if each["Name"] == VOLUME]:
            self.story.tenant.run("volume", "delete", *left)
            until("the volume is gone", lambda: not self._volume(), 60)

    def end(self) -> None:
        self._clear()
        for name in (*RUNNING, SLEEPS):
            del self.story.ids[name]

    @property
    def master(self) -> Node:
        return master.current(self.nodes)

    def gnt(self, kind: str, *words: str) -> str:
        """`gnt-KIND WORDS`, on whichever node is the master."""
        return self.master.run(f"gnt-{kind}", *words, timeout=300)

    def homes(self) -> dict[str, str]:
        """The node of each server, and of the volume's holder, by its name, as Ganeti says."""
        known = dict(
            line.split() for line in self.gnt("instance", "list", "--no-headers", "-o", "name,pnode").splitlines()
        )
        return {name: known[self.instance(name)] for name in (*RUNNING, SLEEPS, VOLUME)}

    def instance(self, name: str) -> str:
        return self.holder if name == VOLUME else self.story.instance(name)

    def gather(self, node: Node) -> None:
        """All of it is on one node."""
        for name in [name for name, home in self.homes().items() if home != node.name]:
            self.move(name, node)
        until("the front knows", self.agrees, _SOON)

    def move(self, name: str, node: Node) -> None:
        """One of it, by its name, to a node. A volume's holder is below any policy."""
        verb = "migrate" if name in RUNNING else "failover"
        words = ("--ignore-ipolicy",) if name == VOLUME else ()
        self.gnt("instance", verb, "--force", f"--target-node={node.name}", *words, self.instance(name))

    @contextmanager
    def unnoticed(self, away: float = _SLOW) -> Iterator[None]:
        """AssertionError when tenants notice what is done in the block, but that servers move.

        `away`: seconds that the API may be without an answer.
        """
        homes, moves = self.homes(), {name: len(self._moves(name)) for name in (*RUNNING, SLEEPS)}
        watch = Watch(self.tenant, {WALKS: self.addresses[WALKS][0], GUARDED: self.addresses[GUARDED][0]})
        try:
            yield
            until("the front's view is Ganeti's", self.agrees, _SOON)
        finally:
            watch.stop()
        self._check_told(watch, away)
        for name, home in self.homes().items():
            if name != VOLUME and home != homes[name]:
                self._check_move(name, moves[name], home)
        self._check_guests()

    def answers(self) -> bool:
        """Whether Ganeti has a master that answers."""
        try:
            self.rapi.get("info")
        except ExtError:
            return False
        return True

    def agrees(self) -> bool:
        """Whether the front shows our servers as Ganeti has them."""
        try:
            known, shown = views.of_ganeti(self.rapi), views.of_front(self.front)
        except ExtError:
            return False
        names = [key(self.instance(name)) for name in (*RUNNING, SLEEPS)]
        return all(views.agree(known.get(name), shown.get(name)) for name in names) and self._volume() == "available"

    def hypervisor(self, node: Node) -> str | None:
        """What an administrator is told by the API of whether a node takes servers; None: there is no such node."""
        found = self.operator.call("GET", f"{COMPUTE}/os-services?binary=nova-compute")["services"]
        return next((each["status"] for each in found if each["host"] == node.name), None)

    def zone(self, name: str) -> str:
        """A server's availability zone, as its tenant is told."""
        shown = self.tenant.call("GET", f"{COMPUTE}/servers/{self.story.ids[name]}")["server"]
        return str(shown["OS-EXT-AZ:availability_zone"])

    def complaints(self) -> set[str]:
        """What gnt-cluster verify calls an error, without its words."""
        said = self.master.run("sh", "-c", "gnt-cluster verify --error-codes; true", timeout=300)
        return set(re.findall(r"ERROR:\w+:\w+:[^:]*", said))

    def _volume(self) -> str:
        query = f"select status from volume where name = '{VOLUME}' and deleted is null"
        return views.sql(self.front, query).strip()

    def _moves(self, name: str) -> list[Mapping[str, Any]]:
        path = f"{COMPUTE}/servers/{self.story.ids[name]}/os-instance-actions"
        return [each for each in self.tenant.call("GET", path)["instanceActions"] if each["action"] in _MOVES]

    def _check_told(self, watch: Watch, away: float) -> None:
        assert watch.away <= away, f"the API did not answer for {watch.away:.1f} s"
        for name in RUNNING:
            assert watch.told[name] <= _RUNS, f"{name} was said to be {watch.told[name]}"
        assert watch.told[SLEEPS] <= _STOPPED, f"{SLEEPS} was said to be {watch.told[SLEEPS]}"
        assert watch.silent[WALKS] <= _STILL, f"{WALKS} stood still for {watch.silent[WALKS]:.1f} s"

    def _check_move(self, name: str, before: int, home: str) -> None:
        """Both the tenant and the administrator are told of it."""
        newest, *_ = now = self._moves(name)
        assert len(now) > before, f"{name} moved, and its actions are {now}"
        assert newest["message"] is None, newest
        path = f"{COMPUTE}/os-migrations?instance_uuid={self.story.ids[name]}"
        last, *_ = self.operator.call("GET", path)["migrations"]
        assert (last["status"], last["dest_node"]) == ("completed", home), last

    def _check_guests(self) -> None:
        assert self._reached() == {WALKS: {True}, GUARDED: {False}}
        for name in RUNNING:
            assert self.story.tenant.addresses(name, NETWORK) == self.addresses[name]
            with self.story.console(name) as console:
                told = console.report()
                assert told["boots"] == "1", f"{name} was booted anew: {told}"
                assert told["address"].split("/")[0] == self.addresses[name][0], told

    def _reached(self) -> dict[str, set[bool]]:
        return {name: {pings(address) for address in self.addresses[name]} for name in RUNNING}
