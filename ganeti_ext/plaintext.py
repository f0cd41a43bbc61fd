"""Plain text for people at a terminal."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def natural(name: str) -> list[tuple[int, str]]:
    """A key to sort by: tap10 comes after tap9."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def clean(text: str) -> str:
    """A text without what a terminal would act on: guests and tenants have a say in it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def columns(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Rows of cells as lines of columns; empty cells are dashes."""
    cells = [[clean("" if cell is None else str(cell)) or "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
