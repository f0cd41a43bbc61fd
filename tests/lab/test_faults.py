"""Faults that an administrator meets, on the real cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ganeti_ext.errors import CommandError
from lab import services, wires
from lab.capture import Capture
from lab.faults import frozen, kill, stopped
from lab.ganeti import NETWORK
from lab.step import until
from lab.story import PREFIX, Story, create_words, rules


@pytest.fixture(scope="module")
def server(story: Story) -> Iterator[str]:
    """A server that the tests share, running between them; deleted afterwards."""
    name = "fault"
    story.ids[name] = story.tenant.openstack(*create_words(name), "--wait")["id"]
    with story.console(name) as console:
        assert console.report()["address"]
    yield name
    story.tenant.run("server", "delete", "--wait", story.ids.pop(name))


@pytest.fixture
def refused(story: Story) -> Iterator[str]:
    """A server that Ganeti has no room for; deleted afterwards, which is part of what is tested."""
    made = story.tenant.openstack(*create_words("giant", flavor="huge"))
    yield made["id"]
    story.tenant.run("server", "delete", "--wait", made["id"])
    assert made["id"] not in [each["ID"] for each in story.tenant.openstack("server", "list")]


def test_a_create_that_ganeti_refuses_is_an_error_to_read(story: Story, refused: str) -> None:
    shown = story.status(refused, "ERROR")
    assert "FailMem" in str(shown["fault"]), shown["fault"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--image=nothing", "--flavor=tiny"), "nothing"),
        ((f"--image={services.IMAGE}", "--flavor=nothing"), "nothing"),
    ],
)
def test_unknown_things_are_named(story: Story, words: tuple[str, ...], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        story.tenant.run("server", "create", *words, f"--network={NETWORK}", "never")


@pytest.mark.parametrize("pause", [0.0, 1.0, 3.0])
def test_a_server_deleted_while_it_is_built_leaves_nothing(story: Story, pause: float) -> None:
    """Its create may still wait, run, or be done by then."""
    made = story.tenant.openstack(*create_words("hasty"))
    time.sleep(pause)
    story.tenant.run("server", "delete", made["id"])
    until("the server is gone", lambda: made["id"] not in _listed(story), 60)
    instance = PREFIX + made["id"]
    until(f"{instance} is gone", lambda: instance not in story.gnt("instance", "list", "-o", "name"), 60)
    assert made["id"] not in _listed(story)


def test_the_tenant_stops_starts_and_reboots(story: Story, server: str) -> None:
    story.tenant.run("server", "stop", server)
    story.status(server, "SHUTOFF")
    with pytest.raises(CommandError, match="409"):
        story.tenant.run("server", "stop", server)
    story.tenant.run("server", "start", server)
    story.status(server, "ACTIVE")
    with story.console(server) as console:
        assert console.report()["boots"] == "2"  # counted, before the next one
    story.tenant.run("server", "reboot", "--hard", "--wait", server)
    with story.console(server) as console:
        assert console.report()["boots"] == "3"


def test_what_happened_while_the_broker_was_down_arrives(story: Story, server: str) -> None:
    with stopped(story.nodes[2], "rabbitmq-server"):
        story.gnt("instance", "shutdown", "--timeout=2", story.instance(server))
        assert story.tenant.show(server)["status"] == "ACTIVE"
    story.status(server, "SHUTOFF")
    story.gnt("instance", "start", story.instance(server))
    story.status(server, "ACTIVE")


def test_what_happened_while_eventd_was_down_arrives(story: Story, server: str) -> None:
    with stopped(story.master, "ganeti-ext-eventd"):
        story.gnt("instance", "shutdown", "--timeout=2", story.instance(server))
    story.status(server, "SHUTOFF")
    kill(story.master, "ganeti-ext-eventd")
    story.gnt("instance", "start", story.instance(server))
    story.status(server, "ACTIVE")


# They look their instance up by its name, all three, before the first has done its work and left them its lock.
_SHUT_DOWN_RENAME_REBOOT = """
import sys
sys.path.insert(0, "/usr/share/ganeti/default")
from ganeti import cli, opcodes
old, new = sys.argv[1:]
jobs = [
    opcodes.OpInstanceShutdown(instance_name=old, timeout=5),
    opcodes.OpInstanceRename(instance_name=old, new_name=new, name_check=False, ip_check=False),
    opcodes.OpInstanceReboot(instance_name=old, reboot_type="hard"),
]
print(cli.GetClient().SubmitManyJobs([[job] for job in jobs]))
"""


def test_what_a_job_did_to_an_instance_that_was_renamed_while_it_waited_is_told(story: Story, server: str) -> None:
    name = story.instance(server)
    other = "renamed.lab"
    story.master.run("python3", "-c", _SHUT_DOWN_RENAME_REBOOT, name, other)
    try:
        until("it runs by its new name", lambda: f"{other} running" in _statuses(story), 60)
        assert f"INSTANCE_REBOOT({name})" in story.gnt("job", "list")
        story.status(server, "ACTIVE")
    finally:
        story.gnt("instance", "shutdown", "--timeout=2", other)
        story.gnt("instance", "rename", other, name)
        story.gnt("instance", "start", name)
    story.status(server, "ACTIVE")


def test_garbage_in_the_job_queue_stops_nothing(story: Story, server: str) -> None:
    for name, text in (("job-999999", '{"ops": [{"in'), ("job-garbage", "nothing")):
        story.master.write(f"/var/lib/ganeti/queue/{name}", text, "600")
    story.gnt("instance", "shutdown", "--timeout=2", story.instance(server))
    story.status(server, "SHUTOFF")
    story.master.run("sh", "-c", "rm /var/lib/ganeti/queue/job-999999 /var/lib/ganeti/queue/job-garbage")
    story.gnt("instance", "start", story.instance(server))
    story.status(server, "ACTIVE")


def test_garbage_among_the_bindings_stops_nothing(story: Story, server: str) -> None:
    node = story.node_of(server)
    node.write("/var/lib/nfdhcpd/tap77", "MTU=none\n\0\xff")
    _renew(story, server)
    node.run("rm", "/var/lib/nfdhcpd/tap77")


def test_discovery_stays_on_the_node_when_nfdhcpd_is_dead(story: Story, server: str) -> None:
    node = story.node_of(server)
    with stopped(node, "nfdhcpd"), Capture(wires.SWITCHES, "vms", "udp port 67 or udp port 68") as capture:
        with story.console(server) as console, pytest.raises(AssertionError):
            console.ask("udhcpc -i eth0 -f -q -n -t 3 -T 1 -s /bin/true")
        with story.console(server) as console:
            console.ask(f"ping -c 2 -W 5 {wires.GATEWAY}")  # nothing else of its traffic depends on the daemon
    assert capture.lines == []
    _renew(story, server)


def test_a_frozen_nfdhcpd_answers_when_it_wakes(story: Story, server: str) -> None:
    with frozen(story.node_of(server), "nfdhcpd"), story.console(server) as console:
        console.ask("((udhcpc -i eth0 -f -q -n -t 60 -T 1 -s /bin/true && touch /tmp/woken) >/dev/null 2>&1 &)")
    with story.console(server) as console:
        console.ask("until [ -e /tmp/woken ]; do usleep 100000; done")


def test_a_spoofed_address_does_not_leave_the_node(story: Story, server: str) -> None:
    with story.console(server) as console:
        console.ask("ip addr add 10.99.0.200/24 dev eth0")
        with Capture(wires.SWITCHES, "vms", "host 10.99.0.200") as capture, pytest.raises(AssertionError):
            console.ask(f"ping -c 2 -W 2 -I 10.99.0.200 {wires.GATEWAY}")
        console.ask(f"ip addr del 10.99.0.200/24 dev eth0; ping -c 2 -W 5 {wires.GATEWAY}")
    assert capture.lines == []


def test_a_guest_that_dies_leaves_nothing_on_its_node(story: Story, server: str) -> None:
    node, tap = story.node_of(server), story.tap(server)
    node.run("sh", "-c", f"kill -9 $(cat /run/ganeti/kvm-hypervisor/pid/{story.instance(server)})")

    def traces() -> list[str]:
        return rules(node, tap) + [name for name in node.listing("/var/lib/nfdhcpd") if name == tap]

    until(f"nothing of {tap} is left on {node.name}", lambda: not traces(), 20)


def test_no_secret_shows(story: Story) -> None:
    front = story.nodes[2]
    rc = next(line for line in front.read("/root/openrc").splitlines() if "OS_PASSWORD" in line)
    secrets = [rc.split("=", 1)[1], front.read("/root/broker-password"), story.master.read("/root/rapi-password")]
    for node in story.nodes:
        words = node.run(
            "sh", "-c", "journalctl --boot --no-pager; cat /var/log/ganeti/*.log; ps -ef; gnt-job list 2>&1; true"
        )
        words += node.run("sh", "-c", "cat /var/lib/ganeti/queue/job-* 2>/dev/null; true")
        assert not [secret for secret in secrets if secret.strip() in words], f"a secret shows on {node.name}"


def _listed(story: Story) -> list[str]:
    return [each["ID"] for each in story.tenant.openstack("server", "list")]


def _statuses(story: Story) -> str:
    return story.gnt("instance", "list", "--no-headers", "--separator= ", "-o", "name,status")


def _renew(story: Story, server: str) -> None:
    """The guest asks for its address anew, and gets it."""
    with story.console(server) as console:
        console.ask("udhcpc -i eth0 -f -q -n -t 20 -T 1 -s /bin/lease -O mtu -O hostname")
