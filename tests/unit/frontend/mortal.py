"""A front whose process dies at any step of a request, with a database of its own: for models of quotas."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import event

from frontend.effect.payer import Payer
from frontend.settings import Front
from tests.unit.frontend.conftest import Api, serve
from tests.unit.frontend.test_begun import Killed

Fate = tuple[str, int] | None
# How Ganeti's jobs are worked: what shuffles the telling of them, and which of them fail. With None they wait.
Works = tuple[int, set[int]] | None


class Mortal(RuleBasedStateMachine):
    """Subclasses say what `rapi` is: it calls `step` before and behind each submission."""

    def __init__(self, seeded: Path, rapi: Any, **settings: Any) -> None:
        """`seeded`: the folder of a database front.db, which is copied."""
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(seeded, self.folder, dirs_exist_ok=True)
        self.url = f"sqlite:///{self.folder}/front.db"
        self.rapi = rapi
        front = Front(database=self.url, secret_file=f"{self.folder}/secret", **settings)
        self.api: Api = self.served(front).become("alice")
        self.engine = self.api.engine
        self.left: int | None = None
        self.dead = False
        self.later = 0.0
        for name in ("before_cursor_execute", "commit"):
            event.listen(self.engine, name, lambda *_: self.step())
        clock = time.time
        self._patches: list[Any] = []
        self.patch(mock.patch.object(time, "time", lambda: clock() + self.later))
        self.patch(mock.patch("frontend.effect.lostjob.PAUSES", (0.0,)))

    def served(self, front: Front) -> Api:
        """The front, called without a token."""
        return serve(front, self.rapi)

    def patch(self, patch: Any) -> None:
        """Until the end of the story."""
        patch.start()
        self._patches.append(patch)

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            for patch in self._patches:
                patch.stop()
            self.engine.dispose()
            shutil.rmtree(self.folder)

    def settle(self) -> None:
        """All is over; what is then has to be right."""
        raise NotImplementedError

    def step(self) -> None:
        """A dead process does nothing more, not even tidy up."""
        if self.left is not None:
            self.left -= 1
            self.dead = self.dead or self.left <= 0
        if self.dead:
            raise Killed

    def request(self, steps: int | None, method: str, path: str, sent: Any = None, **how: Any) -> None:
        """With `steps` it dies after so many of them."""
        self.left = steps
        try:
            answer = self.api.call(method, path, json=sent, **how)
            assert answer.status_code < 500 or answer.status_code == 503, answer.text
        except Killed:
            self.engine.dispose()  # its connections are gone with it; one that died in a commit would keep its lock
        finally:
            self.left, self.dead = None, False

    def pays(self, later: float) -> None:
        """The payer's turn, by a clock that is `later` seconds ahead."""
        vault = self.api.client.application.extensions["ganeti-ext"].vault
        Payer(self.engine, self.rapi, vault, clock=lambda: time.time() + later).work()
