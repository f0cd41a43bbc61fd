"""One process beside a test's Ceph that looks and changes by python3-rbd: a hundred times quicker than a command."""

from __future__ import annotations

import pickle
import subprocess
from typing import Any

from lab.ceph import POOL, Ceph

SOURCE = """
import json, pickle, rados, rbd, sys, traceback
sys.path.insert(0, "/usr/share/ganeti-ext")
from extstorage import origin, provider, rbd as verbs, rbd_admin as a, rbd_pool, rbd_verbs
from ganeti_ext.volenv import Volume
cluster = rados.Rados(conffile="/etc/ceph/ceph.conf", rados_id="admin")
cluster.connect()
io = cluster.open_ioctx(sys.argv[1])

class Kept(rbd_pool.Pool):
    # One connection for all calls with the same settings: to connect is most of what a verb costs.
    made = {}

    def __init__(self, settings):
        if settings not in self.made:
            super().__init__(settings)
            self.made[settings] = dict(self.__dict__)
        self.__dict__.update(self.made[settings])

    def _disconnect(self):
        pass

rbd_pool.LastPool = rbd_verbs.LastPool = Kept

def verb(word, env):
    volume = Volume.from_env(env)
    known = verbs.load(provider.config_path("rbd", env), volume.params)
    return getattr(verbs if word == "attach" else rbd_verbs, provider.VERBS[word])(known, volume) or ""

def settings(etc):
    return a.stores(f"{etc}/rbd.conf")[0][1]

def names():
    return sorted(rbd.RBD().list(io))

def read(name, offset=0, length=None):
    with rbd.Image(io, name, read_only=True) as image:
        return image.read(offset, image.size() - offset if length is None else length)

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

def osd(**words):
    # A hundred times quicker than `ceph tell`.
    code, _, told = cluster.osd_command(0, json.dumps(words), b"")
    if code:
        raise OSError(code, told)

def tell(option, value):
    osd(prefix="config set", var=option, val=[str(value)])

while True:
    expression, values = pickle.load(sys.stdin.buffer)
    try:
        answer = True, eval(expression, {**globals(), **values})
    except Exception as err:
        answer = False, "".join(traceback.format_exception_only(err))
    pickle.dump(answer, sys.stdout.buffer)
    sys.stdout.flush()
"""


class Eye:
    """Where expressions are evaluated, over the functions of SOURCE."""

    def __init__(self, ceph: Ceph) -> None:
        self.before: set[str] = set()  # objects that a test did not make
        self.spared: set[int] = set()  # processes that no test made
        command = ceph.enter("/usr/bin/python3", "-u", "-c", SOURCE, POOL)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.spared.add(self._process.pid)

    def ask(self, expression: str, **values: object) -> Any:
        """The value, with these values by their names; an AssertionError with the words of what was raised."""
        assert self._process.stdin and self._process.stdout
        pickle.dump((expression, values), self._process.stdin)
        self._process.stdin.flush()
        well, answer = pickle.load(self._process.stdout)
        assert well, answer
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
