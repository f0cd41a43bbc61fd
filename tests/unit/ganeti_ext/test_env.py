"""Typed look-up of environment variables."""

import pytest

from ganeti_ext.env import need, optional
from ganeti_ext.errors import ContractError


def test_a_set_variable_is_cast() -> None:
    assert need({"N": "12"}, "N", int) == 12


@pytest.mark.parametrize("env", [{}, {"N": ""}])
def test_an_absent_variable_is_named(env: dict[str, str]) -> None:
    with pytest.raises(ContractError, match=r"^N is not set$"):
        need(env, "N", int)


def test_a_bad_value_is_named_with_the_reason() -> None:
    with pytest.raises(ContractError, match=r"^N has a bad value '1x': invalid literal"):
        need({"N": "1x"}, "N", int)


def test_the_reason_stays_attached() -> None:
    with pytest.raises(ContractError) as caught:
        need({"N": "1x"}, "N", int)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("env", [{}, {"N": ""}])
def test_an_optional_variable_may_be_absent(env: dict[str, str]) -> None:
    assert optional(env, "N", int) is None


def test_an_optional_variable_may_not_be_bad() -> None:
    with pytest.raises(ContractError, match="N has a bad value 'x'"):
        optional({"N": "x"}, "N", int)


def test_zero_is_a_value() -> None:
    assert optional({"N": "0"}, "N", int) == 0
