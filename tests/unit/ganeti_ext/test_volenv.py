"""What Ganeti tells an ExtStorage verb."""

import pytest

from ganeti_ext.errors import ContractError
from ganeti_ext.volenv import Volume


def test_every_variable_has_its_field() -> None:
    env = {
        "VOL_NAME": "84bcfc32.ext.disk0",
        "VOL_SIZE": "1024",
        "VOL_NEW_SIZE": "2048",
        "VOL_METADATA": "originstname+gx-1",
        "VOL_SNAPSHOT_NAME": "s1",
        "VOL_SNAPSHOT_SIZE": "1024",
        "VOL_OPEN_EXCLUSIVE": "True",
        "VOL_CNAME": "gx-1.disk0",
        "EXTP_ORIGIN": "debian-13",
        "EXTP_Other": "a=b",
        "PATH": "/usr/bin",
    }
    assert Volume.from_env(env) == Volume(
        name="84bcfc32.ext.disk0",
        size_mib=1024,
        new_size_mib=2048,
        metadata="originstname+gx-1",
        snapshot="s1",
        exclusive=True,
        params={"origin": "debian-13", "other": "a=b"},
        cname="gx-1.disk0",
    )


@pytest.mark.parametrize("unset", [{}, {"VOL_SIZE": "", "VOL_NEW_SIZE": "", "VOL_METADATA": ""}])
def test_a_name_is_enough(unset: dict[str, str]) -> None:
    assert Volume.from_env({"VOL_NAME": "v", **unset}) == Volume("v", None, None, None, None, False, {})


@pytest.mark.parametrize("env", [{}, {"VOL_NAME": ""}])
def test_the_name_must_be_there(env: dict[str, str]) -> None:
    with pytest.raises(ContractError, match=r"^VOL_NAME is not set$"):
        Volume.from_env(env)


@pytest.mark.parametrize("name", ["VOL_SIZE", "VOL_NEW_SIZE"])
@pytest.mark.parametrize("text", ["0", "-1", "1.5", "10G", "ten"])
def test_a_bad_size_is_named_with_its_value(name: str, text: str) -> None:
    with pytest.raises(ContractError) as caught:
        Volume.from_env({"VOL_NAME": "v", name: text})
    assert str(caught.value).startswith(f"{name} has a bad value '{text}': ")


@pytest.mark.parametrize(("text", "exclusive"), [("True", True), ("False", False), ("", False), ("true", False)])
def test_exclusive_is_the_word_that_ganeti_says(text: str, exclusive: bool) -> None:
    assert Volume.from_env({"VOL_NAME": "v", "VOL_OPEN_EXCLUSIVE": text}).exclusive is exclusive


def test_parameters_may_be_empty() -> None:
    assert Volume.from_env({"VOL_NAME": "v", "EXTP_ORIGIN": ""}).params == {"origin": ""}
