"""The DNS server, through dig(1) and nsupdate(1), both with our key: it may show others a different view."""

from __future__ import annotations

import time

from ganeti_ext import command
from ganeti_ext.errors import ExtError
from hooks import dnsanswer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hooks.dnsanswer import Answer, Question
    from hooks.dnssettings import Settings


class Server:
    """All that is asked and told must be done within the settings' timeout, counted from now.

    `run` starts a program; `clock` tells seconds.
    """

    def __init__(
        self,
        settings: Settings,
        run: Callable[..., str] = command.run,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._run = run
        self._clock = clock
        self._end = clock() + settings.timeout

    def ask(self, questions: Sequence[Question]) -> dict[Question, Answer]:
        """The answers to all questions. ExtError when one has none, so below."""
        server = (f"@{self._settings.server}", "-p", str(self._settings.port), "-k", self._settings.key)
        # Over TCP nothing is lost, so nothing is said twice; dig's own patience is never less than ours.
        options = ("+tcp", "+keepopen", "+norecurse", "+tries=1", f"+time={int(self._settings.timeout) + 1}")
        try:
            with open(self._settings.key, "rb"):  # dig would go on without
                said = self._within(("dig", *server, *options, "-f", "-"), dnsanswer.batch(questions))
            answers = dnsanswer.parse(said)
        except (ExtError, OSError) as err:
            raise ExtError(f"asking {self._settings.server}: {err}") from err
        for name, kind in questions:
            if (name, kind) not in answers:
                raise ExtError(f"asking {self._settings.server}: no answer about {name} {kind}")
        return answers

    def update(self, zone: str, text: str) -> None:
        """Change a zone: all of it or nothing."""
        try:
            self._within(("nsupdate", "-k", self._settings.key, "-v"), text)
        except ExtError as err:
            raise ExtError(f"updating {zone} on {self._settings.server}: {err}") from err

    def _within(self, argv: Sequence[str], stdin: str) -> str:
        left = self._end - self._clock()
        if left <= 0:
            raise ExtError(f"no time left of {self._settings.timeout:g} s")
        return self._run(argv, stdin=stdin, timeout=left)
