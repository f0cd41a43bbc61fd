"""Labels of networks and subnets, which Neutron calls tags: short texts to find them by, as those of servers.

They are a fact of the network in Ganeti, joined by commas, which no label has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from flask import Response, jsonify

from frontend.compute import servertags
from frontend.network import floatingips, netview, networks, portpool, ports, subnetfacts, subnets, tenantnetworks
from frontend.web import schema
from frontend.web.fault import NotFound

Named = str
"""The id, under the name that the route has for it."""


class Labels(NamedTuple):
    """The views of one kind of thing."""

    read: Callable[[str], Sequence[str]]
    """Those of a thing by its id, which the caller may see; NotFound else."""
    say: Callable[[str, list[str]], None]
    """Keep others, of a thing that is the caller's own."""

    def list_all(self, **named: Named) -> Response:
        """GET /THINGS/ID/tags."""
        (ident,) = named.values()
        return jsonify({"tags": list(self.read(ident))})

    def replace(self, **named: Named) -> Response:
        """PUT /THINGS/ID/tags."""
        (ident,) = named.values()
        self.read(ident)
        wanted = servertags.checked(schema.body().get("tags"))
        self.say(ident, wanted)
        return jsonify({"tags": wanted})

    def clear(self, **named: Named) -> tuple[str, int]:
        """DELETE /THINGS/ID/tags."""
        (ident,) = named.values()
        self.read(ident)
        self.say(ident, [])
        return "", 204

    def check(self, tag: str, **named: Named) -> tuple[str, int]:
        """GET /THINGS/ID/tags/TAG: whether it has it."""
        (ident,) = named.values()
        self._need(ident, tag)
        return "", 204

    def add(self, tag: str, **named: Named) -> tuple[str, int]:
        """PUT /THINGS/ID/tags/TAG."""
        (ident,) = named.values()
        self.say(ident, servertags.checked([*self.read(ident), tag]))
        return "", 201

    def remove(self, tag: str, **named: Named) -> tuple[str, int]:
        """DELETE /THINGS/ID/tags/TAG."""
        (ident,) = named.values()
        self.say(ident, [each for each in self._need(ident, tag) if each != tag])
        return "", 204

    def _need(self, ident: str, tag: str) -> Sequence[str]:
        known = self.read(ident)
        if tag not in known:
            raise NotFound(f"{ident} has no tag '{tag}'")
        return known


def _of_network(ident: str) -> Sequence[str]:
    return netview.labels(networks.need(ident))


def _say_of_network(ident: str, wanted: list[str]) -> None:
    tenantnetworks.say(tenantnetworks.own(ident), {"label": ",".join(wanted)})


def _of_subnet(ident: str) -> Sequence[str]:
    row, version = subnets.seen(ident)
    return subnetfacts.read(row["tags"], version).labels


def _say_of_subnet(ident: str, wanted: list[str]) -> None:
    row, version = subnets.find(ident)
    subnet = subnetfacts.read(row["tags"], version)._replace(labels=tuple(wanted))
    subnets.say(row, version, subnet, row[subnets.GATEWAY[version]])


def _of_port(ident: str) -> Sequence[str]:
    _, row, _, _ = ports.find(ident)
    return subnetfacts.split(row["facts"].get("label", ""))


def _say_of_port(ident: str, wanted: list[str]) -> None:
    _, row, _, _ = ports.find(ident)
    portpool.say(row, {**row["facts"], "label": ",".join(wanted)})


of_networks = Labels(_of_network, _say_of_network)
of_subnets = Labels(_of_subnet, _say_of_subnet)
of_ports = Labels(_of_port, _say_of_port)
of_floating = Labels(floatingips.read_labels, floatingips.say_labels)
