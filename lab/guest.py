"""The tenant's image of the lab: a small bootable disk with Debian's kernel and busybox.

An ext4 file system with a boot loader; its initramfs loads the drivers and switches to the disk, whose
/sbin/init asks for addresses, tells on the serial console what it was told, and gives a shell there. So a
guest that speaks has read its own disk, kernel included.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ganeti_ext.command import run
from lab import BASES
from lab.step import step

SIZE = 64 << 20
MARK = "lab-image-1"  # stands in a file of the image; the guest prints it

_MODULES = ("net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net", "drivers/block/virtio_blk")

_INITRAMFS = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module"; done
mount -t ext4 /dev/vda /disk && mount --move /dev /disk/dev && exec switch_root /disk /sbin/init
echo "GUEST error=no-disk"; exec sh
"""

_INIT = """\
#!/bin/busybox sh
export PATH=/bin HOME=/
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp
echo $(($(cat /boots) + 1)) > /boots; sync
echo "GUEST booted"
ip link set lo up; ip link set eth0 up
# Goes on in the background with its lease, and renews it.
udhcpc -i eth0 -b -t 30 -T 1 -p /tmp/udhcpc.pid -s /bin/lease -O mtu -O hostname >/dev/null 2>&1
report
while :; do setsid cttyhack sh; done
"""

# One line for tests to read: what the guest was told, and what stands on its disk.
_REPORT = """\
#!/bin/busybox sh
n=0
until ip -6 addr show dev eth0 scope global | grep inet6 | grep -vq tentative || [ $n -ge 50 ]; do
  n=$((n+1)); usleep 100000
done
echo "GUEST mark=$(cat /mark) boots=$(cat /boots)" \\
  "address=$(ip -4 -o addr show dev eth0 | awk '{print $4}') router=$(ip route | awk '/^default/ {print $3}')" \\
  "dns=$(awk '/^nameserver/ {printf s $2; s=","}' /etc/resolv.conf) hostname=$(hostname)" \\
  "mtu=$(cat /sys/class/net/eth0/mtu)" \\
  "address6=$(ip -6 -o addr show dev eth0 scope global | awk '{print $4}' | head -n1)" \\
  "router6=$(ip -6 route | awk '/^default/ {print $3}' | head -n1) end=yes"
"""

# What udhcpc was told, done; and noted, a line each time. A renewal leaves the address where it is.
_LEASE = """\
#!/bin/busybox sh
echo "$1 $ip" >> /tmp/leases
case "$1" in
deconfig) ip -4 addr flush dev eth0;;
bound|renew)
  [ -n "$mtu" ] && ip link set eth0 mtu "$mtu"
  ip addr replace "$ip/$mask" dev eth0
  [ -n "$router" ] && ip route replace default via "$router"
  [ -n "$hostname" ] && hostname "$hostname"
  : > /etc/resolv.conf; for server in $dns; do echo "nameserver $server" >> /etc/resolv.conf; done;;
esac
"""

# For udhcpc6, which tests start: the address is that of the router advertisement.
_LEASE6 = """\
#!/bin/busybox sh
echo "$1 $ipv6" >> /tmp/leases6
"""

_BOOT = """\
DEFAULT linux
PROMPT 0
LABEL linux
  KERNEL /boot/vmlinuz
  INITRD /boot/initrd
  APPEND console=ttyS0,38400 quiet panic=5 {words}
"""

STARTER = (*_MODULES, _INITRAMFS, _BOOT)  # what every image has of here


def image(base: str) -> Path:
    """The image's file, made when the cache has none of this content."""
    recipe = (base, MARK, str(SIZE), *STARTER, _INIT, _REPORT, _LEASE, _LEASE6)
    return cached("guest", "Making the guests' image", recipe, _make)


def cached(name: str, what: str, recipe: Sequence[str], make: Callable[[Path, Path], None]) -> Path:
    """The file of an image, made when the cache has none of this recipe, which begins with the base.

    `make(base, folder)` leaves it as folder/disk.raw.
    """
    path = BASES / f"{name}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]}.raw"
    if not path.exists():
        with step(what), tempfile.TemporaryDirectory(dir=BASES) as folder:
            make(Path(recipe[0]), Path(folder))
            for old in BASES.glob(f"{name}-*.raw"):
                old.unlink()
            os.rename(Path(folder) / "disk.raw", path)
    return path


def _make(base: Path, folder: Path) -> None:
    unpack(base, folder)
    with filesystem(folder / "disk.raw", SIZE) as root:
        _fill(root, folder)


def unpack(base: Path, folder: Path) -> None:
    """Lay the kernel's and busybox's packages open in folder/kernel and folder/busybox."""
    (kernel,) = (base / "var/cache").glob("linux-image-*.deb")
    (busybox,) = (base / "var/cache").glob("busybox-static_*.deb")
    run(["dpkg-deb", "--extract", str(kernel), str(folder / "kernel")])
    run(["dpkg-deb", "--extract", str(busybox), str(folder / "busybox")])


@contextlib.contextmanager
def filesystem(disk: Path, size: int) -> Iterator[Path]:
    """A new disk that is one ext4 file system, mounted: what has a `boot` with extlinux.conf at the end boots."""
    with disk.open("wb") as file:
        file.truncate(size)
    # Features that the boot loader cannot read are left out.
    run(["mkfs.ext4", "-q", "-O", "^64bit,^metadata_csum,^has_journal", str(disk)])
    mount = disk.with_suffix(".mount")
    mount.mkdir()
    run(["mount", "-o", "loop", str(disk), str(mount)])
    try:
        yield mount
        run(["extlinux", "--install", str(mount / "boot")])
        run(["fstrim", str(mount)])  # the file is to take no room for what was there for a moment
    finally:
        run(["umount", str(mount)])


def kernel(root: Path, folder: Path, words: str = "") -> None:
    """Put the boot loader's files into root/boot; `words` are more of the kernel's command line."""
    (vmlinuz,) = (folder / "kernel/boot").glob("vmlinuz-*")
    shutil.copy(vmlinuz, root / "boot/vmlinuz")
    (root / "boot/initrd").write_bytes(_initramfs(folder))
    (root / "boot/extlinux.conf").write_text(_BOOT.format(words=words))


def _fill(root: Path, folder: Path) -> None:
    for name in ("bin", "boot", "sbin", "etc", "dev", "proc", "sys", "tmp"):
        (root / name).mkdir()
    kernel(root, folder)
    shutil.copy(folder / "busybox/usr/bin/busybox", root / "bin/busybox")
    listed = run([str(root / "bin/busybox"), "--list"]).split()
    for name in listed:
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    _script(root / "sbin/init", _INIT)
    _script(root / "bin/report", _REPORT)
    _script(root / "bin/lease", _LEASE)
    _script(root / "bin/lease6", _LEASE6)
    (root / "mark").write_text(MARK + "\n")
    (root / "boots").write_text("0\n")


def _initramfs(folder: Path) -> bytes:
    tree = folder / "initramfs"
    for name in ("bin", "modules", "dev", "proc", "sys", "disk"):
        (tree / name).mkdir(parents=True)
    shutil.copy(folder / "busybox/usr/bin/busybox", tree / "bin/busybox")
    (modules,) = (folder / "kernel/usr/lib/modules").iterdir()
    for number, name in enumerate(_MODULES):
        packed = (modules / "kernel" / f"{name}.ko.xz").read_bytes()
        (tree / "modules" / f"{number}-{Path(name).name}.ko").write_bytes(lzma.decompress(packed))
    _script(tree / "init", _INITRAMFS)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    archive = subprocess.run(
        ["cpio", "--create", "--format=newc", "--quiet"],
        cwd=tree,
        input=names.encode(),
        capture_output=True,
        check=True,
    )
    return gzip.compress(archive.stdout)


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
