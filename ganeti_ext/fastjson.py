"""JSON of messages, job files and rows, for daemons that read and write thousands a second: by orjson, if there is one.

What orjson refuses and Python's json takes is done by that: halves of surrogate pairs, NaN as input, numbers of more
than 64 bits as output, what is nested deeper than it goes. As input such a number becomes a float, and NaN comes out
as null.
"""

from __future__ import annotations

import json
from typing import Any

from ganeti_ext import event


class FastJson:
    """`library`: the module orjson, which each part imports by itself; None where it is not installed."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def loads(self, text: str | bytes) -> Any:
        """As json.loads: json.JSONDecodeError, UnicodeDecodeError, RecursionError."""
        if self._library is None:
            return json.loads(text)
        try:
            return self._library.loads(text)
        except ValueError:
            return json.loads(text)

    def dumps(self, value: Any) -> str:
        """One line without spaces, keys in their order; TypeError as json.dumps."""
        if self._library is not None:
            try:
                return str(self._library.dumps(value, option=self._library.OPT_SORT_KEYS), "utf-8")
            except TypeError:
                pass
        return event.encode(value)
