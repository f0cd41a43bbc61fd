"""The verbs of `rbd` beside what somebody would type: the command rbd, which connects anew for each step."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence

from bench import bars
from bench.bars import OURS, Bar
from bench.storage import steps
from bench.storage.place import CEPH, NAMESPACE, Bench
from bench.storage.share import IMAGE, MIB, image
from bench.storage.steps import Command, Step
from lab import ceph
from lab.ceph import Ceph
from lab.step import step

HAND = "rbd by hand"
TIMES = 3
MOST = 1.3
ETC = "/etc/ganeti-ext-rbd"
RBD = f"rbd --id {ceph.USER}"
HEADING = "rbd: verbs on a disk of 10 GiB, its image has 64 MiB of data"
IMAGE_NAME = f"image.{IMAGE}"
_RUN = "/run/ganeti-ext/rbd"
_CONF = f"""[rbd]
user = {ceph.USER}
node = bench
run_directory = {_RUN}
"""


def measure(bench: Bench) -> None:
    with cluster(bench):
        with step("An image in the pool"):
            _image(bench)
        for turn in range(bench.size.rounds):
            with step(f"Verbs of rbd, round {turn + 1} of {bench.size.rounds}"):
                for (name, subject), took in steps.medians(life(bench), bench.timed, TIMES).items():
                    bench.result.add(HEADING, f"{name}, ms", subject, took)
    measures = [each.measure for each in life(bench) if HAND in each.ways and each.measure]
    bars.tell(bench.result, HEADING, tuple(Bar(f"{name}, ms", MOST, "x", HAND) for name in measures))


@contextlib.contextmanager
def cluster(bench: Bench) -> Iterator[None]:
    """A Ceph in the bench's namespace, which its root knows as Ceph's own files say."""
    here = Ceph(CEPH, namespace=NAMESPACE)
    try:
        here.up()
        shutil.copytree(here.root / ceph.ETC[1:], bench.root / ceph.ETC[1:], dirs_exist_ok=True)
        bench.write(f"{ETC}/rbd.conf", _CONF)
        yield
    finally:
        here.down()


def verb(bench: Bench, name: str, volume: str, **env: str) -> Command:
    given = {"GANETI_EXT_CONFIG_DIR": ETC, "VOL_NAME": volume, "EXTP_ACCESS": "userspace", **env}
    return Command(bench.verb("rbd", name), given)


def _image(bench: Bench) -> None:
    """What volumes are cloned from, with a snapshot for those who clone by hand."""
    image(bench.root / "srv/image.raw", 4 * MIB)
    # `rbd import` reads the holes.
    target = f"rbd:{ceph.POOL}/{IMAGE_NAME}:id={ceph.USER}"
    bench.run("qemu-img", "convert", "-f", "raw", "-O", "raw", "/srv/image.raw", target)
    bench.run(*RBD.split(), "snap", "create", f"{ceph.POOL}/{IMAGE_NAME}@byhand")
    (bench.root / "srv/image.raw").unlink()


def life(bench: Bench) -> Sequence[Step]:
    """From clone to removal, ours of volume v, by hand of image b."""

    def ours(name: str, volume: str = "v", **env: str) -> Command:
        return verb(bench, name, volume, **env)

    def hand(*lines: str, keeps: str = "") -> list[Command]:
        return [Command(["/usr/bin/env", *RBD.split(), *line.split()], keeps=keeps) for line in lines]

    def beside(measure: str, command: Command, *lines: str) -> Step:
        return Step(measure, {OURS: [command], **({HAND: hand(*lines)} if lines else {})})

    size, grown = "10240", "10304"
    return [
        beside("create", ours("create", "e", VOL_SIZE=size), f"create --size {size} f"),
        beside("clone", ours("create", VOL_SIZE=size, EXTP_ORIGIN=f"image:{IMAGE}"), f"clone {IMAGE_NAME}@byhand b"),
        Step("", {OURS: [Command(["/usr/bin/env", "rm", f"{_RUN}/{ceph.POOL}/v"])]}),  # what `attach` remembers
        beside("attach", ours("attach"), "info b"),
        beside("attach again", ours("attach"), "info b"),
        beside("setinfo", ours("setinfo", VOL_METADATA="text"), "image-meta set b text text"),
        beside("snapshot", ours("snapshot", VOL_SNAPSHOT_NAME="s"), "snap create b@s", "clone b@s c"),
        beside("grow", ours("grow", VOL_SIZE=size, VOL_NEW_SIZE=grown), f"resize --size {grown} b"),
        beside("open", ours("open", VOL_OPEN_EXCLUSIVE="True"), "lock add b node"),
        Step("", {HAND: [Command(["/bin/sh", "-ec", _LOCKER], keeps="locker")]}),
        beside("close", ours("close"), "lock rm b node %locker%"),
        beside("detach", ours("detach"), "lock ls b"),
        Step("", {OURS: [ours("remove", "s")], HAND: hand("rm c", "snap rm b@s")}),
        beside("remove", ours("remove"), "rm b"),
        Step("", {OURS: [ours("remove", "e")], HAND: hand("rm f")}),
    ]


_LOCKER = f"{RBD} lock ls b | sed -n 's/^\\(client\\.[0-9]*\\).*/\\1/p'"
