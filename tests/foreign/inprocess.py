"""tempest against the API alone, in this process and before a Ganeti that is pretended: for what needs no guests.

    .venv/bin/python -m tests.foreign.inprocess                       the network and image parts of must and reasonable
    .venv/bin/python -m tests.foreign.inprocess --regex test_ports    words of `tempest run`
    .venv/bin/python -m tests.foreign.inprocess network.sh            a session of tests/foreign/clients

It needs no root; tempest itself is that of `make tempest` (lab/tempest.py), which installs it. What was said is in
build/tempest/inprocess. Images are kept by the real ganeti-ext-storage in a directory there. That real guests have real
networks, and disks of these images, is the lab's to show.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlalchemy.engine import Connection
from werkzeug.security import generate_password_hash
from werkzeug.serving import make_server

from frontend.app import create_app
from frontend.database import db
from frontend.image.settings_images import Images
from frontend.settings import Front, Settings
from lab import ROOT, environment, tempest
from tests.unit.frontend.pretended import Pretended

_PARTS = (r"\.network\.", r"\.api\.image\.")
_COMPUTE = r"^tempest\.api\.compute\.(test_(quotas|tenant_networks)|servers\.test_attach_interfaces)"
_FOLDER = tempest.RESULTS / "inprocess"
_STORAGE = ROOT / "extstorage/ganeti-ext-storage"


def main(words: Sequence[str]) -> int:
    shutil.rmtree(_FOLDER, ignore_errors=True)
    (_FOLDER / "lock").mkdir(parents=True)
    programs = environment.programs(tempest.PACKAGES)
    ganeti = Pretended()
    front = Front(database=f"sqlite:///{_FOLDER}/front.db", secret_file=f"{_FOLDER}/secret", tenant_link="br0")
    app = create_app(Settings(front=front, images=_images()), ganeti)
    ganeti.engine = app.extensions["ganeti-ext"].engine
    server = make_server("127.0.0.1", 0, app, threaded=True)
    ganeti.network("public", "192.0.2.0/24", "nfdhcpd", "ganeti-ext:external:1")
    with ganeti.engine.begin() as connection:
        places = _fill(connection)
    places |= {"work": str(_FOLDER), "base": f"http://127.0.0.1:{server.server_port}", "network": "public"}
    conf = (tempest.HERE / "tempest.conf.in").read_text().format(**places)
    (_FOLDER / "tempest.conf").write_text(conf)
    (package,) = (programs.parent / "lib").glob("python3*/site-packages/tempest")
    (_FOLDER / ".stestr.conf").write_text(tempest.STESTR.format(package=package, top=package.parent))
    subprocess.run([str(programs / "stestr"), "init"], cwd=_FOLDER, check=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if words and words[0].endswith(".sh"):
        return _session(words[0], places)
    command = [str(programs / "tempest"), "run", "--config-file", str(_FOLDER / "tempest.conf"), "--concurrency", "1"]
    command += ["--exclude-list", str(tempest.HERE / "exclude.regex")]
    code = subprocess.run(
        [*command, *(words or ["--include-list", str(_chosen())])], cwd=_FOLDER, check=False
    ).returncode
    server.shutdown()
    return code


def _images() -> Images:
    """A store that is a directory, and the program that has it in its hands."""
    store, program = _FOLDER / "store", _FOLDER / "ganeti-ext-storage"
    for name in ("images", "volumes", "locks", "staging"):
        (store / name).mkdir(parents=True)
    (_FOLDER / "cow.conf").write_text(f"[cow]\ndirectory = {store}\nrun_directory = {store}/run\nnode = node1\n")
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {_STORAGE} "$@" --config={_FOLDER}\n')
    program.chmod(0o755)
    return Images(command=str(program), max_upload=1 << 30, staging=str(store / "staging"))


def _session(name: str, places: Mapping[str, str]) -> int:
    """As the first member."""
    programs = environment.programs(ROOT / "tests/foreign/python/clients.txt")
    user = next(each for each in json.loads((_FOLDER / "accounts.yaml").read_text()) if each["roles"] == ["member"])
    who = {f"OS_{key.upper()}": str(value) for key, value in user.items() if isinstance(value, str)}
    tenant = {"OS_AUTH_URL": f"{places['base']}/identity/v3", "OS_IDENTITY_API_VERSION": "3", **who}
    used = {"IMAGE": "image", "FLAVOR": "tempest-128", "BIGGER": "tempest-192"}
    used |= {"NETWORK": "public", "EXTERNAL": "public"}
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(_FOLDER), "LANG": "C.UTF-8", **tenant, **used}
    script = ROOT / "tests/foreign/clients" / name
    return subprocess.run(["sh", str(script)], env=env, stdin=subprocess.DEVNULL, check=False).returncode


def _chosen() -> Path:
    """Of both lists the lines about networks and images, and of Compute what needs no guest that does something."""
    path = _FOLDER / "chosen.regex"
    lines = [line for name in tempest.LISTS for line in (tempest.HERE / f"{name}.regex").read_text().splitlines()]
    path.write_text("\n".join([*(line for line in lines if any(each in line for each in _PARTS)), _COMPUTE]))
    return path


def _fill(connection: Connection) -> dict[str, str]:
    """Accounts, flavors, images and a node; what tempest's configuration says of them."""
    told: list[dict[str, Any]] = []
    projects: dict[str, str] = {}
    for one in tempest.accounts():
        if one.project not in projects:
            projects[one.project] = str(uuid.uuid4())
            connection.execute(insert(db.project).values(id=projects[one.project], name=one.project,
                                                         max_servers=10, max_cores=20, max_ram=51200))  # fmt: skip
        password, ident = secrets.token_urlsafe(16), str(uuid.uuid4())
        hashed = generate_password_hash(password, "pbkdf2:sha256:1")
        connection.execute(insert(db.user).values(id=ident, name=one.name, password_hash=hashed, enabled=True))
        membership = {"user_id": ident, "project_id": projects[one.project], "role": one.role}
        connection.execute(insert(db.membership).values(**membership))
        user = {"username": one.name, "password": password, "project_name": one.project}
        domain = {"user_domain_name": "Default", "project_domain_name": "Default"}
        told.append({**user, **domain, **one.told, "resources": {"network": "public"}})
    (_FOLDER / "accounts.yaml").write_text(json.dumps(told))
    places = {}
    for key, ram in (("flavor", 128), ("flavor_alt", 192)):
        places[key] = str(uuid.uuid4())
        connection.execute(insert(db.flavor).values(id=places[key], name=f"tempest-{ram}", vcpus=1, ram=ram, disk=1))
    for key in ("image", "image_alt"):
        places[key] = str(uuid.uuid4())
        image = {"size": 1 << 20, "sha256": "0" * 64, "min_disk": 1, "min_ram": 64, "created": time.time()}
        row = {"id": places[key], "name": key, "visibility": "public", "properties": {}, **image}
        connection.execute(insert(db.image).values(**row))
    node = {"name": "node1", "zone": "default", "offline": False, "drained": False, "vm_capable": True}
    connection.execute(insert(db.node).values(**node, updated=time.time()))
    return places


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
