"""Two clusters with remote APIs of their own, over TLS: the manage command, and the consumer before one that hangs."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, update

from frontend.database import db
from ganeti_ext import event
from ganeti_ext.outbox import Outbox
from tests.contract.consumers import Broker
from tests.contract.manage_site import Manage, site
from tests.contract.services import RabbitMq
from tests.contract.test_consumer import consumer, rows, wait
from tests.unit.frontend import remote, updates
from tests.unit.frontend.cluster import CLUSTER, network

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")

TWO = "two.lab"
_OTHER = updates.IDENT.replace("7a1f", "7a2f")
_FAST = "[clusters]\nseconds = 1\nunknown = 2\ntimeout = 2\n"


def answers(name: str, uuid: str, **more: Any) -> dict[str, Any]:
    node = {"name": "node1", "group": "default", "offline": False, "drained": False, "vm_capable": True,
            "ctotal": 4, "mtotal": 8000, "mfree": 5000, "dtotal": 0, "dfree": 0}  # fmt: skip
    known = {"info": {"name": name, "software_version": "3.1.0", "uuid": uuid}, "instances": [], "networks": [],
             "groups": [{"name": "default", "node_cnt": 1}], "nodes": [node]}  # fmt: skip
    return {**known, **more}


class Place:
    """A front with two clusters in reach; `options` add the second one."""

    def __init__(self, manage: Manage, home: dict[str, Any], second: dict[str, Any], url: str, folder: Path) -> None:
        self.manage, self.home, self.second, self.folder = manage, home, second, manage.folder
        self.options = ("--url", url, "--user", "front", "--ca", str(folder / "rapi.pem"))

    def add(self, *more: str, name: str = TWO) -> str:
        return self.manage.ok("cluster-add", name, *self.options, *more, stdin="the-password\n")

    def listed(self) -> dict[str, Any]:
        return {row["name"]: row for row in json.loads(self.manage.ok("cluster-list", "--json"))}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with contextlib.ExitStack() as undo:
        manage = undo.enter_context(site())
        home = answers("one.lab", CLUSTER)
        second = answers(TWO, CLUSTER[:-1] + "2", instances=[updates.instance()], networks=[network()])
        Outbox(str(manage.folder / "outbox.db")).close()
        url = undo.enter_context(remote.serving(manage.folder, home))
        other = undo.enter_context(remote.serving(tmp_path, second))
        conf = remote.configure(manage.folder, url)
        conf.write_text(conf.read_text() + _FAST)
        yield Place(manage, home, second, other, tmp_path)


@contextlib.contextmanager
def mute() -> Iterator[str]:
    """The address of a remote API that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"https://127.0.0.1:{server.getsockname()[1]}"


def test_a_cluster_is_added_drained_and_removed(place: Place) -> None:
    assert place.listed() == {}
    assert place.add("--weight", "2") == f"cluster {TWO}: added, open; Ganeti 3.1.0\n"
    found = place.listed()
    assert list(found) == ["one.lab", TWO]
    assert (found[TWO]["state"], found[TWO]["weight"], found[TWO]["storage"]) == ("open", 2.0, TWO)
    assert found["one.lab"]["storage"] == "home"
    for verb, state in (("drain", "drained"), ("offline", "offline"), ("online", "open"), ("open", "open")):
        place.manage.ok(f"cluster-{verb}", TWO)
        assert place.listed()[TWO]["state"] == state
    assert "the-password" not in place.manage.ok("cluster-show", TWO)
    (kept,) = (row for row in rows(place.folder, db.cluster) if row["id"] == TWO)
    assert "the-password" not in str(kept)
    assert "PRIVATE KEY" not in kept["ca"]
    assert "while there are others" in place.manage.run("cluster-remove", "home").stderr
    place.manage.ok("cluster-remove", TWO)
    assert list(place.listed()) == ["one.lab"]
    assert "is the only one" in place.manage.ok("cluster-remove", "home")
    assert (place.listed(), rows(place.folder, db.cluster)) == ({}, [])


def test_what_is_not_what_it_says_is_not_added(place: Place, tmp_path: Path) -> None:
    def refused(*options: str, name: str = TWO) -> str:
        done = place.manage.run("cluster-add", name, *place.options, *options, stdin="p\n")
        assert done.returncode == 1, done
        return done.stderr

    assert f"says that it is {TWO}" in refused(name="three.lab")
    assert "CERTIFICATE_VERIFY_FAILED" in refused("--ca", str(place.folder / "rapi.pem"))
    (tmp_path / "none.pem").write_text("hello")
    assert "no certificate" in refused("--ca", str(tmp_path / "none.pem"))
    assert "Connection refused" in refused("--url", "https://127.0.0.1:1")
    with mute() as url:
        assert "timed out" in refused("--url", url)
    place.second["info"]["uuid"] = CLUSTER
    assert "it is that of [rapi]" in refused()
    assert place.listed() == {}
    assert place.manage.run("cluster-add", TWO, *place.options, stdin="").returncode == 1


def test_one_with_servers_is_not_removed_and_pins_are_kept(place: Place) -> None:
    place.add()
    place.manage.ok("project-create", "physics")
    place.manage.ok("cluster-pin", TWO, "physics")
    assert place.listed()[TWO]["pinned"] == ["physics"]
    assert place.manage.run("reconcile", "--cluster", TWO, "--fix", "all").returncode == 0
    (server,) = rows(place.folder, db.server)
    assert (server["cluster"], [row["cluster"] for row in rows(place.folder, db.network)]) == (TWO, [TWO])
    assert "nothing differs" in place.manage.ok("reconcile")
    head, shown = place.manage.ok("server-list").splitlines()
    assert (head.split()[0], shown.split()[0]) == ("CLUSTER", TWO)
    assert f"cluster {TWO}: ok, open, Ganeti 3.1.0" in place.manage.ok("status")
    assert "1 servers" in place.manage.run("cluster-remove", TWO).stderr
    place.manage.ok("cluster-unpin", "two.lab", "physics")
    assert place.manage.run("cluster-unpin", TWO, "physics").returncode == 1
    assert "there is none" in place.manage.run("cluster-show", "four.lab").stderr


def test_an_image_is_in_its_storage_too(place: Place, tmp_path: Path) -> None:
    place.add()
    (tmp_path / "disk.raw").write_bytes(b"\0" * 1024)
    place.manage.ok("image-create", "--name=debian", f"--file={tmp_path}/disk.raw", "--public")
    place.manage.ok("cluster-image", TWO, "debian")
    place.manage.ok("cluster-image", TWO, "debian")
    assert [row["storage"] for row in rows(place.folder, db.cluster_image)] == [TWO]
    place.manage.ok("cluster-image", TWO, "debian", "--gone")
    assert rows(place.folder, db.cluster_image) == []


def _point(place: Place, url: str) -> None:
    engine = create_engine(f"sqlite:///{place.folder}/front.db")
    with engine.begin() as connection:
        connection.execute(update(db.cluster).where(db.cluster.c.id == TWO).values(url=url))
    engine.dispose()


def _server(place: Place) -> dict[str, Any]:
    (found,) = (row for row in rows(place.folder, db.server) if row["cluster"] == TWO)
    return found


Tell = Callable[[str], object]


def _told(place: Place, tell: Tell, opcode: str, status: str, number: int, cluster: str = "one.lab") -> float:
    """Seconds until a message of a cluster is applied, which is told of a server that Ganeti has not."""
    other = {"instance": f"gx-{_OTHER}", "cluster": cluster, "job_fields": updates.create("success")["job_fields"]}
    message = updates.op(opcode, "success", job=20 + number, at=number, **other)
    began = time.monotonic()
    tell(event.encode({**message, **updates.read(status == "ACTIVE", at=number)}))
    wait(lambda: any((row["id"], row["status"]) == (_OTHER, status) for row in rows(place.folder, db.server)))
    return time.monotonic() - began


def test_one_that_hangs_keeps_nobody_waiting_and_its_servers_come_back(place: Place) -> None:
    place.add()
    outbox, url = Outbox(str(place.folder / "outbox.db")), place.options[1]
    with consumer(place.folder):
        wait(lambda: any(row["cluster"] == TWO for row in rows(place.folder, db.server)))
        wait(lambda: _server(place)["power"] in ("ACTIVE", "SHUTOFF"))
        before = _server(place)["status"]
        with mute() as silent:
            _point(place, silent)
            wait(lambda: _server(place)["status"] == "UNKNOWN")
            assert place.listed()[TWO]["answers"] == "no"
            for number, (opcode, status) in enumerate((("CREATE", "ACTIVE"), ("SHUTDOWN", "SHUTOFF"))):
                took = _told(place, lambda body: outbox.put([("key", body)]), opcode, status, number)
                assert took < 5, "a message waited for a cluster that hangs"
            seen = {row["of_cluster"]: row["time"] for row in rows(place.folder, db.comparison)}[""]
            assert seen > 0
        _point(place, url)
        wait(lambda: _server(place)["status"] == before)
    outbox.close()


def test_a_broker_of_its_own_is_heard_and_keeps_nobody_waiting(place: Place, rabbitmq: RabbitMq) -> None:
    (place.folder / "broker").write_text(f"{rabbitmq.url}\n")
    place.add("--broker-file", str(place.folder / "broker"))
    assert "amqp" not in place.manage.ok("cluster-show", TWO)
    outbox = Outbox(str(place.folder / "outbox.db"))
    with contextlib.closing(Broker(rabbitmq.url)) as broker, consumer(place.folder):
        wait(lambda: any(row["cluster"] == TWO for row in rows(place.folder, db.server)))
        _told(place, lambda body: broker.publish([body]), "CREATE", "ACTIVE", 0, TWO)
        assert {row["cluster"] for row in rows(place.folder, db.server)} == {TWO}
        with rabbitmq.frozen():
            took = _told(place, lambda body: outbox.put([("key", body)]), "CREATE", "ACTIVE", 1)
            assert took < 5, "a message waited for a broker that hangs"
        _told(place, lambda body: broker.publish([body]), "SHUTDOWN", "SHUTOFF", 2, TWO)
    outbox.close()
