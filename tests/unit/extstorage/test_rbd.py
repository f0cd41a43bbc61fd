"""What the provider `rbd` takes for granted of names, settings, records and devices; no Ceph."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extstorage import lock, provider, rbd, rbd_device, rbd_memory, rbd_pool, rbd_process, rbd_record, rbd_settings
from extstorage.found import SNAPSHOT, VOLUME
from extstorage.lock import Holder
from extstorage.rbd_fence import HEADER_UPDATE, Watcher, _host
from extstorage.rbd_library import CephError, checked
from extstorage.rbd_notify import Deaf
from extstorage.rbd_record import Doing, Record
from extstorage.rbd_settings import Settings
from ganeti_ext.errors import CommandError, ConfigError, ContractError, ExtError
from ganeti_ext.volenv import Volume

ROOT = Path(__file__).parents[3]
VERBS = ROOT / "extstorage/rbd"
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789.-:", min_size=1)
HEAVY = {"typing", "re", "logging", "json", "pathlib", "dataclasses", "subprocess", "contextlib", "configparser"}
main = provider.main(rbd)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(run_directory=str(tmp_path / "run"), node="a", data_directory=str(tmp_path))


def test_every_verb_is_an_executable_of_its_name() -> None:
    found = {path.name for path in VERBS.iterdir() if path.is_symlink()}
    assert found == {*provider.VERBS}
    for name in found:
        assert os.readlink(VERBS / name) == "_run"
        assert os.access(VERBS / name, os.X_OK)
    declared = [line.split(" ", 1)[0] for line in (VERBS / "parameters.list").read_text().splitlines()]
    assert declared == ["origin", "reuse_data", *rbd_settings.CHANGEABLE]


def test_a_verb_loads_nothing_slow() -> None:
    loaded = modules("rbd, rbd_verbs, provider")
    assert "extstorage.rbd_pool" in loaded
    assert not HEAVY & loaded
    assert not {"ctypes", "extstorage.rbd_pool"} & modules("rbd, provider")  # an attach of what is remembered


def modules(names: str) -> set[str]:
    """What is loaded when these are imported."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from extstorage import {names}; print(*sys.modules)"
    done = subprocess.run(["/usr/bin/python3", "-SEIc", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_disk_s_parameters_go_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "rbd.conf").write_text("[rbd]\npool = vms\nuser = ganeti\ntimeout = 3\n")
    found = rbd_settings.load(str(tmp_path / "rbd.conf"), {"pool": "fast", "origin": "x", "timeout": "99"})
    assert (found.pool, found.user, found.conf, found.timeout) == ("fast", "ganeti", "/etc/ceph/ceph.conf", 3)
    assert rbd_settings.load(str(tmp_path / "rbd.conf"), {"pool": ""}).pool == "vms"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("pool", value) for value in ("a/b", "a b", "-x", ".x", "é", "a,b")),
        *(("user", value) for value in ("client:x", "a@b")),
        *(("conf", value) for value in ("ceph.conf", "/a b", "/a,b", "/a:b", "/a\\b", "")),
        ("timeout", 0),
        ("patience", -1),
    ],
)
def test_what_does_not_fit_into_qemu_s_option_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"rbd: {key} must be"):
        Settings()._replace(**{key: value}).checked()


def test_the_shipped_configuration_is_all_defaults(tmp_path: Path) -> None:
    shipped = ROOT / "debian/conf/rbd.conf"
    assert rbd_settings.load(str(shipped), {}) == Settings()
    said = tmp_path / "rbd.conf"
    said.write_text(re.sub(r"\n#(\w+) =", r"\n\1 =", shipped.read_text()))
    assert rbd_settings.load(str(said), {}) == Settings()
    assert set(re.findall(r"\n(\w+) =", said.read_text())) == set(Settings._fields)


def test_every_key_and_parameter_is_documented() -> None:
    page = (ROOT / "docs/rbd.md").read_text()
    for key, default in Settings()._asdict().items():
        assert f"\n| `{key}` | " in page
        assert default == "" or f"| `{key}` | `{default}` |" in page
    parameters = page[page.index("| parameter of a disk") : page.index("| key of `rbd.conf`")]
    for line in (VERBS / "parameters.list").read_text().splitlines():
        assert f"`{line.split(' ')[0]}`" in parameters
    for verb in provider.VERBS:
        assert f"\n| `{verb}` | " in page


def test_names() -> None:
    assert rbd_settings.volume_name("0+a_B-c.d") == "0+a_B-c.d"
    assert rbd_settings.image_name("debian-13") == "image.debian-13"
    for name, words in (
        ("image.x", "names that begin with image. are not for volumes"),
        ("a:b", "only letters, digits and"),
        ("-a", "must begin with"),
        ("", "must begin with"),
        ("x" * 91, "longer than 90"),
    ):
        with pytest.raises(ContractError, match=words):
            rbd_settings.volume_name(name)


def test_records_read_as_they_are_shown_in_the_manual() -> None:
    text = "volume 2\ndoing create node1 BOOT 4711 123456\nnode1 exclusive BOOT 2026-01-01T00:00:00Z\nend\n"
    record = Record(
        VOLUME,
        2,
        Doing("create", "node1", "BOOT", "4711", "123456"),
        (Holder("node1", lock.EXCLUSIVE, "BOOT", "2026-01-01T00:00:00Z"),),
    )
    assert rbd_record.from_text(text, "v") == record
    assert rbd_record.to_text(record) == text
    assert rbd_record.from_text("", "v") == Record()


@given(
    st.sampled_from([VOLUME, SNAPSHOT]),
    st.integers(0, 99),
    st.none() | st.builds(Doing, WORD, WORD, WORD, WORD, WORD),
    st.lists(st.builds(Holder, WORD, st.sampled_from([lock.EXCLUSIVE, lock.SHARED]), WORD, WORD)).map(tuple),
)
def test_records_go_round(kind: str, depth: int, doing: Doing | None, holders: tuple[Holder, ...]) -> None:
    record = Record(kind, depth, doing, holders)
    text = rbd_record.to_text(record)
    assert rbd_record.from_text(text, "v") == record
    for end in range(1, len(text)):
        with pytest.raises(ExtError, match="the record of volume 'v'"):
            rbd_record.from_text(text[:end], "v")


@pytest.mark.parametrize(
    "text", ["x", "volume\nend\n", "image 1\nend\n", "volume -1\nend\n", "volume 1\ndoing a b\nend\n"]
)
def test_records_that_are_none_are_named(text: str) -> None:
    with pytest.raises(ExtError, match="the record of volume 'v'"):
        rbd_record.from_text(text, "v")


def test_which_calls_are_dead() -> None:
    def ended(doing: Doing) -> str:
        starts = {"1": "10", "2": "20"}
        return rbd_record.ended(
            doing, "a", "BOOT", lambda pid: starts.get(pid, ""), lambda node: f"{node} is away" * (node == "c")
        )

    assert ended(Doing("create", "a", "BOOT", "1", "10")) == ""
    assert ended(Doing("create", "a", "BOOT", "1", "11")) == "its process has ended"  # the pid is another's now
    assert ended(Doing("create", "a", "BOOT", "3", "30")) == "its process has ended"
    assert ended(Doing("create", "a", "OLD", "1", "10")) == "a was started again"
    assert ended(Doing("create", "b", "BOOT", "3", "30")) == ""  # nobody here knows
    assert ended(Doing("create", "c", "BOOT", "3", "30")) == "c is away"


def test_a_process_is_known_by_its_start(settings: Settings) -> None:
    mine = rbd_process.doing("create", settings.this())
    assert (mine.verb, mine.node, mine.pid) == ("create", "a", str(os.getpid()))
    assert mine.start == rbd_process.start(str(os.getpid())) != ""
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert rbd_process.start(str(child.pid)) == ""  # a zombie works no more
    assert rbd_process.start(str(child.pid)) == ""


def test_the_memory_of_a_volume_ends(settings: Settings, tmp_path: Path) -> None:
    assert not rbd_memory.exists(settings, "v")
    rbd_memory.note(settings, "v")
    assert rbd_memory.exists(settings, "v")
    assert not rbd_memory.exists(settings._replace(pool="other"), "v")
    assert not rbd_memory.exists(settings._replace(remember=0), "v")
    os.utime(tmp_path / "run/rbd/v", (0, 0))
    assert not rbd_memory.exists(settings, "v")
    rbd_memory.note(settings, "v")
    assert rbd_memory.exists(settings, "v")
    for _ in range(2):
        rbd_memory.forget(settings, "v")
    assert not rbd_memory.exists(settings, "v")


class Kernel:
    """/sys/bus/rbd/devices and the command that changes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[list[str]] = []

    def add(self, number: int, pool: str, name: str, snapshot: str = "-") -> None:
        (self.folder / str(number)).mkdir(parents=True)
        for key, value in (("pool", pool), ("pool_ns", ""), ("name", name), ("current_snap", snapshot)):
            (self.folder / str(number) / key).write_text(f"{value}\n")

    def run(self, argv: list[str], **_: object) -> str:
        self.ran.append(argv)
        if "map" in argv:
            self.add(10, *argv[-1].split("/"))
        else:
            for file in (self.folder / argv[-1].removeprefix("/dev/rbd")).iterdir():
                file.unlink()
            (self.folder / argv[-1].removeprefix("/dev/rbd")).rmdir()
        return ""


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel(tmp_path / "devices")
    monkeypatch.setattr(rbd_device, "DEVICES", str(made.folder))
    monkeypatch.setattr("ganeti_ext.command.run", made.run)
    return made


def test_a_kernel_device_is_mapped_once_found_again_and_unmapped(kernel: Kernel, settings: Settings) -> None:
    kernel.add(2, "rbd", "other")
    kernel.add(3, "rbd", "v", "snap")
    kernel.add(4, "elsewhere", "v")
    assert rbd_device.mapped(settings, "v") == []
    for _ in range(2):
        assert rbd_device.attach(settings, "v") == "/dev/rbd10"
    start = ["rbd", "--conf", "/etc/ceph/ceph.conf", "--id", "admin", "device"]
    assert kernel.ran == [[*start, "map", "--options=noshare", "rbd/v"]]
    assert rbd.attach(settings, Volume.from_env({"VOL_NAME": "v"})) == "/dev/rbd10"
    for _ in range(2):
        rbd_device.detach(settings, "v")
    assert kernel.ran[1:] == [[*start, "unmap", "/dev/rbd10"]]
    assert sorted(os.listdir(kernel.folder)) == ["2", "3", "4"]


def test_a_kernel_without_rbd_is_told_from_a_map_that_fails(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise CommandError("rbd: map failed")

    monkeypatch.setattr("ganeti_ext.command.run", fails)
    monkeypatch.setattr(rbd_device, "DEVICES", str(tmp_path / "bus/devices"))
    assert rbd_device.mapped(settings, "v") == []
    with pytest.raises(ExtError, match="this kernel maps no RBD images"):
        rbd_device.attach(settings, "v")
    (tmp_path / "bus/devices").mkdir(parents=True)
    with pytest.raises(CommandError, match=r"^rbd: map failed$"):
        rbd_device.attach(settings, "v")


def test_what_is_attached_by_uri_needs_no_ceph_while_it_is_remembered(settings: Settings, tmp_path: Path) -> None:
    keys = f"run_directory = {tmp_path}/run\nuser = ganeti\nconf = /nowhere.conf\n"
    (tmp_path / "rbd.conf").write_text(f"[rbd]\n{keys}")
    env = {"GANETI_EXT_CONFIG_DIR": str(tmp_path), "VOL_NAME": "v", "EXTP_ACCESS": "userspace"}
    rbd_memory.note(settings, "v")
    assert main("attach", env) == "\nkvm:rbd:rbd/v:id=ganeti:conf=/nowhere.conf"


def test_errors_of_ceph_keep_their_number() -> None:
    assert checked(3, "x") == 3
    assert checked(-2, "x", {2}) == -2
    with pytest.raises(CephError, match="volume 'v': No such file or directory") as caught:
        checked(-2, "volume 'v'")
    assert caught.value.number == 2


def test_structures_have_the_libraries_sizes() -> None:
    assert ctypes.sizeof(Watcher) == 24  # rbd_image_watcher_t
    assert ctypes.sizeof(Deaf) == 16  # notify_timeout_t
    assert HEADER_UPDATE[2:6] == (len(HEADER_UPDATE) - 6).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("10.0.0.1:0/12345", "10.0.0.1"),
        ("v2:10.0.0.1:0/1", "10.0.0.1"),
        ("[fd00::1]:0/7", "fd00::1"),
        ("v1:[::1]:0/7", "::1"),
    ],
)
def test_the_host_of_a_client(address: str, host: str) -> None:
    assert _host(address) == host


def test_a_library_that_is_missing_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ctypes.CDLL:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("extstorage.rbd_library._loaded", {})
    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(ExtError, match=r"librados\.so\.2: .* is the package librados2 installed"):
        rbd_pool.Pool(Settings())


def test_a_lost_lock_is_not_called_a_read_only_file_system() -> None:
    """As librbd does, whose client was cut off or not heard for too long."""
    with pytest.raises(CephError, match="grow: its exclusive lock is lost: Ceph does not answer") as caught:
        checked(-errno.EROFS, "grow")
    assert caught.value.number == errno.EROFS
