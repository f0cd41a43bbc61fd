"""The certificate that the front shows to the nodes when it asks for consoles. Nodes know it by a copy of theirs."""

from __future__ import annotations

import contextlib
import datetime
import os
import stat
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ganeti_ext.errors import ConfigError

_YEARS = 20  # nodes trust this one alone until it is taken from them


def ensure(path: str) -> str:
    """Make the key and its certificate where they lack; the certificate, PEM. ConfigError when that cannot be.

    Several processes may start at once: one makes it.
    """
    try:
        with contextlib.suppress(FileExistsError):
            if not os.path.exists(path):
                _make(path)
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read()
    except OSError as err:
        raise ConfigError(f"[console] certificate {path}: {err.strerror}") from err
    if mode & 0o077:
        raise ConfigError(f"[console] certificate {path}: mode {mode:04o} lets others read its key, expected 0600")
    try:
        found = x509.load_pem_x509_certificate(text)
    except ValueError as err:
        raise ConfigError(f"[console] certificate {path}: {err}") from err
    return found.public_bytes(serialization.Encoding.PEM).decode()


def _make(path: str) -> None:
    fd, draft = tempfile.mkstemp(prefix=".console.", dir=os.path.dirname(path))  # mode 0600
    try:
        with open(fd, "wb") as file:
            file.write(_pair())
            file.flush()
            os.fsync(fd)
        os.link(draft, path)  # unlike rename, it leaves another process's alone
    finally:
        os.unlink(draft)


def _pair() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ganeti-ext front")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # a node's clock may be late
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return private + made.public_bytes(serialization.Encoding.PEM)
