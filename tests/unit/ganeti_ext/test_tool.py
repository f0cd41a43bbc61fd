"""How a command ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from ganeti_ext import tool
from ganeti_ext.errors import ConfigError, ExtError


def raiser(err: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise err

    return work


@pytest.mark.parametrize(
    ("err", "code", "said"),
    [
        (ExtError("no tap x1"), 1, "thing: no tap x1\n"),
        (ConfigError("a.conf: bad key"), 3, "thing: a.conf: bad key\n"),
        (
            PermissionError(13, "Permission denied", "/run/x"),
            1,
            "thing: [Errno 13] Permission denied: '/run/x': be root\n",
        ),
        (OSError(28, "No space left on device"), 1, "thing: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(
    capsys: pytest.CaptureFixture[str], err: BaseException, code: int, said: str
) -> None:
    assert tool.run("thing", raiser(err)) == code
    assert capsys.readouterr().err == said


def test_the_codes_of_the_work_and_of_ctrl_c() -> None:
    assert tool.run("thing", lambda: 4) == 4
    assert tool.run("thing", raiser(KeyboardInterrupt()), stopped=0) == 0


def test_a_bug_is_shown_whole() -> None:
    with pytest.raises(ZeroDivisionError):
        tool.run("thing", raiser(ZeroDivisionError()))


def test_a_reader_that_has_seen_enough() -> None:
    work = "lambda: print('word ' * 100000) or 0"
    command = [sys.executable, "-c", f"from ganeti_ext import tool; raise SystemExit(tool.run('thing', {work}))"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == b""
    assert process.returncode == 0
