"""What the host needs, and the root file system that all nodes share."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable

from ganeti_ext.command import run
from ganeti_ext.files import Lock
from lab import BASES
from lab.step import step

HOST = [
    "mmdebstrap",
    "systemd-container",
    "debian-archive-keyring",
    "iproute2",
    "iputils-ping",
    "mount",
    "xfsprogs",
    "e2fsprogs",
    "btrfs-progs",
    "strace",
    "extlinux",
    "cpio",
    "xz-utils",
    "nftables",
    "iptables",
    "tcpdump",
    "debhelper",
    "dh-python",
    "dpkg-dev",
    "fakeroot",
    "lintian",
    "python3",
    "python3-venv",
    "openssl",
    "make",
    "qemu-utils",
    "chromium",
    "fonts-dejavu-core",
]

NODE = [
    "ganeti",
    "qemu-system-x86",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "iptables",
    "nftables",
    "udev",
    "iproute2",
    "iputils-ping",
    "procps",
    "tcpdump",
    "ca-certificates",
    "python3-netfilterqueue",
    "python3-iptables",
    "python3-nftables",
    "python3-pyinotify",
    "python3-kombu",
    "python3-orjson",
    "python3-flask",
    "python3-sqlalchemy",
    "python3-alembic",
    "python3-cryptography",
    "python3-psycopg2",
    "python3-prometheus-client",
    "gunicorn",
    "rabbitmq-server",
    "postgresql",
    "python3-openstackclient",
    "kmod",
    "e2fsprogs",
    "openssl",
    "libfaketime",
]

# The guests' kernel and user land: unpacked, never installed (see guest.py).
GUEST = ("linux-image-cloud-amd64", "busybox-static")

MIRROR = "http://deb.debian.org/debian"
SUITE = "trixie"

# Servers that only one node is to run; node services start them where they belong.
_OFF = ("rabbitmq-server", "postgresql", "nftables", "systemd-resolved", "systemd-networkd", "cron", "epmd.socket")


def setup() -> None:
    """Install what the host lacks."""
    installed = run(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${Package}\n"]).splitlines()
    have = {line.split()[-1] for line in installed if line.startswith("ii")}
    missing = [name for name in HOST if name not in have]
    if not shutil.which("npm"):  # Debian's, unless there is another: they exclude each other
        missing.append("npm")
    if missing:
        with step(f"Installing on this machine: {' '.join(missing)}"):
            os.environ["DEBIAN_FRONTEND"] = "noninteractive"
            run(["apt-get", "update", "--quiet"], timeout=300)
            run(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing], timeout=900)


def root() -> str:
    """The nodes' base, made when this list of packages has none yet."""
    key = hashlib.sha256(repr((SUITE, NODE, GUEST, _OFF)).encode()).hexdigest()[:12]
    path = BASES / f"base-{key}"
    with making():
        if not path.exists():
            with step("Making the nodes' Debian 13 (once; about a minute)"):
                _make(str(path))
    return str(path)


def making() -> Lock:
    """One process at a time adds to the cache, for the length of a `with` block."""
    BASES.mkdir(parents=True, exist_ok=True)
    return Lock(str(BASES / "making"))


def _make(path: str) -> None:
    draft = f"{path}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    excluded = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
    download = f"cd '{draft}/var/cache' && chroot '{draft}' sh -c 'cd /var/cache && apt-get download {_GUEST_DEBS}'"
    off = f"chroot '{draft}' systemctl disable {' '.join(_OFF)} 2>/dev/null || true"
    bootstrap(draft, NODE, excluded, download, off)
    os.rename(draft, path)


def bootstrap(target: str, packages: Iterable[str], excluded: Iterable[str], *hooks: str) -> None:
    """Unpack a Debian 13 with these packages into a directory, without the files of these patterns; then run hooks."""
    run(
        [
            "mmdebstrap",
            "--variant=apt",
            "--skip=output/dev",
            '--aptopt=Acquire::Languages "none"',
            "--dpkgopt=force-unsafe-io",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in excluded),
            f"--include={','.join(packages)}",
            *(f"--customize-hook={hook}" for hook in hooks),
            SUITE,
            target,
            MIRROR,
        ],
        timeout=1800,
    )


# The meta package only names the kernel of the day, so ask it.
_GUEST_DEBS = (
    'busybox-static $(apt-cache depends linux-image-cloud-amd64 | sed -n "s/.*Depends: *\\(linux-image-[^ ]*\\)/\\1/p")'
)
