"""Keypairs, as Nova has them."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from frontend.compute import sshkey
from frontend.settings import Front, Quota, Settings
from tests.unit.frontend.admins import ADAM, administrator
from tests.unit.frontend.conftest import ALICE, BOB, COMPUTE, Api, FakeRapi, serve

KEYS = f"{COMPUTE}/os-keypairs"
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1iOx2aCK0DvZHrHd1nSvg8bVGWx6fTBQpWYHh1Gk5q alice@laptop"


def version(number: str) -> dict[str, Any]:
    return {"headers": {"OpenStack-API-Version": f"compute {number}"}}


def create(api: Api, expect: int = 200, *, at: str = "2.1", **sent: Any) -> dict[str, Any]:
    answer = api.call("POST", KEYS, json={"keypair": sent}, **version(at))
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json.get("keypair", {})  # type: ignore[union-attr]
    return found


def names(api: Api, query: str = "", at: str = "2.1") -> list[str]:
    found = api.get(KEYS + query, **version(at)).json["keypairs"]  # type: ignore[index]
    return [each["keypair"]["name"] for each in found]


def test_a_key_is_imported_and_shown(api: Api) -> None:
    made = create(api, name="laptop", public_key=PUBLIC + "\n")
    digest = hashlib.md5(base64.b64decode(PUBLIC.split()[1])).hexdigest()
    fingerprint = ":".join(digest[at : at + 2] for at in range(0, 32, 2))
    assert made == {"name": "laptop", "public_key": PUBLIC, "fingerprint": fingerprint, "user_id": ALICE}
    (listed,) = api.get(KEYS).json["keypairs"]  # type: ignore[index]
    assert listed == {"keypair": {"name": "laptop", "public_key": PUBLIC, "fingerprint": fingerprint}}
    shown = api.get(f"{KEYS}/laptop").json["keypair"]  # type: ignore[index]
    assert {key: shown[key] for key in made} == made
    assert (shown["deleted"], shown["deleted_at"], shown["updated_at"]) == (False, None, None)
    assert isinstance(shown["id"], int)
    assert shown["created_at"].startswith("20")
    assert set(shown) - set(made) == {"deleted", "deleted_at", "updated_at", "created_at", "id"}


def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    path = tmp_path / "key.pub"
    path.write_text(PUBLIC)
    try:
        told = subprocess.run(["ssh-keygen", "-l", "-E", "md5", "-f", path], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("no ssh-keygen here")
    assert f"MD5:{sshkey.fingerprint(PUBLIC)}" in told.stdout


@pytest.mark.parametrize(("kind", "head"), [("ed25519", "OPENSSH PRIVATE KEY"), ("rsa", "RSA PRIVATE KEY")])
def test_a_pair_is_made_and_its_private_half_told_once(
    front: Front, rapi: FakeRapi, caplog: pytest.LogCaptureFixture, kind: str, head: str
) -> None:
    api = serve(dataclasses.replace(front, key_type=kind), rapi).become("alice")
    caplog.set_level(logging.DEBUG)
    made = create(api, name="new", public_key=None)
    private = made["private_key"]
    assert private.startswith(f"-----BEGIN {head}-----")
    key = serialization.load_ssh_private_key if kind == "ed25519" else serialization.load_pem_private_key
    public = key(private.encode(), None).public_key()
    text = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    assert made["public_key"].startswith(text)
    secret = private.splitlines()[1]
    assert secret not in api.get(KEYS).text + api.get(f"{KEYS}/new").text + caplog.text
    assert secret not in "".join(api.engine.raw_connection().iterdump())  # type: ignore[attr-defined]


def test_it_is_deleted(api: Api) -> None:
    create(api, name="laptop", public_key=PUBLIC)
    assert api.call("DELETE", f"{KEYS}/laptop").status_code == 202
    assert names(api) == []
    assert api.call("DELETE", f"{KEYS}/laptop").status_code == 404
    assert api.get(f"{KEYS}/laptop").status_code == 404


def test_from_2_2_there_are_types_and_other_codes(api: Api) -> None:
    assert create(api, 201, at="2.2", name="laptop", public_key=PUBLIC, type="ssh")["type"] == "ssh"
    assert api.get(f"{KEYS}/laptop", **version("2.2")).json["keypair"]["type"] == "ssh"  # type: ignore[index]
    assert api.get(KEYS, **version("2.2")).json["keypairs"][0]["keypair"]["type"] == "ssh"  # type: ignore[index]
    assert api.call("DELETE", f"{KEYS}/laptop", **version("2.2")).status_code == 204
    create(api, 400, at="2.2", name="windows", type="x509")
    create(api, name="old", type="x509", public_key=PUBLIC)  # no such key before: passed over


def test_from_2_10_an_administrator_names_another_user(nobody: Api) -> None:
    adam, bob = administrator(nobody), nobody.become("bob", "foreign")
    assert create(adam, 201, at="2.10", name="given", public_key=PUBLIC, user_id=BOB)["user_id"] == BOB
    assert names(adam) == []
    assert names(bob) == names(adam, f"?user_id={BOB}", at="2.10") == ["given"]
    assert names(adam, f"?user_id={BOB}", at="2.9") == []
    assert adam.get(f"{KEYS}/given?user_id={BOB}", **version("2.10")).status_code == 200
    assert bob.get(f"{KEYS}?user_id={ADAM}", **version("2.10")).status_code == 403
    create(bob, 403, at="2.10", name="x", public_key=PUBLIC, user_id=ADAM)
    assert adam.call("DELETE", f"{KEYS}/given?user_id={BOB}", **version("2.10")).status_code == 204
    assert names(bob) == []


def test_others_keys_are_not_there(api: Api, nobody: Api) -> None:
    bob = nobody.become("bob", "foreign")
    create(bob, name="mine", public_key=PUBLIC)
    unknown = api.get(f"{KEYS}/none").text.replace("none", "mine")
    assert api.get(f"{KEYS}/mine").text == unknown
    assert api.call("DELETE", f"{KEYS}/mine").status_code == 404
    assert names(bob) == ["mine"]
    create(api, name="mine", public_key=PUBLIC)  # a name is a user's own


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"name": ""},
        {"name": " "},
        {"name": "k" * 256},
        {"name": r"key_/.\@:"},
        {"name": "sch\u00f6n"},
        {"name": 5},
        {"name": "x", "public_key": " "},
        {"name": "x", "public_key": 5},
        {"name": "x", "public_key": "ssh-rsa JUNK nova@ubuntu"},
        {"name": "x", "public_key": "ssh-rsa " + "A" * 2048 + " openstack@ubuntu"},
        {"name": "x", "public_key": PUBLIC.replace("ssh-ed25519", "ssh-rsa")},
        {"name": "x", "public_key": "ssh-ed25519"},
        {"name": "x", "public_key": PUBLIC + "\nssh-rsa other"},
        {"name": "x", "public_key": PUBLIC + " " + "c" * 16384},
    ],
)
def test_what_is_wrong_is_refused(api: Api, sent: dict[str, Any]) -> None:
    create(api, 400, **sent)
    assert names(api) == []


def test_a_name_is_taken_once(api: Api) -> None:
    first = create(api, name="laptop", public_key=PUBLIC)
    create(api, 409, name="laptop")
    assert api.get(f"{KEYS}/laptop").json["keypair"]["fingerprint"] == first["fingerprint"]  # type: ignore[index]


def test_there_is_a_quota_for_each_user(front: Front, rapi: FakeRapi) -> None:
    nobody = serve(front, rapi, Settings(front=front, quota=Quota(keypairs=1)))
    api, bob = nobody.become("alice"), nobody.become("bob", "foreign")
    create(api, name="one", public_key=PUBLIC)
    answer = api.call("POST", KEYS, json={"keypair": {"name": "two", "public_key": PUBLIC}})
    assert (answer.status_code, "too many key pairs" in answer.text) == (403, True)
    create(bob, name="one", public_key=PUBLIC)
