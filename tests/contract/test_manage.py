"""ganeti-ext-manage, run as an administrator runs it."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.security import check_password_hash

from frontend.database import db
from frontend.manage.manage import COMMANDS
from frontend.manage.manage_base import Owner
from frontend.quota import limits
from tests.contract.manage_site import ENVIRONMENT, Manage, site
from tests.unit.frontend import remote

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes user, which root alone may")


@pytest.fixture
def manage() -> Iterator[Manage]:
    with site() as made:
        yield made


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_explains_itself(manage: Manage, name: str) -> None:
    assert f"ganeti-ext-manage {name}" in manage.ok(name, "--help")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("project-create", "blue"), 0, ""),
        (("project-create", "--help"), 0, ""),
        ((), 2, "COMMAND"),
        (("make-coffee",), 2, "invalid choice"),
        (("user-password", "ann"), 1, "user 'ann': there is none"),
    ],
)
def test_the_program_itself(manage: Manage, args: tuple[str, ...], code: int, words: str) -> None:
    """All other tests fork one that has been started."""
    done = subprocess.run(
        manage.argv(*args), input="x\n", env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, bool(done.stdout), bool(done.stderr)) == (code, not code, bool(code))
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_failure(manage: Manage) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = subprocess.run(manage.argv("project-list"), stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == ""


def test_a_wrong_configuration_is_named(manage: Manage) -> None:
    manage.config.write_text("[front]\ndata base = x\n")
    assert f"{manage.config}: [front] unknown key 'data base'" in manage.refused("project-list", code=3)
    manage.config.write_text("[front]\ndatabase = not a url\n")
    assert "[front] database: not an SQLAlchemy URL" in manage.refused("project-list", code=3)
    manage.config.write_text("[front]\ndatabase = sqlite:////nonexistent/front.db\n")
    assert "cannot write in /nonexistent" in manage.refused("project-list")


def test_projects(manage: Manage) -> None:
    ident = manage.ok("project-create", "blue", "--servers", "3", "--cores", "4", "--ram", "512").strip()
    allowed = {"max_servers": 3, "max_cores": 4, "max_ram": 512}
    unsaid = dict.fromkeys(column for column in limits.COLUMNS.values() if column not in allowed)
    assert manage.rows(db.project) == [{"id": ident, "name": "blue", **allowed, **unsaid}]
    assert "project 'blue' exists already" in manage.refused("project-create", "blue")
    assert manage.ok("project-create", "blue", "--if-missing").strip() == ident
    assert manage.ok("project-list").splitlines()[1].split() == [ident, "blue", "0", "3", "4", "512"]
    assert "below 0" in manage.refused("project-create", "red", "--ram", "-2", code=2)
    assert "is no name" in manage.refused("project-create", "a\nb", code=2)


def test_users(manage: Manage) -> None:
    project = manage.ok("project-create", "blue").strip()
    ident = manage.ok("user-create", "ann", "--project", "blue", "--role", "member", stdin="pass word\n").strip()
    user = manage.rows(db.user)[0]
    assert (user["id"], user["enabled"]) == (ident, True)
    assert check_password_hash(user["password_hash"], "pass word")
    granted = {"user_id": ident, "project_id": project, "role": "member", "federated": False}
    assert manage.rows(db.membership) == [granted]
    again = ("user-create", "ann", "--project", project, "--role", "member")
    assert "user 'ann' exists already" in manage.refused(*again, stdin="x\n")
    assert manage.ok(*again, "--if-missing").strip() == ident
    assert check_password_hash(manage.rows(db.user)[0]["password_hash"], "pass word")
    assert manage.ok("user-list").splitlines()[1].split() == [ident, "ann", "blue", "member", "yes"]


def test_a_user_of_two_projects(manage: Manage) -> None:
    manage.ok("project-create", "blue")
    manage.ok("project-create", "red")
    manage.ok("user-create", "ann", "--project", "blue", "--role", "member", stdin="x\n")
    grant = ("user-grant", "ann", "--project", "red", "--role", "reader")
    manage.ok(*grant)
    assert "is reader of project 'red' already" in manage.refused(*grant)
    manage.ok(*grant, "--if-missing")
    assert [line.split()[2:4] for line in manage.ok("user-list").splitlines()[1:]] == [
        ["blue", "member"],
        ["red", "reader"],
    ]


def test_a_user_that_cannot_be_made(manage: Manage) -> None:
    manage.ok("project-create", "blue")
    assert "project 'red': there is none" in manage.refused("user-create", "a", "--project", "red", "--role", "admin")
    assert "the password is empty" in manage.refused("user-create", "a", "--project", "blue", "--role", "admin")
    assert "invalid choice: 'boss'" in manage.refused("user-create", "a", "--project", "b", "--role", "boss", code=2)
    missing = ("user-create", "a", "--project", "blue", "--role", "admin", "--password-file", "/nonexistent")
    assert "password file /nonexistent" in manage.refused(*missing)
    assert manage.rows(db.user) == []


def test_a_new_password_from_a_file(manage: Manage) -> None:
    manage.ok("project-create", "blue")
    manage.ok("user-create", "ann", "--project", "blue", "--role", "member", stdin="old\n")
    secret = manage.folder / "secret"
    secret.write_text("new\nmore\n")
    manage.ok("user-password", "ann", "--password-file", str(secret))
    assert check_password_hash(manage.rows(db.user)[0]["password_hash"], "new")
    assert "user 'bob': there is none" in manage.refused("user-password", "bob", stdin="x\n")


def test_a_password_that_is_typed(manage: Manage) -> None:
    manage.ok("project-create", "blue")
    for answers, code in ((b"typed\ntyped\n", 0), (b"typed\nother\n", 1)):
        main, other = pty.openpty()
        process = subprocess.Popen(
            manage.argv("user-create", f"ann{code}", "--project", "blue", "--role", "member"),
            stdin=other, stdout=other, stderr=other, env=ENVIRONMENT, start_new_session=True,
        )  # fmt: skip
        os.close(other)
        shown = b""
        for line in answers.splitlines(keepends=True):
            while not shown.rstrip().endswith((b"word:", b"more:")):
                shown += os.read(main, 1000)
            time.sleep(0.05)
            shown = b""
            os.write(main, line)
        assert process.wait(20) == code
        os.close(main)
    assert [user["name"] for user in manage.rows(db.user)] == ["ann0"]


def test_flavors(manage: Manage) -> None:
    size = ("--vcpus", "1", "--ram", "512", "--disk", "0")
    assert manage.ok("flavor-create", "m1.tiny", *size, "--id", "1") == "1\n"
    assert "flavor 'm1.tiny' exists already" in manage.refused("flavor-create", "m1.tiny", *size)
    assert manage.ok("flavor-create", "m1.tiny", *size, "--if-missing") == "1\n"
    assert "flavor 'other': id 1 exists already" in manage.refused("flavor-create", "other", *size, "--id", "1")
    assert "longer than 36" in manage.refused("flavor-create", "other", *size, "--id", "x" * 37)
    assert "--vcpus" in manage.refused("flavor-create", "other", "--ram", "1", "--disk", "1", code=2)
    assert manage.ok("flavor-list").splitlines()[1].split() == ["1", "m1.tiny", "1", "512", "0", "all", "-", "-"]
    manage.ok("flavor-delete", "m1.tiny")
    assert "flavor 'm1.tiny': there is none" in manage.refused("flavor-delete", "m1.tiny")
    assert manage.rows(db.flavor) == []


def test_flavors_that_are_not_for_all(manage: Manage) -> None:
    size = ("--vcpus", "1", "--ram", "512", "--disk", "0")
    for project in ("one", "two"):
        manage.ok("project-create", project)
    noted = ("--extra-spec", "a:b=x y", "--description", "gpu")
    manage.ok("flavor-create", "big", *size, "--id", "b", "--private", *noted)
    shown = manage.ok("flavor-list").splitlines()[1].split()
    assert shown == ["b", "big", "1", "512", "0", "none", "a:b=x", "y", "gpu"]
    manage.ok("flavor-access", "big", "--add", "one", "--add", "two")
    manage.ok("flavor-access", "b", "--add", "one", "--remove", "two")
    assert manage.ok("flavor-list").splitlines()[1].split()[5] == "one"
    assert "project 'three'" in manage.refused("flavor-access", "big", "--add", "three")
    manage.ok("flavor-set", "big", "--public", "--no-extra-spec", "a:b", "--extra-spec", "c=")
    (row,) = manage.rows(db.flavor)
    assert (row["public"], row["extra_specs"], row["description"]) == (True, {"c": ""}, "gpu")
    assert "is public" in manage.refused("flavor-access", "big", "--add", "one")
    assert "no extra spec 'a:b'" in manage.refused("flavor-set", "big", "--no-extra-spec", "a:b")
    assert "NAME=VALUE" in manage.refused("flavor-set", "big", "--extra-spec", "a/b=c", code=2)
    manage.ok("flavor-set", "big", "--private")
    assert manage.ok("flavor-list").splitlines()[1].split()[5] == "one"


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """64 MiB, of which two blocks and an odd end are not holes."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.write(b"boot" * 1024)
        file.seek(33 << 20)
        file.write(b"data" * 1024)
        file.truncate((64 << 20) + 512)
    return path


def test_an_image(manage: Manage, sparse: Path) -> None:
    options = ("--property", "os_distro=plan9")
    ident = manage.ok("image-create", "--name", "debian", "--file", str(sparse), "--public", *options).strip()
    row = manage.rows(db.image)[0]
    assert (row["id"], row["name"], row["visibility"], row["owner_id"]) == (ident, "debian", "public", None)
    assert (row["size"], row["min_disk"], row["min_ram"]) == ((64 << 20) + 512, 1, 0)
    assert row["sha256"] == hashlib.sha256(sparse.read_bytes()).hexdigest()
    assert row["md5"] == hashlib.md5(sparse.read_bytes()).hexdigest()
    assert (row["provider"], row["properties"]) == ("cow", {"os_distro": "plan9"})
    copy = manage.folder / "store" / "images" / f"{ident}.raw"
    assert copy.name in manage.stored()
    assert copy.read_bytes() == sparse.read_bytes()
    assert copy.stat().st_blocks * 512 < 1 << 20
    assert stat.S_IMODE(copy.stat().st_mode) == 0o444
    assert copy.stat().st_uid == os.geteuid()
    assert (manage.folder / "front.db").stat().st_uid == manage.folder.stat().st_uid
    again = ("image-create", "--name", "debian", "--file", str(sparse), "--public")
    assert "image 'debian' exists already" in manage.refused(*again)
    assert manage.ok(*again, "--if-missing").strip() == ident
    assert manage.ok("image-list").splitlines()[1].split()[:5] == [ident, "debian", "public", "-", "active"]
    manage.ok("image-delete", "debian")
    assert (manage.stored(), manage.rows(db.image)) == ([], [])


def test_what_is_said_of_an_image(manage: Manage) -> None:
    for name in ("blue", "red"):
        manage.ok("project-create", name)
    path = manage.folder / "disk"
    path.write_bytes(b"disk" * 1000)
    manage.ok("image-create", "--name", "own", "--file", str(path), "--project", "blue", "--property", "a=1")
    changes = ("--rename", "new", "--visibility", "shared", "--min-ram", "7", "--no-protected", "--hidden")
    manage.ok("image-set", "own", *changes, "--property", "b=2 3", "--no-property", "a", "--tag", "x", "--no-active")
    assert "has no property 'a'" in manage.refused("image-set", "new", "--no-property", "a")
    (row,) = manage.rows(db.image)
    assert (row["name"], row["visibility"], row["min_ram"], row["protected"]) == ("new", "shared", 7, False)
    assert (row["properties"], row["tags"], row["hidden"], row["status"]) == ({"b": "2 3"}, ["x"], True, "deactivated")
    assert manage.ok("image-members", "new", "--add", "red").splitlines()[1].split()[1:] == ["red", "pending"]
    assert manage.ok("image-members", "new", "--accept", "red").splitlines()[1].split()[1:] == ["red", "accepted"]
    shown = manage.ok("image-show", "new").splitlines()
    assert {"name: new", "project: blue", 'properties: {"b": "2 3"}', "size: 4000"} <= {*shown}
    assert manage.ok("image-members", "new", "--remove", "red").splitlines()[1:] == []
    manage.ok("image-set", "new", "--visibility", "private", "--active")
    assert "only a shared one has members" in manage.refused("image-members", "new", "--add", "red")


def test_what_lies_in_the_store_is_adopted(manage: Manage) -> None:
    project = manage.ok("project-create", "blue").strip()
    images = manage.folder / "store" / "images"
    placed, lost = "7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c11", "7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c12"
    for ident in (placed, lost):
        (images / f"{ident}.raw").write_bytes(ident.encode())
    facts = {"owner": "of another database", "owner_name": "blue", "name": "lost", "properties": {"a": "b"},
             "visibility": "shared", "members": {"p": "accepted"}, "created": 7.0}  # fmt: skip
    done = subprocess.run([manage.folder / "image-command", "image", "facts", lost, "--set"], input=json.dumps(facts),
                          text=True, check=False, capture_output=True, env=ENVIRONMENT)  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = manage.ok("image-adopt", "--dry-run")
    assert manage.rows(db.image) == []
    assert "left: whose is it?" in told
    manage.ok("image-adopt")
    (row,) = manage.rows(db.image)
    assert (row["id"], row["name"], row["owner_id"], row["created"]) == (lost, "lost", project, 7.0)
    assert (row["visibility"], row["properties"], row["size"]) == ("shared", {"a": "b"}, 36)
    assert [(each["project_id"], each["status"]) for each in manage.rows(db.image_member)] == [("p", "accepted")]
    assert "adopted, without facts" in manage.ok("image-adopt", placed, "--public")
    assert [(each["id"], each["visibility"]) for each in manage.rows(db.image)][1:] == [(placed, "public")]
    assert len(manage.ok("image-adopt").splitlines()) == 1
    assert "not in any store: never" in manage.refused("image-adopt", "never")


def test_an_image_of_a_server_is_made_known_again(manage: Manage) -> None:
    manage.ok("project-create", "blue")
    ident = "7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c11"
    options = ("--name", "saved", "--project", "blue", "--size", "5", "--provider", "rbd")
    assert manage.ok("image-register", ident, *options).strip() == ident
    row = manage.rows(db.image)[0]
    assert (row["origin"], row["provider"], row["status"]) == (f"snapshot:saved-{ident}", "rbd", "active")
    assert (row["size"], row["min_disk"], row["protected"]) == (5 << 30, 5, False)
    assert "exists already" in manage.refused("image-register", ident, *options)
    assert f"ganeti-ext-storage remove saved-{ident}" in manage.ok("image-delete", "saved")
    assert manage.rows(db.image) == []


def test_a_private_image(manage: Manage, sparse: Path) -> None:
    project = manage.ok("project-create", "blue").strip()
    options = ("--name", "own", "--file", str(sparse), "--min-disk", "7", "--min-ram", "99")
    assert "say --public or --project" in manage.refused("image-create", *options)
    assert "project 'red': there is none" in manage.refused("image-create", *options, "--project", "red")
    manage.ok("image-create", *options, "--project", "blue")
    row = manage.rows(db.image)[0]
    assert (row["visibility"], row["owner_id"], row["min_disk"], row["min_ram"]) == ("private", project, 7, 99)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("a directory", "not a regular file"),
        ("a FIFO", "not a regular file"),
        ("an empty file", "empty"),
        ("half a qcow2 image", "refused"),
        ("nothing", "No such file"),
    ],
)
def test_what_is_no_image(manage: Manage, what: str, words: str) -> None:
    path = manage.folder / "file"
    if what == "a directory":
        path.mkdir()
    elif what == "a FIFO":
        os.mkfifo(path)
    elif what == "an empty file":
        path.touch()
    elif what == "half a qcow2 image":
        path.write_bytes(b"QFI\xfb\x00\x00\x00\x03" + bytes(512))
    assert words in manage.refused("image-create", "--name", "x", "--file", str(path), "--public")
    assert (manage.stored(), manage.rows(db.image)) == ([], [])


def test_a_store_that_is_not_mounted(manage: Manage, sparse: Path) -> None:
    shutil.rmtree(manage.folder / "store" / "images")
    said = manage.refused("image-create", "--name", "x", "--file", str(sparse), "--public")
    assert "images" in said
    assert manage.rows(db.image) == []


@needs_root
def test_root_works_as_the_user_of_the_services() -> None:
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o777)
        with Owner("nobody").lowered() as owner:
            (path / "theirs").touch()
            with owner.raised():
                (path / "roots").touch()
            assert os.geteuid() == nobody.pw_uid
        assert (os.geteuid(), os.getegid()) == (0, 0)
        assert (path / "theirs").stat().st_uid == nobody.pw_uid
        assert (path / "roots").stat().st_uid == 0


@needs_openssl
def test_what_does_not_answer_is_told(manage: Manage) -> None:
    remote.certificate(manage.folder)
    said = manage.refused("status")
    assert "rapi: RAPI 127.0.0.1:1: [Errno 111]" in said
    assert f"broker: {manage.folder}/outbox.db does not exist" in said
    assert "database: ok, 0 servers" in said
    assert "the-secret" not in said
    assert "RAPI 127.0.0.1:1" in manage.refused("reconcile")
    assert not (manage.folder / "outbox.db").exists()


def test_a_broker_that_does_not_answer_is_told_without_its_password(manage: Manage) -> None:
    text = manage.config.read_text()
    manage.config.write_text(text.replace(f"outbox:{manage.folder}/outbox.db", "amqp://front:s3cret@127.0.0.1:1/v"))
    said = manage.refused("status")
    assert "broker: amqp://127.0.0.1:1/v: [Errno 111]" in said
    assert "s3cret" not in said
