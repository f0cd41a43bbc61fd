"""What all ExtStorage providers share: the verbs of man ganeti-extstorage-interface and how they are called.

A provider is a module whose functions are the verbs (see Provider, and docs/provider.md); its executables hand
it to `main`.
"""

from __future__ import annotations

import os

from ganeti_ext.errors import ContractError, ExtError
from ganeti_ext.volenv import Volume

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol, TypeVar

    S = TypeVar("S")

    class Provider(Protocol[S]):
        """A provider's module. S are its settings, an immutable object.

        Each verb may be repeated, and may have been killed at any point when it was called before. An error is an
        ExtError (or an OSError, which `main` makes one) and says what, with which value, and what to do next.
        """

        NAME: str

        def load(self, path: str, params: Mapping[str, str]) -> S:
            """The settings of the file NAME.conf, with what the disk's own parameters (EXTP_*) change of them."""

        def create(self, settings: S, volume: Volume) -> None:
            """Make a volume of volume.size_mib, empty or with the content of params["origin"]."""

        def attach(self, settings: S, volume: Volume) -> str:
            """The path of a block device, then lines `kvm:URI`; empty when the volume does not exist.

            Ganeti calls it far more often than any other verb, on every node, whoever has the volume open.
            """

        def detach(self, settings: S, volume: Volume) -> None:
            """Free the device of this node, and this node's part of the lock."""

        def remove(self, settings: S, volume: Volume) -> None:
            """Delete a volume or a snapshot; success when there is none."""

        def grow(self, settings: S, volume: Volume) -> None:
            """Lengthen to volume.new_size_mib; a longer one is left as it is."""

        def setinfo(self, settings: S, volume: Volume) -> None:
            """Keep volume.metadata with the volume."""

        def snapshot(self, settings: S, volume: Volume) -> None:
            """Make volume.snapshot, which Ganeti then treats as a volume of its own."""

        def open_(self, settings: S, volume: Volume) -> None:
            """Take the volume's lock for this node, alone if volume.exclusive."""

        def close(self, settings: S, volume: Volume) -> None:
            """Give up this node's part of the lock."""

        def verify(self, settings: S) -> None:
            """ExtError when volumes cannot be made here. Ganeti does not call it."""


CONFIG_DIRECTORY = "/etc/ganeti-ext"
# The executables' names, and the functions where these differ.
VERBS = {
    "create": "create",
    "attach": "attach",
    "detach": "detach",
    "remove": "remove",
    "grow": "grow",
    "setinfo": "setinfo",
    "snapshot": "snapshot",
    "open": "open_",
    "close": "close",
    "verify": "verify",
}


def main(provider: Provider[Any]) -> Callable[[str, Mapping[str, str]], str | None]:
    """The provider's entry for ganeti_ext.entry.run."""

    def call(verb: str, env: Mapping[str, str]) -> str | None:
        """Carry out one verb; what it returns is for stdout."""
        os.umask(0o022)  # noded's would hide /run/ganeti-ext from the daemons that are not root
        if verb not in VERBS:
            raise ContractError(f"unknown verb; known: {', '.join(VERBS)}")
        path = config_path(provider.NAME, env)
        try:
            if verb == "verify":
                provider.verify(provider.load(path, {}))
                return None
            volume = Volume.from_env(env)
            reply: str | None = getattr(provider, VERBS[verb])(provider.load(path, volume.params), volume)
        except OSError as err:  # a full disk, a dead server: not a bug
            raise ExtError(f"volume {env.get('VOL_NAME')!r}: {err}") from err
        return reply

    return call


def config_path(name: str, env: Mapping[str, str]) -> str:
    """The configuration of the provider of that name."""
    return os.path.join(env.get("GANETI_EXT_CONFIG_DIR", CONFIG_DIRECTORY), f"{name}.conf")
