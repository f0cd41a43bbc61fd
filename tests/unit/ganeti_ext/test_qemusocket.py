"""What a guest's agent may answer, and what is made of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from ganeti_ext import qemusocket
from ganeti_ext.errors import ExtError
from tests.unit.console.agent import DEEP, FLOOD, GARBAGE, GOES, LEFT, LOST, REFUSES, SILENT, STRANGE, WELL, Agent

PATIENCE = 0.3
SET = {"username": "root", "password": "c2VjcmV0", "crypted": False}


def ask(path: Path) -> object:
    with qemusocket.agent(str(path), PATIENCE) as found:
        return found.ask("guest-set-user-password", PATIENCE, SET)


@pytest.mark.parametrize("how", [WELL, LEFT])
def test_an_answer(tmp_path: Path, how: str) -> None:
    with contextlib.closing(Agent(tmp_path / "a.qga", how)) as agent:
        assert ask(tmp_path / "a.qga") == {}
    assert agent.users == [("root", "secret")]


@pytest.mark.parametrize(
    ("how", "words", "heard"),
    [
        (SILENT, "no answer", 0),
        (FLOOD, "an answer of more than 4194304 octets", 0),
        (LOST, "no answer", 1),
        (GARBAGE, "no answer", 1),
        (DEEP, "no answer", 1),
        (GOES, "closed by the other side", 1),
    ],
)
def test_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, words: str, heard: int) -> None:
    if how == FLOOD:
        monkeypatch.setattr("tests.unit.ganeti_ext.test_qemusocket.PATIENCE", 20.0)
    with (
        contextlib.closing(Agent(tmp_path / "a.qga", how)) as agent,
        pytest.raises(ExtError, match=words) as err,
    ):
        ask(tmp_path / "a.qga")
    assert (type(err.value), len(agent.commands)) == (ExtError, heard)


@pytest.mark.parametrize(("how", "said"), [(REFUSES, "user 'x' does not exist"), (STRANGE, r"\[1, ")])
def test_a_refusal_is_in_printable_words(tmp_path: Path, how: str, said: str) -> None:
    with contextlib.closing(Agent(tmp_path / "a.qga", how)), pytest.raises(qemusocket.Refused, match=said) as err:
        ask(tmp_path / "a.qga")
    assert err.value.said in str(err.value)
    assert err.value.said.isprintable()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ExtError, match="No such file"):
        ask(tmp_path / "a.qga")
