"""The edge of every script that Ganeti runs: environment in, stdout and exit code out."""

from __future__ import annotations

import os
import sys

from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BUG = 70  # EX_SOFTWARE of sysexits.h


def run(main: Callable[[str, Mapping[str, str]], str | None]) -> int:
    """Call `main(verb, environment)` and print what it returns.

    `verb` is the name that the script was called by. Stdout is part of Ganeti's contracts (it parses what
    `attach` prints to the byte), so nothing else may write there: messages go to stderr.
    """
    verb = os.path.basename(sys.argv[0])
    try:
        reply = main(verb, os.environ)
    except ExtError as err:
        sys.stderr.write(f"{verb}: {err}\n")
        return err.exit_code
    except Exception:  # noqa: BLE001 (the one broad handler of a script: a bug must be readable in Ganeti's log)
        import traceback  # noqa: PLC0415 (costs 10 ms, and bugs are rare)

        sys.stderr.write(f"{verb}: bug in ganeti-ext, please report it\n{traceback.format_exc()}")
        return BUG
    if reply is not None:
        sys.stdout.write(reply)
        sys.stdout.flush()
    return 0
