"""A server's seed, made from what its tenant asked: what its guest is told at its first boot (ganeti_ext/seed.py)."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import Any

from frontend.compute.schema_server import NewServer
from frontend.database.vault import Vault
from frontend.web.fault import BadRequest
from ganeti_ext import hostname, seed

ALWAYS, NEEDED = "always", "needed"
# Without those that look like others.
_LETTERS = "".join(sorted(set(string.ascii_letters + string.digits) - set("0Oo1Il")))
_LENGTH = 16  # 93 bits


def password() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def is_wanted(setting: str, wanted: NewServer) -> bool:
    """Whether a server gets a disk with a seed."""
    told = (wanted.key_name, wanted.user_data, wanted.files, wanted.config_drive, wanted.password)
    return setting == ALWAYS or any(told)


def of(wanted: NewServer, ident: str, name: str, key: str | None, given: str, vault: Vault) -> str:
    """The secret OS parameter of a create. `key` is a public one, `given` the password."""
    fields: dict[str, Any] = {
        "host": hostname.of(name, ident),
        "id": ident,
        "key": vault.seed_key(ident),
        "keys": [key] if key else [],
        "password": given,
        "files": [list(each) for each in wanted.files],
        "user_data": wanted.user_data,
    }
    try:
        return seed.encode(fields)
    except ValueError as err:
        raise BadRequest(f"user_data and personality together are too long: {err}") from err


def update(vault: Vault, ident: str, changes: Mapping[str, Any]) -> dict[str, str]:
    """The OS parameters of a reinstallation that change some fields: a name (`host`), `password`, `keys` ..."""
    fields = dict(changes)
    if "host" in fields:
        fields["host"] = hostname.of(fields["host"], ident)
    return {seed.UPDATE: seed.seal(vault.seed_key(ident), fields)}
