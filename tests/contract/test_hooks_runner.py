"""Hooks for tags on a real Ganeti: its own commands change tags, eventd sees the jobs, its noded runs the scripts."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from ganeti_ext import groups
from ganeti_ext.groups import Group, Rule
from ganeti_ext.hookenv import Hook
from lab import layer
from tests.contract.ganeti_node import HOOKS, NAME, GanetiNode
from tests.contract.kvm_ifup_node import needs_node
from tests.lab.clients.box import Program

pytestmark = [pytest.mark.lab, needs_node]

PROMPT = 5.0  # seconds from a job's end to the start of the scripts: less than any poll or time-out on the way
WEB, DB, IDLE = "web1.example.org", "db1.example.org", "idle1.example.org"
TOLD = "/run/told"
NET = f"{layer.HERE}/kvm_ifup"
GROUP, MEMBERS = "4f1a2b3c-0000-4000-8000-000000000001", "/run/ganeti-ext/members/told"
SCRIPT = f'now=$(date +%s.%N); env >"{TOLD}/$now"'
Env = dict[str, str]
Start = Callable[..., Program]


@pytest.fixture(scope="module")
def cluster() -> Iterator[GanetiNode]:
    """web1 is in net1, db1 is not, idle1 does not run."""
    made = GanetiNode()
    try:
        made.run("mkdir", TOLD)
        made.run("gnt-network", "add", "--network=10.1.0.0/24", "--gateway=10.1.0.1", "--tags=first", "net1")
        made.run("gnt-network", "connect", "--nic-parameters=mode=bridged,link=eth0", "net1")
        made.instance(WEB, "--net=0:network=net1,ip=pool")
        made.instance(DB, "--net=0:mode=bridged,link=eth0,name=front")
        made.instance(IDLE, "--net=0:network=net1,ip=pool", "--no-start")
        yield made
    finally:
        made.close()


@pytest.fixture
def start(cluster: GanetiNode) -> Iterator[Start]:
    """Starts eventd, with hooks as every test finds them."""
    cluster.run("sh", "-c", f"rm -rf {HOOKS} {TOLD}/*")
    cluster.script("50-tell", SCRIPT)
    started = []

    def begin(**keys: str) -> Program:
        started.append(cluster.eventd(**keys))
        return started[-1]

    yield begin
    for eventd in started:
        eventd.stop()


def told(cluster: GanetiNode) -> list[tuple[float, Env]]:
    """When scripts started, and with what environment."""
    files = sorted(cluster.path(TOLD).iterdir(), key=lambda path: float(path.name))
    return [(float(path.name), environment(path.read_text())) for path in files]


def environment(text: str) -> Env:
    """What env(1) says, but for what the shell adds."""
    pairs = (line.split("=", 1) for line in text.splitlines())
    return {key: value for key, value in pairs if key not in ("PWD", "OLDPWD", "SHLVL", "_")}


def sorted_tags(env: Env) -> Env:
    """Ganeti gives tags in any order."""
    return {key: " ".join(sorted(value.split())) if key.endswith("_TAGS") else value for key, value in env.items()}


def last_end(cluster: GanetiNode) -> float:
    """When the last job ended."""
    number = cluster.path("/var/lib/ganeti/queue/serial").read_text().strip()
    seconds, micros = json.loads(cluster.path(f"/var/lib/ganeti/queue/job-{number}").read_text())["end_timestamp"]
    return float(seconds) + float(micros) / 1e6


def test_a_tag_is_told_at_once(cluster: GanetiNode, start: Start) -> None:
    eventd = start()
    for verb, tag, tags in (("add", "ssh", "ssh"), ("add", "a:b", "a:b ssh"), ("remove", "ssh", "a:b")):
        cluster.run("gnt-instance", f"{verb}-tags", "web1", tag)  # a short name is a name, too
        eventd.says("told of the tags of web1, 1 scripts ran")
        began, env = told(cluster)[-1]
        assert env["GANETI_INSTANCE_TAGS"] == tags
        assert env["GANETI_OP_CODE"] == {"add": "OP_TAGS_SET", "remove": "OP_TAGS_DEL"}[verb]
        end = last_end(cluster)
        assert end <= float(env["GANETI_EXT_TAGS_TIME"]) < began < end + PROMPT
    assert len(told(cluster)) == 3


def test_the_environment_is_that_of_ganetis_own_hooks(cluster: GanetiNode, start: Start) -> None:
    own = "/etc/ganeti/hooks/instance-modify-post.d/50-tell"
    cluster.write(own, f"#!/bin/sh\nenv >{TOLD}/0\n", 0o755)
    eventd = start()
    for instance in (WEB, DB):
        cluster.run("sh", "-c", f"rm -f {TOLD}/*")
        cluster.run("gnt-instance", "add-tags", instance, "here")
        eventd.says(f"told of the tags of {instance}")
        cluster.run("gnt-instance", "modify", "--backend-parameters=vcpus=1", instance)
        (_, theirs), (_, ours) = told(cluster)  # theirs is called 0
        assert theirs["GANETI_OP_CODE"] == "OP_INSTANCE_SET_PARAMS"
        given = {"GANETI_OP_CODE": "OP_TAGS_SET", "GANETI_HOOKS_PATH": "instance-tags"}
        ours.pop("GANETI_EXT_TAGS_TIME")
        assert sorted_tags(ours) == sorted_tags({key: theirs[key] for key in ours} | given)
        assert {key for key in theirs if key.startswith(("GANETI_INSTANCE_NIC", "GANETI_INSTANCE_TAGS"))} <= set(ours)
        assert Hook.from_env(ours).nics == Hook.from_env(theirs).nics
    cluster.path(own).unlink()


def test_a_networks_tag_is_told_to_its_running_instances(cluster: GanetiNode, start: Start) -> None:
    eventd = start()
    cluster.run("gnt-network", "add-tags", "net1", "second")
    eventd.says(f"told of the tags of {WEB}")
    assert f"{IDLE}: its tags need not be told, it is down" in eventd.everything()
    ((began, env),) = told(cluster)
    assert (env["GANETI_INSTANCE_NAME"], env["GANETI_INSTANCE_NIC0_NETWORK_TAGS"]) == (WEB, "first second")
    assert began < last_end(cluster) + PROMPT
    cluster.run("gnt-network", "remove-tags", "net1", "second")
    eventd.says(f"told of the tags of {WEB}")
    assert told(cluster)[-1][1]["GANETI_INSTANCE_NIC0_NETWORK_TAGS"] == "first"


def test_other_tags_are_nobodys_business(cluster: GanetiNode, start: Start) -> None:
    eventd = start()
    cluster.run("gnt-cluster", "add-tags", "x")
    cluster.run("gnt-node", "add-tags", NAME, "x")
    cluster.run("gnt-instance", "add-tags", IDLE, "x")
    eventd.says(f"{IDLE}: its tags need not be told, it is down")
    assert told(cluster) == []


def test_a_burst_ends_with_what_is_so(cluster: GanetiNode, start: Start) -> None:
    eventd = start()
    names = [f"burst{number}" for number in range(8)]
    adding = " & ".join(f"gnt-instance add-tags {WEB} {name}" for name in names)
    cluster.run("sh", "-c", f"{adding} & wait", patience=60)
    while not set(names) <= set(told(cluster)[-1][1]["GANETI_INSTANCE_TAGS"].split()):
        eventd.says("told of the tags of")
    times = [float(env["GANETI_EXT_TAGS_TIME"]) for _, env in told(cluster)]
    assert times == sorted(times)
    assert len(times) <= len(names)
    assert told(cluster)[-1][0] < last_end(cluster) + PROMPT


def test_what_was_changed_while_eventd_was_down(cluster: GanetiNode, start: Start) -> None:
    start().stop()
    cluster.run("gnt-instance", "add-tags", WEB, "unseen")
    start().says(f"told of the tags of {WEB}")
    assert "unseen" in told(cluster)[-1][1]["GANETI_INSTANCE_TAGS"].split()
    assert len(told(cluster)) == 1


def test_a_node_that_is_away_is_told_when_it_is_back(cluster: GanetiNode, start: Start) -> None:
    eventd = start()
    cluster.stop_noded()
    try:
        cluster.run("gnt-instance", "add-tags", WEB, "away")
        eventd.says(f"WARNING .*{NAME}: 10.0.0.1:1811: .*refused; trying again, the tags of 1 instances wait")
        eventd.signal(signal.SIGKILL)
        eventd.ends()
        eventd = start()
        eventd.says("trying again, the tags of 1 instances wait")
    finally:
        cluster.start_noded()
    eventd.says(f"{NAME} answers again")
    eventd.says(f"told of the tags of {WEB}")
    assert "away" in told(cluster)[-1][1]["GANETI_INSTANCE_TAGS"].split()
    assert eventd.everything().count("trying again") == 1
    eventd.stop()
    start()
    assert len(told(cluster)) == 1  # it is owed no longer


def test_noded_takes_the_certificates_of_master_candidates_alone(cluster: GanetiNode, start: Start) -> None:
    eventd = start(client_certificate="/var/lib/ganeti/server.pem")
    cluster.run("gnt-instance", "add-tags", WEB, "stranger")
    eventd.says(f"WARNING .*{NAME}: 10.0.0.1:1811: .*; trying again")
    eventd.stop()
    assert told(cluster) == []
    start().says(f"told of the tags of {WEB}")
    assert len(told(cluster)) == 1


def test_a_node_that_shows_another_certificate_is_not_spoken_to(cluster: GanetiNode, start: Start) -> None:
    pem = "/run/other.pem"
    options = "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ganeti.example.com"
    cluster.run("sh", "-c", f"openssl req {options} -keyout {pem} -out {pem}.crt; cat {pem}.crt >>{pem}")
    eventd = start(noded_certificate=pem)
    cluster.run("gnt-instance", "add-tags", WEB, "other")
    eventd.says("certificate verify failed.*; trying again")
    eventd.stop()
    start().says(f"told of the tags of {WEB}")


def test_a_script_that_fails_is_run_again(cluster: GanetiNode, start: Start) -> None:
    cluster.script("60-fail", 'test -e /run/failed && exit 0; >/run/failed; echo "no such"; echo tap >&2; exit 3')
    eventd = start()
    cluster.run("gnt-instance", "add-tags", WEB, "fails")
    eventd.says(
        f"ERROR .*{NAME}: hooks for the tags of {WEB} failed, trying again: instance-tags-post.d/60-fail: no such tap$"
    )
    eventd.says(f"told of the tags of {WEB}, 2 scripts ran")
    assert len(told(cluster)) == 2


def test_nobody_waits_for_a_script_of_another_instance(cluster: GanetiNode, start: Start) -> None:
    cluster.script("60-wait", f"test $GANETI_INSTANCE_NAME = {DB} || until test -e /run/passed; do sleep 0.1; done")
    eventd = start()
    cluster.run("gnt-instance", "add-tags", WEB, "waits")
    cluster.run("gnt-instance", "add-tags", DB, "passes")
    eventd.says(f"told of the tags of {DB}, 2 scripts ran")
    cluster.run("touch", "/run/passed")
    eventd.says(f"told of the tags of {WEB}, 2 scripts ran")


def test_a_script_that_does_not_end(cluster: GanetiNode, start: Start) -> None:
    cluster.script("60-hang", "test -e /run/hung && exit 0; >/run/hung; exec sleep 30")
    eventd = start(hook_timeout="1")
    cluster.run("gnt-instance", "add-tags", WEB, "hangs")
    eventd.says(f"hooks for the tags of {WEB} failed, trying again: the scripts did not end within 1 s")
    eventd.says(f"told of the tags of {WEB}, 2 scripts ran")


def test_no_scripts_are_no_error(cluster: GanetiNode, start: Start) -> None:
    cluster.run("rm", "-r", HOOKS)
    eventd = start()
    cluster.run("gnt-instance", "add-tags", WEB, "nobody")
    eventd.says(f"INFO .*told of the tags of {WEB}, 0 scripts ran")


def test_it_can_be_switched_off(cluster: GanetiNode, start: Start) -> None:
    eventd = start(tag_hooks="no")
    cluster.run("gnt-instance", "add-tags", WEB, "off")
    eventd.stop()
    start()
    assert told(cluster) == []


def test_nodes_are_told_who_is_in_a_group(cluster: GanetiNode, start: Start) -> None:
    """From Ganeti's commands to the file that the node's rules go by."""
    cluster.write("/etc/ganeti/hooks/group-members-post.d/50-net", f"#!/bin/sh\nexec {NET}/group-members\n", 0o755)
    rules = (Rule("ingress", 4, "tcp", 80, 80, None, GROUP),)
    said = groups.encode(Group(GROUP, "physics", "web", "", 1_700_000_000, 1_700_000_000, rules), 1)
    start()

    def members() -> list[str]:
        return cluster.path(MEMBERS).read_text().splitlines()[1:]

    def becomes(*lines: str) -> None:
        end = time.monotonic() + PROMPT
        while members() != list(lines):
            assert time.monotonic() < end, members()
            time.sleep(0.02)  # nobody tells of a file

    address = cluster.run("gnt-instance", "list", "--no-headers", "-o", "nic.ip/0", WEB).strip()
    try:
        cluster.run("gnt-instance", "add-tags", WEB, "ganeti-ext:firewall:@4f1a2b3c")
        cluster.run("gnt-cluster", "add-tags", *said)
        becomes(f"4f1a2b3c {address}")
        cluster.run("gnt-instance", "add-tags", IDLE, "ganeti-ext:firewall:ssh+@4f1a2b3c")
        other = cluster.run("gnt-instance", "list", "--no-headers", "-o", "nic.ip/0", IDLE).strip()
        becomes(f"4f1a2b3c {' '.join(sorted((address, other)))}")
        cluster.instance(
            "new1.example.org", "--net=0:network=net1,ip=10.1.0.77", "--tags=ganeti-ext:firewall:@4f1a2b3c"
        )
        becomes(f"4f1a2b3c {' '.join(sorted((address, other, '10.1.0.77')))}")
        cluster.run("gnt-instance", "remove", "--force", "new1.example.org")
        becomes(f"4f1a2b3c {' '.join(sorted((address, other)))}")
        cluster.run("gnt-instance", "remove-tags", IDLE, "ganeti-ext:firewall:ssh+@4f1a2b3c")
        becomes(f"4f1a2b3c {address}")
        cluster.run("gnt-cluster", "remove-tags", *said)
        becomes()
    finally:
        cluster.run("gnt-instance", "remove-tags", WEB, "ganeti-ext:firewall:@4f1a2b3c")
