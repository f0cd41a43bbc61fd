"""Measurements: the parts of the project beside what an administrator would run instead, on one machine, in turns.

Nothing here asserts a figure; only ratios between servers that ran in the same minutes mean anything.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "bench/out"
PLACE = Path("/var/tmp/ganeti-ext-bench")  # what a run writes; on a disk, for servers that sync their leases
LOCK = Path("/var/tmp/ganeti-ext-bench.lock")
