"""hooks/dns as Ganeti runs it, against a real BIND."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator

import pytest

from ganeti_ext.errors import CommandError
from ganeti_ext.hookenv import Hook
from hooks import dnsplan, dnssettings, dnstask
from hooks.dnsanswer import Answer
from lab import ROOT
from tests.contract import dns_node
from tests.contract.dns_node import AWAY, CONFIG, HOOK, WRONG_KEY, Nic, Node, Records

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces"),
]

SIX = "2001:db8:0:7::/64"
MARK = '"ganeti-ext:cluster.example.org"'


@pytest.fixture(scope="module")
def running() -> Iterator[Node]:
    node = Node()
    yield node
    node.close()


@pytest.fixture
def node(running: Node) -> Node:
    running.configure()
    return running


def four(name: str, host: int) -> Records:
    """A name with one IPv4 address, both ways."""
    return {(name, "A", f"192.0.2.{host}"), (f"{host}.2.0.192.in-addr.arpa.", "PTR", name), marked(name)}


def six(name: str, last: int) -> Records:
    """A name with the IPv6 address of MAC aa:00:00:00:00:LAST, both ways."""
    tail = ".".join(reversed(f"a80000fffe0000{last:02x}".rjust(16, "0")))
    pointer = f"{tail}.7.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
    return {(name, "AAAA", f"2001:db8:0:7:a800:ff:fe00:{last:x}"), (pointer, "PTR", name), marked(name)}


def marked(name: str) -> tuple[str, str, str]:
    return (f"_ganeti-ext.{name}", "TXT", MARK)


@pytest.mark.parametrize("operation", ["add", "start", "reboot", "modify"])
def test_every_operation_that_leaves_an_instance_puts_it_there(node: Node, operation: str) -> None:
    before = node.records()
    nics = (Nic("192.0.2.10", "aa:00:00:00:00:10", SIX), Nic("192.0.2.11", "aa:00:00:00:00:11", SIX))
    node.done(operation, "two", *nics)
    name = "two.example.org."
    assert node.records() - before == four(name, 10) | four(name, 11) | six(name, 0x10) | six(name, 0x11)
    serials = node.serials()
    node.done("reboot", "two", *nics)
    assert node.serials() == serials
    node.done("remove", "two", *nics)
    assert node.records() == before


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("web", "web.example.org."),
        ("web.example.org", "web.example.org."),
        ("web.cloud.example.org", "web.cloud.example.org."),
    ],
)
def test_a_change_replaces_all_that_was_there(node: Node, typed: str, name: str) -> None:
    """The original's reset took NAME.ZONE for every name, knew one zone, and left PTR records for want of a dot."""
    before = node.records()
    node.done("add", typed, Nic("192.0.2.20", "aa:00:00:00:00:20", SIX), Nic("192.0.2.21"))
    # Another has the address now, and says so.
    node.nsupdate(
        "update delete 21.2.0.192.in-addr.arpa PTR", "update add 21.2.0.192.in-addr.arpa 60 PTR other.example.org."
    )
    node.done("modify", typed, Nic("192.0.2.22", "aa:00:00:00:00:22", SIX))
    others = {("21.2.0.192.in-addr.arpa.", "PTR", "other.example.org.")}
    assert node.records() - before == four(name, 22) | six(name, 0x22) | others
    node.done("remove", typed, Nic("192.0.2.22", "aa:00:00:00:00:22", SIX))
    node.nsupdate("update delete 21.2.0.192.in-addr.arpa PTR")
    assert node.records() == before


@pytest.mark.parametrize(("old", "new"), [("old", "new"), ("old.example.org", "new.cloud.example.org")])
def test_a_rename_takes_the_records_along(node: Node, old: str, new: str) -> None:
    before = node.records()
    nic = Nic("192.0.2.30", "aa:00:00:00:00:30", SIX)
    node.done("add", old, nic)
    node.done("rename", old, nic, INSTANCE_NEW_NAME=new)
    name = f"{new}." if "." in new else f"{new}.example.org."
    assert node.records() - before == four(name, 30) | six(name, 0x30)
    node.done("remove", new, nic)
    assert node.records() == before


def test_tags_take_a_family_away(node: Node) -> None:
    before = node.records()
    nic, name = Nic("192.0.2.40", "aa:00:00:00:00:40", SIX), "tagged.example.org."
    node.done("start", "tagged", nic)
    node.done("start", "tagged", nic, INSTANCE_TAGS="x disable_ipv4")
    assert node.records() - before == six(name, 0x40)
    node.done("start", "tagged", nic, INSTANCE_TAGS="disable_ipv6 x")
    assert node.records() - before == four(name, 40)
    node.done("start", "tagged", nic, INSTANCE_TAGS="disable_ipv6 disable_ipv4")
    assert node.records() == before


def test_a_nic_that_leaves_the_tagged_networks_leaves_the_dns(node: Node) -> None:
    before = node.records()
    node.done("add", "leaving", Nic("192.0.2.41"), Nic("192.0.2.42", tags="nfdhcpd"))
    assert node.records() - before == four("leaving.example.org.", 41)
    node.done("modify", "leaving", Nic("192.0.2.41", tags="nfdhcpd"))
    assert node.records() == before


def test_stopping_changes_nothing(node: Node) -> None:
    node.done("add", "stopped", Nic("192.0.2.43"))
    standing = node.records()
    node.done("stop", "stopped", Nic("192.0.2.44"))
    assert node.records() == standing
    node.done("remove", "stopped", Nic("192.0.2.43"))


def test_what_is_not_ours_stays(node: Node) -> None:
    node.nsupdate(
        "update add www.example.org 60 A 192.0.2.80", "update add alias.example.org 60 CNAME www.example.org."
    )
    node.nsupdate(
        "update add taken.example.org 60 A 192.0.2.81",
        'update add _ganeti-ext.taken.example.org 60 TXT "ganeti-ext:another.example.org"',
    )
    before = node.records()
    nic = Nic("192.0.2.50", "aa:00:00:00:00:50", SIX)
    for operation in ("add", "modify", "remove"):
        said = node.refused(operation, "www", nic)
        assert said == (
            "dns: www: www.example.org. is left as it is: it has addresses, and no mark says that they are ours\n"
        )
    assert node.refused("add", "alias", nic) == "dns: alias: alias.example.org. is left as it is: it is an alias\n"
    said = node.refused("add", "taken", nic)
    assert said == 'dns: taken: taken.example.org. is left as it is: its mark says "ganeti-ext:another.example.org"\n'
    node.done("remove", "www", Nic("192.0.2.50", tags=""))
    assert node.records() == before


def test_a_name_that_leads_to_the_instance_already_becomes_ours(node: Node) -> None:
    before = node.records()
    node.nsupdate("update add legacy.example.org 60 A 192.0.2.51")
    node.done("start", "legacy", Nic("192.0.2.51"))
    node.done("modify", "legacy", Nic("192.0.2.52"))
    assert node.records() - before == four("legacy.example.org.", 52)
    node.done("remove", "legacy", Nic("192.0.2.52"))
    assert node.records() == before


def test_a_stale_ptr_is_replaced_and_a_true_one_stays(node: Node) -> None:
    before = node.records()
    owner = "53.2.0.192.in-addr.arpa."
    for value in ("true.example.org.", "stale.example.org.", "true.example.net."):
        node.nsupdate(f"update add {owner} 60 PTR {value}")
    node.nsupdate("update add true.example.org. 60 A 192.0.2.53")
    node.done("add", "fresh", Nic("192.0.2.53"))
    kept = {
        (owner, "PTR", "true.example.org."),
        (owner, "PTR", "true.example.net."),
        ("true.example.org.", "A", "192.0.2.53"),
    }
    assert node.records() - before == four("fresh.example.org.", 53) | kept
    node.done("remove", "fresh", Nic("192.0.2.53"))
    assert node.records() - before == kept
    node.nsupdate(f"update delete {owner} PTR")
    node.nsupdate("update delete true.example.org. A")


def test_a_name_that_changed_meanwhile_is_not_touched(node: Node) -> None:
    """The update is conditional on what was seen; here another has taken the name since."""
    hook = Hook.from_env(dns_node.environment("add", "race", Nic("192.0.2.54")))
    settings = dnssettings.load(str(node.path(CONFIG)))
    assert settings
    task = dnstask.of(hook, settings)
    assert task
    nothing = dict.fromkeys(dnsplan.questions(task, settings, {}), Answer(True, zone="2.0.192.in-addr.arpa."))
    node.nsupdate("update add race.example.org 60 AAAA 2001:db8::1")
    before = node.records()
    with pytest.raises(CommandError, match="YXRRSET"):
        node.run("nsupdate", "-k", settings.key, stdin=dnsplan.plan(task, settings, nothing).forward["example.org."])
    assert node.records() == before
    node.nsupdate("update delete race.example.org AAAA")


@pytest.mark.parametrize(
    ("reverse", "pointed"),
    [
        ("none", False), ("192.0.2.0/24", True), ("192.0.0.0/16, 192.0.2.0/24", True), ("10.0.0.0/8", False),
        ("auto", True),
    ],
)  # fmt: skip
def test_reverse_zones_can_be_named(node: Node, reverse: str, pointed: bool) -> None:
    before = node.records()
    node.configure(reverse=reverse)
    node.done("add", "back", Nic("192.0.2.55"))
    assert ({"PTR"} <= {kind for _, kind, _ in node.records() - before}) == pointed
    node.done("remove", "back", Nic("192.0.2.55"))
    assert node.records() == before


def test_addresses_whose_reverse_zone_the_server_has_not_get_no_ptr(node: Node) -> None:
    """10.0.0.0/8 is an empty zone of BIND's own, which cannot be updated; for the other it refers to the root."""
    before = node.records()
    nics = (Nic("10.1.2.3"), Nic("11.0.0.7"))
    node.done("add", "far", *nics)
    assert {kind for _, kind, _ in node.records() - before} == {"A", "TXT"}
    node.done("remove", "far", *nics)
    assert node.records() == before


def test_a_reverse_zone_that_is_refused_does_not_keep_the_others_back(node: Node) -> None:
    before = node.records()
    node.configure(reverse="10.0.0.0/8, 2001:db8::/32")
    nic = Nic("10.1.2.3", "aa:00:00:00:00:56", SIX)
    said = node.refused("add", "half", nic)
    assert said == (
        "dns: half: updating 10.in-addr.arpa. on 127.0.0.1: "
        "nsupdate -k /etc/ganeti-ext/dns.key -v: exit code 2: update failed: REFUSED\n"
    )
    assert node.records() - before == six("half.example.org.", 0x56) | {("half.example.org.", "A", "10.1.2.3")}
    node.configure()
    node.done("remove", "half", nic)
    assert node.records() == before


def test_a_wrong_key_is_named_and_nothing_is_changed(node: Node) -> None:
    before = node.records()
    node.configure(key=WRONG_KEY)
    said = node.refused("add", "web", Nic("192.0.2.60"))
    assert said == "dns: web: asking 127.0.0.1: our key is not accepted (NOTAUTH)\n"
    node.configure(key="/etc/ganeti-ext/no.key")
    said = node.refused("add", "web", Nic("192.0.2.60"))
    assert said == "dns: web: asking 127.0.0.1: [Errno 2] No such file or directory: '/etc/ganeti-ext/no.key'\n"
    assert node.records() == before


def test_a_server_that_is_away_costs_its_timeout_at_most(node: Node) -> None:
    node.configure(server=AWAY, timeout=3)
    start = time.monotonic()
    said = node.refused("add", "web", Nic("192.0.2.61", subnet6=SIX))
    assert 3 <= time.monotonic() - start < 6
    assert said.startswith(f"dns: web: asking {AWAY}: dig @{AWAY} ")
    assert re.search(r": no end after (3|2\.\d+) s\n$", said)
    node.configure(port=54)
    start = time.monotonic()
    said = node.refused("add", "web", Nic("192.0.2.61"))
    assert time.monotonic() - start < 4  # the usual timeout is 5 s
    assert said.startswith("dns: web: asking 127.0.0.1: dig @127.0.0.1 -p 54 ")


def test_bad_settings_are_named(node: Node) -> None:
    node.configure(zones="")
    done = node.hook("add", "web", Nic("192.0.2.62"))
    assert (done.returncode, done.stderr) == (3, f"dns: {CONFIG}: [dns] zones is not set\n")


@pytest.mark.parametrize("host", ["node1", "node1.example.org", "node2", "node2.example.org"])
def test_the_master_alone_acts(node: Node, host: str) -> None:
    before = node.records()
    node.run("hostname", host)
    node.done("add", "once", Nic("192.0.2.63"))
    assert (node.records() != before) == host.startswith("node1")
    node.run("hostname", "node1")
    node.done("remove", "once", Nic("192.0.2.63"))
    assert node.records() == before


@pytest.mark.parametrize("written", ["", (ROOT / "debian/conf/dns.conf").read_text()], ids=["none", "as shipped"])
def test_it_is_off_until_it_is_configured(node: Node, written: str) -> None:
    before = node.records()
    node.path(CONFIG).unlink()
    if written:
        node.write(CONFIG, written)
    node.done("add", "off", Nic("192.0.2.64"))
    assert node.records() == before


def test_off_it_costs_hardly_more_than_python_itself(node: Node) -> None:
    node.path(CONFIG).unlink()
    env = [f"{key}={value}" for key, value in dns_node.environment("add", "off", Nic("192.0.2.64")).items()]
    loaded = node.run(
        "sh", "-c", 'exec "$@" 2>&1', "sh", "env", "-i", *env, "python3", "-SEI", "-X", "importtime", HOOK
    )
    modules = {line.rpartition("|")[2].strip() for line in loaded.splitlines()}
    assert "hooks.dnsupdate" in modules
    assert not modules & {"ipaddress", "subprocess", "socket", "re", "typing", "hooks.dnsplan", "hooks.dnsserver"}


# Ganeti's own code for the phase after an operation, with noded's part called instead of asked.
GANETI = """
import json, sys; sys.path.insert(0, "/usr/share/ganeti/3.1")
from ganeti import backend, hooksmaster
from ganeti.cmdlib import instance, instance_create, instance_operation, instance_set_params
UNITS = {
    "add": instance_create.LUInstanceCreate, "start": instance_operation.LUInstanceStartup,
    "reboot": instance_operation.LUInstanceReboot, "modify": instance_set_params.LUInstanceSetParams,
    "rename": instance.LUInstanceRename, "remove": instance.LUInstanceRemove,
}
def call(nodes, path, phase, env):
    return {node: (None, False, backend.HooksRunner().RunHooks(path, phase, env)) for node in nodes}
for operation, opcode, env in json.load(sys.stdin):
    unit = UNITS[operation]
    hooksmaster.HooksMaster(
        opcode, unit.HPATH, (["node1"], ["node1"]), call, None, lambda: env, None, print, unit.HTYPE,
        "cluster.example.org", "node1.example.org",
    ).RunPhase("post")
"""


def by_ganeti(node: Node, *steps: dict[str, str]) -> str:
    """Let Ganeti run all hooks of these operations; the warnings that it adds to the job."""
    told = []
    for step in steps:
        env = {key.removeprefix("GANETI_"): text for key, text in step.items() if key.startswith("GANETI_INSTANCE_")}
        told.append((step["GANETI_HOOKS_PATH"].removeprefix("instance-"), step["GANETI_OP_CODE"], env))
    return node.run("python3", "-c", GANETI, stdin=json.dumps(told))


def test_ganeti_runs_it_where_it_is_installed_and_shows_what_it_says(node: Node) -> None:
    """The original's directory for starts was not Ganeti's."""
    before = node.records()
    for operation in ("add", "start", "reboot", "modify", "rename", "remove"):
        name = f"/etc/ganeti/hooks/instance-{operation}-post.d/60-ganeti-ext-dns"
        node.write(name, f"#!/bin/sh\nexec {HOOK}\n", mode=0o755)
    hosts = {"add": 70, "start": 71, "reboot": 72, "modify": 73}
    steps = [dns_node.environment(name, name, Nic(f"192.0.2.{host}")) for name, host in hosts.items()]
    steps.append(dns_node.environment("rename", "modify", Nic("192.0.2.73"), INSTANCE_NEW_NAME="renamed"))
    assert by_ganeti(node, *steps) == ""
    names = {"add": 70, "start": 71, "reboot": 72, "renamed": 73}
    assert node.records() - before == set().union(*(four(f"{name}.example.org.", names[name]) for name in names))
    assert by_ganeti(node, *(dns_node.environment("remove", name) for name in names)) == ""
    assert node.records() == before
    node.configure(key=WRONG_KEY)
    assert by_ganeti(node, dns_node.environment("start", "vm", Nic("192.0.2.70"))) == (
        "On node1 script instance-start-post.d/60-ganeti-ext-dns failed, output: "
        "dns: vm: asking 127.0.0.1: our key is not accepted (NOTAUTH)\n"
    )
