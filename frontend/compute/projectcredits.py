"""GET /credits: what a project may use up, has used up, and what things cost. Not OpenStack's (docs/quotas.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, jsonify

from frontend.compute import flavors
from frontend.quota import limits
from frontend.usage import budget, price, spans, sums
from frontend.web import context
from frontend.web.fault import Forbidden


def routes(url: str, reader: str) -> tuple[tuple[str, str, Callable[..., Any], str], ...]:
    """`url`: where those of Compute begin; `reader`: who may call."""
    return (("GET", f"{url}/credits", show_own, reader), ("GET", f"{url}/credits/<project_id>", show, reader))


def show_own() -> Response:
    """GET /credits, of the project of the token."""
    return _answer(context.project_id())


def show(project_id: str) -> Response:
    """GET /credits/PROJECT: of another one, for administrators."""
    if project_id != context.project_id():
        if not context.is_admin():
            raise Forbidden("Only an administrator may see the credits of another project.")
        with context.database() as connection:
            limits.need_project(connection, project_id)
    return _answer(project_id)


def _answer(project: str) -> Response:
    prices, now = context.services().settings.credits, time.time()
    with context.database() as connection:
        has = budget.of(connection, project, prices, now)
        own = sums.flavor_prices(connection)
        going = [span for span in sums.of(connection, now, now + 1.0, project) if span["until"] is None]
        known = flavors.visible(connection, project)
    shown: dict[str, Any] = {
        "project_id": project,
        "credits": has.credits if has else None,
        "used": has.used if has else None,
        "left": max(0.0, has.credits - has.used) if has else None,
        "since": has.since if has else None,
        "per_hour": sum(price.per_hour(span, prices, own) for span in going),
        "prices": {name: getattr(prices, name) for name in type(prices).__annotations__},
        "flavors": {row["id"]: price.per_hour(_as_span(row), prices, own) for row in known},
    }
    return jsonify({"credits": shown})


def _as_span(flavor: Mapping[str, Any]) -> Mapping[str, Any]:
    size = {"vcpus": flavor["vcpus"], "ram": flavor["ram"], "gib": flavor["disk"]}
    return {"kind": spans.SERVER, "flavor_id": flavor["id"], **size}
