"""Images of Debian that have most of their content in common, at rest: shared blocks, beside plain files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.bars import OURS
from bench.images import content
from bench.images.plan import Plan
from bench.images.store import Store
from bench.storage.place import Bench
from bench.storage.share import MIB, Share
from lab.step import step

PLAIN = "plain files"
LEAST = "blocks that differ"
SUM = "sha256sum"
FOLDER = "/srv/alike"
AS_THEY_COME = "ours, as they come"
AT_REST = "at rest, MiB"
ADDED = "sharing what is alike, ms"


def measure(plan: Plan) -> None:
    with _images(plan) as files:
        every, least = content.unlike(plan.bench.root / file[1:] for file in files)
        for kind in plan.size.kinds:
            for turn in range(plan.size.rounds):
                with (
                    step(f"{len(files)} images on {kind}, round {turn + 1} of {plan.size.rounds}"),
                    plan.bench.share(kind, plan.piece) as share,
                ):
                    _round(plan, share, files, least)
            plan.bench.result.note(
                _heading(plan, share.kind),
                f"{every / MIB:,.0f} MiB of data, {every / max(least, 1):.1f} times the blocks of 64 KiB that differ,"
                " which is the most that the store could save",
            )


def _heading(plan: Plan, kind: str) -> str:
    return f"cow on {kind}: {plan.size.variants} images of {plan.size.mib:,} MiB, one system with other packages on it"


def _round(plan: Plan, share: Share, files: Sequence[str], least: int) -> None:
    """Brought one after the other and shared later; then again, shared as they come."""
    heading, result, store = _heading(plan, share.kind), plan.bench.result, Store.cow(plan.bench, share)
    before = share.used()
    took = sum(store.bring(_name(number), file, "--no-dedup")[0] for number, file in enumerate(files))
    unshared = share.used() - before
    shared = store.dedup(*map(_name, range(len(files))))
    result.add(heading, AT_REST, OURS, (share.used() - before) / MIB)
    for number in range(len(files)):
        store.remove(_name(number))
    if share.kind == "btrfs":
        plan.bench.run("btrfs", "subvolume", "sync", share.inside)  # subvolumes that were removed go at its leisure
    once = sum(store.bring(_name(number), file)[0] for number, file in enumerate(files))
    result.add(heading, AT_REST, AS_THEY_COME, (share.used() - before) / MIB)
    copied, room = _plain(plan.bench, share, files)
    for subject, octets in ((PLAIN, room), ("ours, before it", unshared), (LEAST, least)):
        result.add(heading, AT_REST, subject, octets / MIB)
    result.add(heading, "brought, and shared as they come, ms", OURS, once)
    result.add(heading, "brought, and shared as they come, ms", "ours, before it", took)
    result.add(heading, "brought, and shared as they come, ms", PLAIN, copied)
    result.add(heading, ADDED, OURS, shared)
    result.add(heading, ADDED, SUM, plan.bench.timed(["/usr/bin/env", "sha256sum", *files])[0])


def _plain(bench: Bench, share: Share, files: Sequence[str]) -> tuple[float, int]:
    """Milliseconds and octets of the same as files that are copied."""
    before = share.used()
    target = f"{share.inside}/byhand"
    line = f"cp --reflink=never --sparse=always {' '.join(files)} {target}; sync --file-system {target}"
    took, _ = bench.timed(["/bin/sh", "-ec", line])
    return took, share.used() - before


def _name(number: int) -> str:
    return f"debian-{number}"


@contextlib.contextmanager
def _images(plan: Plan) -> Iterator[Sequence[str]]:
    """As the root has them."""
    root = plan.bench.root
    base, files = f"{FOLDER}/base.raw", [f"{FOLDER}/{number}.raw" for number in range(plan.size.variants)]
    Path(root / FOLDER[1:]).mkdir(parents=True)
    try:
        with step(f"{len(files)} images of one system"):
            content.disk(root, base, plan.size.mib * MIB)
            for number, file in enumerate(files):
                content.variant(root, base, file, number)
        yield files
    finally:
        plan.bench.run("rm", "-r", FOLDER)
