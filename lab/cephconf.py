"""What a Ceph of one machine is told: its configuration and keys, as texts."""

from __future__ import annotations

import base64
import os
import struct
import time
from collections.abc import Iterable

PORT = 3300
_CAPS = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *", "mds": "allow *"},
    "mgr": {"mon": "allow profile mgr", "osd": "allow *"},
    "osd": {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
}
_SMALL = """\
# One node, one copy.
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_warn = 1
mon_data_avail_crit = 0
mon_max_pg_per_osd = 1000
# Quick and small. The monitor hands out the numbers of snapshots, and by itself collects proposals for a second.
mon_tick_interval = 1
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
mgr_initial_modules =
bluestore_block_size = 21474836480
memstore_device_bytes = 4294967296
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
osd_memory_target = 939524096
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
osd_scrub_auto_repair = false
ms_async_op_threads = 1

[client]
admin_socket =
log_file = /dev/null
# For commands of rbd; the provider says so itself.
rbd_default_features = 61
rbd_default_clone_format = 2
rbd_move_parent_to_trash_on_remove = true
client_mount_timeout = 10
rados_mon_op_timeout = 20
"""


def text(cluster: str, address: str, store: str) -> str:
    """ceph.conf, for daemons and clients. `cluster` is its id, `store` bluestore, or memstore: in memory alone."""
    return f"""\
[global]
fsid = {cluster}
mon_host = [v2:{address}:{PORT},v1:{address}:{PORT + 1}]
mon_initial_members = a
public_addr = {address}
cluster_addr = {address}
ms_bind_ipv6 = false
auth_allow_insecure_global_id_reclaim = false
keyring = /etc/ceph/keyring
run_dir = /var/lib/ceph/run
admin_socket = /var/lib/ceph/run/$name.asok
pid_file = /var/lib/ceph/run/$name.pid
crash_dir = /var/lib/ceph/log
log_file = /var/lib/ceph/log/$name.log
log_to_stderr = false
mon_data = /var/lib/ceph/mon
mgr_data = /var/lib/ceph/mgr
osd_data = /var/lib/ceph/osd/$id
osd_objectstore = {store}
{_SMALL}"""


def keyring(names: Iterable[str], pool: str) -> str:
    """New keys; names that are not the cluster's own are those of users of RBD in a pool."""
    caps = {"mon": "profile rbd", "osd": f"profile rbd pool={pool}"}
    return "".join(_entry(name, _CAPS.get(name) or _CAPS.get(name.partition(".")[0], caps)) for name in names)


def of(name: str, keys: str) -> str:
    """One name's entry in a keyring, without what the name may do: all that a client needs."""
    entry = next(entry for entry in keys.split("[") if entry.startswith(f"{name}]"))
    return f"[{entry.partition('    caps ')[0]}"


def _entry(name: str, caps: dict[str, str]) -> str:
    # CryptoKey of Ceph: type 1 (AES), seconds and nanoseconds of its making, length, 16 octets.
    key = base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, 16) + os.urandom(16)).decode()
    return f"[{name}]\n    key = {key}\n" + "".join(f'    caps {kind} = "{rule}"\n' for kind, rule in caps.items())
