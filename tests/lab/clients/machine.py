"""A virtual machine whose firmware boots from the network, and what it boots."""

from __future__ import annotations

from ganeti_ext.address import eui64
from ganeti_ext.binding import Binding
from tests.lab.clients import host as site
from tests.lab.clients.box import Program
from tests.lab.clients.host import Host

_OVMF = "/usr/share/OVMF"
_FILES = "/srv/http"
_SCRIPT = """\
#!ipxe
kernel ${next-url} console=ttyS0 earlyprintk=ttyS0 panic=-1 from=${net0/ip} next=${next-server} || shell
boot
"""
# /boot comes early in the archive: tar ends there, and dpkg-deb with it.
_KERNEL = f"""\
mkdir -p {_FILES}
dpkg-deb --fsys-tarfile /var/cache/linux-image-*.deb 2>/dev/null |
    tar --extract --occurrence=1 --wildcards --to-stdout './boot/vmlinuz-*' > {_FILES}/vmlinuz.efi"""


class Server:
    """HTTP on the router's addresses: a script for iPXE, and Debian's kernel."""

    def __init__(self, host: Host) -> None:
        host.run("sh", "-c", _KERNEL)
        self.script = f"http://{site.GATEWAY}/boot.ipxe"
        self.kernel = f"http://{site.GATEWAY}/vmlinuz.efi"
        self.kernel6 = f"http://[{site.ROUTER6}]/vmlinuz.efi"
        host.write(f"{_FILES}/boot.ipxe", _SCRIPT.replace("${next-url}", self.kernel))
        self.log = host.start("python3", "-u", "-m", "http.server", "--bind", "::", "--directory", _FILES, "80")
        self.log.says("Serving HTTP")


class Machine:
    """QEMU with iPXE in its card's ROM, or with UEFI; `console` is its serial port.

    Without KVM, as not every host's KVM knows all instructions that firmware uses.
    """

    def __init__(self, host: Host, *, uefi: bool, **terms: str) -> None:
        self.host = host
        self.uefi = uefi
        tap, number = host.tap()
        self._cable = f"cable{number}"
        self.mac = f"52:54:00:00:00:{number:02x}"
        self.terms = Binding(
            tap=tap,
            mac=self.mac,
            hostname=f"machine{number}.{site.DOMAIN}",
            instance=f"machine{number}",
            indev="br0",
            ip=f"192.0.2.{9 + number}",
            subnet=site.SUBNET,
            gateway=site.GATEWAY,
            subnet6=site.SUBNET6,
            gateway6=site.GATEWAY6,
            eui64=eui64(self.mac, site.SUBNET6),
            terms=tuple(terms.items()),
        )
        self.wire = host.plug(tap, number, "tuntap add dev {cable} mode tap")
        host.ip(f"link set {tap} master br0 up")
        host.bind(self.terms)

    def start(self) -> Program:
        """Switch it on; the console. UEFI does without PXE, which it would try first."""
        firmware = []
        if self.uefi:
            self.host.run("cp", f"{_OVMF}/OVMF_VARS_4M.fd", f"/tmp/{self.terms.tap}.fd")
            flash = (f"readonly=on,file={_OVMF}/OVMF_CODE_4M.fd", f"file=/tmp/{self.terms.tap}.fd")
            firmware += [word for part in flash for word in ("-drive", f"if=pflash,format=raw,{part}")]
            no_pxe = (f"name=opt/org.tianocore/IPv{version}PXESupport,string=n" for version in (4, 6))
            firmware += [word for setting in no_pxe for word in ("-fw_cfg", setting)]
            firmware += ["-device", "virtio-rng-pci"]  # without random numbers it has no network
        nic = f"virtio-net-pci,netdev=net,mac={self.mac},bootindex=1{',romfile=' if self.uefi else ''}"
        netdev = f"tap,id=net,ifname={self._cable},script=no,downscript=no"
        board = ["-machine", "q35,accel=tcg,graphics=off", "-m", "512", "-nodefaults", "-no-reboot"]
        ports = ["-nographic", "-serial", "stdio", "-netdev", netdev, "-device", nic]
        self.console = self.host.start("qemu-system-x86_64", *board, *ports, *firmware)
        return self.console

    def close(self) -> None:
        """Pull the plug."""
        self.wire.close()
        self.console.stop()
        self.host.ip(f"link delete {self.terms.tap}", f"link delete {self._cable}")
