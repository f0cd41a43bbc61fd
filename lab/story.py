"""The demo's story: each step does something as a tenant or administrator would, and checks what came of it.

The same steps are the first lab test (tests/lab/test_story.py); AssertionError tells what does not hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ganeti_ext.command import run
from ganeti_ext.errors import CommandError
from lab import ganeti, guest, master, screens, services, wires
from lab.console import Console
from lab.ganeti import NETWORK
from lab.node import SHARED, Node
from lab.step import at_once, until
from lab.tenant import Tenant
from lab.wires import SWITCHES

if TYPE_CHECKING:
    from lab.server import Server

PREFIX = "gx-"


class Story:
    """What one step leaves for the next."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.tenant = Tenant(nodes[1])
        self.ids: dict[str, str] = {}
        self.free = 0
        self.servers: list[Server] = []
        self.known: dict[str, object] = {}

    @property
    def master(self) -> Node:
        """Whichever it is now."""
        return master.current(self.nodes)

    def node_of(self, server: str) -> Node:
        """The node that Ganeti says runs a server."""
        fields = self.gnt("instance", "list", "--no-headers", "-o", "pnode", self.instance(server)).strip()
        return next(node for node in self.nodes if node.name == fields)

    def instance(self, server: str) -> str:
        return PREFIX + self.ids[server]

    def gnt(self, kind: str, *words: str) -> str:
        """`gnt-KIND WORDS` on the master, as an administrator types it."""
        return self.master.run(f"gnt-{kind}", *words, timeout=180)

    def console(self, server: str) -> Console:
        return Console(self.node_of(server), self.instance(server))

    def status(self, server: str, wanted: str, timeout: float = 60) -> dict[str, object]:
        """Wait until the API shows a status; the front learns of it by itself."""
        shown: dict[str, object] = {}

        def there() -> bool:
            shown.update(self.tenant.show(server))
            return shown["status"] == wanted

        until(f"{server} becomes {wanted}", there, timeout)
        return shown

    def tap(self, server: str) -> str:
        """The name of a server's tap on its node."""
        node = self.node_of(server)
        return node.read(f"/run/ganeti/kvm-hypervisor/nic/{self.instance(server)}/0").strip()


def read_only(story: Story) -> None:
    """The tenant looks around: token, images, flavors, networks"""
    assert story.tenant.openstack("token", "issue")["project_id"]
    images = story.tenant.openstack("image", "list")
    assert [image["Status"] for image in images if image["Name"] == services.IMAGE] == ["active"], images
    flavors = story.tenant.openstack("flavor", "list")
    assert {"Name": services.FLAVOR, "RAM": 128, "Disk": 1} in [
        {key: flavor[key] for key in ("Name", "RAM", "Disk")} for flavor in flavors
    ], flavors
    networks = story.tenant.openstack("network", "list")
    assert NETWORK in [network["Name"] for network in networks], networks


def create(story: Story) -> None:
    """openstack server create --wait: two servers, and the front was told by Ganeti's jobs alone"""
    story.free = free_addresses(story)
    names = ("alpha", "beta")
    made = at_once(partial(story.tenant.openstack, *create_words(name), "--wait") for name in names)
    for name, shown in zip(names, made, strict=True):
        story.ids[name] = shown["id"]
        assert shown["status"] == "ACTIVE", shown
        ip4, ip6 = story.tenant.addresses(name, NETWORK)
        assert ip4.startswith("10.99.0."), ip4
        assert ip6.startswith("fd00:99::"), ip6
    if story.node_of("alpha").name == story.node_of("beta").name:
        other = next(node for node in story.nodes if node.name != story.node_of("alpha").name)
        story.gnt("instance", "migrate", "--force", f"--target-node={other.name}", story.instance("beta"))


def create_words(name: str, flavor: str = services.FLAVOR) -> tuple[str, ...]:
    return (
        *("server", "create", f"--image={services.IMAGE}", f"--flavor={flavor}"),
        *(f"--network={NETWORK}", name),
    )


def thin_clone(story: Story) -> None:
    """The disks are thin clones of the image"""
    for name in ("alpha", "beta"):
        volume = volume_of(story, name)
        extents = story.master.run("filefrag", "-v", f"{SHARED}/volumes/{volume}.raw")
        assert "shared" in extents, extents


def guest_was_told(story: Story) -> None:
    """The guests tell on their consoles what DHCP and router advertisements gave them"""
    for name in ("alpha", "beta"):
        ip4, ip6 = story.tenant.addresses(name, NETWORK)
        with story.console(name) as console:
            told = console.report()
        expected = {
            "mark": guest.MARK,
            "boots": "1",
            "address": f"{ip4}/24",
            "router": wires.GATEWAY,
            "dns": services.DNS,
            "hostname": name,
            "mtu": str(wires.MTU),
            "address6": f"{ip6}/64",
            "router6": wires.ROUTER6,
        }
        seen = {key: told.get(key) for key in expected}
        assert seen == expected, f"{name} was told {seen}, expected {expected}"


def ping(story: Story) -> None:
    """Pings: guest to router, guest to guest on another node, router to guest; IPv4 and IPv6"""
    assert story.node_of("alpha").name != story.node_of("beta").name
    other4, other6 = story.tenant.addresses("beta", NETWORK)
    with story.console("alpha") as console:
        for target in (wires.GATEWAY, wires.GATEWAY6, wires.ROUTER6 + "%eth0", other4, other6):
            console.ask(f"ping -c 3 -i 0.2 -W 5 {target}")
    for target in story.tenant.addresses("alpha", NETWORK):
        run(["ip", "netns", "exec", SWITCHES, "ping", "-c", "3", "-i", "0.2", "-W", "5", target])


def migrate(story: Story) -> None:
    """The administrator migrates alpha live: the front's view follows, ping goes on"""
    before = story.node_of("alpha")
    story.known["screen"] = story.tenant.openstack("console", "url", "show", "--novnc", "alpha")["url"]
    host = story.tenant.show("alpha")["hostId"]
    with story.console("alpha") as console:
        console.ask(f"(ping -i 0.2 {wires.GATEWAY} > /tmp/ping 2>&1 &)")
    story.gnt("instance", "migrate", "--force", story.instance("alpha"))
    assert story.node_of("alpha").name != before.name
    with story.console("alpha") as console:
        # Replies that arrive after this moment arrive on the new node.
        count = int(console.ask("grep -c seq= /tmp/ping"))
        console.ask(f"until [ $(grep -c seq= /tmp/ping) -ge {count + 10} ]; do usleep 100000; done", timeout=30)
        console.ask("killall ping")
        told = console.report()
    assert told["boots"] == "1", f"alpha was not migrated but booted anew: {told}"
    until("the front shows the new host", lambda: story.tenant.show("alpha")["hostId"] != host, 20)
    until("the old node forgets alpha's binding", lambda: not bindings(before, story.instance("alpha")), 20)


def screen_and_log(story: Story) -> None:
    """console url show, console log show: the address from before the migration opens alpha's screen, once"""
    width, height, _ = screens.look(str(story.known["screen"]))  # what is on it is the guest's affair
    assert width >= 640 and height >= 350, (width, height)
    try:
        screens.look(str(story.known["screen"]))
    except CommandError as err:
        assert "403" in str(err), err
    else:
        raise AssertionError("an address opened a screen twice")
    told = story.tenant.run("console", "log", "show", "alpha")
    with story.console("alpha") as console:  # the administrator's console goes on
        console.ask("echo alpha was $((40 + 2)) here")
    assert "alpha was 42 here" not in told
    told = story.tenant.run("console", "log", "show", "--lines", "20", "alpha")
    assert "alpha was 42 here" in told, told


def bindings(node: Node, instance: str) -> list[str]:
    """Names of the bindings on a node that speak of an instance."""
    names = node.listing("/var/lib/nfdhcpd")
    return [name for name in names if instance in node.read(f"/var/lib/nfdhcpd/{name}")]


def shutdown_and_start(story: Story) -> None:
    """The administrator shuts alpha down and starts it again: the front's view follows by itself"""
    story.gnt("instance", "shutdown", "--timeout=2", story.instance("alpha"))
    story.status("alpha", "SHUTOFF")
    story.gnt("instance", "start", story.instance("alpha"))
    story.status("alpha", "ACTIVE")
    with story.console("alpha") as console:
        told = console.report()
    assert told["boots"] == "2", f"the disk lost what the guest wrote: {told}"


def reads_without_ganeti(story: Story) -> None:
    """With Ganeti's remote API stopped, reads still answer and a create says why it cannot be"""
    ganeti.stop_rapi(story.master)
    try:
        shown = {server["Name"]: server["Status"] for server in story.tenant.openstack("server", "list")}
        assert shown == {"alpha": "ACTIVE", "beta": "ACTIVE"}, shown
        try:
            story.tenant.run(*create_words("gamma"))
        except CommandError as err:
            assert "503" in str(err), err
        else:
            raise AssertionError("a server was created without Ganeti")
        names = [server["Name"] for server in story.tenant.openstack("server", "list")]
        assert "gamma" not in names, names
    finally:
        ganeti.start_rapi(story.master)


def delete(story: Story) -> None:
    """openstack server delete: nothing is left anywhere"""
    traces = {name: (story.node_of(name), story.tap(name), volume_of(story, name)) for name in story.ids}
    story.tenant.run("server", "delete", *story.ids)
    until("the servers are gone", lambda: story.tenant.openstack("server", "list") == [], 60)
    for name, (node, tap, volume) in traces.items():
        until(f"nothing of {name} is left", lambda: not leftovers(story, node, tap, volume), 20)  # noqa: B023
    assert free_addresses(story) == story.free, f"{free_addresses(story)} addresses are free, {story.free} were"


# A tenant's own things, in the order in which they can go.
_OWN = {
    "server": (),
    "volume snapshot": (),
    "volume": (),
    "image": ("--private",),
    "floating ip": (),
    "port": (),
    "network": ("--no-share",),
    "server group": (),
    "keypair": (),
}


def clear(story: Story) -> None:
    """Delete what earlier runs left of the tenant's."""
    for kind, options in _OWN.items():
        words = kind.split()

        def left(*more: str) -> list[str]:
            found = story.tenant.openstack(*more, "list", *options)  # noqa: B023
            return [each["ID"] if "ID" in each else each["Name"] for each in found]  # a key has no id

        if found := left(*words):
            story.tenant.run(*words, "delete", *found)
            until(f"no {kind} is left", lambda: not left(*words), 120)  # noqa: B023


def volume_of(story: Story, server: str) -> str:
    """The name in the store of the volume that a server boots from."""
    config = json.loads(story.master.read("/var/lib/ganeti/config.data"))
    (uuid,) = (key for key, value in config["instances"].items() if value["name"] == story.instance(server))
    root, *_ = config["instances"][uuid]["disks"]  # the other one is its seed
    name: str = config["disks"][root]["logical_id"][1]
    return name


def free_addresses(story: Story) -> int:
    """How many addresses of the network Ganeti has left to give."""
    return int(story.gnt("network", "list", "--no-headers", "-o", "free_count", NETWORK))


def leftovers(story: Story, node: Node, tap: str, volume: str) -> list[str]:
    """What a deleted server left behind, each by its place; empty is right."""
    found = []
    instances = story.gnt("instance", "list", "--no-headers", "-o", "name")
    found += [f"instance {name}" for name in instances.split() if name.startswith(PREFIX)]
    found += [f"volume {name}" for name in node.listing(f"{SHARED}/volumes") if volume in name]
    found += [
        f"loop hint {name}" for name in node.listing("/run/ganeti-ext/cow") if volume in name and "lock" not in name
    ]
    found += [f"binding {name}" for name in node.listing("/var/lib/nfdhcpd") if name == tap]
    found += [f"record {name}" for name in node.listing("/run/ganeti-ext/taps") if name == tap]
    found += [f"rule {line}" for line in rules(node, tap)]
    found += [f"interface {tap}"] if tap in node.listing("/sys/class/net") else []
    return found


def rules(node: Node, tap: str) -> list[str]:
    """Lines of a node's rules that speak of a tap, but what ends by itself: how much it has asked of late."""
    lines = node.run("nft", "list", "ruleset").splitlines()
    return [line.strip() for line in lines if f'"{tap}"' in line and " expires " not in line]


STEPS: tuple[Callable[[Story], None], ...] = (
    read_only,
    create,
    thin_clone,
    guest_was_told,
    ping,
    migrate,
    screen_and_log,
    shutdown_and_start,
    reads_without_ganeti,
    delete,
)
