"""Quotas and limits: shown, set by an administrator, and kept to."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from frontend.compute import quotas, requests
from frontend.quota import reserved
from frontend.settings import Front
from frontend.web import context
from frontend.web.fault import Forbidden
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, IMAGE, MINE, NET, SMALL, Api

SETS = f"{COMPUTE}/os-quota-sets"


def test_limits_tell_what_is_allowed_and_used(api: Api) -> None:
    api.server(vcpus=2, ram=1024)
    api.server(deleted=1.0)
    api.server(project_id=FOREIGN)
    limits = api.get(f"{COMPUTE}/limits?reserved=1").json["limits"]  # type: ignore[index]
    assert limits["rate"] == []
    found = limits["absolute"]
    assert (found["maxTotalInstances"], found["maxTotalCores"], found["maxTotalRAMSize"]) == (3, 4, 4096)
    assert (found["totalInstancesUsed"], found["totalCoresUsed"], found["totalRAMUsed"]) == (1, 2, 1024)
    assert (found["maxTotalKeypairs"], found["maxServerMeta"], found["maxServerGroups"]) == (100, 128, 10)
    assert all(isinstance(value, int) for value in found.values())


def test_limits_of_another_project_are_an_administrators(api: Api, nobody: Api) -> None:
    api.server(project_id=FOREIGN)
    assert api.get(f"{COMPUTE}/limits?tenant_id={FOREIGN}").status_code == 403
    adam = administrator(nobody)
    found = adam.get(f"{COMPUTE}/limits?tenant_id={FOREIGN}").json["limits"]["absolute"]  # type: ignore[index]
    assert found["totalInstancesUsed"] == 1


def test_a_project_sees_its_quota(api: Api) -> None:
    api.server(vcpus=2, ram=1024)
    shown = api.get(f"{SETS}/{MINE}").json["quota_set"]  # type: ignore[index]
    assert (shown["id"], shown["instances"], shown["cores"], shown["ram"]) == (MINE, 3, 4, 4096)
    defaults = api.get(f"{SETS}/{MINE}/defaults").json["quota_set"]  # type: ignore[index]
    assert (defaults["instances"], defaults["cores"], defaults["ram"]) == (10, 20, 51200)
    assert set(defaults) == set(shown)
    detail = api.get(f"{SETS}/{MINE}/detail").json["quota_set"]  # type: ignore[index]
    assert detail["cores"] == {"limit": 4, "in_use": 2, "reserved": 0}
    assert detail["metadata_items"] == {"limit": 128, "in_use": 0, "reserved": 0}
    assert set(detail) == set(shown)
    for tail in ("", "/detail", "/defaults"):
        assert api.get(f"{SETS}/{FOREIGN}{tail}").status_code == 403
        assert api.get(f"{SETS}/never{tail}").json == api.get(f"{SETS}/{FOREIGN}{tail}").json


@pytest.fixture
def adam(nobody: Api) -> Api:
    return administrator(nobody)


def put(adam: Api, expect: int = 200, project: str = FOREIGN, **sent: Any) -> Any:
    answer = adam.call("PUT", f"{SETS}/{project}", json={"quota_set": sent})
    assert answer.status_code == expect, answer.text
    return answer.json


def test_an_administrator_sets_a_quota(adam: Api, nobody: Api) -> None:
    shown = put(adam, instances="7", ram=-1, key_pairs=100, tenant_id=FOREIGN, cores=None)["quota_set"]
    assert (shown["instances"], shown["cores"], shown["ram"]) == (7, 4, -1)
    assert "id" not in shown
    bob = nobody.become("bob", "foreign")
    assert bob.get(f"{SETS}/{FOREIGN}").json["quota_set"] == {"id": FOREIGN, **shown}  # type: ignore[index]
    assert adam.call("DELETE", f"{SETS}/{FOREIGN}").status_code == 202
    assert bob.get(f"{SETS}/{FOREIGN}").json["quota_set"]["instances"] == 10  # type: ignore[index]
    assert bob.call("PUT", f"{SETS}/{FOREIGN}", json={"quota_set": {"instances": 1}}).status_code == 403


def test_what_a_quota_may_be(adam: Api) -> None:
    adam.server(project_id=FOREIGN, vcpus=2)
    adam.server(project_id=FOREIGN, vcpus=2)
    put(adam, 400, instances=-2)
    put(adam, 400, instances="many")
    put(adam, 400, instances=2**31)
    put(adam, 400, instances=1)
    put(adam, 400, key_pairs=5)
    put(adam, 404, "never", instances=5)
    assert put(adam)["quota_set"]["instances"] == 3
    assert put(adam, instances=1, force=True)["quota_set"]["instances"] == 1


def test_what_is_more_than_the_quota_is_refused(front: Front, adam: Api) -> None:
    adam.server(vcpus=2, ram=1024)
    with adam.engine.connect() as connection:
        quotas.check(connection, MINE, {"instances": 2, "cores": 2, "ram": 3072})
        with pytest.raises(Forbidden, match=r"instances: Requested 3, but already used 1 of 3"):
            quotas.check(connection, MINE, {"instances": 3, "cores": 1, "ram": 1})
        with pytest.raises(Forbidden, match="cores: Requested 3, but already used 2 of 4"):
            quotas.check(connection, MINE, {"cores": 3})
        with pytest.raises(Forbidden, match="ram: Requested 3073 MiB"):
            quotas.check(connection, MINE, {"ram": 3073})
    put(adam, project=MINE, instances=-1, ram=0, force=True)
    with adam.engine.connect() as connection:
        quotas.check(connection, MINE, {"instances": 1000, "cores": 1, "ram": 0})
        with pytest.raises(Forbidden):
            quotas.check(connection, MINE, {"ram": 1})
    with adam.client.application.app_context(), pytest.raises(Forbidden):
        assert context.services().settings.quota.metadata == 128
        quotas.check_metadata(128)
        quotas.check_metadata(129)


CLASSES = f"{COMPUTE}/os-quota-class-sets"


def test_a_class_gives_all_who_have_none_of_their_own(adam: Api) -> None:
    assert adam.call("DELETE", f"{SETS}/{FOREIGN}").status_code == 202
    sent = {"quota_class_set": {"instances": 5, "cores": -1}}
    answer = adam.call("PUT", f"{CLASSES}/default", json=sent)
    assert (answer.status_code, answer.json["quota_class_set"]["cores"]) == (200, -1)  # type: ignore[index]
    shown = adam.get(f"{CLASSES}/default").json["quota_class_set"]  # type: ignore[index]
    assert (shown["id"], shown["instances"], shown["cores"], shown["ram"]) == ("default", 5, -1, 51200)
    others = adam.get(f"{SETS}/{FOREIGN}").json["quota_set"]  # type: ignore[index]
    assert (others["instances"], others["cores"]) == (5, -1)
    own = adam.get(f"{SETS}/{MINE}").json["quota_set"]  # type: ignore[index]
    assert (own["instances"], own["cores"]) == (3, 4)
    assert adam.get(f"{SETS}/{MINE}/defaults").json["quota_set"]["instances"] == 5  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "sent", "words"),
    [
        ("gold", {"instances": 5}, "gold: all projects are of the class 'default'"),
        ("default", {"instances": -2}, "instances: expected a whole number from -1"),
        ("default", {"ram": 1.5}, "ram: expected a whole number"),
        ("default", {"key_pairs": 5}, "key_pairs: is not Compute's to change"),
    ],
)
def test_what_a_class_may_be(adam: Api, name: str, sent: dict[str, Any], words: str) -> None:
    answer = adam.call("PUT", f"{CLASSES}/{name}", json={"quota_class_set": sent})
    assert (answer.status_code, words in answer.text) == (400, True), answer.text


def test_a_class_is_the_administrators(api: Api) -> None:
    assert api.get(f"{CLASSES}/default").status_code == 403
    assert api.call("PUT", f"{CLASSES}/default", json={"quota_class_set": {}}).status_code == 403


def test_a_class_of_volumes(adam: Api) -> None:
    """Block Storage's, at the project of the token."""
    path = f"/volume/v3/{MINE}/os-quota-class-sets/default"
    answer = adam.call("PUT", path, json={"quota_class_set": {"gigabytes": 7}})
    assert (answer.status_code, answer.json["quota_class_set"]["gigabytes"]) == (200, 7)  # type: ignore[index]
    assert adam.get(f"/volume/v3/{MINE}/limits").json["limits"]["absolute"]["maxTotalVolumeGigabytes"] == 7  # type: ignore[index]
    assert adam.call("PUT", path, json={"quota_class_set": {"gigabytes": "x"}}).status_code == 400


def test_what_is_set_apart_counts_and_is_shown(api: Api) -> None:
    server = api.server(vcpus=1, ram=512)
    with api.client.application.app_context(), context.database() as connection:
        reserved.keep(connection, "new", MINE, vcpus=1, ram=1024, ports=1)
        reserved.keep(connection, server["id"], MINE, vcpus=2, ram=256)
        reserved.keep(connection, "gone", FOREIGN, vcpus=1, ram=1)
        connection.commit()
        assert quotas.used(connection, MINE) == {"instances": 2, "cores": 3, "ram": 1536}
        with pytest.raises(Forbidden, match="cores: Requested 2, but already used 3 of 4"):
            quotas.check(connection, MINE, {"cores": 2})
    detail = api.get(f"{SETS}/{MINE}/detail").json["quota_set"]  # type: ignore[index]
    assert detail["instances"] == {"limit": 3, "in_use": 1, "reserved": 1}
    assert detail["cores"] == {"limit": 4, "in_use": 1, "reserved": 2}


def test_what_nobody_gives_back_ends_by_itself(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + reserved.ALONE + 1
    with api.client.application.app_context(), context.database() as connection:
        reserved.keep(connection, "new", MINE, vcpus=1, ram=1024, ports=1)
        connection.commit()
        monkeypatch.setattr(time, "time", lambda: later)
        assert quotas.used(connection, MINE)["instances"] == 0
        assert reserved.sweep(connection, time.time()) == 1


def test_a_server_that_ganeti_has_counts_though_its_row_could_not_be_written(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OperationalError("INSERT", None, Exception("gone"))

    monkeypatch.setattr(requests, "note_new", fails)
    new = {"name": "x", "flavorRef": SMALL, "imageRef": IMAGE, "networks": [{"uuid": NET}]}
    assert api.call("POST", f"{COMPUTE}/servers", json={"server": new}).status_code == 503
    assert (len(api.rapi.calls), api.rows()) == (1, [])
    with api.client.application.app_context(), context.database() as connection:
        assert quotas.used(connection, MINE)["instances"] == 1
