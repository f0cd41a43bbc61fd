"""One process beside a test's Ceph that looks and changes by python3-rbd: a hundred times quicker than a command."""

from __future__ import annotations

import ast
import subprocess
from typing import Any

from lab.ceph import POOL, Ceph

SOURCE = """
import json, rados, rbd, sys, traceback
sys.path.insert(0, "/usr/share/ganeti-ext")
from extstorage import rbd_admin as a, origin
cluster = rados.Rados(conffile="/etc/ceph/ceph.conf", rados_id="admin")
cluster.connect()
io = cluster.open_ioctx(sys.argv[1])

def settings(etc):
    return a.stores(f"{etc}/rbd.conf")[0][1]

def names():
    return sorted(rbd.RBD().list(io))

def read(name):
    with rbd.Image(io, name, read_only=True) as image:
        return image.read(0, image.size())

def size(name):
    with rbd.Image(io, name, read_only=True) as image:
        return image.size()

def write(name, offset, content):
    with rbd.Image(io, name) as image:
        image.write(content, offset)

def put(name, content):
    rbd.RBD().create(io, name, len(content), features=61)
    write(name, 0, content)

def drop(name):
    with rbd.Image(io, name) as image:
        for one in list(image.list_snaps()):
            image.remove_snap(one["name"])
    rbd.RBD().remove(io, name)

def objects():
    return sorted(one.key for one in io.list_objects())

def texts():
    with rados.ReadOpCtx() as op:
        found, _ = io.get_omap_vals(op, "", "", 10000)
        try:
            io.operate_read_op(op, "ganeti-ext.volumes")
        except rados.ObjectNotFound:
            return []
        return sorted(key for key, _ in found)

def wipe():
    for one in objects():
        try:
            io.remove_object(one)
        except rados.ObjectNotFound:
            pass
    rbd.RBD().pool_init(io, True)

def health():
    return cluster.mon_command(json.dumps({"prefix": "health", "detail": "detail"}), b"")[1].decode()

def forget(seconds):
    # After which the OSD lets the locks of a client go that says nothing.
    asked = {"prefix": "config set", "var": "osd_client_watch_timeout", "val": [str(seconds)]}
    code, _, told = cluster.osd_command(0, json.dumps(asked), b"")
    if code:
        raise OSError(code, told)

for line in sys.stdin:
    try:
        answer = True, eval(line, globals())
    except Exception as err:
        answer = False, "".join(traceback.format_exception_only(err))
    print(repr(answer), flush=True)
"""


class Eye:
    """Where expressions are evaluated, over the functions of SOURCE."""

    def __init__(self, ceph: Ceph) -> None:
        self.before: set[str] = set()  # objects that a test did not make
        self.spared: set[int] = set()  # processes that no test made
        command = ceph.enter("/usr/bin/python3", "-u", "-c", SOURCE, POOL)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.spared.add(self._process.pid)

    def ask(self, expression: str) -> Any:
        """The value, which Python can write down; an AssertionError with the words of what was raised."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        well, answer = ast.literal_eval(self._process.stdout.readline())
        assert well, answer
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
