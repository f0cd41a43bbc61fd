"""The one way to start a program."""

from __future__ import annotations

import subprocess

from ganeti_ext.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def run(argv: Sequence[str], *, stdin: str = "", timeout: float = 30, keep: Sequence[int] = ()) -> str:
    """Run a program to its end and return its stdout.

    No shell; stdin is the given text; octets of the output that are no text read as \\xHH. Open files to `keep` stay
    open in it, and locked, if it outlives us.
    CommandError carries the program's own words.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=timeout,
            check=False,
            pass_fds=keep,
        )
    except FileNotFoundError as err:
        raise CommandError(f"{argv[0]}: not installed") from err
    except OSError as err:
        raise CommandError(f"{argv[0]}: {err.strerror}") from err
    except subprocess.TimeoutExpired as err:
        raise CommandError(f"{' '.join(argv)}: no end after {timeout:g} s") from err
    if done.returncode != 0:
        raise CommandError(f"{' '.join(argv)}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout
