"""Reads and writes in a guest: a disk of ours beside one of nobody's, both given to QEMU by Ganeti's code."""

from __future__ import annotations

from collections.abc import Mapping

from bench import bars
from bench.bars import OURS, Bar
from bench.storage import fio, guest_drives, guest_fio, guest_machine, rbd
from bench.storage.fio import JOBS
from bench.storage.guest_machine import Guest
from bench.storage.place import Bench
from bench.storage.share import KINDS, MIB, Share
from bench.storage.traffic import AREA, BARE, LEAST, RAW
from lab import ceph
from lab.step import step

TIMES = 5  # of which the median is a sample
NAME = "guest"
_BY = {
    guest_machine.KVM: "the guest runs by KVM",
    guest_machine.EMULATED: "the guest is emulated (TCG) and its processor the limit, most of all for small blocks: the"
    " same for both disks, so that the ratio still says whether ours is another than theirs",
}


def measure(bench: Bench) -> None:
    accelerator = guest_machine.accelerator(bench)
    with bench.share(KINDS[0]) as share:
        _compare(bench, accelerator, f"cow on {share.kind}", _files(bench, share))
    with rbd.cluster(bench):
        _compare(bench, accelerator, "rbd", _images(bench))


def _compare(bench: Bench, accelerator: str, what: str, disks: Mapping[str, str]) -> None:
    """Each round boots anew, with the disks in each other's place."""
    heading = f"{what}: reads and writes in a guest"
    bench.result.note(heading, _BY[accelerator])
    for turn in range(bench.size.rounds):
        order = list(disks)[:: -1 if turn % 2 else 1]
        drives = guest_drives.options(bench, [(f"{number}", disks[name]) for number, name in enumerate(order)])
        with (
            step(f"Reads and writes in a guest, {what}, round {turn + 1} of {bench.size.rounds}"),
            guest_machine.guest(bench, accelerator, drives) as guest,
        ):
            for run, figure in _round(guest, order, bench.size.seconds).items():
                bench.result.add(heading, run.job.title, run.subject, figure)
        bench.result.note(heading, f"QEMU's options of both disks, by Ganeti: {guest_drives.told(drives)}")
    (other,) = set(disks) - {OURS}
    bars.tell(bench.result, heading, tuple(Bar(job.title, LEAST, "x", other, least=True) for job in JOBS))


def _round(guest: Guest, order: list[str], seconds: float) -> dict[guest_fio.Run, float]:
    files = {
        name: f"/dev/{guest.ask(guest_drives.block(guest_drives.FIRST + number)).strip()}"
        for number, name in enumerate(order)
    }
    for file in files.values():
        guest.ask(" ".join(fio.fill(file, AREA)), timeout=300)
    wanted = guest_fio.runs(order, TIMES)
    patience = 60 + len(wanted) * (10 + seconds)
    return guest_fio.figures(wanted, guest.ask(guest_fio.line(wanted, files, AREA, seconds), patience))


def _files(bench: Bench, share: Share) -> dict[str, str]:
    """Attached devices: of a volume, and of a raw file on the same file system."""
    bench.timed(bench.verb("cow", "create"), share.env(NAME, VOL_SIZE=str(AREA // MIB)))
    ours = bench.timed(bench.verb("cow", "attach"), share.env(NAME))[1].strip()
    file = f"{share.inside}/byhand/{NAME}"
    bench.run("truncate", f"--size={AREA}", file)
    return {OURS: ours, RAW: bench.run("losetup", "--find", "--show", "--direct-io=on", file).strip()}


def _images(bench: Bench) -> dict[str, str]:
    """What QEMU opens, as Ganeti 3.1 can tell it: by pool and name, as Ceph's administrator."""
    for name, env in (("create", {"VOL_SIZE": str(AREA // MIB)}), ("attach", {})):
        verb = rbd.verb(bench, name, NAME, EXTP_USER="admin", **env)
        said = bench.timed(list(verb.argv), dict(verb.env))[1]
    bench.run(*rbd.RBD.split(), "create", "--size", str(AREA // MIB), f"{ceph.POOL}/bare")
    return {OURS: said.strip().removeprefix("kvm:"), BARE: f"rbd:{ceph.POOL}/bare"}
