"""An image of a server whose disk is open and written to, as createImage's job has it made, by the hook in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench.bars import OURS
from bench.images.plan import Plan
from bench.root import OURS as CODE
from bench.root import PATH
from bench.storage import extents, rbd
from bench.storage.place import Bench
from bench.storage.share import IMAGE, KINDS, MIB, image
from ganeti_ext.errors import ExtError
from lab import ceph
from lab.step import step, until

HOOK = f"{CODE}/extstorage/instance-image"
NODE = "bench"
NAME = "10 GiB"
# As a guest whose disk QEMU has without a cache of its own: else a snapshot waits for all that is in it.
_WRITER = "rbd bench --io-type write --io-size 4096 --io-threads 1 --io-total 1T --io-pattern rand --rbd-cache=false"
_TALK = 3  # lines that it says until it has written for a second


def cow(plan: Plan) -> None:
    for kind in KINDS:
        with plan.bench.share(kind, plan.piece) as share:
            disk = _Volume(plan.bench, share, "v", extents.FEW)
            _measure(plan, f"cow on {kind}", disk)


def rados(plan: Plan) -> None:
    with rbd.cluster(plan.bench), _image(plan.bench):
        _measure(plan, "rbd", _Image(plan.bench))


def _measure(plan: Plan, what: str, disk: extents.Snapshotted) -> None:
    heading = f"{what}: image of an open disk that is written to"
    for turn in range(plan.size.rounds):
        with step(f"Snapshots, {what}, round {turn + 1} of {plan.size.rounds}"):
            extents.turn(plan.bench.result, heading, NAME, disk, turn)
    plan.bench.result.note(heading, f"{OURS}: the whole hook, as Ganeti calls it before it modifies an instance")


def hook(bench: Bench, provider: str, etc: str, volume: str, ident: str) -> float:
    """Milliseconds of the hook for an instance with one disk and the tag that createImage gives it."""
    env = {
        "PATH": PATH,
        "GANETI_HOOKS_PHASE": "pre",
        "GANETI_OP_CODE": "OP_INSTANCE_SET_PARAMS",
        "GANETI_OBJECT_TYPE": "INSTANCE",
        "GANETI_INSTANCE_NAME": "guest",
        "GANETI_INSTANCE_PRIMARY": NODE,
        "GANETI_INSTANCE_TAGS": f"ganeti-ext:saving:{provider}:{ident}",
        "GANETI_INSTANCE_DISK0_PROVIDER": provider,
        "GANETI_INSTANCE_DISK0_ID": volume,
        "GANETI_EXT_CONFIG_DIR": etc,
    }
    return bench.timed([HOOK], env)[0]


class _Volume(extents.Disk):
    """Of `cow`. The hook looks into no other provider's configuration than the one that its tag names."""

    def snapshot(self) -> float:
        name = _ident(self.target())
        took = hook(self.bench, "cow", self.share.etc, self.name, name)
        ending = ".vol/disk" if self.share.kind == "btrfs" else ".raw"
        if not (self.share.point / f"volumes/saved-{name}{ending}").exists():
            raise ExtError(f"the hook has ended well, and there is no saved-{name}")
        return took


class _Image:
    """Of `rbd`."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._snapshots, self._writer = bench, 0, 0
        origin = {"VOL_SIZE": "10240", "EXTP_ORIGIN": f"image:{IMAGE}"}
        for name, env in (("create", origin), ("attach", {})):
            verb = rbd.verb(bench, name, "v", **env)
            bench.timed(list(verb.argv), dict(verb.env))

    def start(self) -> None:
        argv = ["/usr/bin/stdbuf", "-oL", *_WRITER.split(), "--id", ceph.USER, f"{ceph.POOL}/v"]
        self._writer = int(self._bench.remote.call("begin", argv, _TALK))

    def stop(self) -> None:
        self._bench.remote.call("end", self._writer)

    def snapshot(self) -> float:
        name = self._target()
        took = hook(self._bench, "rbd", rbd.ETC, "v", name)
        self._bench.run(*rbd.RBD.split(), "info", f"{ceph.POOL}/saved-{name}")
        return took

    def by_hand(self) -> float:
        name = self._target()
        line = f"{rbd.RBD} snap create --no-progress v@{name}; {rbd.RBD} clone v@{name} copy-{name}"
        return self._bench.timed(["/bin/sh", "-ec", line])[0]

    def settle(self) -> None:
        """The writer, which was killed, counts as one that has the image open until Ceph has waited for it in vain."""
        until("nobody has the image open", lambda: "none" in self._bench.run(*rbd.RBD.split(), "status", "v"), 90)

    def _target(self) -> str:
        self._snapshots += 1
        return _ident(f"v-{self._snapshots}")


def _ident(text: str) -> str:
    """An identifier as the front makes them, which are UUIDs."""
    return f"00000000-0000-4000-8000-{int(text.rpartition('-')[2]):012x}"


@contextlib.contextmanager
def _image(bench: Bench) -> Iterator[None]:
    """What the disk is a clone of."""
    image(bench.root / "srv/image.raw", 4 * MIB)
    bench.run("qemu-img", "convert", "-O", "raw", "/srv/image.raw", f"rbd:{ceph.POOL}/image.{IMAGE}:id={ceph.USER}")
    (bench.root / "srv/image.raw").unlink()
    yield
