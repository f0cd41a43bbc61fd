"""The one way to start a program."""

import os
import time

import pytest

from ganeti_ext.command import run
from ganeti_ext.errors import CommandError


def test_stdout_is_returned_and_stdin_is_given() -> None:
    assert run(["cat"], stdin="one\ntwo\n") == "one\ntwo\n"


def test_stdin_is_empty_unless_given() -> None:
    assert run(["wc", "-c"]).strip() == "0"


def test_there_is_no_shell() -> None:
    assert run(["echo", "$HOME; id", "*"]) == "$HOME; id *\n"


def test_stderr_of_a_success_is_not_stdout() -> None:
    assert run(["sh", "-c", "echo out; echo err >&2"]) == "out\n"


def test_a_failure_carries_the_programs_own_words() -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "echo no such bridge >&2; exit 7"])
    assert str(caught.value).endswith("exit code 7: no such bridge")
    assert str(caught.value).startswith("sh -c ")


def test_a_program_killed_by_a_signal_is_a_failure() -> None:
    with pytest.raises(CommandError, match="exit code -9"):
        run(["sh", "-c", "kill -9 $$"])


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match=r"^no-such-program: not installed$"):
        run(["no-such-program", "-x"])


def test_a_program_that_may_not_be_run_is_named(tmp_path: os.PathLike[str]) -> None:
    with pytest.raises(CommandError, match=str(tmp_path)):
        run([str(tmp_path)])


def test_a_program_without_end_is_ended() -> None:
    start = time.monotonic()
    with pytest.raises(CommandError, match=r"^sleep 60: no end after 0\.1 s$"):
        run(["sleep", "60"], timeout=0.1)
    assert time.monotonic() - start < 5


def test_output_that_is_no_text_is_no_crash() -> None:
    assert run(["printf", r"a\377b"]) == r"a\xffb"
