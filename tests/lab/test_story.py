"""The demo's story, step by step."""

from __future__ import annotations

import pytest

from lab import story as told
from lab import story_storage

_broken: list[str] = []


@pytest.mark.parametrize("step", (*told.STEPS, *story_storage.STEPS), ids=lambda step: step.__name__)
def test_story(story: told.Story, step: object) -> None:
    assert callable(step)
    if _broken:
        pytest.fail(f"an earlier step of the story failed: {_broken[0]}")
    try:
        step(story)
    except BaseException:
        _broken.append(getattr(step, "__name__", "?"))
        raise
