"""Lists of volumes: filters, order, pages, sums."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from frontend.settings import Front, Settings, Volumes
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, Api, FakeRapi, serve
from tests.unit.frontend.volumes import VOLUMES, add, attached, ident

LATEST: Any = {"OpenStack-API-Version": "volume latest"}


def listed(api: Api, query: str = "", **more: Any) -> list[int]:
    """The numbers of the volumes that are found."""
    answer = api.get(f"{VOLUMES}/volumes/detail?{query}", **more)
    assert answer.status_code == 200, answer.text
    found = [each["id"] for each in answer.json["volumes"]]  # type: ignore[index]
    short = api.get(f"{VOLUMES}/volumes?{query}", **more).json["volumes"]  # type: ignore[index]
    assert [each["id"] for each in short] == found
    assert all(set(each) == {"id", "name", "links"} for each in short)
    return [int(key[-4:], 16) for key in found]


@pytest.fixture
def some(api: Api) -> Api:
    add(api, 1, name="b", size=3, metadata={"Type": "work", "x": "1"})
    add(api, 2, name="a", facts={"bootable": "1", "image_meta": '{"os": "debian"}', "source_snapshot": "s1"})
    add(api, 3, name="a", fault="no room", type="rbd:fast", metadata={"Type": "play"})
    attached(api, 4, name="d", user_id="somebody")
    add(api, 5, project_id=FOREIGN, name="a", metadata={"Type": "work"})
    add(api, 6, name="a", deleted=1.0)
    return api


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [4, 3, 2, 1]),
        ("name=a", [3, 2]),
        ("display_name=b", [1]),
        ("name=nobody", []),
        ("status=available", [2, 1]),
        ("status=error", [3]),
        ("status=in-use", [4]),
        ("status=null", []),
        ("name=a&status=error", [3]),
        ("size=3", [1]),
        ("volume_type=rbd:fast", [3]),
        ("volume_type=cow", [4, 2, 1]),
        ("volume_type=gold", []),
        ("bootable=true", [2]),
        ("bootable=false", [4, 3, 1]),
        (f"metadata={quote(str({'Type': 'work'}))}", [1]),
        ('metadata={"Type": "work", "x": "1"}', [1]),
        ('metadata={"Type": "work", "x": "2"}', []),
        ("snapshot_id=s1", [2]),
        ("user_id=somebody", [4]),
        ("availability_zone=nova", [4, 3, 2, 1]),
        ("availability_zone=mars", []),
        ("group_id=g", []),
        ("multiattach=true", []),
        ("encrypted=false", [4, 3, 2, 1]),
        ("all_tenants=1", [4, 3, 2, 1]),
        (f"all_tenants=1&project_id={FOREIGN}", [4, 3, 2, 1]),
        ("nonsense=1", [4, 3, 2, 1]),
        ("sort=name:asc,created_at:asc", [2, 3, 1, 4]),
        ("sort=size,created_at:asc", [1, 2, 3, 4]),
        ("sort_key=id&sort_dir=asc", [1, 2, 3, 4]),
        ("sort_key=id&sort_dir=desc&limit=2", [4, 3]),
        ("sort_key=display_name&sort_dir=asc", [2, 3, 1, 4]),
        ("limit=2", [4, 3]),
        ("limit=0", []),
        ("offset=1&limit=1", [3]),
        ("name=a&offset=1", [2]),
        ("bootable=false&offset=1&limit=1", [3]),
        (f"marker={ident(3)}", [2, 1]),
        (f"marker={ident(2)}&sort=id:asc", [3, 4]),
    ],
)
def test_filters_order_and_pages(some: Api, query: str, found: list[int]) -> None:
    assert listed(some, query) == found


@pytest.mark.parametrize(
    "query",
    [
        *(
            "limit=-1",
            "limit=x",
            "offset=x",
            "sort=nonsense",
            "sort_key=nonsense",
        ),
        *("sort=name:up", "sort_dir=up", "sort=name&sort_key=name", "metadata=work", "metadata=[1]", "size=x"),
        *("metadata=" + "(" * 1900, "metadata=" + "-" * 1900 + "1", "metadata=" + "x" * 2001, "encrypted=perhaps"),
    ],
)
def test_what_cannot_be_asked(some: Api, query: str) -> None:
    assert some.get(f"{VOLUMES}/volumes?{query}").status_code == 400


def test_a_full_page_tells_of_the_next(some: Api) -> None:
    url, found = f"{VOLUMES}/volumes/detail?limit=2&sort=id:asc", []
    for _ in range(3):
        answer = some.get(url).json
        assert answer is not None
        found.append([each["id"] for each in answer["volumes"]])
        if "volumes_links" not in answer:
            break
        ((link),) = answer["volumes_links"]
        url = link["href"]
    assert found == [[ident(1), ident(2)], [ident(3), ident(4)], []]


def test_bootable_until_3_1_is_all_that_is_not_false(some: Api) -> None:
    assert listed(some, "bootable=perhaps") == [2]
    assert some.get(f"{VOLUMES}/volumes?bootable=perhaps", headers=LATEST).status_code == 400


def test_what_is_told_of_images_filters_from_3_4(some: Api) -> None:
    query = 'glance_metadata={"os": "debian"}'
    assert listed(some, query) == [4, 3, 2, 1]
    assert listed(some, query, headers=LATEST) == [2]


def test_a_marker_that_there_is_not(some: Api) -> None:
    texts = [some.get(f"{VOLUMES}/volumes?marker={each}") for each in (ident(5), ident(9))]
    assert [each.status_code for each in texts] == [404, 404]
    assert texts[0].text.replace(ident(5), "") == texts[1].text.replace(ident(9), "")


def test_a_blank_id_names_none(some: Api) -> None:
    for method in ("GET", "DELETE", "PUT"):
        for path in (f"{VOLUMES}/volumes/", f"{COMPUTE}/os-volumes/"):
            assert some.call(method, path, json={}).status_code == 404


def test_the_sum(some: Api) -> None:
    url = f"{VOLUMES}/volumes/summary"
    assert some.get(url).json == {"volume-summary": {"total_size": 9, "total_count": 4}}
    assert some.get(f"{url}?bootable=true").json == {"volume-summary": {"total_size": 2, "total_count": 1}}


def test_an_administrator_sees_all(front: Front, rapi: FakeRapi) -> None:
    nobody = serve(front, rapi, Settings(front=front, volumes=Volumes(types=("cow", "rbd:fast"))))
    adam = administrator(nobody)
    add(nobody, 1)
    add(nobody, 2, project_id=FOREIGN, type="rbd:fast")
    assert listed(adam) == [1]
    assert listed(adam, "all_tenants=1") == listed(adam, "all_tenants") == [2, 1]
    assert listed(adam, f"all_tenants=True&project_id={FOREIGN}") == [2]
    for host in ("ganeti@rbd", "ganeti@rbd%23fast"):
        assert listed(adam, f"all_tenants=1&host={host}") == [2]
    assert adam.get(f"{VOLUMES}/volumes?all_tenants=perhaps").status_code == 400
