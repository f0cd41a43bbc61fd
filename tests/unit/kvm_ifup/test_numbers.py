"""Numbers for names, never given to another."""

from __future__ import annotations

import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ganeti_ext import files
from ganeti_ext.errors import ExtError
from kvm_ifup.numbers import Numbers


def test_names_are_numbered_from_one_in_the_order_in_which_they_come(tmp_path: Path) -> None:
    numbers = Numbers("profiles", 4094, str(tmp_path / "run"))
    assert numbers.all() == {}
    assert [numbers.of(name) for name in ("web", "limited", "web", "mail")] == [1, 2, 1, 3]
    assert numbers.all() == {"web": 1, "limited": 2, "mail": 3}


def test_another_process_knows_the_same_numbers(tmp_path: Path) -> None:
    assert [Numbers("profiles", 4094, str(tmp_path)).of(name) for name in ("a", "b", "a")] == [1, 2, 1]
    assert (tmp_path / "profiles").read_text() == "1 a\n2 b\n"


def test_kinds_do_not_share_numbers(tmp_path: Path) -> None:
    Numbers("profiles", 4094, str(tmp_path)).of("a")
    assert Numbers("zones", 65535, str(tmp_path)).of("52:54:00:00:00:00") == 1


def test_the_number_of_a_name_that_is_gone_is_not_given_again(tmp_path: Path) -> None:
    (tmp_path / "profiles").write_text("1 a\n7 c\n")
    assert Numbers("profiles", 4094, str(tmp_path)).of("d") == 8


def test_a_number_that_was_freed_is_given_when_there_is_no_other(tmp_path: Path) -> None:
    numbers = Numbers("profiles", 3, str(tmp_path))
    assert [numbers.of(name) for name in "abc"] == [1, 2, 3]
    numbers.free("b")
    numbers.free("never")
    assert numbers.all() == {"a": 1, "c": 3}
    numbers.free("c")
    assert [Numbers("profiles", 4, str(tmp_path)).of(name) for name in "de"] == [4, 2]
    assert (numbers.of("f"), numbers.all()) == (3, {"a": 1, "d": 4, "e": 2, "f": 3})
    with pytest.raises(ExtError, match="'g' would be number 5"):
        numbers.of("g")


def test_there_is_a_last_number(tmp_path: Path) -> None:
    numbers = Numbers("zones", 2, str(tmp_path))
    assert (numbers.of("a"), numbers.of("b")) == (1, 2)
    with pytest.raises(ExtError, match=r"zones: 'c' would be number 3, and 2 is the last"):
        numbers.of("c")
    assert numbers.of("b") == 2


@pytest.mark.parametrize("text", ["one a\n", "1\n", "\n"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "profiles").write_text(text)
    with pytest.raises(ExtError, match=str(tmp_path / "profiles")):
        Numbers("profiles", 4094, str(tmp_path)).of("a")


def test_two_at_once_get_two_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: Numbers("profiles", 4094, str(tmp_path)).of(name), "abcdefgh" * 3))
    assert len(set(found)) == 8
    assert sorted(set(found)) == sorted(Numbers("profiles", 4094, str(tmp_path)).all().values()) == list(range(1, 9))


def test_a_name_that_another_has_numbered_meanwhile_keeps_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(files.Lock):
        """Held by another while we waited for it."""

        def __enter__(self) -> files.Lock:
            (tmp_path / "profiles").write_text("1 a\n2 b\n")
            found = super().__enter__()
            with open(tmp_path / "profiles.lock") as other, pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return found

    monkeypatch.setattr(files, "Lock", Late)
    assert Numbers("profiles", 4094, str(tmp_path)).of("b") == 2
