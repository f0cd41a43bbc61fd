"""An instance's disk that moves to Ceph and on, run where Ceph's client and QEMU are; tells what it saw as JSON.

    python3 -m tests.contract.extstorage.mirror_inside PLACE WHERE...

WHERE is what `ganeti-ext-storage migrate web` is told, one word for each move: `rbd` or `cow`, with its access behind
a colon.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from extstorage.ctl_instance import placed
from extstorage.inventory import Choice
from extstorage.inventory_ganeti import Ganeti
from extstorage.mirror_lock import moved
from extstorage.move_copy import Place
from tests.contract.extstorage.harness import MIB
from tests.contract.extstorage.mirror_site import Site, Writer, ids

SIZE = 16


def content(site: Site) -> tuple[bytes, bool]:
    """What the instance's disk has, and whether its lock says that it is no disk any more."""
    configuration = Ganeti(f"{site.place}/data").configuration()
    assert configuration
    (disk,) = configuration.of("web")
    ((store, _),) = placed(Choice(f"{site.place}/etc"), [disk])
    place = Place(store, disk.volume)
    with place.opened() as found:
        parts = [found.read(offset, MIB) for offset in range(0, SIZE * MIB, MIB)]
    return b"".join(parts), moved(place)


def story(site: Site, wishes: list[str]) -> dict[str, Any]:
    done = []
    with Writer(site, ids(site)) as writer:
        for wish in wishes:
            to, _, access = wish.partition(":")
            got = site.call("migrate", "web", to, f"--param=access={access}")
            done.append((got.returncode, got.stdout, got.stderr, writer.count))
        nodes = site.nodes()
    runs = site.status()
    runtime = json.loads(site.runtime.read_text())[3]
    site.stop()
    found, out_of_date = content(site)
    return {
        "done": done,
        "count": writer.count,
        "wrong": writer.wrong,
        "nodes": nodes,
        "runs": runs,
        "entry": runtime[0],
        "rows": site.rows(),
        "disks": len(site.job().config["disks"]),
        "uuid": site.job().disks[0],
        "same": found == bytes(site.models[0]),
        "moved": out_of_date,
        "jobs": (site.place / "jobs").read_text(),
    }


def main(place: str, *wishes: str) -> None:
    site = Site(Path(place), Path(place, "ganeti"), [], f"{place}/ganeti", [SIZE])
    try:
        site.start()
        sys.stdout.write(f"{json.dumps(story(site, list(wishes)))}\n")
        site.shut()
    finally:
        site.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
