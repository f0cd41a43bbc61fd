"""Configuration files: what is read, and what stops the program with which words."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeti_ext import config
from ganeti_ext.errors import ConfigError


@dataclass(frozen=True)
class Daemon:
    name: str = "daemon"
    count: int = 3
    pace: float = 1.5
    loud: bool = False
    servers: tuple[str, ...] = ()


class Script(namedtuple("Script", "directory depth", defaults=("/srv", 2))):
    __slots__ = ()
    directory: str
    depth: int


@dataclass(frozen=True)
class Demanding:
    url: str
    level: int = 1

    def __post_init__(self) -> None:
        if self.level > 9:
            raise ConfigError(f"level {self.level} is above 9")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "x.conf"


def refused(conf: Path, text: str, kind: type = Daemon) -> str:
    """The words of the refusal, without the path that they start with."""
    conf.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(str(conf), "daemon", kind)
    words = str(caught.value)
    assert words.startswith(str(conf))
    return words.removeprefix(str(conf))


def test_a_missing_file_means_all_defaults(conf: Path) -> None:
    assert config.load(str(conf), "daemon", Daemon) == Daemon()


@pytest.mark.parametrize("text", ["", "\n\n# nothing\n", "[daemon]\n", "[daemon]\n#count = 7\n"])
def test_nothing_set_means_all_defaults(conf: Path, text: str) -> None:
    conf.write_text(text)
    assert config.load(str(conf), "daemon", Daemon) == Daemon()


def test_each_type_has_its_cast(conf: Path) -> None:
    conf.write_text(
        "[daemon]\nname = eve\ncount=-4\npace= 0.25\nloud =yes\nservers = 192.0.2.1, 192.0.2.2 2001:db8::1\n"
    )
    assert config.load(str(conf), "daemon", Daemon) == Daemon(
        "eve", -4, 0.25, True, ("192.0.2.1", "192.0.2.2", "2001:db8::1")
    )


def test_a_namedtuple_will_do_as_well(conf: Path) -> None:
    conf.write_text("[script]\ndepth = 9\n")
    assert config.load(str(conf), "script", Script) == Script("/srv", 9)


def test_comments_stand_on_lines_of_their_own(conf: Path) -> None:
    conf.write_text("# one\n[daemon]\n  # two\nname = a # b\n")
    assert config.load(str(conf), "daemon", Daemon).name == "a # b"


def test_only_the_first_equals_sign_divides(conf: Path) -> None:
    conf.write_text("[daemon]\nname = amqp://u:p@h/?a=b\n")
    assert config.load(str(conf), "daemon", Daemon).name == "amqp://u:p@h/?a=b"


def test_lines_may_end_as_on_windows(conf: Path) -> None:
    conf.write_bytes(b"[daemon]\r\nname = eve\r\n")
    assert config.load(str(conf), "daemon", Daemon).name == "eve"


def test_an_empty_value_is_an_empty_text(conf: Path) -> None:
    conf.write_text("[daemon]\nname =\n")
    assert config.load(str(conf), "daemon", Daemon).name == ""


def test_several_sections(conf: Path) -> None:
    conf.write_text("[script]\ndepth = 1\n[daemon]\ncount = 5\n")
    found = config.load_all(str(conf), {"daemon": Daemon, "script": Script})
    assert found == {"daemon": Daemon(count=5), "script": Script(depth=1)}


def test_a_section_may_go_on_later(conf: Path) -> None:
    conf.write_text("[daemon]\ncount = 5\n[script]\n[daemon]\nname = eve\n")
    assert config.load_all(str(conf), {"daemon": Daemon, "script": Script})["daemon"] == Daemon("eve", 5)


def test_an_unknown_key_is_named_with_those_there_are(conf: Path) -> None:
    words = refused(conf, "[daemon]\ncuont = 5\n")
    assert words == ": [daemon] unknown key 'cuont'; known: count, loud, name, pace, servers"


def test_an_unknown_section_is_named(conf: Path) -> None:
    assert refused(conf, "[deamon]\n") == ": unknown section [deamon]"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("count = many", ": [daemon] count has a bad value 'many': "),
        ("count = 1.5", ": [daemon] count has a bad value '1.5': "),
        ("count =", ": [daemon] count has a bad value '': "),
        ("pace = fast", ": [daemon] pace has a bad value 'fast': "),
        ("loud = maybe", ": [daemon] loud has a bad value 'maybe': say yes or no"),
        ("loud =", ": [daemon] loud has a bad value '': say yes or no"),
    ],
)
def test_a_bad_value_is_named_with_its_key(conf: Path, line: str, words: str) -> None:
    assert refused(conf, f"[daemon]\n{line}\n").startswith(words)


def test_a_key_set_twice_is_refused_with_its_line(conf: Path) -> None:
    assert refused(conf, "[daemon]\ncount = 1\n\ncount = 2\n") == ":4: key 'count' is set twice"


def test_a_key_set_twice_is_found_across_a_divided_section(conf: Path) -> None:
    assert refused(conf, "[daemon]\ncount = 1\n[daemon]\ncount = 2\n") == ":4: key 'count' is set twice"


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("count = 1\n", 1, "count = 1"),
        ("[daemon]\ncount\n", 2, "count"),
        ("[daemon\n", 1, "[daemon"),
        ("[daemon]\nname = eve\n  continued\n", 3, "continued"),
        ("[daemon] # comment\n", 1, "[daemon] # comment"),
    ],
)
def test_what_is_no_line_is_refused_with_its_number(conf: Path, text: str, line: int, found: str) -> None:
    assert refused(conf, text) == f":{line}: expected [section] or key = value, found {found!r}"


def test_a_key_that_must_be_set_is_named(conf: Path) -> None:
    assert "'url'" in refused(conf, "[daemon]\n", Demanding)


def test_a_check_of_the_kind_itself_is_heard(conf: Path) -> None:
    conf.write_text("[daemon]\nurl = x\nlevel = 10\n")
    with pytest.raises(ConfigError, match="level 10 is above 9"):
        config.load(str(conf), "daemon", Demanding)


def test_a_file_that_is_no_text_is_refused(conf: Path) -> None:
    conf.write_bytes(b"[daemon]\nname = \xff\n")
    with pytest.raises(ConfigError, match=str(conf)):
        config.load(str(conf), "daemon", Daemon)


def test_a_file_that_cannot_be_read_is_refused(conf: Path) -> None:
    conf.mkdir()
    with pytest.raises(ConfigError, match=str(conf)):
        config.load(str(conf), "daemon", Daemon)


@pytest.mark.parametrize("text", ["yes", "Yes", "true", "ON", "1"])
def test_words_of_consent(text: str) -> None:
    assert config.boolean(text) is True


@pytest.mark.parametrize("text", ["no", "No", "false", "OFF", "0"])
def test_words_of_refusal(text: str) -> None:
    assert config.boolean(text) is False


@given(st.text())
def test_any_text_is_sections_or_an_error_of_ours(text: str) -> None:
    try:
        found = config.parse(text, "x.conf")
    except ConfigError as err:
        assert str(err).startswith("x.conf:")
        return
    assert all(isinstance(values, dict) for values in found.values())


_key = st.from_regex(r"[a-z][a-z_0-9]{0,9}", fullmatch=True)
_text = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))).map(str.strip)


@given(st.dictionaries(_key, st.dictionaries(_key, _text)))
def test_what_was_written_is_read(sections: dict[str, dict[str, str]]) -> None:
    lines = []
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in values.items())]
    assert config.parse("\n".join(lines), "x.conf") == sections
