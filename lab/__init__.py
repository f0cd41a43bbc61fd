"""A real Ganeti cluster on one machine: nodes under systemd-nspawn, networks in namespaces.

Files of a running lab live under STATE and RUN alone; BASES is a cache that survives `lab down`.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASES = Path("/var/cache/ganeti-ext-lab")
STATE = Path("/var/lib/ganeti-ext-lab")
RUN = Path("/run/ganeti-ext-lab")
