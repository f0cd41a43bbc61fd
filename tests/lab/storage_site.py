"""What a tenant has of images, volumes and servers on the real cluster, and what is left when he has nothing.

He speaks HTTP with the front himself: begins things that are to be broken off, reads how they ended, deletes them.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from ganeti_ext.command import run
from lab import pool, server, services, storage
from lab.ceph import POOL
from lab.ganeti import NETWORK
from lab.server import PROVIDERS
from lab.step import until
from lab.story import Story
from lab.story_storage import left
from tests.lab import views
from tests.lab.caller import COMPUTE, Caller
from tests.lab.jobfiles import JobFiles

IMAGE = "/image/v2/images"
MIB = 1 << 20
PATIENCE = 300.0  # seconds, of which the lease of an upload or import that died takes 120
# What is kept of a kind is in one of these states when nothing is done with it; each can be deleted.
# Images first: what removes one is a job on an instance (unwanted.py), and there is no other tenant who has any.
FINAL: Mapping[str, frozenset[str]] = {
    "image": frozenset(("active", "queued", "killed")),
    "server": frozenset(("ACTIVE", "SHUTOFF", "ERROR")),
    "snapshot": frozenset(("available", "error", "error_deleting")),
    "volume": frozenset(("available", "in-use", "error")),
}
_OWED = "select what from owed where what <> 'create' or tries > 0"
WHOLE = frozenset(("ACTIVE", "SHUTOFF", "available", "in-use", "active"))


class Thing(NamedTuple):
    """Something of the tenant's, as the API shows it."""

    kind: str
    ident: str
    status: str
    row: Mapping[str, Any]


class Site:
    """The tenant has nothing when it is made. `images` are ids of the guests' system, by provider."""

    def __init__(self, story: Story, seed: int, providers: Sequence[str]) -> None:
        self.story, self.nodes, self.master, self.front = story, story.nodes, story.master, story.nodes[2]
        self.random = Random(seed)
        self.jobs = JobFiles(story.nodes)
        text = services.OPENRC.read_text(encoding="utf-8")
        (password,) = (line.split("=", 1)[1] for line in text.splitlines() if line.startswith("export OS_PASSWORD="))
        self.caller = Caller(services.PROJECT, password, services.PROJECT)
        self.project = views.sql(self.front, f"select id from project where name = '{services.PROJECT}'").strip()
        self.volume_api = f"/volume/v3/{self.project}"
        self.lines: list[str] = []
        self._system = ""
        self.clear()
        self.images = {provider: known(self, provider) for provider in providers}
        self._mend()
        self._nothing, self._unused = self._left(), self._used()

    # What the tenant does.

    def ask(self, path: str) -> Any:
        """What is read, as soon as the front answers."""
        found: list[Any] = []

        def answered() -> bool:
            try:
                found[:] = [self.caller.call("GET", path)]
            except (OSError, http.client.HTTPException) as err:
                if isinstance(err, urllib.error.HTTPError) and err.code < 500:
                    raise
                return False
            return True

        until(f"the front answers to GET {path}", answered, 90)
        return found[0]

    def things(self) -> list[Thing]:
        """All that the tenant has, in the order in which it can be deleted."""
        return [
            *self._listed("server", f"{COMPUTE}/servers/detail", "servers"),
            *self._listed("snapshot", f"{self.volume_api}/snapshots/detail", "snapshots"),
            *self._listed("volume", f"{self.volume_api}/volumes/detail", "volumes"),
            *self._listed("image", f"{IMAGE}?owner={self.project}", "images"),
        ]

    def make_server(self) -> str:
        """A running server, on the second node; its id."""
        flavors = self.ask(f"{COMPUTE}/flavors")["flavors"]
        networks = self.ask("/network/v2.0/networks")["networks"]
        (flavor,) = (each["id"] for each in flavors if each["name"] == services.FLAVOR)
        (network,) = (each["id"] for each in networks if each["name"] == NETWORK)
        wanted = {"name": "broken", "flavorRef": flavor, "imageRef": self.images["cow"]}
        body = {"server": {**wanted, "networks": [{"uuid": network}]}}
        ident: str = self.caller.call("POST", f"{COMPUTE}/servers", body)["server"]["id"]
        self.settle()
        (made,) = (each for each in self.things() if each.ident == ident)
        assert made.status == "ACTIVE", made.row
        self._to_second("migrate", f"gx-{ident}")
        return ident

    def make_volume(self, provider: str) -> str:
        """A volume of the guests' system, its holder on the second node; its id."""
        wanted = {"name": "broken", "size": 1, "imageRef": self.images[provider], "volume_type": provider}
        answer = self.caller.call("POST", f"{self.volume_api}/volumes", {"volume": wanted})
        ident: str = answer["volume"]["id"]
        self.settle()
        (made,) = (each for each in self.things() if each.ident == ident)
        assert made.status == "available", made.row
        self._to_second("failover", f"gx-vol-{ident}")
        return ident

    def _to_second(self, verb: str, instance: str) -> None:
        there = self.nodes[1].name
        if self.story.gnt("instance", "list", "--no-headers", "-o", "pnode", instance).strip() != there:
            # A holder has less memory than the policy lets an instance have.
            self.story.gnt("instance", verb, "--force", "--ignore-ipolicy", f"--target-node={there}", instance)
            self.settle()

    # How it stands.

    def newest_job(self) -> int:
        """The highest number of a job that the master knows."""
        queue = self.master.root / "var/lib/ganeti/queue"
        names = (path.name.removeprefix("job-") for path in queue.glob("job-*"))
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def jobs_end(self) -> bool:
        return all(job.is_final for job in self.jobs.read().values())

    def settle(self) -> list[Thing]:
        """Wait until nothing goes on any more, and nothing is owed; how all of it ended."""

        def restless() -> list[str]:
            if not self.jobs_end():
                return ["jobs go on"]
            if owed := views.sql(self.front, _OWED).split():
                return [f"the front owes {what}" for what in owed]
            return [f"{each.kind} {each.status}" for each in self.things() if not _is_at_rest(each)]

        until("all is in a final state", lambda: not restless(), PATIENCE, 0.3)
        return self.things()

    def check(self, things: Sequence[Thing]) -> None:
        """AssertionError for what the API calls whole and is not."""
        disks = self._disks()
        for each in things:
            if each.kind == "volume" and each.status in WHOLE:
                assert f"vol-{each.ident}" in disks, f"Ganeti has no disk of volume {each.ident}: {each.row}"
                provider, name = disks[f"vol-{each.ident}"]
                assert provider == each.row["volume_type"], each.row
                assert self._size(provider, name) >= each.row["size"] << 30, each.row
                assert self._digest(provider, name) == self._wanted(), f"volume {each.ident} has other content"
            if each.kind == "snapshot" and each.status in WHOLE:
                (volume,) = (one.row for one in things if one.ident == each.row["volume_id"])
                assert self._digest(volume["volume_type"], f"saved-{each.ident}") == self._wanted(), each.row
            if each.kind == "image" and each.status == "active" and "instance_uuid" not in each.row:
                content = self.front.run("sh", "-c", f"ganeti-ext-storage image export {each.ident} | md5sum")
                assert content.split()[0] == each.row["checksum"], each.row

    def clear(self) -> None:
        """The tenant deletes all that he has; AssertionError when he cannot."""
        for kind in FINAL:
            for each in self.settle():  # a volume first leaves the server that goes
                if each.kind == kind:
                    self._delete(each)
            until(f"no {kind} is left", lambda: not self._of(kind), PATIENCE, 0.3)  # noqa: B023

    def is_clean(self) -> None:
        """Nothing is left of anything in Ganeti and the stores, but what the administrator's commands mend at once."""
        until("the tenant uses nothing", lambda: self._used() == self._unused, 30)

        traces: dict[str, object] = {}

        def is_so() -> bool:
            self._mend()
            now = self._left()
            traces.clear()
            traces.update({name: new for name, found in now.items() if (new := _new(found, self._nothing[name]))})
            return not traces

        try:
            until("nothing is left", is_so, 150, 1)
        except TimeoutError:
            raise AssertionError(f"{traces} is left") from None

    # How that is found out.

    def _listed(self, kind: str, path: str, key: str) -> Iterator[Thing]:
        for row in self.ask(path)[key]:
            yield Thing(kind, row["id"], row["status"], row)

    def _of(self, kind: str) -> list[Thing]:
        return [each for each in self.things() if each.kind == kind]

    def _delete(self, each: Thing) -> None:
        paths = {"server": f"{COMPUTE}/servers", "image": IMAGE}
        path = paths.get(each.kind, f"{self.volume_api}/{each.kind}s")
        try:
            self.caller.call("DELETE", f"{path}/{each.ident}")
        except urllib.error.HTTPError as err:
            if err.code != 404:
                words = f"{each.kind} {each.ident}, {each.status}, cannot be deleted: {err.read().decode()}"
                raise AssertionError(words) from err

    def _used(self) -> dict[str, Any]:
        absolute = self.ask(f"{self.volume_api}/limits")["limits"]["absolute"]
        used = {name: value for name, value in absolute.items() if name.endswith("Used")}
        for name, each in self.ask("/image/v2/info/usage")["usage"].items():
            used[name] = each["usage"]
        return used

    def _config(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.master.read("/var/lib/ganeti/config.data"))
        return found

    def _disks(self) -> dict[str, tuple[str, str]]:
        """Provider and volume of Ganeti's disks that have a name."""
        disks = self._config()["disks"].values()
        return {disk["name"]: tuple(disk["logical_id"][:2]) for disk in disks if disk.get("name")}

    def _left(self) -> dict[str, Any]:
        config = self._config()
        stored = self.front.run("ganeti-ext-storage", "image", "list", "--json").splitlines()
        return {
            **left(self.story),
            "instances": sorted(each["name"] for each in config["instances"].values()),
            "disks": sorted(disk["logical_id"][1] for disk in config["disks"].values()),
            "images": sorted(json.loads(line)["id"] for line in stored),
            "drafts": self.front.run("ganeti-ext-storage", "image", "gc", "--dry-run", "--json"),
        }

    def _mend(self) -> None:
        """What an administrator types, or a timer."""
        mended = [row for node in self.nodes for row in server.storage(node, "repair")]
        removed = self.front.run("ganeti-ext-storage", "image", "gc", "--json").splitlines()
        words = [row["did"] for row in mended] + [json.loads(line)["did"] for line in removed]
        self.lines += [f"    mended: {each}" for each in words]

    def _size(self, provider: str, name: str) -> int:
        if provider == "cow":
            return int((storage.SHARED / f"volumes/{name}.raw").stat().st_size)
        return int(json.loads(pool.ceph().run("rbd", "info", "--format=json", f"{POOL}/{name}"))["size"])

    def _digest(self, provider: str, name: str) -> str:
        """Of as much of it as the guests' system has."""
        if provider == "cow":
            return self._sum(f"cat {storage.SHARED}/volumes/{name}.raw")
        command = f"rbd export --no-progress {POOL}/{name} - 2>/dev/null | head -c {64 * MIB} | md5sum"
        return pool.ceph().run("sh", "-c", command, timeout=60).split()[0]

    def _wanted(self) -> str:
        if not self._system:
            self._system = self._sum(f"cat {storage.SHARED}/images/{server.IMAGE}.raw")
        return self._system

    @staticmethod
    def _sum(command: str) -> str:
        return run(["sh", "-c", f"{command} | head -c {64 * MIB} | md5sum"], timeout=60).split()[0]


def _new(found: Any, before: Any) -> Any:
    """What was not there before. What was may go meanwhile: removals that earlier tests have left are made up for."""
    return [each for each in found if each not in before] if isinstance(found, list) else found != before and found


def _is_at_rest(each: Thing) -> bool:
    return each.status in FINAL[each.kind] and each.row.get("OS-EXT-STS:task_state") is None


def known(site: Site, provider: str) -> str:
    """The guests' system as an image of a provider; made when there is none."""
    assert provider in PROVIDERS, provider
    name = services.IMAGE if provider == "cow" else f"{services.IMAGE}-{provider}"
    listed = {each["name"]: each["id"] for each in site.ask(f"{IMAGE}?visibility=public")["images"]}
    if name not in listed:
        words = (f"--name={name}", f"--provider={provider}", "--public")
        path = f"/srv/ganeti-ext/images/{server.IMAGE}.raw"
        return site.front.run("ganeti-ext-manage", "image-create", *words, f"--file={path}").strip()
    return str(listed[name])
