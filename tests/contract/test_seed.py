"""A seed's way through a real Ganeti: the script gets it, and nothing else keeps a word of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from frontend.compute import seeding
from frontend.compute.schema_server import NewServer, new_server
from frontend.database.vault import Vault
from frontend.effect import translate_create
from frontend.effect.translate import Call, Size
from frontend.effect.translate_create import Disk
from ganeti_ext import seed
from ganeti_ext.rapi import Rapi
from lab import layer
from tests.contract.ganeti_node import NAME, GanetiNode
from tests.contract.kvm_ifup_node import needs_node

pytestmark = [pytest.mark.lab, needs_node]

IDENT = "0aaaaaaa-0000-4000-8000-000000000003"
INSTANCE = f"gx-{IDENT}"
VAULT = Vault("the front's secret")
STORE = "/srv/ganeti-ext"
ARGS = "/root/args"
# What the tenant wants nobody to read; the key is public, but no node's business.
PASSWORD, DATA, FILE, KEY = (
    "hush-the-password",
    "#cloud-config\nhush: data\n",
    "hush the file",
    "ssh-ed25519 AAAAhush me",
)
CHANGED = "hush-changed-password"
BODY: dict[str, Any] = {
    "server": {
        "name": "web",
        "flavorRef": "f",
        "imageRef": "i",
        "adminPass": PASSWORD,
        "user_data": base64.b64encode(DATA.encode()).decode(),
        "personality": [{"path": "/etc/motd", "contents": base64.b64encode(FILE.encode()).decode()}],
    }
}
# Ganeti's own script between, which notes how all processes were called while ours runs.
CREATE = f"""#!/bin/sh
for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < "$each"; echo; done >> {ARGS} 2>/dev/null
exec {layer.HERE}/extstorage/os/create
"""


@pytest.fixture(scope="module")
def cluster(ganeti: GanetiNode) -> Iterator[GanetiNode]:
    prepare(ganeti)
    yield ganeti
    ganeti.run("gnt-instance", "remove", "--force", INSTANCE, patience=60)  # its loop devices are the machine's


def prepare(made: GanetiNode) -> None:
    """The provider, an image and the OS; others may have done the same."""
    made.run(
        "mkdir",
        "-p",
        f"{STORE}/images",
        f"{STORE}/volumes",
        "/usr/share/ganeti/extstorage",
        "/srv/ganeti/os/ganeti-ext",
        "/var/log/ganeti/extstorage",
    )
    made.run("truncate", "--size=8M", f"{STORE}/images/i.raw")
    made.run("ln", "-sfn", f"{layer.HERE}/extstorage/cow", "/usr/share/ganeti/extstorage/cow")
    for name in (
        "_seed",
        "export",
        "import",
        "rename",
        "verify",
        "ganeti_api_version",
        "parameters.list",
        "variants.list",
    ):
        made.run("ln", "-sfn", f"{layer.HERE}/extstorage/os/{name}", f"/srv/ganeti/os/ganeti-ext/{name}")
    made.write("/srv/ganeti/os/ganeti-ext/create", CREATE, 0o755)
    made.run(
        "gnt-cluster",
        "modify",
        "--enabled-disk-templates=diskless,ext",
        "--ipolicy-disk-templates=diskless,ext",
        "--ipolicy-bounds-specs=min:cpu-count=1,disk-count=0,disk-size=1,memory-size=1,nic-count=0,spindle-use=1/"
        "max:cpu-count=8,disk-count=16,disk-size=1048576,memory-size=32768,nic-count=8,spindle-use=12",
    )
    made.write("/var/lib/ganeti/rapi/users", "front password write\n")


def rapi(cluster: GanetiNode) -> Rapi:
    return Rapi("https://127.0.0.1:5080", "front", "password", str(cluster.path("/var/lib/ganeti/rapi.pem")))


def finished(cluster: GanetiNode, call: Call) -> dict[str, Any]:
    """What became of the job of a call."""
    with cluster.network():
        job = rapi(cluster).submit(*call)
    cluster.run("sh", "-c", f"gnt-job watch {job} || true", patience=60)
    with cluster.network():
        found: dict[str, Any] = rapi(cluster).get(f"jobs/{job}")
    return found


def create(ident: str = IDENT) -> Call:
    wanted: NewServer = new_server(BODY, (2, 1))
    told = seeding.of(wanted, ident, "web", KEY, PASSWORD, VAULT)
    place = translate_create.Place(node=NAME)
    return translate_create.create(
        f"gx-{ident}", Size(1, 128, 8), Disk("cow", "i"), [], {"name": "web"}, {}, place, told
    )


def patterns(*secrets: str) -> str:
    """Lines for grep: secrets as they are, and as base64 has them."""
    return "\n".join([*secrets, *(base64.b64encode(secret.encode()).decode().rstrip("=")[:-1] for secret in secrets)])


def keepers(cluster: GanetiNode, *secrets: str) -> list[str]:
    """Files of Ganeti, its logs and its runtime directories that have one of the secrets."""
    places = ("/var/lib/ganeti", "/var/log", "/run", "/etc", "/tmp", "/root", "/var/spool", "/srv")
    found = cluster.run("sh", "-c", f"grep -rlF -f - {' '.join(places)} || [ $? = 1 ]", stdin=patterns(*secrets) + "\n")
    return sorted(found.split())


def said(cluster: GanetiNode, job: int) -> str:
    """What Ganeti tells of the instance and the job, to whoever asks."""
    with cluster.network():
        api = rapi(cluster)
        answers = [api.get(f"instances/{INSTANCE}"), api.get(f"instances/{INSTANCE}/tags"), api.get(f"jobs/{job}")]
    shown = (cluster.run("gnt-instance", "info", INSTANCE), cluster.run("gnt-job", "info", str(job)))
    return json.dumps(answers) + "".join(shown)


def volume(cluster: GanetiNode, number: int) -> str:
    (found,) = cluster.run("sh", "-c", f"ls {STORE}/volumes/*disk{number}*").split()
    return found


def test_a_create_brings_the_seed_to_its_disk_alone(cluster: GanetiNode) -> None:
    call = create()
    job = finished(cluster, call)
    assert job["status"] == "success", job["opresult"]
    assert job["ops"][0]["osparams_secret"] == {"seed": None}
    text = (call.body or {})["osparams_secret"]["seed"]
    secrets = (PASSWORD, DATA.strip().splitlines()[-1], FILE, KEY, text[:64], text[-64:], VAULT.seed_key(IDENT))
    assert keepers(cluster, *secrets) == [volume(cluster, 1)]
    told = [said(cluster, job["id"]), cluster.path(ARGS).read_text()]
    assert "ganeti-ext/create" in told[1]  # it was looked at while the script ran
    for line in patterns(*secrets).splitlines():
        assert [line in each for each in told] == [False, False]


def test_what_the_disk_holds_is_a_file_system_that_cloud_init_looks_for(cluster: GanetiNode) -> None:
    path = volume(cluster, 1)
    tags = cluster.run("blkid", "--probe", "--output", "export", path)
    assert {"TYPE=vfat", "LABEL=CIDATA"} <= set(tags.split())
    assert DATA.encode() in cluster.path(path).read_bytes()
    with cluster.network():
        disks = rapi(cluster).get(f"instances/{INSTANCE}")["disk.sizes"]
    assert disks == [8, seed.SIZE]


def test_a_reinstallation_changes_the_seed_and_tells_nobody(cluster: GanetiNode) -> None:
    osparams = seeding.update(VAULT, IDENT, {"password": CHANGED})
    body = {"os": translate_create.OS, "start": False, "osparams": osparams}
    job = finished(cluster, Call("POST", f"instances/{INSTANCE}/reinstall", body))
    assert job["status"] == "success", job["opresult"]
    assert keepers(cluster, CHANGED) == [volume(cluster, 1)]
    assert keepers(cluster, PASSWORD) == []
    assert keepers(cluster, KEY) == [volume(cluster, 1)]
    assert CHANGED not in said(cluster, job["id"])


def test_a_script_that_fails_says_nothing_of_what_it_was_told(cluster: GanetiNode) -> None:
    other = IDENT[:-1] + "2"
    call = create(other)
    body = call.body or {}
    body["disks"][1]["name"] = "elsewhere"
    job = finished(cluster, call)
    assert job["status"] == "error"
    assert "no disk has a name that ends in -seed" in json.dumps(job["opresult"])
    assert keepers(cluster, body["osparams_secret"]["seed"][:64], VAULT.seed_key(other)) == []
    cluster.run("gnt-instance", "remove", "--force", f"gx-{other}", patience=60)
