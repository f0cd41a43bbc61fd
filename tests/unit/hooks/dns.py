"""What the tests of the DNS hook share."""

from __future__ import annotations

from hooks.dnssettings import Settings
from hooks.dnstask import Task

SETTINGS = Settings(server="192.0.2.53", key="/k", zones=("example.org.", "cloud.example.org."))
ENV = {
    "GANETI_OP_CODE": "OP_INSTANCE_STARTUP", "GANETI_HOOKS_PHASE": "post", "GANETI_OBJECT_TYPE": "INSTANCE",
    "GANETI_CLUSTER": "cluster.example.org", "GANETI_MASTER": "node1.example.org", "GANETI_INSTANCE_NAME": "web",
    "GANETI_INSTANCE_NIC_COUNT": "1", "GANETI_INSTANCE_NIC0_IP": "192.0.2.5",
    "GANETI_INSTANCE_NIC0_MAC": "aa:00:00:00:00:05", "GANETI_INSTANCE_NIC0_NETWORK_NAME": "blue",
    "GANETI_INSTANCE_NIC0_NETWORK_TAGS": "nfdhcpd dns", "GANETI_INSTANCE_NIC0_NETWORK_SUBNET6": "2001:db8::/64",
}  # fmt: skip
WEB, MARK = "web.example.org.", '"ganeti-ext:cluster"'
FOUR, SIX = "192.0.2.5", "2001:db8::a800:ff:fe00:5"


def wants(*addresses: str, own: tuple[str, ...] = (FOUR, SIX)) -> Task:
    """web.example.org is to have these."""
    return Task({WEB: addresses}, own, "cluster", ())
