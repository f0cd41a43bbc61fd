"""Random operations on two nodes against a model of what must be set.

KVM_IFUP_OPERATIONS=1000 makes it a long one, KVM_IFUP_SEED=7 repeats one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.contract.kvm_ifup_cluster import Place
from tests.contract.kvm_ifup_model import Nic
from tests.contract.kvm_ifup_node import needs_node

pytestmark = [pytest.mark.lab, needs_node]

OPERATIONS = int(os.environ.get("KVM_IFUP_OPERATIONS", "50"))
SEED = int(os.environ.get("KVM_IFUP_SEED", "0")) or Random().randrange(1, 1 << 31)

_NET6 = "2001:db8::/64"
INSTANCES = {
    "web": [Nic("web", 0, "bridged", "52:54:00:00:00:01", "10.0.0.11", _NET6)],
    "old": [Nic("old", 0, "bridged", "52:54:00:00:00:02", "10.0.0.12", "")],
    "alice": [Nic("alice", 0, "filtered", "aa:bb:c0:00:00:01", "192.168.0.1", "fd00::/64")],
    "bob": [Nic("bob", 0, "filtered", "aa:bb:d0:00:00:01", "192.168.0.1", "fd00::/64")],
    "far": [Nic("far", 0, "ip-less", "52:54:00:00:00:05", "10.0.1.15", "2001:db8:1::/64")],
    "hop": [Nic("hop", 0, "routed", "52:54:00:00:00:06", "10.0.1.16", "2001:db8:1::/64")],
    "both": [
        Nic("both", 0, "bridged", "52:54:00:00:00:07", "10.0.0.17", _NET6),
        Nic("both", 1, "ip-less", "52:54:00:00:01:07", "10.0.1.17", "2001:db8:1::/64"),
    ],
}
TAGS = (
    *("ganeti-ext:firewall:protected", "ganeti-ext:firewall:limited", "synnefo:network:0:protected"),
    *("ganeti-ext:spoof-allowed", "ganeti-ext:allow-address:10.0.9.0/24", "ganeti-ext:allow-address:10.0.9.128/25"),
    *("disable_ipv6", "nfdhcpd:lease:300", "ganeti-ext:name:Shop"),
)
NO_SUCH = "ganeti-ext:firewall:no-such"


class Cluster:
    """`places` are the nodes, `homes` where instances run. Each operation is one method; `did` tells what was done."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.random = random
        self.places = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            self.places.append(Place(folder / name))
        self.homes: dict[str, Place] = {}
        self.did: list[str] = []
        self.touched: set[Place] = set()
        self._now = 1000.0

    def close(self) -> None:
        for place in self.places:
            place.crash()

    def chosen(self, count: int) -> list[Callable[[Cluster], None]]:
        """Operations in any order, but that guests start first."""
        more = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count - len(WEIGHTS) - 3)
        rest = [*WEIGHTS, *more]
        self.random.shuffle(rest)
        return [Cluster.start] * 3 + rest

    def start(self) -> None:
        instance, place, tags = self._stopped(), self._place(), self._tags()
        if instance:
            self._begins(instance, place, tags)

    def start_in_vain(self) -> None:
        instance, place = self._stopped(), self._place()
        if instance:
            self._note("start in vain", instance, place)
            assert "there is no firewall profile 'no-such'" in place.come(INSTANCES[instance][0], NO_SUCH)

    def torn_start(self) -> None:
        instance, place, tags = self._stopped(), self._place(), self._tags()
        if not instance:
            return
        self._note("torn start", instance, place, tags)
        place.torn(INSTANCES[instance][0], tags, self.random)
        if self.random.random() < 0.7:
            self._begins(instance, place, tags)

    def stop(self) -> None:
        instance = self._running()
        if instance:
            place = self.homes[instance]
            self._ends("stop", instance)
            place.hook(instance)

    def kill(self) -> None:
        instance = self._running()
        if instance:
            self._ends("kill", instance)

    def kill_both(self) -> None:
        """A guest and the reaper, which may be about to undo what the guest had."""
        instance = self._running()
        if instance:
            self._ends("kill with the reaper", instance, and_reaper=True)

    def migrate(self) -> None:
        instance = self._running()
        if not instance:
            return
        source = self.homes[instance]
        (target,) = (place for place in self.places if place is not source)
        tags = source.up[self._taps(instance, source)[0]].tags
        self._begins(instance, target, tags)
        self.homes[instance] = source
        self._ends("leave", instance)
        self.homes[instance] = target
        for place in self.random.sample(self.places, self.random.randrange(3)):
            self.hook_on(instance, place)

    def tell(self) -> None:
        instance, tags = self._running(), self._tags()
        if instance:
            self._note("tell", instance, self.homes[instance], tags)
            self._now += 1
            assert self.homes[instance].tell(instance, tags, self._now) == ""

    def tell_late(self) -> None:
        """What has been overtaken on its way."""
        instance = self._running()
        if instance:
            self._note("tell late", instance, self.homes[instance])
            self._now += 1
            for at, late in ((self._now, False), (self._now - 0.5, True)):
                assert self.homes[instance].tell(instance, self._tags(), at, late=late) == ""

    def tell_nonsense(self) -> None:
        instance = self._running()
        if instance:
            self._note("tell nonsense", instance, self.homes[instance])
            self._now += 1
            assert "stays as it was" in self.homes[instance].tell(instance, NO_SUCH, self._now)

    def watch(self) -> None:
        place = self._place()
        self._note("the reaper starts or ends", place)
        if place.reaper:
            place.unwatch()
        else:
            place.watch()

    def flush(self) -> None:
        place = self._place()
        self._note("flush", place)
        place.flush()

    def reboot(self) -> None:
        place = self._place()
        self._note("reboot", place)
        place.crash()
        self.homes = {instance: home for instance, home in self.homes.items() if home is not place}
        place.boot()
        if self.random.random() < 0.7:
            place.watch()

    def hook(self) -> None:
        self.hook_on(self.random.choice(list(INSTANCES)), self._place())

    def hook_on(self, instance: str, place: Place) -> None:
        self._note("hook", instance, place)
        place.hook(instance)

    def end(self) -> None:
        """All guests go, by one way or the other."""
        for instance in list(self.homes):
            self._ends("end", instance)
        for place in self.places:
            if self.random.random() < 0.5:
                place.hook("web")
            elif place.reaper is None:
                place.watch()
        self.did.append("all are gone")

    def _begins(self, instance: str, place: Place, tags: str) -> None:
        self._note("start", instance, place, tags)
        for nic in INSTANCES[instance]:
            complaint = place.come(nic, tags)
            assert complaint == "", complaint
        self.homes[instance] = place
        if self.random.random() < 0.5:
            self.hook_on(instance, place)

    def _ends(self, how: str, instance: str, *, and_reaper: bool = False) -> None:
        place = self.homes.pop(instance)
        self._note(how, instance, place)
        place.vanish(*self._taps(instance, place), and_reaper=and_reaper)

    def _taps(self, instance: str, place: Place) -> list[str]:
        return [tap for tap, up in place.up.items() if up.nic.instance == instance]

    def _stopped(self) -> str:
        return self._one([instance for instance in INSTANCES if instance not in self.homes])

    def _running(self) -> str:
        return self._one(list(self.homes))

    def _one(self, instances: list[str]) -> str:
        return self.random.choice(instances) if instances else ""

    def _place(self) -> Place:
        return self.random.choice(self.places)

    def _tags(self) -> str:
        """Some that do not contradict each other."""
        found = self.random.sample(TAGS, self.random.randrange(4))
        firewalls = [tag for tag in found if tag.startswith("ganeti-ext:firewall")]
        return " ".join(tag for tag in found if tag not in firewalls[1:])

    def _note(self, *words: object) -> None:
        """Tell what is done, and on which nodes."""
        self.touched |= {word for word in words if isinstance(word, Place)}
        names = {place: f"on {name}" for place, name in zip(self.places, ("one", "two"), strict=True)}
        self.did.append(" ".join(names[word] if isinstance(word, Place) else str(word) for word in words))


# How often each is done, and once at least.
WEIGHTS: dict[Callable[[Cluster], None], int] = {
    Cluster.start: 20,
    Cluster.start_in_vain: 2,
    Cluster.torn_start: 10,
    Cluster.stop: 8,
    Cluster.kill: 10,
    Cluster.kill_both: 4,
    Cluster.migrate: 12,
    Cluster.tell: 16,
    Cluster.tell_late: 2,
    Cluster.tell_nonsense: 2,
    Cluster.watch: 8,
    Cluster.flush: 4,
    Cluster.reboot: 3,
    Cluster.hook: 3,
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, Random(SEED))
    yield made
    made.close()


def test_neither_more_nor_less_is_set(cluster: Cluster) -> None:
    try:
        for number, operation in enumerate(cluster.chosen(OPERATIONS)):
            cluster.touched.clear()
            operation(cluster)
            for place in cluster.places if number % 10 == 0 else cluster.touched:
                place.check()
        cluster.end()
        for place in cluster.places:
            assert place.up == {}
            assert place.left == []
            place.check()
    except BaseException as err:
        done = "\n".join(cluster.did[-20:])
        err.add_note(f"KVM_IFUP_SEED={SEED}, {len(cluster.did)} done, the last:\n{done}")
        raise
