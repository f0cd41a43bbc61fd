"""What typing.NamedTuple does, for scripts that Ganeti runs many times in one operation.

Typing and collections, and the code that they generate for each class, would take 2 ms of such a script's start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple, Self
else:

    class _Fields(type):
        """Makes the annotated names of a class its fields, and the values that they have there their defaults."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body.pop(field) for field in fields if field in body}
            places = {field: property(lambda self, at=at: self[at]) for at, field in enumerate(fields)}
            own = {"__slots__": (), "_fields": fields, "_field_defaults": defaults}
            return super().__new__(cls, name, bases, {**body, **places, **own})

    class NamedTuple(tuple, metaclass=_Fields):
        """Base of a class whose annotated names are the fields of an immutable tuple."""

        def __new__(cls, *values: Any, **named: Any) -> Self:
            rest = cls._fields[len(values) :]
            found = {**cls._field_defaults, **named}
            if len(values) > len(cls._fields) or not found.keys() >= set(rest) or not named.keys() <= set(rest):
                raise TypeError(f"{cls.__name__} has the fields {', '.join(cls._fields)}; found {values}, {named}")
            return super().__new__(cls, (*values, *(found[field] for field in rest)))

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

        def __repr__(self) -> str:
            told = ", ".join(f"{field}={value!r}" for field, value in self._asdict().items())
            return f"{type(self).__name__}({told})"

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **named: Any) -> Self:
            return type(self)(**{**self._asdict(), **named})


__all__ = ("NamedTuple",)
