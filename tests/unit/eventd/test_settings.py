from __future__ import annotations

from pathlib import Path

import pytest

from eventd.settings import Settings, load
from ganeti_ext import config
from ganeti_ext.errors import ConfigError

ROOT = Path(__file__).parents[3]


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "eventd.conf"
    path.write_text(f"[eventd]\n{text}\n")
    return str(path)


def test_no_file_means_the_outbox_as_broker(tmp_path: Path) -> None:
    settings = load(str(tmp_path / "none"))
    assert settings == Settings()
    assert settings.brokers == ()


def test_several_brokers(tmp_path: Path) -> None:
    settings = load(write(tmp_path, "broker = amqp://u:p@one:5672/v%2Fh, amqps://u:p@two"))
    assert settings.brokers == ("amqp://u:p@one:5672/v%2Fh", "amqps://u:p@two")


@pytest.mark.parametrize("broker", ["http://u:Passw0rd@h", "amqp://a, u:Passw0rd@h", "u:Passw0rd@h"])
def test_a_wrong_broker_is_refused_without_showing_it(tmp_path: Path, broker: str) -> None:
    with pytest.raises(ConfigError, match=r"broker: value \d is neither") as caught:
        load(write(tmp_path, f"broker = {broker}"))
    assert "Passw0rd" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("broker =", "broker is empty"),
        ("outbox_limit = 0", "outbox_limit is 0, must be at least 1"),
        ("query_timeout = 0", "query_timeout is 0.0, must be at least 0.1"),
        ("recent_hours = 0.5", "recent_hours is 0.5, must be at least 1"),
        ("noded_port = -1", "noded_port is -1, must be at least 0"),
        ("hook_timeout = 0", "hook_timeout is 0.0, must be at least 1"),
        ("sample_seconds = 0.5", "sample_seconds is 0.5, must be 0, or from 1 to 300"),
        ("sample_seconds = 301", "sample_seconds is 301.0, must be 0, or from 1 to 300"),
        ("tag_hooks = perhaps", "tag_hooks has a bad value 'perhaps': say yes or no"),
        ("log_level = LOUD", "log_level is 'LOUD'"),
        ("brokr = outbox:", "unknown key 'brokr'"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path, line))


def test_the_shipped_file_documents_every_key_with_its_default(tmp_path: Path) -> None:
    shipped = (ROOT / "debian/conf/eventd.conf").read_text()
    assert load(str(ROOT / "debian/conf/eventd.conf")) == Settings()
    lines = [
        line.removeprefix("#") for line in shipped.splitlines() if line.startswith("#") and not line.startswith("# ")
    ]
    keys = config.parse("[eventd]\n" + "\n".join(line for line in lines if line), "shipped")["eventd"]
    assert set(keys) == set(Settings.__annotations__)
    assert load(write(tmp_path, "\n".join(f"{key} = {value}" for key, value in keys.items()))) == Settings()
