"""A master node with a real BIND beside it: Debian 13 with no network but its own."""

from __future__ import annotations

import subprocess
from typing import NamedTuple

from lab import layer
from tests.lab.clients.box import PATIENCE, Box

HOOK = f"{layer.HERE}/hooks/dns"
CONFIG = "/etc/ganeti-ext/dns.conf"
KEY, WRONG_KEY, ADMIN_KEY = (f"/etc/ganeti-ext/{name}.key" for name in ("dns", "wrong", "admin"))
# By path, a key's name and secret.
KEYS = {
    KEY: ("ganeti-ext", "cXVpdGUgYSBzZWNyZXQgb2YgdGhpcnR5LXR3byBvYw=="),
    WRONG_KEY: ("ganeti-ext", "YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5LXR3byBvYw=="),
    ADMIN_KEY: ("admin", "YW5kIG9uZSBvZiB0aGUgcGVyc29uIGluIGNoYXJnZSE="),
}
ZONES = ("example.org", "cloud.example.org", "2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa")
MASTER, AWAY = "node1.example.org", "198.51.100.9"
OPCODES = {
    "add": "OP_INSTANCE_CREATE", "start": "OP_INSTANCE_STARTUP", "reboot": "OP_INSTANCE_REBOOT",
    "modify": "OP_INSTANCE_SET_PARAMS", "rename": "OP_INSTANCE_RENAME", "remove": "OP_INSTANCE_REMOVE",
    "stop": "OP_INSTANCE_SHUTDOWN",
}  # fmt: skip
# Recursive, as Debian sets it up: such a server has empty zones of its own for private addresses.
_NAMED = f"""include "{KEY}";
include "{ADMIN_KEY}";
options {{ directory "/var/cache/bind"; recursion yes; allow-transfer {{ any; }}; notify no; dnssec-validation no; }};
"""
# No more is allowed than docs/dns.md says.
_ZONE = """zone "{zone}" {{
    type primary; file "/var/cache/bind/{zone}";
    update-policy {{ grant ganeti-ext zonesub {types}; grant admin zonesub ANY; }};
}};
"""
_SOA = "$TTL 60\n@ SOA ns.example.org. root.example.org. 1 60 60 60 60\n@ NS ns.example.org.\n"

Records = set[tuple[str, str, str]]


class Nic(NamedTuple):
    """A NIC on a Ganeti network."""

    ip: str = ""
    mac: str = "aa:00:00:00:00:01"
    subnet6: str = ""
    tags: str = "nfdhcpd dns"


class Node(Box):
    """`records` are what stands in all zones; `hook` runs the hook."""

    def __init__(self) -> None:
        super().__init__("node1", layer.lower("dns", ("bind9", "bind9-dnsutils")))
        # Nobody answers at AWAY: its frames go nowhere.
        self.ip(
            *("link add eth0 type veth peer name wire", "link set eth0 up", "link set wire up"),
            f"route add {AWAY} dev eth0",
            f"neighbour add {AWAY} lladdr 02:00:00:00:00:09 dev eth0",
        )
        for path, (name, secret) in KEYS.items():
            self.write(path, f'key "{name}" {{ algorithm hmac-sha256; secret "{secret}"; }};\n', mode=0o600)
        for zone in ZONES:
            self.write(f"/var/cache/bind/{zone}", _SOA + ("ns A 127.0.0.1\n" if zone == "example.org" else ""))
        self.write("/etc/bind/named.conf", _NAMED + "".join(map(_zone, ZONES)))
        self.write("/var/lib/ganeti/ssconf_node_list", f"{MASTER}\nnode2.example.org\n")
        self.path("/usr/bin/host").unlink()  # the original called it
        self.start("/usr/sbin/named", "-g", "-c", "/etc/bind/named.conf").says(" running$")

    def configure(self, **keys: object) -> None:
        """Write the hook's settings."""
        usual = {"server": "127.0.0.1", "key": KEY, "zones": "example.org cloud.example.org"}
        lines = (f"{key} = {value}\n" for key, value in (usual | keys).items())
        self.write(CONFIG, "[dns]\n" + "".join(lines))

    def nsupdate(self, *lines: str) -> None:
        """What somebody else changes."""
        self.run("nsupdate", "-k", ADMIN_KEY, stdin="\n".join(("server 127.0.0.1", *lines, "send\n")))

    def records(self) -> Records:
        """Name, type and value of all records but those of the zones themselves."""
        transfer = self.run(
            "dig", "@127.0.0.1", "+noall", "+answer", "-f", "-", stdin="".join(f"{zone} AXFR\n" for zone in ZONES)
        )
        records = (line.split(None, 4) for line in transfer.splitlines())
        return {(name, kind, value) for name, _, _, kind, value in records if kind not in ("SOA", "NS")}

    def serials(self) -> str:
        """By which a zone shows whether it was updated."""
        return self.run("dig", "@127.0.0.1", "+short", "-f", "-", stdin="".join(f"{zone} SOA\n" for zone in ZONES))

    def hook(self, operation: str, name: str, *nics: Nic, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the hook as Ganeti does after an operation; `more` are variables without GANETI_."""
        env = [f"{key}={value}" for key, value in environment(operation, name, *nics, **more).items()]
        return subprocess.run(
            self._enter(("env", "-i", *env, HOOK)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def done(self, operation: str, name: str, *nics: Nic, **more: str) -> None:
        """As `hook`, and all is well."""
        done = self.hook(operation, name, *nics, **more)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def refused(self, operation: str, name: str, *nics: Nic, **more: str) -> str:
        """As `hook`, and it fails: with what line."""
        done = self.hook(operation, name, *nics, **more)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert not any(secret in done.stderr for _, secret in KEYS.values())
        return done.stderr


def _zone(zone: str) -> str:
    return _ZONE.format(zone=zone, types="PTR" if zone.endswith("arpa") else "A AAAA TXT")


def environment(operation: str, name: str, *nics: Nic, **more: str) -> dict[str, str]:
    """All that a hook is told (BuildInstanceHookEnv), as far as this one could read it."""
    env = {
        "PATH": "/sbin:/bin:/usr/sbin:/usr/bin", "GANETI_HOOKS_VERSION": "2", "GANETI_DATA_DIR": "/var/lib/ganeti",
        "GANETI_HOOKS_PATH": f"instance-{operation}", "GANETI_HOOKS_PHASE": "post",
        "GANETI_OP_CODE": OPCODES[operation], "GANETI_OBJECT_TYPE": "INSTANCE", "GANETI_OP_TARGET": name,
        "GANETI_CLUSTER": "cluster.example.org", "GANETI_MASTER": MASTER, "GANETI_INSTANCE_NAME": name,
        "GANETI_INSTANCE_PRIMARY": "node2.example.org", "GANETI_INSTANCE_SECONDARIES": "",
        "GANETI_INSTANCE_TAGS": "", "GANETI_INSTANCE_NIC_COUNT": str(len(nics)),
    }  # fmt: skip
    for index, nic in enumerate(nics):
        fields = {
            "IP": nic.ip, "MAC": nic.mac, "MODE": "bridged", "LINK": "br0", "NETWORK_NAME": "blue",
            "NETWORK_UUID": "5e1f", "NETWORK_TAGS": nic.tags, "NETWORK_SUBNET6": nic.subnet6,
        }  # fmt: skip
        env |= {f"GANETI_INSTANCE_NIC{index}_{key}": value for key, value in fields.items()}
    return env | {f"GANETI_{key}": value for key, value in more.items()}
