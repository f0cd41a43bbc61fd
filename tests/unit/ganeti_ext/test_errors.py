"""The error tree: codes that Ganeti, systemd and clients see."""

import pytest

from ganeti_ext.errors import CommandError, ConfigError, ContractError, ExtError, RapiError, RapiUnavailable


@pytest.mark.parametrize(
    ("kind", "exit_code", "http_status"),
    [
        (ExtError, 1, 500),
        (ContractError, 2, 400),
        (ConfigError, 3, 500),
        (CommandError, 1, 500),
        (RapiError, 1, 502),
        (RapiUnavailable, 1, 503),
    ],
)
def test_a_class_knows_its_codes(kind: type[ExtError], exit_code: int, http_status: int) -> None:
    assert (kind.exit_code, kind.http_status) == (exit_code, http_status)
    assert issubclass(kind, ExtError)


def test_a_refusal_keeps_the_status_of_the_answer() -> None:
    err = RapiError("RAPI GET /2/info: no", 403)
    assert (str(err), err.code) == ("RAPI GET /2/info: no", 403)


def test_an_unreachable_api_is_no_refusal() -> None:
    assert not issubclass(RapiUnavailable, RapiError)
