"""The DHCP unique identifier of the server (RFC 8415, section 11): the same on every node of a cluster.

A guest that migrates renews at another node, by the identifier that it learnt before. So it follows from the cluster's
name, and is kept in a file: a cluster that gets another name keeps its guests.
"""

from __future__ import annotations

import os
import re
import uuid

from ganeti_ext import files
from ganeti_ext.errors import ConfigError

PATH = "/var/lib/ganeti-ext/nfdhcpd.duid"
CLUSTER_NAME = "/var/lib/ganeti/ssconf_cluster_name"

_UUID = b"\0\4"  # DUID-UUID, RFC 6355
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "ganeti-ext.invalid")

_WRITTEN = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})*")

DEFAULT_DUID = _UUID + _NAMESPACE.bytes


def load(path: str = PATH) -> bytes:
    """The identifier in a file, the default when there is none; ConfigError says what is wrong with it."""
    try:
        with open(path, encoding="utf-8") as file:
            return parse(path, file.read())
    except FileNotFoundError:
        return DEFAULT_DUID
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: {err}") from err


def parse(path: str, text: str) -> bytes:
    """The bytes of a file's one line: hexadecimal, with colons between the bytes."""
    line = text.strip()
    if not _WRITTEN.fullmatch(line):
        raise ConfigError(f"{path}: {line[:60]!r} is not a DUID: bytes in hexadecimal with colons between")
    duid = bytes.fromhex(line.replace(":", ""))
    if not 3 <= len(duid) <= 130:  # RFC 8415, 11.1
        raise ConfigError(f"{path}: a DUID of {len(duid)} bytes, where 3 to 130 are allowed")
    return duid


def ensure(path: str = PATH, cluster_name_path: str = CLUSTER_NAME) -> bytes:
    """The identifier, written down first if there is no file and this node is of a cluster; needs root then."""
    if not os.path.exists(path):
        name = _cluster(cluster_name_path)
        if name:
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                files.replace(path, of_cluster(name).hex(":") + "\n")
            except OSError as err:
                raise ConfigError(f"{path}: cannot be written: {err.strerror}") from err
    return load(path)


def of_cluster(name: str) -> bytes:
    """The identifier that follows from a cluster's name."""
    return _UUID + uuid.uuid5(_NAMESPACE, name.lower()).bytes


def _cluster(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: {err}") from err
