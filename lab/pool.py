"""The pool that all nodes use: a Ceph of one machine, beside the switches, and what the nodes are told of it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from lab import STATE, cephconf, wires
from lab.ceph import CONF, ETC, POOL, Ceph
from lab.node import Node

# What a node has to have installed.
CLIENT = ("librados2", "librbd1", "qemu-block-extra", "qemu-utils")
# Ganeti 3.1 tells QEMU the pool and the image alone: it is this user, whatever rbd.conf says.
_USER = "client.admin"
_FEATURES = "layering,exclusive-lock,object-map,fast-diff,deep-flatten"


def ceph() -> Ceph:
    """The lab's own. Its data are on a disk: a daemon that is killed loses nothing."""
    return Ceph(STATE / "ceph", address=wires.MANAGEMENT, namespace=wires.SWITCHES)


def tell(nodes: Sequence[Node]) -> None:
    """Give the nodes what Ceph's clients need."""
    made = ceph()
    keys = cephconf.of(_USER, (made.root / ETC[1:] / "keyring").read_text())
    for node in nodes:
        node.write(CONF, (made.root / CONF[1:]).read_text())
        node.write(f"{ETC}/keyring", keys, "600")


def let(front: Node) -> None:
    """The front's user may use the pool: it brings images there, if they are to be there. Safe to repeat."""
    front.run("chgrp", "ganeti-ext", f"{ETC}/keyring")
    front.run("chmod", "640", f"{ETC}/keyring")


def add_image(name: str, file: Path) -> None:
    """Put a disk's content into the pool as an image, unless there is one of that name."""
    made = ceph()
    image = f"image.{name}"
    if image not in made.run("rbd", "ls", POOL).split():
        copy = made.root / "import.raw"
        shutil.copy(file, copy)
        made.run("rbd", "import", "--no-progress", f"--image-feature={_FEATURES}", "/import.raw", f"{POOL}/{image}")
        copy.unlink()
