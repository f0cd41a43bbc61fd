"""The page's words: the same in each language, all of them used, and none that stands in a component."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from frontend.page.served import FOLDER

LIBRARIES = FOLDER / "lib"
SOURCES = sorted(path for path in FOLDER.rglob("*.js") if LIBRARIES not in path.parents)
WORDS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "words").glob("*.json"))}
KEY = re.compile(r"""\b(?:t|known)\(\s*(?:"([^"]+)"|`([^`]+)`)""")
EITHER = re.compile(r"""\bt\([^`;{}]*?\? "([\w.]+)" : "([\w.]+)\"""")


def name(path: Path) -> str:
    return str(path.relative_to(FOLDER))


def test_each_language_has_the_same_words_with_the_same_gaps() -> None:
    assert set(WORDS) == {"en", "el"}
    assert list(WORDS["en"]) == list(WORDS["el"])
    for key, text in WORDS["en"].items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", WORDS["el"][key])), key
        assert text.strip(), key
        assert WORDS["el"][key].strip(), key


def used() -> set[str]:
    """Keys that the sources name, those with a gap as a pattern."""
    found: set[str] = set()
    for path in SOURCES:
        text = path.read_text()
        for plain, pattern in KEY.findall(text):
            found.add(re.escape(plain) if plain else re.sub(r"\\\$\\\{.*?\\\}", ".+", re.escape(pattern)))
        found |= {re.escape(each) for each in re.findall(r'\["([a-z]+\.[\w.]+)",', text)}  # of tables
        for pair in EITHER.findall(text):
            found |= {re.escape(each) for each in pair if each}
    return found


def test_each_word_that_is_asked_for_is_there() -> None:
    missing = {key for key in used() if not any(re.fullmatch(key, each) for each in WORDS["en"])}
    assert not missing


def test_no_word_is_left_over() -> None:
    known = re.compile("|".join(used()))
    assert not {key for key in WORDS["en"] if not known.fullmatch(key)}


def templates(text: str) -> list[str]:
    """What stands in html`...` itself, each ${...} as a space; those within them, too."""
    found: list[str] = []
    open_ones: list[list[str] | None] = []  # what was read of each, or None for the code of a ${...}
    at = 0
    while at < len(text):
        inside = open_ones[-1] if open_ones else None
        if inside is None and text[at] in "`{":
            open_ones.append([] if text[at] == "`" else None)
        elif inside is not None and text.startswith("${", at):
            inside.append(" ")
            open_ones.append(None)
            at += 1
        elif text[at] == ("`" if inside is not None else "}") and open_ones:
            if (whole := open_ones.pop()) is not None:
                found.append("".join(whole))
        elif inside is not None:
            inside.append(text[at])
        at += 1
    return [each for each in found if re.search(r"</?\w", each)]


def test_templates_are_found() -> None:
    assert templates("html`<p>${x && html`<b class=${{ a: `c` }}>two</b>`} one</p>`") == [
        "<b class= >two</b>",
        "<p>  one</p>",
    ]


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_component_has_words_of_its_own(path: Path) -> None:
    for each in templates(re.sub(r"(?m)^\s*(//|/?\*).*", "", path.read_text())):
        assert not re.search(r"[^\W\d_]{2,}", re.sub(r"<[^>]*>", " ", each)), each
    assert not re.search(r"""(?:aria-label|title|placeholder|alt)="[A-Za-z]""", path.read_text())


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_nothing_writes_html_or_runs_text(path: Path) -> None:
    text = path.read_text()
    assert not re.search(
        r"innerHTML|outerHTML|dangerouslySet|document\.write|\beval\(|new Function|insertAdjacent", text
    )
    assert len(text.splitlines()) <= 400
    assert text.startswith("// ")


def test_sides_are_logical_so_that_the_page_can_be_turned() -> None:
    for path in sorted(FOLDER.glob("*.css")):
        assert not re.search(r"\b(?:margin|padding|border)-(?:left|right)\b", path.read_text())
        assert not re.search(r"[\s;{](?:left|right):|text-align: (?:left|right)", path.read_text())


def test_colours_stand_in_one_place() -> None:
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb\(|hsl\(", (FOLDER / "style.css").read_text())
