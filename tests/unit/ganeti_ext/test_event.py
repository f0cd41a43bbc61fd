from __future__ import annotations

from typing import Any

import pytest

from ganeti_ext import event


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ({"type": event.OP_STATUS, "instance": "gx-5f0c"}, "ganeti.gx.event.op"),
        ({"type": event.OP_STATUS, "instance": "web1.example.org"}, "ganeti.web1.event.op"),
        ({"type": event.OP_STATUS, "instance": "gx.example-1"}, "ganeti.gx.event.op"),
        ({"type": event.NET_STATUS, "instance": "gx-5f0c"}, "ganeti.gx.event.net"),
        ({"type": event.NETWORK_STATUS, "network": "gx-net-2"}, "ganeti.gx.event.network"),
        ({"type": event.NETWORK_STATUS, "network": "-odd"}, "ganeti.unknown.event.network"),
        ({"type": event.PROGRESS, "instance": "gx-5f0c"}, "ganeti.gx.event.progress"),
        ({"type": event.CLUSTER_STATUS}, "ganeti.event.cluster"),
        ({"type": event.NODE_STATUS, "node": "node1.example.org"}, "ganeti.event.node"),
        ({"type": event.GROUP_STATUS, "group": "default"}, "ganeti.event.group"),
        ({"type": event.HEARTBEAT}, "eventd.heartbeat"),
        ({"type": event.LOST}, "ganeti.event.lost"),
        ({"type": event.MASTER}, "ganeti.event.master"),
        ({"type": event.SAMPLES}, "sample.node"),
    ],
)
def test_routing_keys(message: dict[str, Any], key: str) -> None:
    assert event.routing_key(message) == key


def test_all_types_can_be_read_and_but_for_samples_reach_who_is_bound_to_all() -> None:
    types = [value for name, value in vars(event).items() if name.isupper() and isinstance(value, str)]
    others = (event.EXCHANGE, event.HEARTBEAT_TAG, event.SAMPLES_KEY, event.SAMPLES_BINDING)
    types = [kind for kind in types if kind not in others]
    assert len(types) == 11
    heads = tuple(key.removesuffix("#") for key in event.BINDINGS)
    for kind in types:
        message = {"type": kind, "version": event.VERSION, "instance": "gx-1"}
        assert event.decode(event.encode(message)) == message
        assert event.routing_key(message).startswith(heads) == (kind != event.SAMPLES)
    assert event.SAMPLES_KEY.startswith(event.SAMPLES_BINDING.removesuffix("#"))


def test_a_message_survives_the_wire() -> None:
    message = {"type": event.OP_STATUS, "version": event.VERSION, "instance": "gx-1", "logmsg": "é\n", "result": None}
    body = event.encode(message)
    assert "\n" not in body
    assert event.decode(body) == event.decode(body.encode()) == message


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "Expecting value"),
        ("[]", "not a message of a known type"),
        ('{"version": 1}', "not a message of a known type"),
        ('{"type": "ganeti-op-stat", "version": 1}', "not a message of a known type"),
        ('{"type": ["ganeti-op-status"], "version": 1}', "not a message of a known type"),
        ('{"type": "ganeti-op-status"}', "message of version None, this program reads 1"),
        ('{"type": "ganeti-op-status", "version": 2}', "message of version 2"),
        (b"\xff", "decode"),
    ],
)
def test_what_is_no_message_is_a_value_error(body: str | bytes, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        event.decode(body)


def test_the_final_statuses_rank_highest() -> None:
    highest = max(event.RANKS.values())
    assert {status for status, rank in event.RANKS.items() if rank == highest} == event.FINAL
    assert event.RANKS["queued"] < event.RANKS["waiting"] < event.RANKS["canceling"] < event.RANKS["running"]
