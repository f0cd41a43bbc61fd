from __future__ import annotations

import logging

import pytest

from nfdhcpd.notice import BURST, SECONDS, Notices


def test_few_lines_for_a_key_in_a_while_and_the_count_of_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    notices = Notices(lambda: now)
    with caplog.at_level(logging.INFO):
        for _ in range(12):
            notices.say("tap0", "no answer: %s", "why")
        notices.say("tap1", "hello")
        assert caplog.messages == ["tap0: no answer: why"] * BURST + ["tap1: hello"]
        caplog.clear()
        now = SECONDS
        notices.say("tap0", "again")
        notices.say("tap1", "again")
    assert caplog.messages == [f"tap0: {12 - BURST} lines held back", "tap0: again", "tap1: again"]


def test_a_guest_that_is_gone_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices(lambda: 0.0)
    with caplog.at_level(logging.INFO):
        for _ in range(12):
            notices.say("tap0", "x")
        notices.forget("tap0")
        notices.say("tap0", "new")
    assert caplog.messages[-1] == "tap0: new"
