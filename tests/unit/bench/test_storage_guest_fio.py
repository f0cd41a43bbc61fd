from __future__ import annotations

import json
from collections import Counter

import pytest

from bench.storage import guest_fio
from bench.storage.fio import JOBS
from bench.storage.guest_fio import Run

DISKS = {"ours": "/dev/vdb", "theirs": "/dev/vdc"}
WANTED = guest_fio.runs(list(DISKS), 3)


def said(figures: list[float]) -> str:
    """What fio 3.39 says of runs with these operations a second, shortened."""
    reports = [
        {"jobname": "job", "write" if run.job.writes else "read": {"iops": figure}}
        for run, figure in zip(WANTED, figures, strict=False)
    ]
    return f"fio: a word about something\n{json.dumps({'fio version': 'fio-3.39', 'jobs': reports})}\n"


def test_every_disk_has_as_many_runs_of_every_job_and_they_take_turns() -> None:
    assert Counter(WANTED) == {Run(job, name): 3 for job in JOBS for name in DISKS}
    assert [run.subject for run in WANTED] == ["ours", "theirs"] * 24
    assert {run.job for run in WANTED[:6]} == {JOBS[0]}


def test_one_fio_does_them_one_after_the_other_on_their_disks() -> None:
    fio, *words = guest_fio.line(WANTED, DISKS, 1 << 20, 0.5).split()
    assert fio == "fio"
    pieces = " ".join(words).split("--name=job")[1:]
    assert len(pieces) == len(WANTED)
    for run, piece in zip(WANTED, pieces, strict=True):
        options = {
            f"--filename={DISKS[run.subject]}",
            f"--rw={run.job.mode}",
            "--runtime=500ms",
            "--stonewall",
            "--mem=shmhuge",
        }
        assert options <= set(piece.split())


def test_a_figure_is_the_median_of_the_runs_of_its_job_on_its_disk() -> None:
    found = guest_fio.figures(WANTED, said([1, 10, 2, 20, 3, 30, *[5] * 42]))
    assert found[Run(JOBS[0], "ours")] == 2
    assert found[Run(JOBS[0], "theirs")] == 20
    assert set(found) == set(WANTED)


@pytest.mark.parametrize(
    "text", ["", "fio: no such device", '{"jobs": 3', said([5] * 47), said([*[5] * 47, 0])], ids=str.__len__
)
def test_what_does_not_have_all_figures_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"fio|zip"):
        guest_fio.figures(WANTED, text)
