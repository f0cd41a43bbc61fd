"""Security groups and their rules as Compute shows and takes them (api-ref, up to microversion 2.35)."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response, jsonify

from frontend.network import groupview, networkgroups, networkquota
from frontend.web import schema
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound

_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


def list_all() -> Response:
    return jsonify({"security_groups": _all()})


def show(group_id: str) -> Response:
    for group in _all():
        if group["id"] == group_id:
            return jsonify({"security_group": group})
    raise NotFound(f"Security group {group_id} not found.")


def create() -> Response:
    sent = schema.mapping(schema.body(), "security_group")
    with _as_nova():
        return jsonify({"security_group": groupview.compute_group(networkgroups.made(sent), {})})


def change(group_id: str) -> Response:
    sent = schema.mapping(schema.body(), "security_group")
    with _as_nova():
        networkgroups.changed(group_id, sent)
    return show(group_id)


def remove(group_id: str) -> tuple[str, int]:
    with _as_nova():
        networkgroups.forget(group_id)
    return "", 202


def create_rule() -> Response:
    sent = schema.mapping(schema.body(), "security_group_rule")
    if type(sent.get("parent_group_id")) is int:  # as nova-network had them
        raise NotFound(f"Security group {sent['parent_group_id']} not found.")
    parent = schema.text(sent, "parent_group_id")
    if not _UUID.fullmatch(parent):
        raise BadRequest(f"parent_group_id: {parent[:80]!r} is no UUID")
    with _as_nova():
        (rule,) = networkgroups.made_rules([_wanted(sent, parent)])
    names = {group["id"]: group["name"] for group in networkgroups.all_groups()}
    return jsonify({"security_group_rule": groupview.compute_rule(rule, names)})


def remove_rule(rule_id: str) -> tuple[str, int]:
    with _as_nova():
        networkgroups.forget_rule(rule_id)
    return "", 202


def _wanted(sent: Mapping[str, Any], parent: str) -> dict[str, Any]:
    """As Network v2.0 has it. Of ICMP -1 means any."""
    cidr, group = sent.get("cidr"), sent.get("group_id")
    first, last = (None if sent.get(key) in (-1, "-1") else sent.get(key) for key in ("from_port", "to_port"))
    return {
        "security_group_id": parent,
        "direction": "ingress",
        "ethertype": _family(cidr),
        "protocol": sent.get("ip_protocol"),
        "port_range_min": first,
        "port_range_max": last,
        "remote_ip_prefix": cidr,
        "remote_group_id": group,
    }


def _family(cidr: Any) -> str:
    try:
        return f"IPv{ipaddress.ip_network(cidr, strict=False).version}" if isinstance(cidr, str) else "IPv4"
    except ValueError as err:
        raise BadRequest(f"cidr: {cidr[:80]!r} is no network") from err


def _all() -> list[dict[str, Any]]:
    found = networkgroups.all_groups()
    names = {group["id"]: group["name"] for group in found}
    return [groupview.compute_group(group, names) for group in found]


@contextlib.contextmanager
def _as_nova() -> Iterator[None]:
    """Nova's codes of what Network v2.0 calls a conflict (nova/network/security_group_api.py)."""
    try:
        yield
    except networkquota.OverQuota as err:
        raise Forbidden(str(err)) from err
    except Conflict as err:
        raise BadRequest(str(err)) from err
