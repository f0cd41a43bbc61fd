"""Network v2.0, to read: Ganeti's networks, and what follows from them and the servers' NICs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, zip_longest
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy.engine import Connection

from frontend.effect import clusters
from frontend.network import netlist, netrows, netview, networkgroups, portlist, portview
from frontend.web import context, ordering, paging
from frontend.web.fault import BadRequest, NotFound

_STATES = {True: "available", False: "unavailable"}
# By our names for them, the keys of a query that the database looks for.
_OF_NETWORKS = {"ids": "id", "names": "name"}
_OF_PORTS = {"ids": "id", "devices": "device_id", "networks": "network_id", "macs": "mac_address", "names": "name"}
_TAGS = ("tags", "tags-any", "not-tags", "not-tags-any")


def all_rows(connection: Connection) -> list[dict[str, Any]]:
    """The networks that the caller's project may use, by name; see tenantnet.visible."""
    return netrows.visible(connection, context.project_id())


def need(ident: str) -> dict[str, Any]:
    """The row of a network that the caller's project may use; NotFound."""
    with context.database() as connection:
        known = find(connection, ident)
    if known is None:
        raise NotFound(f"Network {ident:.80} could not be found.")
    return known


def find(connection: Connection, ident: str) -> dict[str, Any] | None:
    """The same, or None."""
    known = netrows.visible(connection, context.project_id(), [ident])
    return next((row for row in known if row["id"] == ident), None)


def list_networks() -> Response:
    """By their ids, unless another order is asked for."""
    wanted = netlist.Wanted(**_asked(_OF_NETWORKS))
    project = context.project_id()
    return _walked("networks", partial(netlist.shown, project, wanted), partial(netlist.has, project))


def show_network(network_id: str) -> Response:
    return jsonify({"network": _project(netview.network(need(network_id)))})


def list_subnets() -> Response:
    return listed("subnets", _subnets())


def show_subnet(subnet_id: str) -> Response:
    return _show("subnet", _subnets(), subnet_id)


def list_ports() -> Response:
    """By their ids, unless another order is asked for."""
    project, fixed = context.project_id(), request.args.getlist("fixed_ips")
    wanted = portlist.Wanted(**_asked(_OF_PORTS), fixed=fixed)
    behind = partial(portlist.shown, project, wanted)
    return _walked("ports", behind, partial(portlist.has, project), partial(portview.has_fixed, wanted=fixed))


def show_port(port_id: str) -> Response:
    found = list(portlist.shown(context.project_id(), portlist.Wanted(ids=[port_id])))
    return _show("port", found, port_id)


def list_security_groups() -> Response:
    return listed("security_groups", networkgroups.all_groups())


def show_security_group(group_id: str) -> Response:
    return _show("security_group", networkgroups.all_groups(), group_id)


def list_security_group_rules() -> Response:
    return listed("security_group_rules", _rules())


def show_security_group_rule(rule_id: str) -> Response:
    return _show("security_group_rule", _rules(), rule_id)


def list_routers() -> Response:
    return listed("routers", [])


def list_availability_zones() -> Response:
    """The clusters, where there are several: each network is of one."""
    with context.database() as connection:
        known = clusters.every(connection)
    found = [
        {"name": clusters.shown(row), "resource": "network", "state": _STATES[row["state"] == clusters.OPEN]}
        for row in known
    ]
    return listed("availability_zones", found)


def _rules() -> list[dict[str, Any]]:
    groups = networkgroups.all_groups()
    return [rule for group in groups for rule in group["security_group_rules"]]


def _subnets() -> list[dict[str, Any]]:
    with context.database() as connection:
        rows = all_rows(connection)
    return [subnet for row in rows for subnet in netview.subnets_of(row)]


def listed(kind: str, entries: Sequence[dict[str, Any]]) -> Response:
    """A collection: filtered by every query key that entries have, in order, cut to the page, projected to `fields`."""
    return _page(kind, *paging.cut(_in_order(list(_matching(entries))), paging.asked()))


def _matching(entries: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    tags = {key: set(text.split(",")) for key in _TAGS if (text := request.args.get(key))}
    return (entry for entry in entries if _matches(entry) and _is_tagged(entry, tags))


def _asked(keys: Mapping[str, str]) -> dict[str, Any]:
    """What the query has of these keys, by our names for them; nothing is what a port may have, too, and is no text."""
    found = {ours: request.args.getlist(theirs) for ours, theirs in keys.items()}
    return {ours: texts if texts and "" not in texts else None for ours, texts in found.items()}


def _walked(
    kind: str,
    shown: Callable[..., Iterator[dict[str, Any]]],
    is_there: Callable[[str], bool],
    fits: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> Response:
    """The same as `listed`, of entries that are read as they are needed; `shown` as portlist.shown.

    All are needed where they are to be in another order than by their ids.
    """
    if request.args.getlist("sort_key"):
        return listed(kind, list(filter(fits, shown())))
    page = paging.asked()
    if page.marker is not None and not is_there(page.marker):
        raise BadRequest(f"marker: {page.marker!r:.80} was not found")
    found = list(islice(filter(fits, _matching(shown(page.marker, page.limit + 1))), page.limit + 1))
    return _page(kind, found[: page.limit], len(found) > page.limit)


def _page(kind: str, page: Sequence[dict[str, Any]], more: bool) -> Response:
    answer: dict[str, Any] = {kind: [_project(entry) for entry in page]}
    if links := paging.next_link(page, more):
        answer[f"{kind}_links"] = links
    return jsonify(answer)


def _show(kind: str, entries: Sequence[dict[str, Any]], ident: str) -> Response:
    for entry in entries:
        if entry["id"] == ident:
            return jsonify({kind: _project(entry)})
    raise NotFound(f"{kind.replace('_', ' ').capitalize()} {ident} could not be found.")


def _matches(entry: Mapping[str, Any]) -> bool:
    for key, wanted in request.args.lists():
        if key in entry and not isinstance(entry[key], list):
            value = entry[key]
            texts = [text.lower() for text in wanted] if isinstance(value, bool) else wanted
            if (str(value).lower() if isinstance(value, bool) else str(value)) not in texts:
                return False
    return True


def _is_tagged(entry: Mapping[str, Any], asked: Mapping[str, set[str]]) -> bool:
    """By `tags` (all of them), `tags-any`, and the contrary of both."""
    if not asked:
        return True
    has = set(entry.get("tags", ()))
    return (
        asked.get("tags", set()) <= has
        and ("tags-any" not in asked or bool(asked["tags-any"] & has))
        and ("not-tags" not in asked or not asked["not-tags"] <= has)
        and not asked.get("not-tags-any", set()) & has
    )


def _in_order(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By each `sort_key` with its `sort_dir`; the first one counts most."""
    keys, ways = request.args.getlist("sort_key"), request.args.getlist("sort_dir")
    if ways and len(ways) != len(keys):
        raise BadRequest(f"sort_dir: {len(ways)}, and there are {len(keys)} of sort_key")
    for key, way in reversed(list(zip_longest(keys, ways, fillvalue="asc"))):
        if entries and isinstance(entries[0].get(key, []), list | dict):
            raise BadRequest(f"sort_key: {key!r:.80} is nothing to sort by")
        falling = not ordering.rises(way)
        entries = sorted(entries, key=partial(_place, key), reverse=falling)
    return entries


def _place(key: str, entry: Mapping[str, Any]) -> tuple[bool, str]:
    value = entry.get(key)
    return value is not None, str(value)


def _project(entry: dict[str, Any]) -> dict[str, Any]:
    fields = request.args.getlist("fields")
    return {key: entry[key] for key in fields if key in entry} if fields else entry
