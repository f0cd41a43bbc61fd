"""What the tests of the layout ask of a source file, read once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

_TYPING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


class Facts(NamedTuple):
    """What is asked of a file here. Of its tree nothing is kept, as all of them are a million objects."""

    lines: int
    words: str | None
    """Its docstring."""
    is_bare: bool
    """It has but words and names."""
    imports: frozenset[str]
    """Dotted names; `from a import b` counts as a and a.b."""
    loads: frozenset[str]
    """Those of them that it imports when it is loaded, and not in a function."""
    functions: tuple[tuple[int, str, int], ...]
    """Where they begin, their names and how many lines they have."""
    catches_all: tuple[int, ...]
    """The lines of those that catch whatever it is, and do not raise it again."""


@cache
def facts(path: Path) -> Facts:
    """Of a file of Python. AssertionError where it has a relative import."""
    text = path.read_text()
    module = ast.parse(text)
    loads: set[str] = set()
    lazy: set[str] = set()
    functions = []
    catches_all = []
    for node, is_lazy, is_typing in _statements(module):
        if isinstance(node, ast.Import | ast.ImportFrom) and not is_typing:
            (lazy if is_lazy else loads).update(_dotted(node, path))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions.append((node.lineno, node.name, (node.end_lineno or 0) - node.lineno + 1))
        elif isinstance(node, ast.ExceptHandler) and _broad(node) and not _raises_again(node):
            catches_all.append(node.lineno)
    is_bare = all(isinstance(node, ast.Expr | ast.Assign) for node in module.body)
    names = frozenset(loads | lazy), frozenset(loads)
    return Facts(
        len(text.splitlines()), ast.get_docstring(module), is_bare, *names, tuple(functions), tuple(catches_all)
    )


def _statements(node: ast.AST, is_lazy: bool = False, is_typing: bool = False) -> Iterator[tuple[ast.AST, bool, bool]]:
    """All below a node; which are in a function, and which only a type checker reads."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, field, ()):
            is_read = is_typing or (isinstance(child, ast.If) and ast.unparse(child.test) in _TYPING)
            yield child, is_lazy, is_read
            yield from _statements(child, is_lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef), is_read)


def _dotted(node: ast.Import | ast.ImportFrom, path: Path) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    assert node.level == 0, f"{path}:{node.lineno}: a relative import"
    return {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}


def _broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or bool(
        {"Exception", "BaseException"} & set(re.findall(r"\w+", ast.unparse(handler.type)))
    )


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None
