"""A Debian with cloud-init as a tenant boots it: the packages of Debian's cloud images, cut to what a test needs.

An ext4 file system with the boot loader, kernel and initramfs of guest.py, which start in a second; root has a shell
on the serial console. cloud-init takes a NoCloud seed if there is one, and configures the network in any case.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ganeti_ext.command import run
from lab import base, guest

SIZE = 640 << 20

PACKAGES = (
    *("systemd-sysv", "dbus", "udev", "kmod", "iproute2", "iputils-ping", "e2fsprogs"),
    *("cloud-init", "netplan.io", "systemd-resolved", "polkitd"),
)
# Debian's images are made with these: the names of interfaces are those of the kernel, the seed may come by NoCloud.
_KERNEL = "net.ifnames=0 ds=nocloud TERM=dumb"

_FILES = {
    "etc/fstab": "/dev/vda / ext4 noatime 0 0\n",
    "etc/machine-id": "",  # each guest's own, made when it boots
    # Nothing is left to be brought up to date with /usr: a quarter of the boot.
    "etc/.updated": "",
    "var/.updated": "",
    # Without a server of SSH there are no keys to be made.
    "etc/cloud/cloud.cfg.d/90_lab.cfg": "ssh_genkeytypes: []\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/systemd/system/serial-getty@ttyS0.service.d/root.conf": """\
[Service]
ExecStart=
ExecStart=-/bin/sh
StandardInput=tty
StandardOutput=tty
WorkingDirectory=/root
Environment=HOME=/root TERM=dumb
""",
}
# Of the packages' own: work for a disk that lives longer than a test, and consoles that nobody sees.
_MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"),
    *("getty@tty1.service", "systemd-pstore.service", "systemd-udev-settle.service"),
)
_LEFT_OUT = (
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/i18n/*",
    "/usr/lib/udev/hwdb.d/*",
)


def image(root: str) -> Path:
    """The image's file, made when the cache has none of this recipe: one or two minutes, most of it packages."""
    recipe = (root, str(SIZE), *PACKAGES, *guest.STARTER, _KERNEL, repr(_FILES), *_MASKED, *_LEFT_OUT)
    return guest.cached("debian-guest", "Making the Debian guest's image (once; about two minutes)", recipe, _make)


def _make(root: Path, folder: Path) -> None:
    guest.unpack(root, folder)
    with guest.filesystem(folder / "disk.raw", SIZE) as tree:
        base.bootstrap(str(tree), PACKAGES, _LEFT_OUT)
        (tree / "boot").mkdir(exist_ok=True)
        shutil.copytree(folder / "kernel/usr/lib/modules", tree / "usr/lib/modules", dirs_exist_ok=True)
        (version,) = (tree / "usr/lib/modules").iterdir()
        run(["chroot", str(tree), "depmod", version.name])
        guest.kernel(tree, folder, _KERNEL)
        _settle(tree)


def _settle(tree: Path) -> None:
    """What an image is rid of and told before it is anybody's."""
    (tree / "etc/hostname").unlink(missing_ok=True)  # so that a guest takes the one it is told
    for name, text in _FILES.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for unit in _MASKED:
        (tree / "etc/systemd/system" / unit).symlink_to("/dev/null")
