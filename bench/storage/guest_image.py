"""The guest that measures its own disks: Debian's kernel, busybox and fio, on a disk that it boots from."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ganeti_ext.command import run
from lab import guest

if TYPE_CHECKING:
    from bench.storage.place import Bench

SIZE = 128 << 20
FIO = "/usr/bin/fio"
HUGE_PAGES = 24  # of 2 MiB, for what is read and written

# A line from the port is done by a shell, its exit code and how much it has said go back before what it has said.
_INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin HOME=/
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp
until [ -c /dev/vport*p1 ]; do usleep 10000; done
exec 3<>"$(echo /dev/vport*p1)"
echo ready >&3
while read -r line <&3; do
  sh -c "$line" </dev/null >/tmp/said 2>&1
  echo "$? $(wc -c < /tmp/said)" >&3
  cat /tmp/said >&3
done
reboot -f
"""


def image(bench: Bench) -> Path:
    """The image's file, made when the cache has none of this recipe."""
    layers = bench.lowerdir.split(":")[:0:-1]  # the base first; not the last, which is the code that is measured
    recipe = (*layers, str(SIZE), str(HUGE_PAGES), *guest.STARTER, _INIT)
    return guest.cached("bench-guest", "Making a guest with fio", recipe, functools.partial(_make, bench.root))


def libraries(said: str) -> list[str]:
    """The files that ldd(1) names."""
    return [word for word in said.split() if word.startswith("/")]


def _make(root: Path, base: Path, folder: Path) -> None:
    guest.unpack(base, folder)
    with guest.filesystem(folder / "disk.raw", SIZE) as tree:
        for name in ("bin", "boot", "sbin", "dev", "proc", "sys", "tmp"):
            (tree / name).mkdir()
        guest.kernel(tree, folder, f"hugepages={HUGE_PAGES}")
        shutil.copy(folder / "busybox/usr/bin/busybox", tree / "bin/busybox")
        for file in (FIO, *libraries(run(["chroot", str(root), "ldd", FIO]))):
            target = tree / file[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / file[1:], target)
        (tree / "sbin/init").write_text(_INIT)
        (tree / "sbin/init").chmod(0o755)
