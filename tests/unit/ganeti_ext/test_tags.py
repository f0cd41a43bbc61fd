"""Facts as tags, within what Ganeti allows in a tag."""

import operator
import random
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ganeti_ext import tags

GANETI = re.compile(r"^[\w.+*/:@-]+$", re.ASCII)  # objects.py, TaggableObject.VALID_TAG_RE
GANETI_MAX = 128  # MAX_TAG_LEN
_text = st.text()
# Those that others read as they are have to fit into one tag.
_whole = st.dictionaries(st.sampled_from(sorted(tags.WHOLE)), st.text("abc-_.0", max_size=80))
_split = st.dictionaries(
    st.sampled_from(sorted(set(tags.FACTS) - tags.WHOLE)), _text | _text.map(lambda text: text * 40)
)
_facts = st.builds(operator.or_, _whole, _split)


@given(_facts)
@example({"name": "x" * 111, "user": "x" * 112, "image": "x" * 113})
@example({"name": "ø" * 500})
def test_facts_survive_and_ganeti_takes_them(facts: dict[str, str]) -> None:
    made = tags.encode(facts)
    for tag in made:
        assert GANETI.match(tag)
        assert len(tag) <= GANETI_MAX
    shuffled = random.Random(1).sample(made, len(made))  # Ganeti keeps tags as a set
    assert tags.decode(shuffled) == facts


@given(_text)
def test_escaping_is_undone(text: str) -> None:
    assert tags.unescape(tags.escape(text)) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("web-1_a.b", "web-1_a.b"), ("a b", "a*20b"), ("ø", "*C3*B8"), ("*", "*2A"), ("a:b/c@d+e", "a*3Ab*2Fc*40d*2Be")],
)
def test_only_plain_octets_stand_for_themselves(text: str, escaped: str) -> None:
    assert tags.escape(text) == escaped


@pytest.mark.parametrize("text", ["*", "*2", "*zz", "*+1", "*C3", "a*", "*2 ", "ø", "* 1", "* 41", "*  "])
def test_what_escape_never_makes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        tags.unescape(text)


def test_a_short_fact_is_one_tag() -> None:
    assert tags.encode({"name": "web 1"}) == ["ganeti-ext:name:web*201"]


def test_a_long_fact_is_several_numbered_tags() -> None:
    made = tags.encode({"image": "x" * 200})
    assert [tag[:19] for tag in made] == ["ganeti-ext:image.0:", "ganeti-ext:image.1:"]


def test_an_empty_fact_is_a_fact() -> None:
    assert tags.decode(tags.encode({"name": ""})) == {"name": ""}


def test_an_unknown_fact_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match=r"unknown facts \['colour'\]"):
        tags.encode({"colour": "blue"})


@pytest.mark.parametrize(
    "tag",
    [
        "nfdhcpd",
        "ganeti-ext:name",
        "ganeti-ext:colour:blue",
        "other:name:web",
        "ganeti-ext:name:*zz",
        "ganeti-ext:name:*FF",
        "ganeti-ext:name.x:web",
        "ganeti-ext:name.1:second-of-none",
        "ganeti-ext:name.²:web",
        "ganeti-ext:spoof-allowed",
        "",
        ":",
    ],
)
def test_foreign_and_damaged_tags_are_left_out(tag: str) -> None:
    assert tags.decode([tag, "ganeti-ext:user:eve"]) == {"user": "eve"}


def test_a_long_fact_that_lost_a_part_is_left_out() -> None:
    made = tags.encode({"image": "x" * 500})
    assert tags.decode([made[0], *made[2:]]) == {}


@given(st.lists(st.text() | st.text().map(lambda text: f"ganeti-ext:name{text}")))
def test_any_tags_are_read_without_an_error(found: list[str]) -> None:
    assert set(tags.decode(found)) <= set(tags.FACTS)


def test_the_other_tags_are_of_ganetis_characters() -> None:
    assert all(GANETI.match(tag) for tag in (tags.NFDHCPD, tags.DISABLE_IPV4, tags.DISABLE_IPV6, tags.SPOOF_ALLOWED))


_items = st.dictionaries(_text | _text.map(lambda text: text * 40), _text | _text.map(lambda text: text * 40))


@given(_items, st.randoms())
@example({"x" * 100: "y" * 300, "a": "", "": "b"}, random.Random(1))
def test_metadata_survives_and_ganeti_takes_it(items: dict[str, str], order: random.Random) -> None:
    made = tags.encode_metadata(items)
    assert all(GANETI.match(tag) and len(tag) <= GANETI_MAX for tag in made)
    assert tags.metadata(order.sample(made, len(made))) == items
    assert tags.decode(made) == {}


def test_a_short_item_is_what_an_administrator_would_type() -> None:
    assert tags.encode_metadata({"role": "db 1"}) == ["ganeti-ext:meta:role:db*201"]


@pytest.mark.parametrize(
    "tag",
    [
        *("ganeti-ext:meta", "ganeti-ext:meta:role", "ganeti-ext:meta.0:role:db", "ganeti-ext:meta.0.1:second-of-none"),
        *(
            "ganeti-ext:meta.x.0:role:db",
            "ganeti-ext:meta:role:*zz",
            "ganeti-ext:meta.0.0.0:role:db",
            "nfdhcpd:meta:a:b",
        ),
    ],
)
def test_what_is_no_item_is_left_out(tag: str) -> None:
    assert tags.metadata([tag, "ganeti-ext:meta:a:b"]) == {"a": "b"}


def test_of_two_values_one_holds_whatever_the_order() -> None:
    both = ["ganeti-ext:name:b", "ganeti-ext:name:a", "ganeti-ext:meta:k:2", "ganeti-ext:meta:k:1"]
    for given_order in (both, both[::-1]):
        assert (tags.decode(given_order), tags.metadata(given_order)) == ({"name": "b"}, {"k": "2"})


def test_a_nics_own_firewall_is_no_part_of_the_servers() -> None:
    found = ["ganeti-ext:firewall.0:open", "ganeti-ext:firewall:limited", "ganeti-ext:firewall.eth1:closed"]
    assert tags.decode(found) == {"firewall": "limited"}
    assert tags.decode(found[:1]) == {}
    assert tags.carrying(found, {"firewall"}) == {"ganeti-ext:firewall:limited"}
    with pytest.raises(ValueError, match="does not fit into one tag"):
        tags.encode({"firewall": "x" * 200})


def test_tags_that_carry_a_fact_whoever_wrote_them() -> None:
    mine = {"ganeti-ext:name:a/b", "ganeti-ext:name.0:x", "ganeti-ext:name.1:y", "ganeti-ext:name:*zz"}
    meta = {"ganeti-ext:meta:role:db", "ganeti-ext:meta.0.1:part"}
    other = {
        "ganeti-ext:names:a",
        "ganeti-ext:name.x:b",
        "ganeti-ext:user:eve",
        "name",
        "nfdhcpd:name:x",
        "ganeti-ext:name",
    }
    assert tags.carrying(mine | meta | other, {"name"}) == mine
    assert tags.carrying(mine | meta | other, {"name", tags.META}) == mine | meta
    assert tags.carrying(mine | meta | other, ()) == set()
