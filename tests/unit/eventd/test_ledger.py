from __future__ import annotations

from eventd import ledger
from eventd.ledger import Ledger
from eventd.tagged import Change


def change(cause: str, began: float = 1.0) -> Change:
    return Change(cause, "instance", "web1", "OP_TAGS_SET", began, began + 1)


def test_a_change_is_new_once() -> None:
    book = Ledger()
    assert [book.see(change("17/0")), book.see(change("17/0")), book.see(change("17/1"))] == [True, False, True]


def test_the_jobs_of_a_new_cluster_are_others() -> None:
    book = Ledger()
    assert book.see(change("17/0"))
    assert book.see(change("17/0", began=2.0))


def test_old_changes_are_not_remembered_for_ever() -> None:
    book = Ledger()
    for number in range(ledger._REMEMBERED + 1):
        book.see(change(f"{number}/0"))
    assert not book.see(change("1/0"))
    assert book.see(change("0/0"))


def test_what_is_kept_and_told_is_done() -> None:
    book = Ledger()
    book.keep(change("17/0"))
    book.keep(change("18/0"))
    assert book.done() == frozenset()
    book.release(["17/0", "19/0"])
    assert book.done() == {"17/0"}
    book.forget(["17/0"])
    assert book.done() == frozenset()
    book.release(["17/0"])  # is not kept any more
    assert book.done() == frozenset()
