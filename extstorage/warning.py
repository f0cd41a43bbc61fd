"""What is worth a line in Ganeti's log of a verb though the verb succeeds."""

from __future__ import annotations

import sys


def warn(provider: str, text: str) -> None:
    sys.stderr.write(f"{provider}: warning: {text}\n")
