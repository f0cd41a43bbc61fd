from __future__ import annotations

import pytest

from bench.dhcp.perfdhcp import Leg, Report, parse

# Of perfdhcp 2.6.3, -x t, shortened.
SAID = """\
Running: perfdhcp -4 -l c0 -r 200 -R 1000 -b mac=02:00:00:00:00:00 -p 3 -W 400000 -x t 10.99.255.1
Scenario: basic.
Multi-thread mode enabled.
***Rate statistics***
Rate: 176.126 4-way exchanges/second, expected rate: 200

***Malformed Packets***
Malformed packets: 0
***Statistics for: DISCOVER-OFFER***
sent packets: 599
received packets: 590
drops: 9
drops ratio: 1.5 %
orphans: 0
rejected leases: 0
non unique addresses: 0

min delay: 0.032 ms
avg delay: 0.163 ms
max delay: 4.796 ms
std deviation: 0.385 ms
collected packets: 0

***Statistics for: REQUEST-ACK***
sent packets: 589
received packets: 588
drops: 1
drops ratio: 0.170 %
orphans: 0
rejected leases: 0
non unique addresses: 0

min delay: 0.037 ms
avg delay: 0.134 ms
max delay: 4.164 ms
std deviation: 0.308 ms
collected packets: 0

***Timestamps for packets: DISCOVER-OFFER***
sent / received: 000000.000080 / 000000.000818
sent / received: 000002.010065 / 000002.012065
***Timestamps for packets: REQUEST-ACK***
sent / received: 000000.000818 / 000000.000918
"""


def test_both_legs_and_the_delays_are_read() -> None:
    report = parse(SAID)
    assert (report.offer, report.ack) == (Leg(599, 590), Leg(589, 588))
    assert report.delays == pytest.approx([0.738, 2.0, 0.1])
    assert report.missing == 10
    assert report.lost == pytest.approx(10 / 599)


def test_addresses_given_twice_are_counted_in_both_legs() -> None:
    assert parse(SAID).shared == 0
    assert parse(SAID.replace("non unique addresses: 0", "non unique addresses: 3")).shared == 6


def test_a_run_without_any_answer_is_a_loss() -> None:
    nothing = "Unavailable! No packets received.\n"
    report = parse(SAID.replace("received packets: 590", "received packets: 0").split("***Timestamps")[0] + nothing)
    assert report.offer == Leg(599, 0)
    assert report.delays == []
    assert report.lost > 0.99


def test_words_without_statistics_are_an_error_that_shows_them() -> None:
    with pytest.raises(ValueError, match="Address already in use"):
        parse("Error running perfdhcp: Address already in use\n")


def test_answers_dropped_by_perfdhcp_are_not_lost_by_the_server() -> None:
    report = Report(Leg(1000, 900), Leg(900, 850), [], overruns=140)
    assert report.missing == 150
    assert report.lost == pytest.approx(10 / 1000)
    assert report.served == (900 + 850 + 140) / 2


def test_more_overruns_than_missing_answers_serve_nobody() -> None:
    # Answers to an earlier run.
    report = Report(Leg(1000, 1000), Leg(1000, 999), [], overruns=70)
    assert report.lost == 0
    assert report.served == 1000
