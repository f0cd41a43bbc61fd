from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.storage import fio
from bench.storage.fio import JOBS, Job

READ = next(job for job in JOBS if job.mode == "randread" and job.depth == 16)
LARGE = next(job for job in JOBS if job.mode == "write" and job.depth == 1)
# Of fio 3.39, shortened.
SAID = """fio: a word about something
{
  "fio version" : "fio-3.39",
  "jobs" : [
    {
      "jobname" : "job", "error" : 0,
      "read" : { "io_bytes" : 86704128, "bw" : 84672, "iops" : 21168.0, "total_ios" : 21168 },
      "write" : { "io_bytes" : 0, "bw" : 0, "iops" : 0.0, "total_ios" : 0 }
    }
  ]
}
"""


def test_every_size_is_read_and_written_with_little_and_much_at_once() -> None:
    assert len({(job.size, job.writes, job.depth) for job in JOBS}) == len(JOBS) == 8
    assert {job.depth for job in JOBS} == {1, 16}


def test_small_blocks_are_counted_and_large_ones_weighed() -> None:
    assert READ.title == "4 KiB random read, depth 16, ops/s"
    assert LARGE.title == "1 MiB write in a row, depth 1, MiB/s"
    assert fio.parse(READ, SAID) == 21168
    assert LARGE.figure(500) == 500 and Job("", "read", 4 << 20, 1).figure(500) == 2000


@pytest.mark.parametrize("text", ["", "fio: no such device", '{"jobs": []}', SAID.replace("21168.0", "0.0")])
def test_what_is_no_figure_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="fio"):
        fio.parse(READ, text)


def test_fio_goes_past_the_page_cache_for_the_time_asked_for() -> None:
    words = fio.argv(READ, "/dev/loop7", 1 << 20, 0.4)
    assert {"--direct=1", "--filename=/dev/loop7", "--size=1048576", "--runtime=400ms", "--iodepth=16"} <= set(words)


@given(st.integers(2, 30))
def test_the_steps_of_qemu_img_come_to_every_block(power: int) -> None:
    blocks = 1 << power
    assert math.gcd(fio.stride(blocks), blocks) == 1


def test_qemu_img_walks_far_with_small_blocks_and_in_a_row_with_large_ones() -> None:
    small, large = fio.qemu(READ, "rbd:rbd/v", 512 << 20, 1000), fio.qemu(LARGE, "rbd:rbd/v", 512 << 20, 10)
    assert int(small[small.index("-S") + 1]) == 4096 * fio.stride(131072)
    assert large[large.index("-S") + 1] == str(1 << 20)
    assert "-w" in large and "-w" not in small and small[-1] == "rbd:rbd/v"


def test_qemu_img_tells_how_long_it_took() -> None:
    assert fio.completed(READ, "Sending 1000 read requests...\nRun completed in 0.250 seconds.\n", 1000) == 4000
    with pytest.raises(ValueError, match="qemu-img bench said 'no such image'"):
        fio.completed(READ, "no such image", 1000)
