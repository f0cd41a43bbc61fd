"""The DHCP unique identifier of the server (RFC 8415, section 11): the same on every node of a cluster.

A guest that migrates renews at another node, by the identifier that it learnt before.
"""

from __future__ import annotations

import uuid

_UUID = b"\0\4"  # DUID-UUID, RFC 6355

DEFAULT_DUID = _UUID + uuid.uuid5(uuid.NAMESPACE_DNS, "ganeti-ext.invalid").bytes
