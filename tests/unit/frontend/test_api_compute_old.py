"""What Compute still answers to clients of before the other services, and what a project has used."""

from __future__ import annotations

import time
from typing import Any

import pytest

from frontend.usage import meter, spans
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, MINE, NET, Api

USAGE = f"{COMPUTE}/os-simple-tenant-usage"
DAY = 86400.0
AT = 1_700_000_000.0  # 2023-11-14T22:13:20Z
PERIOD = "start=2023-11-15T00:00:00&end=2023-11-16T00:00:00"


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (
            "os-networks",
            {
                "gateway": "10.0.0.1",
                "cidr_v6": "fd00::/64",
                "gateway_v6": None,
                "netmask": None,
                "dns1": None,
                "dns2": None,
            },
        ),
        ("os-tenant-networks", {}),
    ],
)
def test_networks(api: Api, kind: str, more: dict[str, Any]) -> None:
    network = {"id": NET, "label": "net1", "cidr": "10.0.0.0/24", **more}
    assert api.get(f"{COMPUTE}/{kind}").json == {"networks": [network]}
    assert api.get(f"{COMPUTE}/{kind}/{NET}").json == {"network": network}
    assert api.get(f"{COMPUTE}/{kind}/net1").status_code == 404


def test_there_are_no_floating_ips(api: Api) -> None:
    assert api.get(f"{COMPUTE}/os-floating-ips").json == {"floating_ips": []}
    assert api.get(f"{COMPUTE}/os-floating-ip-pools").json == {"floating_ip_pools": []}


def test_extensions(api: Api) -> None:
    found = api.get(f"{COMPUTE}/extensions").json["extensions"]  # type: ignore[index]
    for each in found:
        assert set(each) == {"alias", "name", "description", "links", "namespace", "updated"}
        assert api.get(f"{COMPUTE}/extensions/{each['alias']}").json == {"extension": each}
    assert len({each["alias"] for each in found}) == len(found) > 20
    assert api.get(f"{COMPUTE}/extensions/os-cells").status_code == 404


def test_the_quota_of_networks(api: Api, nobody: Api) -> None:
    quota = api.get(f"/network/v2.0/quotas/{MINE}").json["quota"]  # type: ignore[index]
    assert (quota["network"], quota["port"], quota["floatingip"], quota["security_group"]) == (0, 500, 50, 10)
    assert api.get(f"/network/v2.0/quotas/{FOREIGN}").status_code == 403
    assert administrator(nobody).get(f"/network/v2.0/quotas/{FOREIGN}").status_code == 200
    assert api.get("/network/v2.0/availability_zones").json == {"availability_zones": []}


def met(api: Api, **columns: Any) -> str:
    """A server's row, and what was written down of it when it was made and deleted."""
    row = {"power": "ACTIVE", "deleted": None, **api.server(**columns)}
    with api.engine.begin() as connection:
        there = meter.server_now({**row, "deleted": None})
        meter.agree(connection, spans.SERVER, row["id"], there, row["created"])
        if row["deleted"] is not None:
            meter.agree(connection, spans.SERVER, row["id"], {"alive": False}, row["deleted"])
    return str(row["id"])


def usage(api: Api, query: str = PERIOD, project: str = MINE) -> Any:
    answer = api.get(f"{USAGE}/{project}?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json["tenant_usage"]  # type: ignore[index]


def test_what_a_project_has_used(api: Api) -> None:
    begin = AT + 6400  # midnight
    whole = met(api, created=begin - DAY, vcpus=2, ram=1024, disk=10)
    part = met(api, created=begin + DAY / 2, deleted=begin + DAY * 3 / 4, flavor_id="gone")
    met(api, created=begin - DAY, deleted=begin - 1)
    met(api, created=begin + DAY + 1)
    met(api, created=begin, project_id=FOREIGN)
    found = usage(api)
    assert (found["tenant_id"], found["start"], found["stop"]) == (
        MINE, "2023-11-15T00:00:00.000000", "2023-11-16T00:00:00.000000",
    )  # fmt: skip
    first, second = found["server_usages"]
    assert (first["instance_id"], first["hours"], first["ended_at"], first["state"]) == (whole, 24.0, None, "active")
    assert (second["instance_id"], second["hours"], second["state"]) == (part, 6.0, "terminated")
    assert (first["flavor"], second["flavor"]) == ("small", "gone")
    assert second["ended_at"] == "2023-11-15T18:00:00.000000"
    assert second["uptime"] == DAY / 4
    assert found["total_hours"] == 30.0
    assert found["total_vcpus_usage"] == 24.0 * 2 + 6.0
    assert found["total_memory_mb_usage"] == 24.0 * 1024 + 6.0 * 512
    assert found["total_local_gb_usage"] == 24.0 * 10 + 6.0 * 5


def test_a_server_that_is_there_counts_until_now(api: Api) -> None:
    met(api, created=time.time() - 7200)
    assert usage(api, "")["total_hours"] == pytest.approx(2.0, abs=0.1)
    assert usage(api, "start=2020-01-01T00:00:00&end=2999-01-01T00:00:00")["total_hours"] == pytest.approx(2.0, abs=0.1)
    assert usage(api, PERIOD) == {}


def test_others_usage_is_an_administrators(api: Api, nobody: Api) -> None:
    for project in (FOREIGN, MINE):  # deleted: the uptime of one that is there is another at each look
        met(api, created=AT, deleted=AT + 5 * DAY, project_id=project)
    adam = administrator(nobody)
    assert api.get(f"{USAGE}/{FOREIGN}").status_code == api.get(f"{USAGE}/never").status_code == 403
    assert api.get(USAGE).status_code == 403
    assert usage(adam, project=FOREIGN)["total_hours"] == 24.0
    found = adam.get(f"{USAGE}?{PERIOD}").json["tenant_usages"]  # type: ignore[index]
    assert [each["tenant_id"] for each in found] == [MINE, FOREIGN]
    assert "server_usages" not in found[0]
    assert adam.get(f"{USAGE}?{PERIOD}&detailed=True").json == adam.get(f"{USAGE}?{PERIOD}&detailed=1").json
    detailed = adam.get(f"{USAGE}?{PERIOD}&detailed=1").json["tenant_usages"]  # type: ignore[index]
    assert len(detailed[0]["server_usages"]) == 1


def test_a_server_counts_with_what_it_had_at_each_time(api: Api) -> None:
    begin = AT + 6400
    ident = met(api, created=begin - DAY, vcpus=2, ram=1024, disk=10)
    with api.engine.begin() as connection:
        meter.agree(connection, spans.SERVER, ident, {"vcpus": 4, "flavor_id": "other"}, begin + DAY / 4)
    found = usage(api)
    (server,) = found["server_usages"]
    assert (server["hours"], server["vcpus"], server["flavor"]) == (24.0, 4, "other")
    assert found["total_vcpus_usage"] == 6 * 2 + 18 * 4
    assert found["total_memory_mb_usage"] == 24 * 1024


@pytest.mark.parametrize("query", ["start=soon", "end=never", "start=2023-11-16T00:00:00&end=2023-11-15T00:00:00"])
def test_what_period_it_may_be(api: Api, query: str) -> None:
    assert api.get(f"{USAGE}/{MINE}?{query}").status_code == 400
