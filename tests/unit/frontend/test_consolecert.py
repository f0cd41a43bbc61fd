"""The certificate that nodes know the front by."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

import pytest

from frontend.console import consolecert
from ganeti_ext.errors import ConfigError


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "console.pem"
    made = consolecert.ensure(str(path))
    assert consolecert.ensure(str(path)) == made
    assert "PRIVATE" not in made
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path)


def test_of_several_at_once_all_have_the_same(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(consolecert.ensure(f"{tmp_path}/console.pem"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found))) == (4, 1)


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [("", 0o600, "console.pem: "), ("x", 0o640, "mode 0640 lets others read its key")],
)
def test_what_is_wrong_with_it_is_named(tmp_path: Path, content: str, mode: int, words: str) -> None:
    path = tmp_path / "console.pem"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=words):
        consolecert.ensure(str(path))


def test_where_none_can_be_made_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        consolecert.ensure(f"{tmp_path}/none/console.pem")
