"""JSON as the front reads and writes it where there is much of it (ganeti_ext/fastjson.py)."""

from __future__ import annotations

from ganeti_ext.fastjson import FastJson

try:
    import orjson
except ImportError:  # it is recommended, not needed: Debian 12 has none
    orjson = None  # type: ignore[assignment]

_JSON = FastJson(orjson)
loads, dumps = _JSON.loads, _JSON.dumps
