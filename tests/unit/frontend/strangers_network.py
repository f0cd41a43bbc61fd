"""What strangers send to Network, in the words of strangers.py."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.routes import NETWORK
from tests.unit.frontend.conftest import NET
from tests.unit.frontend.strangers_volume import Body

BODIES: Mapping[str, tuple[Body, ...]] = {
    f"POST {NETWORK}/networks": (lambda _: {"network": {"name": "hush-net", "nonsense": 1}},),
    f"POST {NETWORK}/subnets": (
        lambda ids: {"subnet": {"network_id": ids["server_id"], "cidr": "10.9.0.0/24", "ip_version": 4}},
    ),
    f"PUT {NETWORK}/networks/<network_id>": (lambda _: {"network": {"name": "x"}},),
    f"PUT {NETWORK}/subnets/<subnet_id>": (lambda _: {"subnet": {"name": "x"}},),
    f"PUT {NETWORK}/networks/<network_id>/tags": (lambda _: {"tags": ["x"]},),
    f"PUT {NETWORK}/subnets/<subnet_id>/tags": (lambda _: {"tags": ["x"]},),
    f"PUT {NETWORK}/networks/<network_id>/tags/<tag>": (lambda _: {},),
    f"PUT {NETWORK}/subnets/<subnet_id>/tags/<tag>": (lambda _: {},),
    f"PUT {NETWORK}/quotas/<project_id>": (lambda _: {"quota": {"network": 1}},),
    f"POST {NETWORK}/ports": (
        lambda ids: {"port": {"network_id": ids["network_id"], "name": "x"}},
        lambda ids: {"port": {"network_id": NET, "security_groups": [ids["group_id"]]}},
        lambda ids: {"port": {"network_id": NET, "fixed_ips": [{"subnet_id": ids["subnet_id"]}]}},
        lambda ids: {"port": {"network_id": NET, "device_id": ids["server_id"]}},
    ),
    **{
        f"PUT {NETWORK}/{things}/<{part}>/tags{each}": body
        for things, part in (("ports", "port_id"), ("floatingips", "floatingip_id"))
        for each, body in (("", (lambda _: {"tags": ["x"]},)), ("/<tag>", (lambda _: {},)))
    },
    f"POST {NETWORK}/floatingips": (
        lambda ids: {"floatingip": {"floating_network_id": ids["network_id"]}},
        lambda ids: {"floatingip": {"floating_network_id": NET, "port_id": ids["port_id"]}},
    ),
    f"PUT {NETWORK}/floatingips/<floatingip_id>": (lambda ids: {"floatingip": {"port_id": ids["port_id"]}},),
    f"POST {NETWORK}/routers": (lambda _: {"router": {"name": "x"}},),
    f"PUT {NETWORK}/ports/<port_id>": (lambda _: {"port": {"name": "x"}},),
    f"POST {NETWORK}/security-group-rules": (
        lambda ids: {"security_group_rule": {"security_group_id": ids["group_id"]}},
    ),
}
