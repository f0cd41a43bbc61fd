"""A tenant at work: the unmodified `openstack` client, run on a node by his rc file."""

from __future__ import annotations

import json
import shlex
from typing import Any

from lab.node import Node


class Tenant:
    """The demo's tenant on `node`."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def openstack(self, *words: str, timeout: float = 180) -> Any:
        """Run `openstack WORDS --format json`; CommandError carries the client's words."""
        return json.loads(self.run(*words, "--format", "json", timeout=timeout))

    def run(self, *words: str, timeout: float = 180) -> str:
        """Run `openstack WORDS` and return what it prints."""
        # The password comes from the file, so that no process list shows it.
        command = f". /root/openrc && exec openstack {shlex.join(words)}"
        return self._node.run("sh", "-c", command, timeout=timeout)

    def show(self, server: str) -> dict[str, Any]:
        """`openstack server show`."""
        shown: dict[str, Any] = self.openstack("server", "show", server)
        return shown

    def addresses(self, server: str, network: str) -> list[str]:
        """The server's addresses on a network as the API tells them: IPv4 first."""
        found: list[str] = self.show(server)["addresses"][network]
        return sorted(found, key=lambda text: ":" in text)
