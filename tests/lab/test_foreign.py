"""A tenant's own tools against the cluster: `openstack`, openstacksdk, Libcloud and Ansible, none of them changed."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab import ROOT, environment, services
from lab.ganeti import NETWORK
from lab.step import until
from lab.story import Story, clear

FOREIGN = ROOT / "tests/foreign"
CLIENTS = FOREIGN / "clients"
PATIENCE = 900  # seconds

pytestmark = pytest.mark.long
Typed = Callable[..., str]


@pytest.fixture
def typed(story: Story) -> Typed:
    """Runs a program as the demo's tenant on this machine; returns what it says."""
    clear(story)
    tenant = credentials(services.OPENRC)

    def run(packages: str, program: str, *words: str | Path, **more: str) -> str:
        folder = environment.programs(FOREIGN / f"python/{packages}.txt")
        env = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": "/root", "LANG": "C.UTF-8", **tenant, **more}
        command = [program, *map(str, words)]
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout

    return run


def credentials(openrc: Path) -> Mapping[str, str]:
    """What an rc file of ours exports, and the names of the things that the programs use."""
    words = re.findall(r"(OS_[A-Z_]+)=(\S+)", openrc.read_text())
    return {**dict(words), "IMAGE": services.IMAGE, "FLAVOR": "tiny", "BIGGER": "small", "NETWORK": NETWORK}


def test_openstack_commands(typed: Typed) -> None:
    assert typed("clients", "sh", CLIENTS / "session.sh").endswith("session done\n")


def test_openstack_commands_of_images_and_volumes(typed: Typed) -> None:
    assert typed("clients", "sh", CLIENTS / "storage.sh").endswith("session done\n")


def test_openstack_commands_of_networks(typed: Typed, story: Story) -> None:
    external = ("add-tags", NETWORK, "ganeti-ext:external:1")
    story.gnt("network", *external)
    try:
        until("it is external", lambda: story.tenant.openstack("network", "show", NETWORK)["router:external"], 30)
        assert typed("clients", "sh", CLIENTS / "network.sh", EXTERNAL=NETWORK).endswith("session done\n")
    finally:
        story.gnt("network", "remove-tags", *external[1:])


def test_openstack_commands_of_quotas(typed: Typed, story: Story) -> None:
    """As the administrator of a project of his own."""
    name = "quotas"
    who = {"OS_USERNAME": name, "OS_PROJECT_NAME": name}
    who["OS_PASSWORD"] = services.account(story.nodes[2], name, name, "admin")
    assert typed("clients", "sh", CLIENTS / "quota.sh", **who).endswith("session done\n")


def test_openstacksdk(typed: Typed) -> None:
    typed("clients", "python", CLIENTS / "sdk.py")


def test_libcloud(typed: Typed) -> None:
    typed("clients", "python", CLIENTS / "by_libcloud.py")


def test_ansible_twice(typed: Typed, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    words = (CLIENTS / "servers.yml", tmp_path, f"key={key}.pub")
    assert played(typed, *words) == 2  # the key, and the loop of both servers
    assert played(typed, *words) == 0
    assert played(typed, *words, "state=absent") == 2


def test_ansible_three_tiers_twice(typed: Typed, tmp_path: Path) -> None:
    words = (CLIENTS / "threetier.yml", tmp_path)
    played(typed, *words, "state=absent")  # what a run that was broken off has left
    assert played(typed, *words) == 8  # six loops, the volume, and its place
    assert played(typed, *words) == 0
    assert played(typed, *words, "state=absent") == 5
    assert played(typed, *words, "state=absent") == 0


def played(typed: Typed, playbook: Path, home: Path, *variables: str) -> int:
    """How many tasks of a playbook changed something."""
    words = ("--inventory", "localhost,", "--extra-vars", " ".join(variables) or "state=present")
    said = typed("ansible", "ansible-playbook", *words, playbook, ANSIBLE_HOME=str(home))
    (told,) = re.findall(r"^localhost +: .* changed=(\d+) ", said, re.MULTILINE)
    return int(told)


def test_servers_follow_the_work(typed: Typed, story: Story, tmp_path: Path) -> None:
    """By examples/elastic, with a file for a queue."""
    (tmp_path / "site.toml").write_text(
        f'name = "elastic"\nimage = "{services.IMAGE}"\nflavor = "tiny"\nnetwork = "{NETWORK}"\n'
        f'waiting = "cat {tmp_path}/waiting"\nbusy = "cat {tmp_path}/busy"\nmost = 2\nlinger = 0\n'
    )

    def brings(waiting: int, busy: str, *names: str) -> None:
        (tmp_path / "waiting").write_text(str(waiting))
        (tmp_path / "busy").write_text(busy)
        typed("clients", "python", ROOT / "examples/elastic/elastic.py", "--config", tmp_path / "site.toml", "--once")

        def there() -> list[tuple[str, str]]:
            return sorted((each["Name"], each["Status"]) for each in story.tenant.openstack("server", "list"))

        until(f"there are {names}", lambda: there() == [(name, "ACTIVE") for name in names], PATIENCE)

    brings(5, "", "elastic-1", "elastic-2")
    brings(0, "elastic-2", "elastic-2")
    brings(0, "")
