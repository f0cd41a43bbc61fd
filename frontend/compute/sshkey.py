"""SSH keys: the fingerprint of a public one, and new pairs."""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_public_key,
)

KINDS = ("ed25519", "rsa")
_RSA_BITS = 3072
_COMMENT = "generated"


def fingerprint(public_key: str) -> str:
    """The MD5 of a key in the form of authorized_keys, `TYPE BASE64 [COMMENT]`: as Nova shows it (nova/crypto.py).

    ValueError when it is no such key.
    """
    try:
        load_ssh_public_key(public_key.encode())
        blob = base64.b64decode(public_key.split()[1], validate=True)
    except (ValueError, IndexError, UnsupportedAlgorithm) as err:
        raise ValueError("no SSH public key") from err
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def generate(kind: str) -> tuple[str, str]:
    """A new private key (PEM, without a passphrase) and its public one; `kind` is of KINDS."""
    key: Ed25519PrivateKey | RSAPrivateKey
    if kind == "rsa":  # in the form that the oldest clients read
        key, form = generate_private_key(65537, _RSA_BITS), PrivateFormat.TraditionalOpenSSL
    else:
        key, form = Ed25519PrivateKey.generate(), PrivateFormat.OpenSSH
    private = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return private, f"{public} {_COMMENT}"
