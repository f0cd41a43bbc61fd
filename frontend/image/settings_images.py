"""[images] of /etc/ganeti-ext/frontend.conf: the image store, and what tenants may bring into it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from ganeti_ext.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Images:
    """[images]: docs/images.md."""

    command: str = "ganeti-ext-storage"
    """The program that has the store in its hands."""
    max_upload: int = 0
    """Octets of an image that a tenant brings, as it comes and as a disk; 0: tenants bring none."""
    staging: str = "/var/lib/ganeti-ext/frontend/staging"
    """Where uploads lie that wait for their import (glance-direct)."""
    import_hosts: tuple[str, ...] = ("*",)
    """Patterns of hosts that images may be downloaded from, as `*.example.org`; empty: from nowhere."""
    import_networks: tuple[str, ...] = ()
    """Networks that are not public, and whose addresses these hosts may have all the same."""
    import_seconds: float = 3600
    """That one download may take, with its conversion."""
    importers: int = 2
    """Imports that go on at once in one ganeti-ext-importer."""

    def __post_init__(self) -> None:
        if self.max_upload < 0:
            raise ConfigError(f"[images] max_upload: {self.max_upload} is below 0")
        for name in ("import_seconds", "importers"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"[images] {name}: {getattr(self, name)!r} is not above 0")
        for text in self.import_networks:
            try:
                ipaddress.ip_network(text)
            except ValueError as err:
                raise ConfigError(f"[images] import_networks: {text!r}: {err}") from err

    @property
    def methods(self) -> list[str]:
        """By which images are imported; none where tenants bring none."""
        if not self.max_upload:
            return []
        return ["glance-direct", *(["web-download"] if self.import_hosts else [])]
