"""What comes out of a packet: an answer, or silence and the reason for it."""

from __future__ import annotations

from typing import NamedTuple


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


# malformed   it breaks its protocol's rules
# spoofed     another MAC than the binding's
# other       it is for another server or another host
# nothing     the binding has nothing of the kind to give
# noted       the client tells and does not ask: RELEASE, DECLINE
# ignored     no answer is due: a reply, an unknown type
# unsent      the tap did not take the answer
# refused     the tap's binding is bad
REASONS = ("malformed", "spoofed", "other", "nothing", "noted", "ignored", "unsent", "refused")
