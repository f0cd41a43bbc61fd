"""What a federation says of a user, in projects and roles."""

from __future__ import annotations

import pytest

from frontend.identity import federation_map
from frontend.identity.federation_map import Told, memberships, parse, told
from ganeti_ext.errors import ConfigError

MAP = r"""
# a comment
urn:geant:example\.org:group:cloud:(\w+):role=admin#aai\.example\.org   \1          admin
urn:geant:example\.org:group:cloud:(\w+)#aai\.example\.org              \1          member
(?P<unit>[a-z]+)@(staff|student)\.example\.org                          unit \g<unit>   reader
"""


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], set()),
        (["urn:geant:example.org:group:cloud:physics#aai.example.org"], {("physics", "member")}),
        (
            [
                "urn:geant:example.org:group:cloud:physics:role=admin#aai.example.org",
                "maths@staff.example.org",
                "something else",
            ],
            {("physics", "admin"), ("unit maths", "reader")},
        ),
        (["urn:geant:exampleXorg:group:cloud:physics#aai.example.org"], set()),
        (["x urn:geant:example.org:group:cloud:physics#aai.example.org"], set()),
        (["urn:geant:example.org:group:cloud:physics#aai.example.org.evil.example"], set()),
        (["urn:geant:example.org:group:cloud:physics#aai.example.org\n"], set()),
        ([f"{'a' * 300}@staff.example.org"], set()),  # a name too long for a project
        ([f"{'a' * 3000}@staff.example.org"], set()),
    ],
)
def test_values_are_projects_and_roles(values: list[str], found: set[tuple[str, str]]) -> None:
    assert memberships(parse(MAP, "map"), values) == found


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("one two", "expected PATTERN PROJECT ROLE"),
        ("x physics boss", "'boss'"),
        ("(x physics member", "unterminated subpattern"),
        (r"x \1 member", "no group 1"),
        (r"x \g<unit> member", "no group 'unit'"),
    ],
)
def test_a_line_that_is_none_is_named(line: str, named: str) -> None:
    with pytest.raises(ConfigError, match="map:2") as raised:
        parse(f"# x\n{line}\n", "map")
    assert named in str(raised.value)


def test_all_that_parses_can_be_used() -> None:
    for template in (r"\1", r"\g<1>", r"\g<unit>", "plain"):
        rules = parse(rf"(?P<unit>a) {template} member", "map")
        assert memberships(rules, ["a"])


@pytest.mark.parametrize(
    ("name", "groups", "found"),
    [
        ("ada@example.org", "", Told("ada@example.org", ())),
        (" ada ", "a; b;;c ", Told("ada", ("a", "b", "c"))),
        ("José".encode().decode("latin-1"), "Größe".encode().decode("latin-1"), Told("José", ("Größe",))),
        ("", "a", None),
        ("ada,bob", "", None),  # a header that was sent twice
        ("ada;bob", "", None),  # an attribute of two values
        ("a\x00b", "", None),
        ("x" * 256, "", None),
    ],
)
def test_what_headers_say(name: str, groups: str, found: Told | None) -> None:
    assert told(name, groups, ";") == found


def test_longest_value_is_looked_at() -> None:
    rules = parse(".* all member", "map")
    assert memberships(rules, ["x" * federation_map.LONGEST])
    assert not memberships(rules, ["x" * (federation_map.LONGEST + 1)])
