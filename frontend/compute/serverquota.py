"""What room a project has for servers and their NICs: limits and what is there, read once for all that is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from frontend.compute import quotas
from frontend.database import turns
from frontend.network import addressquota, portquota
from frontend.quota import limits, reserved

_NAMES = {**quotas.OWN, "ports": "ports", "addresses": "addresses"}


@dataclass(frozen=True, slots=True)
class Room:
    """`most` and `there` are instances, cores, ram (MiB), ports and addresses; of `most`, below 0: any number."""

    most: Mapping[str, int]
    there: Mapping[str, int]

    @classmethod
    def now(cls, connection: Connection, project: str, ports: int, public: int) -> Room:
        """As it is until the transaction ends, in which the caller alone adds to it (turns.py).

        Of ports and public addresses nothing is counted where none of them are wanted, or any number may be.
        """
        turns.take(connection, project)
        found = limits.of(connection, project, tuple(_NAMES.values()))
        most = {name: found[ours] for name, ours in _NAMES.items()}
        apart = reserved.of(connection, project)
        there = quotas.used_beside(connection, project, apart)
        for name, wanted, used in (
            ("ports", ports, portquota.used_beside),
            ("addresses", public, addressquota.used_beside),
        ):
            there[name] = used(connection, project, apart) if wanted and most[name] >= 0 else 0
        return cls(most, there)

    def check(self, servers: Mapping[str, int], ports: int, public: int) -> None:
        """Forbidden when so many more instances, cores and MiB, ports and public addresses do not fit."""
        quotas.refuse(self.most, self.there, servers)
        portquota.refuse(self.most["ports"], self.there["ports"], ports)
        addressquota.refuse(self.most["addresses"], self.there["addresses"], public)
