"""Small parts of the image store: what comes in, what is kept, what is said, what is typed."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from extstorage import ctl_arguments, image_content, image_import, image_qemu, image_record, image_report
from extstorage.image_content import Source
from extstorage.image_digest import BLOCK, CHUNK, Digests
from extstorage.image_error import Refused
from extstorage.image_record import Record
from extstorage.image_report import Report
from ganeti_ext.errors import ContractError, ExtError

DATA = bytes(range(256)) * (BLOCK // 256)


def quiet() -> Report:
    return Report("test", io.StringIO(), io.StringIO(), program=False)


def piped(content: bytes) -> int:
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    return read


def test_zeros_are_not_written() -> None:
    assert list(image_content.runs(DATA + DATA + bytes(BLOCK) + DATA + bytes(5))) == [
        (0, 2 * BLOCK),
        (3 * BLOCK, 4 * BLOCK),
    ]
    assert list(image_content.runs(bytes(CHUNK))) == []
    assert list(image_content.runs(bytes(BLOCK) + b"x")) == [(BLOCK, BLOCK + 1)]


def test_what_is_received_is_what_was_brought_with_holes(tmp_path: Path) -> None:
    content = DATA + bytes(20 * BLOCK) + DATA + bytes(100)
    (tmp_path / "brought").write_bytes(content)
    source, target = os.open(tmp_path / "brought", os.O_RDONLY), os.open(tmp_path / "made", os.O_RDWR | os.O_CREAT)
    with Digests(("md5",)) as digests:
        image_content.receive(Source(source, 1 << 30), target, digests, quiet())
        first = digests.end()
    with Digests(("md5",)) as digests:
        image_content.scan(target, digests, quiet())
        assert digests.end() == first
    assert (tmp_path / "made").read_bytes() == content
    assert os.fstat(target).st_blocks * 512 < len(content) / 2
    os.close(source)
    os.close(target)


def test_more_or_less_than_is_told_is_refused(tmp_path: Path) -> None:
    for count, expected, limit, reason in ((5, 4, 99, "size"), (5, 6, 99, "size"), (5, None, 4, "too-large")):
        fd = piped(bytes(count))
        with pytest.raises(Refused) as caught:
            list(Source(fd, limit, expected).chunks())
        assert caught.value.reason == reason
        os.close(fd)
    (tmp_path / "file").write_bytes(bytes(5))
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    with pytest.raises(Refused, match="was to have 6 octets, and 5 came"):
        Source(fd, 99, 6)
    with pytest.raises(Refused, match="more than the 4 octets"):
        Source(fd, 4)
    source = Source(fd, 99, 5)
    os.utime(tmp_path / "file", (1, 1))
    with pytest.raises(ExtError, match="was written to while it was read"):
        list(source.chunks())
    os.close(fd)


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("4K", 4096), ("10g", 10 << 30), ("2T", 2 << 40)])
def test_sizes(text: str, size: int) -> None:
    assert image_content.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5G", "G", "10GB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="no number of octets"):
        image_content.parse_size(text)


def test_a_record_is_read_as_it_was_written() -> None:
    for record in (Record(), Record({"sha256": "0"}), Record({"size": 1}, {"name": "ü"}), Record({}, {})):
        assert image_record.from_text(image_record.to_text(record), "i") == record
    assert image_record.from_text("", "i") == Record()
    for text in ("{", "[]", '{"store": 1}', '{"facts": []}'):
        with pytest.raises(ExtError, match="the facts of image 'i' are not ours"):
            image_record.from_text(text, "i")
    for text in ("", "[]", '"x"', json.dumps({"a": "x" * image_record.LONGEST})):
        with pytest.raises(ContractError, match="facts: "):
            image_record.facts(text)


def test_percents_never_go_back_and_wait_for_a_total() -> None:
    out = io.StringIO()
    report = Report("test", out, io.StringIO(), program=True)
    report.shares = image_report.CONVERTED
    for phase, total in (("receive", None), ("check", None), ("convert", 10), ("digest", 10), ("store", 10)):
        report.begin(phase, total)
    report.begin("receive", 10)
    found = [json.loads(line)["percent"] for line in out.getvalue().splitlines()]
    assert found == [None, 30, 32, 60, 80, 80]


def test_qemu_gets_one_file_by_one_driver() -> None:
    name = image_qemu.Source(7, "qcow2", 1).name
    assert json.loads(name.removeprefix("json:")) == {
        "driver": "qcow2",
        "read-only": True,
        "backing": None,
        "file": {"driver": "file", "filename": "/proc/self/fd/7", "locking": "off"},
    }


def test_the_command_line() -> None:
    found = ctl_arguments.parse(["image", "import", "a"])
    assert (found.id, found.file, found.format, found.max_size) == ("a", "-", "auto", image_import.LONGEST)
    assert ctl_arguments.parse(["image", "import", "--id", "a", "-"]).file == "-"
    found = ctl_arguments.parse(["image", "import", "--id=a", "f", "--sha256=AB", "--hash=md5", "--max-size=1G"])
    assert (found.id, found.file, found.sha256, found.hash, found.max_size) == ("a", "f", "ab", ("md5",), 1 << 30)


@pytest.mark.parametrize(
    "words",
    [["import"], ["import", "--id", "a", "b", "c"], ["import", "a", "--sha256=x"], ["import", "a", "--hash=crc"], []],
)
def test_what_is_no_command_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        ctl_arguments.parse(["image", *words])
    assert (caught.value.code, "usage:" in capsys.readouterr().err) == (2, True)
