"""tempest, OpenStack's own tests of a cloud, against the lab: users, images and flavors for it, and the run.

tests/foreign/tempest says what is run (NAME.regex), what is left out and why (exclude.regex), and how tempest is
configured. What a run leaves is in build/tempest/NAME.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lab import ROOT, base, environment, ganeti, guest, services, wires
from lab.node import Node
from lab.step import step

HERE = ROOT / "tests/foreign/tempest"
PACKAGES = ROOT / "tests/foreign/python/tempest.txt"
RESULTS = ROOT / "build/tempest"
LISTS = ("must", "reasonable")
WORKERS = 2
"""Tests that go on at once; each needs users of its own."""

_DOMAIN = {"user_domain_name": "Default", "project_domain_name": "Default"}
_FLAVORS = {"tempest-1": (128, 1), "tempest-2": (192, 2)}  # MiB, GiB
_IMAGES = ("tempest-1", "tempest-2")
STESTR = "[DEFAULT]\ntest_path={package}/test_discover\ntop_dir={top}\ngroup_regex=([^\\.]*\\.)*\n"


class Account(NamedTuple):
    """A user with his role in a project; `told` is what tempest is told of his roles."""

    name: str
    project: str
    role: str
    told: dict[str, list[str]]


def run(front: Node, chosen: str, words: Sequence[str]) -> int:
    """Run what NAME.regex selects, or what `words` (of `tempest run`) do; its exit code, 0 if nothing failed."""
    folder = RESULTS / chosen
    programs = environment.programs(PACKAGES)
    with step("Making accounts, flavors and images for tempest"):
        _prepare(front, folder, programs)
    command = [
        *("ip", "netns", "exec", wires.SWITCHES),  # from where the front and its screens are to be reached
        *(str(programs / "tempest"), "run", "--config-file", str(folder / "tempest.conf")),
        *("--concurrency", str(WORKERS), "--exclude-list", str(HERE / "exclude.regex")),
        *(words or ("--include-list", str(HERE / f"{chosen}.regex"))),
    ]
    code = _shown(command, folder)
    if code:
        print("\nFailed:")
        _shown([str(programs / "stestr"), "failing", "--list"], folder)
    print(f"\nEverything that was said and seen is in {folder}: output, tempest.log, .stestr")
    return code


def accounts() -> Iterator[Account]:
    """Who must be there. Tempest takes the first user that is no admin for `alt`, so these come first."""
    numbers = range(1, WORKERS + 1)
    for number in numbers:
        yield Account(f"tempest-alt-{number}", f"tempest-alt-{number}", "member", {"roles": ["alt"]})
    for number in numbers:
        for role in ("member", "reader"):
            yield Account(f"tempest-{role}-{number}", f"tempest-{number}", role, {"roles": [role]})
    for number in numbers:
        name = f"tempest-admin-{number}"
        yield Account(name, name, "admin", {"roles": ["admin"], "types": ["admin"]})


def _prepare(front: Node, folder: Path, programs: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "lock").mkdir(parents=True)
    _write(folder / "accounts.yaml", json.dumps(_users(front), indent=1))  # JSON is YAML
    flavors = [_flavor(front, name) for name in _FLAVORS]
    images = [_image(front, name) for name in _IMAGES]
    places = {
        "work": str(folder),
        "base": f"http://{front.address}:{services.PORT}",
        "network": ganeti.NETWORK,
        **dict(zip(("flavor", "flavor_alt"), flavors, strict=True)),
        **dict(zip(("image", "image_alt"), images, strict=True)),
    }
    _write(folder / "tempest.conf", (HERE / "tempest.conf.in").read_text().format(**places))
    (package,) = (programs.parent / "lib").glob("python3*/site-packages/tempest")
    _write(folder / ".stestr.conf", STESTR.format(package=package, top=package.parent))
    _shown([str(programs / "stestr"), "init"], folder)


def _users(front: Node) -> list[dict[str, object]]:
    """Make all accounts, each with a new password; what tempest is told of them."""
    told: list[dict[str, object]] = []
    for one in accounts():
        password = services.account(front, one.name, one.project, one.role)  # the quota of whose project is compared
        user = {"username": one.name, "password": password, "project_name": one.project, **_DOMAIN}
        told.append({**user, **one.told, "resources": {"network": ganeti.NETWORK}})
    return told


def _flavor(front: Node, name: str) -> str:
    ram, disk = _FLAVORS[name]
    return _manage(front, "flavor-create", name, "--vcpus=1", f"--ram={ram}", f"--disk={disk}", "--if-missing")


def _image(front: Node, name: str) -> str:
    return services.add_image(front, name, guest.image(base.root()))


def _manage(front: Node, *words: str) -> str:
    return front.run("ganeti-ext-manage", *words).strip()


def _write(path: Path, text: str) -> None:
    """A file that only its owner reads: some have passwords."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _shown(command: Sequence[str], folder: Path) -> int:
    """Run a program in the folder; what it says is shown as it comes, and kept in `output`."""
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None
        for line in process.stdout:
            output.write(line)
            output.flush()
            print(line.decode(errors="replace"), end="", flush=True)
        return process.wait()
