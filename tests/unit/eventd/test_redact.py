from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventd import redact
from eventd.jobs import Op, parse
from eventd.messages import news
from ganeti_ext import event

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "data" / "jobs").glob("*.json"))
# Some are planted in every place that a recorded job has for them, reasons and logs included.
SECRETS = (
    *("Passw0rd", "cGVyc29uYWxpdHk", "Imp0rt", "S3cret", "Privat3", "vnc-secret", "cdpw1", "img_passwd", "root_key"),
)


def op(**fields: Any) -> Op:
    defaults = {
        "index": 0, "name": "OP_INSTANCE_SET_PARAMS", "status": "success", "input": {}, "result": None, "log": None,
        "start": None, "exec": None, "end": None,
    }  # fmt: skip
    return Op(**{**defaults, **fields})


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_of_a_recorded_job_is_told(job_file: Callable[[str], bytes], name: str) -> None:
    told = " ".join(event.encode(item.message) for item in news(parse(job_file(name)), {}, "c"))
    for secret in SECRETS:
        assert secret not in told


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every text in a job's opcode, with what holds it and where."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, str):
            yield value, key
        else:
            yield from leaves(item)


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_where_no_consumer_looks_is_not_told(job_file: Callable[[str], bytes], name: str) -> None:
    """Below each parameter that is not on the lists: marked texts, quoted by the failure and the log as well."""
    raw = json.loads(job_file(name))
    for op in raw["ops"]:
        secret_keys = ("osparams", "osparams_private", "osparams_secret", "osparams_private_cluster", "os_hvp",
                       "default_iallocator_params", "source_handshake", "vnc_password", "api_token")  # fmt: skip
        for number, key in enumerate(secret_keys):
            op["input"][key] = {"some": [f"Pl4nted{number}"], "where": {"deep": f"Pl4nted{number} and more"}}
        for key in ("ndparams", "diskparams", "nicparams", "future_parameter", "comment", "changes"):
            op["input"][key] = {"x": "Pl4nted-elsewhere"}
        for params in (op["input"].get("hvparams"), op["input"].get("ndparams")):
            for holder, key in leaves(params):
                if key != "boot_order":  # which is told
                    holder[key] = "https://joe:Pl4nted@host/image" if key == "cdrom_image_path" else "Pl4nted0"
        words = f"Pl4nted3, {json.dumps('Pl4nted0 and more')}, {{'pw': 'Pl4nted1 and more'}}"
        op["log"] = [[1, [1, 2], "message", words], [2, [1, 2], "remote-import", {"key": "Pl4nted9"}]]
        op["reason"] = words
        op["input"]["reason"] = [["user", words, 1], [f"client {words}", "", 2], ["odd", {"Pl4nted": 1}, 3]]
        if op["status"] != "success":
            op["result"] = ["OpExecError", [words, {"of": [words]}]]
        elif op["input"]["OP_ID"].split("_")[-1] not in ("CREATE", "RENAME"):
            op["result"] = [["hv/kernel_args", words], ["disk.params:key/0", words], ["os/img_passwd", words]]
    found = news(parse(json.dumps(raw)), {}, "c")
    for item in found:
        assert "Pl4nted" not in event.encode(item.message)
    assert found or name == "verify-and-info"


def test_a_reason_is_told_without_its_secrets(job_file: Callable[[str], bytes]) -> None:
    (item,) = news(parse(job_file("heartbeat")), {}, "c")
    assert item.message["reason"] == [
        ["gnt:client:gnt-cluster", "admin said: token=<redacted>"], ["gnt:opcode:op_tags_set", "job=35;index=0"],
    ]  # fmt: skip


@pytest.mark.parametrize("trail", [None, "text", [["alone"], 5, [1, 2, 3]]])
def test_an_odd_reason_is_none(trail: Any) -> None:
    assert redact.reason(op(input={"reason": trail})) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("cannot open https://joe:pw@host/x", "cannot open https://host/x"),
        ("password=abc, next", "password=<redacted>, next"),
        ("--vnc-password: 'a b'", "--vnc-password: '<redacted> b'"),
        ('{"api_token": "x1"}', '{"api_token": "<redacted>"}'),
        ("the password is wrong", "the password is wrong"),
        ("mail to a//b@c", "mail to a//c"),
    ],
)
def test_secrets_that_a_text_names(words: str, told: str) -> None:
    assert redact.text(op(), words) == told


def test_a_failure_that_quotes_os_parameters(job_file: Callable[[str], bytes]) -> None:
    (item,) = news(parse(job_file("create-script-failed")), {}, "c")
    assert "chpasswd root:<redacted> +" in item.message["result"]
    assert item.message["result"].startswith("Could not add os for instance gx-")
    assert item.message["logmsg"] == "using <redacted> for root"


def test_private_parameters_that_luxid_wrote_in_clear(job_file: Callable[[str], bytes]) -> None:
    (item,) = news(parse(job_file("create-failed-in-queue")), {}, "c")
    assert item.message["result"] == "Job 17 was found dead: curl <redacted>"


@pytest.mark.parametrize("key", ["osparams", "osparams_private", "osparams_secret", "osparams_cluster"])
def test_secrets_are_found_however_they_are_quoted(key: str) -> None:
    secret = "pa\"ss\n'wörd"
    quoted = f"a {secret} b {secret!r} c {json.dumps(secret)}"
    found = redact.text(op(input={key: {"deep": [{"er": secret}]}}), quoted)
    assert found is not None
    assert "rd" not in found.replace("<redacted>", "")


def test_short_values_do_not_spoil_a_text() -> None:
    assert redact.text(op(input={"osparams": {"dhcp": "no"}}), "no node") == "no node"


@pytest.mark.parametrize(
    ("result", "told", "code"),
    [
        (["OpPrereqError", ["no  such\nnode", "unknown_entity"]], "no such node (unknown_entity)", "unknown_entity"),
        (["OpExecError", ["disk failed"]], "disk failed", None),
        (["HooksAbort", [[["node2", "10-veto", "no,\n never"]]]], "node2 10-veto no, never", None),
        (["LockError", []], "LockError", None),
        ("Job canceled by request", "Job canceled by request", None),
        (["OpPrereqError", ["one"]], "one", None),
        ({"a": {"b": 1}}, "1", None),
        (None, None, None),
        ([], None, None),
    ],
)
def test_failures_are_one_readable_line(result: object, told: str | None, code: str | None) -> None:
    failed = op(status="error", result=result)
    assert (redact.result(failed), redact.error_code(failed)) == (told, code)


def test_long_texts_are_cut() -> None:
    told = redact.result(op(status="error", result="x" * 5000))
    assert isinstance(told, str)
    assert len(told) == 2003


def test_results_are_told_only_where_they_are_harmless() -> None:
    changes = [["os/img_passwd", "Passw0rd"]]
    assert redact.result(op(result=changes)) is None
    assert redact.result(op(name="OP_INSTANCE_RENAME", result="gx-new")) == "gx-new"
    assert redact.result(op(name="OP_INSTANCE_CREATE", status="running", result=changes)) is None


def test_modifications_of_devices() -> None:
    given = {
        "nics": [["add", -1, {"network": "n", "ip": "pool", "password": "x"}], ["modify", "port-1", {"mac": "m"}],
                 [0, {"ip": "none"}], ["remove", -1, {}], "odd"],
        "disks": [["attach", 1, {"uuid": "u", "key": "x"}], ["add", {"size": 5, "provider": "cow", "origin": "v"}]],
    }  # fmt: skip
    assert redact.job_fields(op(input=given)) == {
        "nics": [["add", -1, {"network": "n", "ip": "pool"}], ["modify", "port-1", {"mac": "m"}],
                 [0, {"ip": "none"}], ["remove", -1, {}], {}],
        "disks": [["attach", 1, {"uuid": "u"}], ["add", {"size": 5, "provider": "cow", "origin": "v"}]],
    }  # fmt: skip


def test_nothing_beside_the_allow_list_is_told() -> None:
    given = {"osparams": {"a": "b"}, "source_handshake": ["x"], "comment": "c", "reason": [["a", "b", 1]],
             "depends": [[1, []]], "new_field": "y", "os_type": {"no": "text"}}  # fmt: skip
    assert redact.job_fields(op(input=given)) == {"os_type": None}
