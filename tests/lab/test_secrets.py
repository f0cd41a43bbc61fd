"""What a tenant entrusts to the front is to be read on no node: in no log, job file, event, tag or process list."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lab import services
from lab.ganeti import NETWORK
from lab.node import Node
from lab.step import until
from lab.story import Story, clear
from tests.lab.caller import COMPUTE, Caller

# What daemons write: logs, job files, Ganeti's configuration with its tags, spools, the broker's and database's files.
_PLACES = (
    *("/var/log", "/var/lib/ganeti", "/var/lib/ganeti-ext", "/var/spool/ganeti-ext", "/run/ganeti", "/run/ganeti-ext"),
    *("/var/lib/rabbitmq", "/var/lib/postgresql"),
)
_JOURNAL = "journalctl --boot --output=export --all"
_EVENTS = "timeout 5 ganeti-ext-events tail --json --since 30m 2>/dev/null; true"


@pytest.fixture
def seen(story: Story) -> Iterator[set[str]]:
    """Every command line that any process of any node has had meanwhile; whole when the block has ended."""
    lines: set[str] = set()
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(lines, done))
    watcher.start()
    yield lines
    done.set()
    watcher.join()


def test_no_secret_is_to_be_read_anywhere(story: Story, seen: set[str]) -> None:
    clear(story)
    tenant = Caller(*_credentials())
    entrusted = _live(tenant)
    entrusted["token"] = tenant.token
    entrusted["password"] = _credentials()[1]
    every = [form for secret in entrusted.values() for form in forms(secret)]
    for node in story.nodes:
        if _found(node, every):
            by_name = {name: _found(node, forms(secret)) for name, secret in entrusted.items()}
            raise AssertionError(f"on {node.name} stands {by_name}")
    told = story.master.run("sh", "-c", _EVENTS)
    assert "OP_INSTANCE_CREATE" in told, "there are no events to look at"
    words = "\n".join(seen)
    assert "qemu-system" in words, "no process was seen"
    for name, secret in entrusted.items():
        for form in forms(secret):
            assert form not in told, f"{name} is in an event"
            assert form not in words, f"{name} is in a process list"


def test_what_is_written_in_a_log_is_found(story: Story) -> None:
    """So that the test above is known to look."""
    mark = secrets.token_hex(12)
    node = story.nodes[1]
    coded = base64.b64encode(f"it is {mark} indeed".encode()).decode()
    node.write("/var/log/ganeti/mark", coded)
    node.run("logger", f"says {mark}")
    try:
        both = {"/var/log/ganeti/mark", "the journal"}
        until("both are found", lambda: both <= set(_found(node, forms(mark))), 20)
    finally:
        node.run("rm", "/var/log/ganeti/mark")


def forms(secret: str) -> list[str]:
    """A secret as it may stand somewhere: itself, and the part of it that any base64 of a text around it shows."""
    data = secret.encode()
    coded = []
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + data).decode().rstrip("=")
        coded.append(text[4 if shift else 0 : -2])
    return [secret, *coded]


def _live(tenant: Caller) -> dict[str, str]:
    """A server's life with all that can be entrusted to it; the secrets, by what they are."""
    mark = {name: secrets.token_hex(12) for name in ("user data", "file", "password of the server", "rebuilt password")}
    key = tenant.call("POST", f"{COMPUTE}/os-keypairs", {"keypair": {"name": "secret"}})["keypair"]
    server = {
        "name": "entrusted",
        **_named(tenant),
        "key_name": "secret",
        "adminPass": mark["password of the server"],
        "config_drive": True,
        "user_data": _coded(f"#cloud-config\n# {mark['user data']}\n"),
        "personality": [{"path": "/etc/secret", "contents": _coded(mark["file"])}],
    }
    ident = tenant.call("POST", f"{COMPUTE}/servers", {"server": server})["server"]["id"]
    path = f"{COMPUTE}/servers/{ident}"
    _reaches(tenant, path, "ACTIVE")
    rebuild = {"imageRef": server["imageRef"], "adminPass": mark["rebuilt password"]}
    tenant.call("POST", f"{path}/action", {"rebuild": rebuild})
    _reaches(tenant, path, "ACTIVE")
    credential = {"application_credential": {"name": secrets.token_hex(4)}}
    made = tenant.call("POST", f"/identity/v3/users/{tenant.user_id}/application_credentials", credential)
    tenant.call("DELETE", path)
    until("the server is gone", lambda: not tenant.call("GET", f"{COMPUTE}/servers")["servers"], 120)
    tenant.call("DELETE", f"{COMPUTE}/os-keypairs/secret")
    # One line of it, without the words that every key has.
    mark["private key"] = key["private_key"].strip().splitlines()[2]
    return {**mark, "application credential": made["application_credential"]["secret"]}


def _named(tenant: Caller) -> dict[str, object]:
    """The image, flavor and network of the server."""

    def ident(path: str, key: str, name: str) -> str:
        return next(str(one["id"]) for one in tenant.call("GET", path)[key] if one["name"] == name)

    network = ident("/network/v2.0/networks", "networks", NETWORK)
    return {
        "imageRef": ident("/image/v2/images", "images", services.IMAGE),
        "flavorRef": ident(f"{COMPUTE}/flavors", "flavors", services.FLAVOR),
        "networks": [{"uuid": network}],
    }


def _reaches(tenant: Caller, path: str, status: str) -> None:
    def there() -> bool:
        server = tenant.call("GET", path)["server"]
        assert server["status"] != "ERROR", server
        return server["status"] == status and server["OS-EXT-STS:task_state"] is None

    until(f"the server is {status}", there, 300, pause=1)


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _credentials() -> tuple[str, str, str]:
    words: Mapping[str, str] = dict(re.findall(r"(OS_[A-Z_]+)=(\S+)", services.OPENRC.read_text()))
    return words["OS_USERNAME"], words["OS_PASSWORD"], words["OS_PROJECT_NAME"]


def _found(node: Node, patterns: list[str]) -> list[str]:
    """Files, and the journal, that have any of the texts."""
    text = "\n".join(patterns)
    places = " ".join(_PLACES)
    files = node.run("sh", "-c", f"grep -rlaF -f - {places} 2>/dev/null; true", stdin=text, timeout=300).split()
    # The journal's own files are compressed.
    told = node.run("sh", "-c", f"exec 3<&0; {_JOURNAL} </dev/null | grep -caF -f /dev/fd/3; true", stdin=text)
    return sorted(files) + (["the journal"] if int(told) else [])


def _watch(lines: set[str], done: threading.Event) -> None:
    """Keep reading this machine's process list: the nodes' processes are in it. A process has its last words soon."""
    looks: dict[str, int] = {}
    for turn in itertools.count():
        if done.wait(0.05):
            return
        there = {entry.name for entry in os.scandir("/proc") if entry.name.isdecimal()}
        looks = {pid: looks.get(pid, 0) + 1 for pid in there}
        for pid in there if turn % 40 == 0 else (pid for pid in there if looks[pid] <= 40):
            with contextlib.suppress(OSError):
                lines.add(Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
