"""What the consumer does for each cluster, second by second."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontend.cluster.fleet import Post
from frontend.database.vault import Vault
from frontend.effect.payer import Payer
from frontend.settings import Settings
from tests.unit.frontend.cluster import Both


def test_the_payer_has_his_time_and_comes_at_once_when_he_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid: list[int] = []
    both = Both(tmp_path)
    post = Post(both.engine, both.rapi, Vault("secret"), Settings(), None)  # type: ignore[arg-type]
    monkeypatch.setattr(post.schedule, "tick", lambda _: None)
    turns = range(1, int(3 * Payer.PERIOD))
    for second in turns:
        monkeypatch.setattr(Payer, "tick", lambda _, second=second: paid.append(second))
        if second == 7:
            post.soon = 2
        post.tick(second, idle=True)
    assert paid == sorted({*(second for second in turns if second % Payer.PERIOD == 0), 7, 8})
