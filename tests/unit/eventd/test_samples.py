"""What the kernel tells, read; text as Linux 6.12 has it."""

from __future__ import annotations

import itertools

import pytest

from eventd import samples

STAT = (
    "2411 (qemu) system) x86) S 1 2411 2411 0 -1 138412352 99216 0 12 0 1875 642 0 0 20 0 5 0 431507 1463005184 88291"
    " 18446744073709551615 94 95 140 0 0 0 268444224 4096 16963 0 0 0 -1 1 0 0 0 1203 0 94 95 96 140 141 142 143 0\n"
)
IO = """rchar: 190734281
wchar: 22817401
syscr: 41022
syscw: 30211
read_bytes: 104857600
write_bytes: 52428800
cancelled_write_bytes: 4096
"""
_HEAD = "bytes    packets errs drop fifo"
DEV = f"""Inter-|   Receive                                                |  Transmit
 face |{_HEAD} frame compressed multicast|{_HEAD} colls carrier compressed
    lo:  123456     789    0    0    0     0          0         0   123456     789    0    0    0     0       0     0
  tap0: 5000000   10000    1    2    0     0          0         0 70000000   90000    0    4    0     0       0     0
tap111:12345678901234 1    0    0    0     0          0         0        1       1    0    0    0     0       0     0
"""


def test_the_time_of_all_threads_and_when_the_process_began() -> None:
    assert samples.spent(STAT) == (1875 + 642, 431507)
    assert samples.sample("web", 2517, 100, memory_kib=1) == {
        "instance": "web", "cpu_ns": 25_170_000_000, "memory_kib": 1
    }  # fmt: skip


def test_memory_is_pages_that_are_there() -> None:
    assert samples.resident("357179 88291 5210 1432 0 98765 0\n", 4096) == 88291 * 4


def test_disks_are_what_went_through_to_them() -> None:
    assert samples.disks(IO) == (104857600, 52428800)


def test_what_a_tap_receives_its_guest_has_sent() -> None:
    found = samples.interfaces(DEV)
    assert found == {
        "lo": (123456, 789, 0, 0, 123456, 789, 0, 0),
        "tap0": (70000000, 90000, 0, 4, 5000000, 10000, 1, 2),
        "tap111": (1, 1, 0, 0, 12345678901234, 1, 0, 0),
    }


@pytest.mark.parametrize(
    ("words", "its"),
    [
        (["/usr/bin/kvm", "-enable-kvm", "-name", "web.example.org", "-m", "512"], True),
        (["/usr/bin/kvm", "-name", "web.example.org,debug-threads=on"], True),
        (["/usr/bin/kvm", "-name", "web.example.org2"], False),
        (["/usr/bin/kvm", "-m", "web.example.org"], False),
        (["/usr/bin/kvm", "web.example.org", "-name"], False),
        ([], False),
    ],
)
def test_whose_process_it_is(words: list[str], its: bool) -> None:
    assert samples.is_of("\0".join([*words, ""]), "web.example.org") is its


def test_counters_begin_anew_with_each_process_and_other_nics() -> None:
    variants = itertools.product(("boot1", "boot2"), (7, 8), (100, 101), ([], ["tap0"], ["tap0", "tap1"]))
    found = [samples.began(*variant) for variant in variants]
    assert len(set(found)) == len(found)
    assert {len(text) for text in found} == {16}
    assert samples.began("boot1", 7, 100, ["tap0"]) == samples.began("boot1", 7, 100, ["tap0"])


def test_a_tap_is_of_whom_it_was_given_last() -> None:
    claims = [("tap0", 20, "new"), ("tap0", 10, "crashed"), ("tap1", 10, "crashed")]
    for order in itertools.permutations(claims):
        assert samples.owners(order) == {"tap0": "new", "tap1": "crashed"}
