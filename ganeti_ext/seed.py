"""What a guest is told at its first boot, on its way from the front to the OS script that writes it to a disk.

It holds passwords and keys, so it never goes where Ganeti keeps things. With a create it is the OS parameter `seed`
among the secret ones, which Ganeti hands from process to process and writes nowhere. A reinstallation by the remote
API has no secret parameters: a change then is `update`, encrypted with a key that only the front and the server's own
seed disk have.

    host         the host name, a DNS label
    id           the server's UUID
    key          hexadecimal: what opens an `update`
    keys         [public SSH key]
    password     of the image's default user; empty: none
    files        [[absolute path, its content in base64]]
    user_data    base64, as the tenant sent it; empty: none
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DISK = "-seed"  # ends the name of the disk in Ganeti
SIZE = 4  # MiB: ganeti-ext-storage moves disks in steps of 4
SEED, UPDATE = "seed", "update"  # the OS parameters
FIELDS = {"host": str, "id": str, "key": str, "keys": list, "password": str, "files": list, "user_data": str}

# An OS script has its parameters in its environment, of which Linux takes 128 KiB a variable (MAX_ARG_STRLEN).
_LONGEST = (128 << 10) - 64
_LARGEST = 1 << 20  # octets of a seed that is not packed any more
_NONCE, _TAG = 16, 32


def encode(seed: Mapping[str, Any]) -> str:
    """The parameter's text; ValueError when it is longer than a script can be told."""
    found = _text(_pack(seed))
    if len(found) > _LONGEST:
        raise ValueError(f"{len(found)} characters, at most {_LONGEST} are possible")
    return found


def decode(text: str) -> dict[str, Any]:
    """What `encode` was given; ValueError when it is nothing of the kind."""
    return _unpack(_octets(text))


def seal(key: str, changes: Mapping[str, Any]) -> str:
    """Changes of some fields, for nobody to read who has not the seed's key.

    Encrypted, then authenticated: a stream of HMAC-SHA256 over a counter, and a tag of HMAC-SHA256 over the whole.
    """
    nonce = os.urandom(_NONCE)
    plain = _pack(changes)
    body = nonce + _mixed(key, nonce, plain)
    return _text(body + _tag(key, body))


def unseal(key: str, text: str) -> dict[str, Any]:
    """The changes; ValueError when they were sealed with another key, or damaged."""
    raw = _octets(text)
    body, tag = raw[:-_TAG], raw[-_TAG:]
    if len(body) < _NONCE or not hmac.compare_digest(tag, _tag(key, body)):
        raise ValueError("sealed with another key, or damaged")
    return _unpack(_mixed(key, body[:_NONCE], body[_NONCE:]))


def _pack(value: Mapping[str, Any]) -> bytes:
    return zlib.compress(json.dumps(dict(value)).encode(), 9)


def _unpack(raw: bytes) -> dict[str, Any]:
    """Whoever reads a seed may trust the types of its fields: a guest may have written it."""
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(raw, _LARGEST)
        found = json.loads(text)
    except (zlib.error, RecursionError) as err:
        raise ValueError(f"no seed: {err}") from err
    except ValueError as err:  # its words quote what there is
        raise ValueError("no seed: it is not JSON") from err
    if not unpacking.eof:
        raise ValueError("no seed: it is too long or was cut")
    if not isinstance(found, dict):
        raise ValueError("no seed: it is no object")
    for name, value in found.items():
        kind = FIELDS.get(name)
        if kind is None or not isinstance(value, kind) or not _fits(name, value):
            raise ValueError(f"no seed: {name!r:.40} is another kind of {type(value).__name__}")
    return found


def _fits(name: str, value: Any) -> bool:
    if name == "keys":
        return all(isinstance(key, str) for key in value)
    if name == "files":
        return all(isinstance(file, list) and [type(part) for part in file] == [str, str] for file in value)
    return True


def _text(raw: bytes) -> str:
    return base64.b85encode(raw).decode()  # a seed of the largest size would not fit as base64


def _octets(text: str) -> bytes:
    try:
        return base64.b85decode(text)
    except (ValueError, binascii.Error) as err:
        raise ValueError("no seed: it is not encoded as one") from err


def _mixed(key: str, nonce: bytes, data: bytes) -> bytes:
    """Encrypt; said again it decrypts."""
    secret = _derived(key, b"encrypt")
    blocks = -(-len(data) // hashlib.sha256().digest_size)
    stream = b"".join(
        hmac.new(secret, nonce + number.to_bytes(8, "big"), hashlib.sha256).digest() for number in range(blocks)
    )
    return bytes(one ^ other for one, other in zip(data, stream, strict=False))


def _tag(key: str, body: bytes) -> bytes:
    return hmac.new(_derived(key, b"authenticate"), body, hashlib.sha256).digest()


def _derived(key: str, purpose: bytes) -> bytes:
    return hmac.new(bytes.fromhex(key), b"ganeti-ext seed 1 " + purpose, hashlib.sha256).digest()
