"""The edge of a script, seen from outside: a real process under the environment that Ganeti gives."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = f"""#!/usr/bin/python3 -SEI
import sys; sys.path.insert(0, {str(ROOT)!r})
from ganeti_ext import errors
from ganeti_ext.entry import run

def main(verb, env):
    what = env["WHAT"]
    if what == "reply":
        return env["REPLY"]
    if what == "bug":
        return {{}}["missing"]
    if what == "silent":
        return None
    if what == "quit":
        raise SystemExit(5)
    raise getattr(errors, what)(f"{{what}} in the words of an operator")

sys.exit(run(main))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "_run"
    file.write_text(SCRIPT)
    file.chmod(0o755)
    (tmp_path / "attach").symlink_to("_run")
    return tmp_path / "attach"


def call(script: Path, **env: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [script], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("reply", ["/dev/loop7\n", "", "no line end", "/dev/loop7\nkvm:rbd:pool/image\n"])
def test_the_reply_is_stdout_to_the_octet(script: Path, reply: str) -> None:
    assert call(script, WHAT="reply", REPLY=reply) == (0, reply, "")


def test_no_reply_is_no_output(script: Path) -> None:
    assert call(script, WHAT="silent") == (0, "", "")


@pytest.mark.parametrize(("kind", "code"), [("ExtError", 1), ("ContractError", 2), ("ConfigError", 3)])
def test_an_expected_failure_is_one_line_after_the_verb(script: Path, kind: str, code: int) -> None:
    assert call(script, WHAT=kind) == (code, "", f"attach: {kind} in the words of an operator\n")


def test_a_bug_is_told_with_its_trace(script: Path) -> None:
    code, out, err = call(script, WHAT="bug")
    assert (code, out) == (70, "")
    assert err.startswith("attach: bug in ganeti-ext, please report it\nTraceback")
    assert err.endswith("KeyError: 'missing'\n")


def test_leaving_on_purpose_is_no_bug(script: Path) -> None:
    assert call(script, WHAT="quit") == (5, "", "")


def test_a_reply_beyond_ascii_passes_in_the_c_locale(script: Path) -> None:
    assert call(script, WHAT="reply", REPLY="/srv/é\n", LC_ALL="C", PATH="/usr/bin") == (0, "/srv/é\n", "")


def test_what_surrounds_the_script_is_not_imported(script: Path) -> None:
    (script.parent / "errno.py").write_text("raise SystemExit('shadowed')")
    (script.parent / "collections.py").write_text("raise SystemExit('shadowed')")
    assert call(script, WHAT="reply", REPLY="x", PYTHONPATH=str(script.parent)) == (0, "x", "")
