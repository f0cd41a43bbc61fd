"""A seed as the files that cloud-init's NoCloud reads (cloud-init, "NoCloud" and "Network config version 2"). Pure.

What the tenant sent is user-data, untouched. What came with it by other keys of the API, a password and files, is
vendor-data: cloud-init lets user-data win where both say something.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

LABEL = "CIDATA"

Nic = namedtuple("Nic", "mac addressed")
"""`addressed`: there is an IPv4 address for it, so somebody answers DHCP."""

# As a boot hook: it runs before the rest, and a `write_files` of the tenant's does not replace it.
_FILES_HEAD = """\
#!/bin/sh
# The files that were given when the server was made, once.
mark=/var/lib/cloud/instance/ganeti-ext-files
[ -e "$mark" ] && exit 0
put() { mkdir -p "$(dirname "$1")" && base64 -d > "$1"; }
"""
_FILES_END = ': > "$mark"\n'


def files(seed: Mapping[str, Any], nics: Sequence[Nic]) -> dict[str, bytes]:
    """By name. A seed has all the fields of ganeti_ext/seed.py."""
    about = {"instance-id": seed["id"], "local-hostname": seed["host"], "public-keys": seed["keys"]}
    return {
        "meta-data": _yaml(about),
        "network-config": _yaml(network(nics)),
        "user-data": base64.b64decode(seed["user_data"]),
        "vendor-data": vendor(seed["password"], seed["files"]),
    }


def network(nics: Sequence[Nic]) -> dict[str, Any]:
    """DHCP on every NIC that has an address, and what routers advertise; boot waits for no other."""
    ethernets: dict[str, Any] = {}
    for number, nic in enumerate(nics):
        found: dict[str, Any] = {"match": {"macaddress": nic.mac}, "dhcp4": nic.addressed, "accept-ra": True}
        if not nic.addressed:
            found["optional"] = True
        elif number:  # of several default routes the first NIC's holds
            found["dhcp4-overrides"] = {"route-metric": 100 + 100 * number}
        ethernets[f"nic{number}"] = found
    return {"version": 2, "ethernets": ethernets}


def vendor(password: str, contents: Sequence[Sequence[str]]) -> bytes:
    """A password for the image's default user, and files; empty when there are neither."""
    parts = []
    if password:
        config = {"password": password, "chpasswd": {"expire": False}}
        parts.append({"type": "text/cloud-config", "content": f"#cloud-config\n{_json(config)}\n"})
    if contents:
        parts.append({"type": "text/cloud-boothook", "content": _hook(contents)})
    return b"#cloud-config-archive\n" + _yaml(parts) if parts else b""


def _hook(contents: Sequence[Sequence[str]]) -> str:
    pieces = [_FILES_HEAD]
    for path, content in contents:
        encoded = base64.encodebytes(base64.b64decode(content)).decode()
        pieces.append(f"put {shlex.quote(path)} <<'END'\n{encoded}END\n")
    return "".join([*pieces, _FILES_END])


def _yaml(value: object) -> bytes:
    return f"{_json(value)}\n".encode()


def _json(value: object) -> str:
    """JSON that is YAML, too: what YAML does not take as it is (YAML 1.1, 5.1) stands by its number.

    JSON's own way with characters beyond the BMP, two numbers for one, means two characters to YAML.
    """
    return "".join(
        f"\\u{ord(char):04x}" if char in "\x7f\u2028\u2029\ufeff" or "\x80" <= char <= "\x9f" else char
        for char in json.dumps(value, ensure_ascii=False)
    )
