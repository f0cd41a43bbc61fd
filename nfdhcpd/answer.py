"""What comes out of a packet: an answer, or silence and the reason for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nfdhcpd.client import Client


class Answer(NamedTuple):
    """`asked` is the kind of the message, `told` the answer in plain words, `frame` the answer from Ethernet on."""

    asked: str
    told: str
    frame: bytes


class Silence(Exception):
    """A packet that gets no answer. The reason is one of REASONS, the text says why in plain words."""

    def __init__(self, reason: str, text: str, asked: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        self.asked = asked


class Pass(Exception):
    """A packet that is not ours after all: the kernel goes on with it."""


def check_card(hardware: bytes | None, client: Client, asked: str) -> None:
    """Silence for a frame from another card than the guest's, unless it may have others."""
    if hardware != client.mac and not client.macspoof:
        raise Silence("spoofed", f"spoofed: frame from {(hardware or b'').hex(':')}", asked)


# malformed   it breaks its protocol's rules
# spoofed     another MAC than the binding's
# other       it is for another server or another host
# nothing     the binding has nothing of the kind to give
# noted       the client tells and does not ask: RELEASE, DECLINE
# ignored     no answer is due: a reply, an unknown type
# unsent      the tap did not take the answer
# refused     the tap's binding is bad
REASONS = ("malformed", "spoofed", "other", "nothing", "noted", "ignored", "unsent", "refused")
