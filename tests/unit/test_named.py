"""ganeti_ext.named beside typing.NamedTuple, which it stands for."""

from __future__ import annotations

import copy
import pickle
import typing

import pytest

from ganeti_ext.named import NamedTuple


class Disk(NamedTuple):
    """Has what a provider's values have: a default, a method, a property."""

    name: str
    size: int = 3
    params: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}:{self.size}"

    @property
    def long(self) -> bool:
        return self.size > 3


class Typed(typing.NamedTuple):
    name: str
    size: int = 3
    params: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (("a",), {}),
        (("a", 4), {}),
        (("a", 4, ("b",)), {}),
        ((), {"params": ("b",), "name": "a"}),
        (("a",), {"size": 9}),
    ],
)
def test_it_has_the_values_that_a_typed_one_has(values: tuple[typing.Any, ...], named: dict[str, typing.Any]) -> None:
    ours, typed = Disk(*values, **named), Typed(*values, **named)
    assert tuple(ours) == typed
    assert (ours.name, ours.size, ours.params) == typed
    assert list(ours._asdict().items()) == list(typed._asdict().items())
    assert tuple(ours._replace(size=5)) == typed._replace(size=5)
    assert repr(ours) == repr(typed).replace("Typed", "Disk")
    assert hash(ours) == hash(typed)
    for copied in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), ours._replace()):
        assert (type(copied), copied) == (Disk, ours)


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), (("a", 1, (), 2), {}), (("a",), {"name": "b"}), (("a",), {"colour": "b"}), ((), {"size": 1})],
)
def test_what_a_typed_one_refuses_it_refuses(values: tuple[typing.Any, ...], named: dict[str, typing.Any]) -> None:
    for kind in (Disk, Typed):
        with pytest.raises(TypeError):
            kind(*values, **named)
    wrong = {"colour": "b"}
    with pytest.raises(TypeError):
        Disk("a")._replace(**wrong)  # type: ignore[arg-type]


def test_its_class_says_what_its_fields_are() -> None:
    assert Disk._fields == Typed._fields == ("name", "size", "params")
    assert Disk._field_defaults == Typed._field_defaults == {"size": 3, "params": ()}
    assert Disk.__annotations__ == {"name": "str", "size": "int", "params": "tuple[str, ...]"}


def test_it_has_methods_and_cannot_be_changed() -> None:
    disk = Disk("a", 4)
    assert (str(disk), disk.long) == ("a:4", True)
    for name in ("name", "colour"):
        with pytest.raises(AttributeError):
            setattr(disk, name, "b")
