"""The edge of every command that people type: errors as one line, and an exit code for each way to end."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Callable

STOPPED = 130  # as a shell says of who was ended by SIGINT


def run(name: str, work: Callable[[], int], *, stopped: int = STOPPED) -> int:
    """Do the work; its exit code, or that of what went wrong, which stderr is told. `stopped` is Ctrl-C's."""
    try:
        code = work()
        sys.stdout.flush()
    except ExtError as err:
        sys.stderr.write(f"{name}: {err}\n")
        return err.exit_code
    except PermissionError as err:
        sys.stderr.write(f"{name}: {err}: be root\n")
        return 1
    except BrokenPipeError:
        # The reader has seen enough; Python would complain when it flushes stdout at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as err:  # a full disk, a dead server: not a bug
        sys.stderr.write(f"{name}: {err}\n")
        return 1
    except KeyboardInterrupt:
        return stopped
    return code
