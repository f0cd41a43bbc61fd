"""The whole lab: up, down, and its parts by name."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ganeti_ext.command import run
from ganeti_ext.files import Lock
from lab import BASES, ROOT, RUN, STATE, base, cgroup, ganeti, guest, layer, pool, screens, services, storage, wires
from lab.node import Node
from lab.server import IMAGE
from lab.step import at_once, step

NODES = 3
SECOND = NODES + 1  # the node of a second cluster (second.py), if there is one


def nodes() -> list[Node]:
    return [Node(number) for number in range(1, NODES + 1)]


def running() -> bool:
    """Whether the lab was brought up to the end and all its nodes live."""
    return (RUN / "up").exists() and all(node.leader() for node in nodes())


def up() -> None:
    """Bring the lab up: nodes, Ganeti, our packages, our services. One that is up gets the packages if they are new."""
    base.setup()
    with _exclusive():
        if running():
            pool.ceph().up()
            install()
            return
        _down()
        tree = base.root()
        system = layer.lower("node", (*pool.CLIENT, *screens.PACKAGES))
        RUN.mkdir(parents=True, exist_ok=True)
        (STATE / "debs").mkdir(parents=True, exist_ok=True)
        with step(f"Wiring the networks, booting {NODES} nodes"):
            storage.up()
            wires.up(NODES)
            # One after the other: nspawn prepares its mounts quicker alone than two at a time.
            for node in nodes():
                node.start(system, _hosts())
        services.prepare(nodes())
        image = guest.image(tree)
        # Neither has much to compute; they wait for disks and for each other's answers.
        both: list[Callable[[], None]] = [pool.ceph().up, partial(ganeti.up, nodes(), image)]
        at_once(both)
        install()
        _store(image)
        services.up(nodes())
        (RUN / "up").touch()


def down() -> None:
    """Take everything away that `up` made, whatever state it is in."""
    with _exclusive():
        _down()


def _down() -> None:
    (RUN / "up").unlink(missing_ok=True)
    services.down()
    pool.ceph().down()
    every = [*nodes(), Node(SECOND)]
    at_once(node.stop for node in every)
    wires.down()
    cgroup.remove(node.machine for node in every)
    storage.down()
    shutil.rmtree(STATE, ignore_errors=True)
    shutil.rmtree(RUN, ignore_errors=True)


def install() -> None:
    """Build our packages and install them with apt on the nodes where they belong.

    Nodes that have these very packages are left alone: who else uses the lab meanwhile keeps his daemons.
    """
    with step("Building the packages"):
        run(["make", "--silent", "--no-print-directory", "-C", str(ROOT), "deb"], timeout=300)
    built = sorted((ROOT / "build/deb").glob("*.deb"))
    sums = run(["sha256sum", *map(str, built)])
    stamp = RUN / "installed"
    if stamp.exists() and stamp.read_text() == sums:
        return
    stamp.unlink(missing_ok=True)
    _refill(built)
    with step("Installing them on the nodes"):
        at_once(partial(install_on, node) for node in nodes())
    stamp.write_text(sums)


def _refill(built: list[Path]) -> None:
    # The nodes hold a bind mount of this very directory: fill it, never replace it.
    folder = STATE / "debs"
    for old in folder.iterdir():
        old.unlink()
    for deb in built:
        shutil.copy(deb, folder)


def install_on(node: Node) -> None:
    """Install our packages, or those of the same version once more, as an upgrade does."""
    names = services.packages(node)
    options = "--yes --quiet --reinstall --option Dpkg::Options::=--force-confold"
    command = f"DEBIAN_FRONTEND=noninteractive apt-get install {options} {names}"
    node.run("sh", "-c", command, timeout=300)


def _store(image: Path) -> None:
    """Let the nodes use the pool, and put the guests' image into each store."""
    pool.tell(nodes())
    storage.add_image(IMAGE, image)
    pool.add_image(IMAGE, image)


def _hosts() -> str:
    lines = ["127.0.0.1 localhost", f"{wires.address(0)} cluster.lab cluster"]
    lines += [f"{node.address} {node.name} {node.name.split('.')[0]}" for node in nodes()]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def _exclusive() -> Iterator[None]:
    BASES.mkdir(parents=True, exist_ok=True)
    with Lock(str(BASES / "lock")):
        yield
