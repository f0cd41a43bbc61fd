"""NetworkManager with its own DHCP client, on a bus of its own."""

from __future__ import annotations

from tests.lab.clients.guest import NIC, Guest
from tests.lab.clients.lease import Lease, in_effect

_CONFIG = """\
[main]
plugins=keyfile
auth-polkit=false
rc-manager=file
[connectivity]
enabled=false
"""
_CONNECTION = """\
[connection]
id={nic}
uuid=6f4ac2ae-5d0c-4c1e-8f57-1a2b3c4d5e6f
type=ethernet
interface-name={nic}
[ipv4]
method={method4}
may-fail=false
dhcp-send-release=1
[ipv6]
method=auto
dhcp-send-release=1
"""


class NetworkManager:
    """It renews when the time has come alone."""

    name = "networkmanager"
    remembers = True
    rapid = False
    method4 = "auto"

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        guest.write("/etc/NetworkManager/NetworkManager.conf", _CONFIG)
        connection = _CONNECTION.format(nic=NIC, method4=self.method4)
        guest.write(f"/etc/NetworkManager/system-connections/{NIC}.nmconnection", connection, 0o600)

    def start(self) -> None:
        self.guest.bus()
        self._client = self.guest.start("NetworkManager", "--debug")

    def bound(self) -> None:
        self._client.says(rf"device \({NIC}\): state change: .* -> activated")

    def release(self) -> None:
        self.guest.run("nmcli", "device", "disconnect", NIC)

    def lease(self) -> Lease:
        lines = self.shown("IP4,DHCP4")
        told = dict(text.split(" = ", 1) for name, text in lines.items() if name.startswith("DHCP4.OPTION"))
        return in_effect(
            self.guest,
            domain=lines["IP4.DOMAIN[1]"],
            hostname=told["host_name"],
            mtu=int(told["interface_mtu"]),
            ntp=told.get("ntp_servers", "").split(),
        )

    def shown(self, fields: str) -> dict[str, str]:
        """What nmcli shows of the NIC."""
        lines = self.guest.run("nmcli", "--terse", "--fields", fields, "device", "show", NIC).splitlines()
        return dict(line.replace("\\:", ":").partition(":")[::2] for line in lines)
