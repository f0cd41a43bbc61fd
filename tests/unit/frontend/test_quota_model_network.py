"""Quotas of networks, subnets, ports, addresses, groups and rules against a model (see test_quota_model.py)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import rule

from tests.unit.frontend.conftest import COMPUTE, IMAGE, TINY
from tests.unit.frontend.deferred import Fate
from tests.unit.frontend.mortal import Works
from tests.unit.frontend.quotasite import FATES, KINDS, WHICH, Site
from tests.unit.frontend.test_quota_model import WORKS


class NetworkQuotas(Site):
    kinds: tuple[str, ...] = KINDS[:3]
    changing: tuple[str, ...] = ("network", "port")

    @rule(kind=WHICH, which=WHICH, fate=FATES, works=WORKS, other=WHICH)
    def make(self, kind: int, which: int, fate: Fate, works: Works, other: int) -> None:
        wanted = self.wanted(self.kinds[kind % len(self.kinds)], which)
        self.ask(fate, works, *wanted, between=self.between(other, which))

    @rule(kind=WHICH, which=WHICH, fate=FATES, works=WORKS, other=WHICH)
    def take_away(self, kind: int, which: int, fate: Fate, works: Works, other: int) -> None:
        gone = self.gone(self.kinds[kind % len(self.kinds)], which)
        self.ask(fate, works, *gone, between=self.between(other, which))

    @rule(kind=WHICH, which=WHICH, fate=FATES, works=WORKS, other=WHICH)
    def change(self, kind: int, which: int, fate: Fate, works: Works, other: int) -> None:
        changed = self.changed(self.changing[kind % len(self.changing)], which)
        self.ask(fate, works, *changed, between=self.between(other, which))

    def between(self, other: int, which: int) -> tuple[str, str, Any]:
        """What somebody else asks for meanwhile."""
        kind = self.kinds[other // 2 % len(self.kinds)]
        return self.wanted(kind, which) if other % 2 else self.gone(kind, which)


class GroupQuotas(NetworkQuotas):
    kinds = KINDS[4:]
    changing = ("security_group",)


class AddressQuotas(NetworkQuotas):
    kinds = ("port", "floatingip")
    changing = ("port", "floatingip")

    @rule(which=WHICH, fate=FATES, works=WORKS, other=WHICH)
    def boot(self, which: int, fate: Fate, works: Works, other: int) -> None:
        waits = [each["id"] for each in self.shown("port") if not each["device_id"]]
        network = {"port": waits[which % len(waits)]} if which % 2 and waits else {"uuid": self.public}
        wish = {"name": "w", "flavorRef": TINY, "imageRef": IMAGE, "networks": [network]}
        self.ask(fate, works, "POST", f"{COMPUTE}/servers", {"server": wish}, between=self.between(other, which))

    @rule(which=WHICH, fate=FATES, works=WORKS, other=WHICH)
    def end(self, which: int, fate: Fate, works: Works, other: int) -> None:
        self.ask(fate, works, "DELETE", f"{COMPUTE}/servers/{self.server(which)}", between=self.between(other, which))

    @rule(which=WHICH, fate=FATES, works=WORKS, other=WHICH)
    def plug(self, which: int, fate: Fate, works: Works, other: int) -> None:
        path = f"{COMPUTE}/servers/{self.server(which)}/os-interface"
        sent = {"port_id": self.one(which, "port")} if which % 2 else {"net_id": self.public}
        self.ask(fate, works, "POST", path, {"interfaceAttachment": sent}, between=self.between(other, which))

    @rule(which=WHICH, fate=FATES, works=WORKS, other=WHICH)
    def unplug(self, which: int, fate: Fate, works: Works, other: int) -> None:
        path = f"{COMPUTE}/servers/{self.server(which)}/os-interface/{self.one(which, 'port')}"
        self.ask(fate, works, "DELETE", path, between=self.between(other, which))

    def server(self, which: int) -> str:
        found = self.api.get(f"{COMPUTE}/servers").get_json()["servers"]
        return str(found[which % len(found)]["id"]) if found else self.public


TestNetworks, TestGroups, TestAddresses = NetworkQuotas.TestCase, GroupQuotas.TestCase, AddressQuotas.TestCase
TestNetworks.settings = TestGroups.settings = TestAddresses.settings = settings(
    max_examples=200 if os.environ.get("HYPOTHESIS_ROAM") else 8,
    stateful_step_count=10,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


DONE: Works = (0, set())


@contextlib.contextmanager
def site(of: type[NetworkQuotas]) -> Iterator[NetworkQuotas]:
    """When the block is left all has to be as it is after any other story."""
    made = of()
    try:
        yield made
        made.ganeti_has_no_more_than_is_allowed()
        made.nor_when_it_has_done_all_that_it_was_asked_for()
    finally:
        made.teardown()


def test_a_network_whose_subnet_is_just_being_made_stays() -> None:
    """Or its place would be given away, and Ganeti have it all the same."""
    with site(NetworkQuotas) as model:
        for _ in range(2):
            model.ask(None, DONE, *model.wanted("network", 1))
        gone = model.gone("network", 1)
        model.ask(("between", 2), None, *model.wanted("subnet", 1), between=gone)
        assert len(model.shown("network")) == 2
        model.ask(None, None, *model.wanted("network", 1))
        assert len(model.shown("network")) == 2
        model.ganeti.run()
        model.ask(None, DONE, *gone)
        assert len(model.shown("network")) == 1


@pytest.mark.parametrize("kind", ["port", "floatingip"])
def test_an_address_of_which_ganeti_has_not_heard_yet_is_given_back(kind: str) -> None:
    """Ganeti takes longer for its making than who asked for it waits."""
    with site(AddressQuotas) as model:
        model.ask(None, None, *model.wanted(kind, 0))
        model.ask(None, None, *model.gone(kind, 0))
        model.settle()
        assert model.shown(kind) == []


@pytest.mark.parametrize("at", [1, 2])
def test_what_is_said_of_an_address_that_is_given_back_is_not_kept(at: int) -> None:
    """Or Ganeti would tell of it for ever, and a comparison make it anew, without its address being set apart."""
    with site(AddressQuotas) as model:
        model.ask(None, DONE, *model.wanted("floatingip", 0))
        model.ask(("between", at), DONE, *model.changed("floatingip", 0), between=model.gone("floatingip", 0))
        model.settle()
        assert model.shown("floatingip") == []


@pytest.mark.parametrize("at", [1, 2, 3])
def test_nor_is_what_is_said_while_it_is_given_back(at: int) -> None:
    with site(AddressQuotas) as model:
        model.ask(None, DONE, *model.wanted("floatingip", 0))
        model.ask(("between", at), DONE, *model.gone("floatingip", 0), between=model.changed("floatingip", 0))
        model.settle()
        assert model.shown("floatingip") == []


def test_a_group_whose_place_was_taken_does_not_come_back() -> None:
    """Ganeti is away when it is to be told that the group is gone, and another one has been made meanwhile."""
    with site(GroupQuotas) as model:
        for _ in range(2):
            model.ask(None, DONE, *model.wanted("security_group", 0))
        model.ask(("beaten", 1), DONE, *model.gone("security_group", 0), between=model.wanted("security_group", 0))
        assert len(model.own("security_group")) == 2


def test_nor_do_rules() -> None:
    with site(GroupQuotas) as model:
        for kind in ("security_group", "security_group", *["security_group_rule"] * 3):
            model.ask(None, DONE, *model.wanted(kind, 0))
        assert len(model.own("security_group_rule")) == 7
        one, other = (each["id"] for each in model.own("security_group"))
        theirs = next(each for each in model.own("security_group_rule") if each["security_group_id"] == one)
        method, path, sent = model.wanted("security_group_rule", 0)
        sent["security_group_rule"]["security_group_id"] = other
        gone = f"{path}/{theirs['id']}"
        model.ask(("beaten", 1), DONE, "DELETE", gone, between=(method, path, sent))
        assert len(model.own("security_group_rule")) == 7


def test_a_group_comes_back_of_which_ganeti_could_not_be_told_that_it_is_gone() -> None:
    with site(GroupQuotas) as model:
        model.ask(None, DONE, *model.wanted("security_group", 0))
        model.ask(("away", 1), DONE, *model.gone("security_group", 0))
        assert len(model.own("security_group")) == 1
