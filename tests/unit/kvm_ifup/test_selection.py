"""Tags choose a NIC's firewall profile."""

from __future__ import annotations

import pytest

from ganeti_ext.errors import ContractError
from ganeti_ext.nicenv import Network, Nic
from ganeti_ext.selection import Choice, choose

UUID = "5c0a7a54-0a5d-4c6e-a9a5-6b2a1c9f3d10"
DEFAULT = Choice("unprotected", None)


@pytest.fixture
def named(nic: Nic, network: Network) -> Nic:
    return nic._replace(index=1, uuid=UUID, name="web nic", network=network._replace(tags=()), tags=())


def chosen(nic: Nic, *tags: str, network: tuple[str, ...] = ()) -> Choice:
    assert nic.network is not None
    return choose(nic._replace(tags=tags, network=nic.network._replace(tags=network)), "unprotected")


def test_without_tags_it_is_the_default(named: Nic) -> None:
    assert chosen(named, "nfdhcpd", "ganeti-ext:name:x", network=("public",)) == DEFAULT
    assert choose(named._replace(network=None), "limited") == Choice("limited", None)


@pytest.mark.parametrize("nic_part", ["1", UUID, "web*20nic"])
@pytest.mark.parametrize("form", ["ganeti-ext:firewall.{}:limited", "synnefo:network:{}:limited"])
def test_one_nic(named: Nic, form: str, nic_part: str) -> None:
    tag = form.format(nic_part)
    assert chosen(named, tag) == Choice("limited", tag)


@pytest.mark.parametrize(
    "tag",
    [
        *("ganeti-ext:firewall.0:limited", "ganeti-ext:firewall.11:limited", "ganeti-ext:firewall.:limited"),
        *("synnefo:network:0:protected", "ganeti-ext:firewall.None:limited", "ganeti-ext:firewalls:limited"),
        *("ganeti-ext:firewall.0:NONSENSE", "synnefo:network:2:"),
    ],
)
def test_what_is_said_of_another_nic_is_not_heard(named: Nic, tag: str) -> None:
    assert chosen(named._replace(name=None), tag) == DEFAULT


def test_names_as_they_are(named: Nic) -> None:
    for name in ("eth:0", "eth.0", "a*b", "*"):
        assert chosen(named._replace(name=name), f"ganeti-ext:firewall.{name}:limited").profile == "limited"


def test_all_nics(named: Nic) -> None:
    tag = "ganeti-ext:firewall:protected"
    assert chosen(named, tag) == Choice("protected", tag)


def test_the_network(named: Nic) -> None:
    tag = "ganeti-ext:firewall:protected"
    assert chosen(named, network=(tag,)) == Choice("protected", tag)
    assert chosen(named, network=("ganeti-ext:firewall.1:limited", "synnefo:network:1:limited")) == DEFAULT


def test_the_most_specific_decides(named: Nic) -> None:
    one, every, network = "ganeti-ext:firewall.1:limited", "ganeti-ext:firewall:protected", "ganeti-ext:firewall:own"
    assert chosen(named, one, every, network=(network,)).profile == "limited"
    assert chosen(named, every, network=(network,)).profile == "protected"
    assert chosen(named, network=(network,)).profile == "own"


def test_several_add_up_in_any_order(named: Nic) -> None:
    one, other = "ganeti-ext:firewall.1:ssh+@4f1a2b3c+own", "ganeti-ext:firewall.web*20nic:own+ssh+@4f1a2b3c"
    assert chosen(named, one, other).profile == "@4f1a2b3c+own+ssh"


def test_what_would_be_chosen_without_a_tag(named: Nic) -> None:
    assert chosen(named, "ganeti-ext:firewall:default+ssh").profile == "ssh+unprotected"
    network = ("ganeti-ext:firewall:limited",)
    assert (
        chosen(named, "ganeti-ext:firewall.1:default", "ganeti-ext:firewall:own", network=network).profile == "limited"
    )
    assert chosen(named, "ganeti-ext:firewall:limited+default", network=network).profile == "limited"


@pytest.mark.parametrize("name", ["+ssh", "ssh+", "@4f1a2b3", "@4f1a2b3cc", "@4F1A2B3C", "ssh+@nonsense", "a+B", "@"])
def test_what_is_no_name(named: Nic, name: str) -> None:
    with pytest.raises(ContractError, match="names no firewall profile"):
        chosen(named, f"ganeti-ext:firewall:{name}")


def test_the_same_said_twice(named: Nic) -> None:
    assert chosen(named, "synnefo:network:1:limited", f"ganeti-ext:firewall.{UUID}:limited").profile == "limited"


@pytest.mark.parametrize(
    "tags",
    [
        ("ganeti-ext:firewall.1:limited", "synnefo:network:web*20nic:protected"),
        ("ganeti-ext:firewall:limited", "ganeti-ext:firewall:protected"),
    ],
)
def test_a_contradiction_names_both(named: Nic, tags: tuple[str, str]) -> None:
    for given in (tags, tags[::-1]):
        with pytest.raises(ContractError) as caught:
            chosen(named, *given)
        assert f"the tags {tags[0]} and {tags[1]} contradict each other" in str(caught.value)


def test_contradictions_that_do_not_matter(named: Nic) -> None:
    tags = ("ganeti-ext:firewall:limited", "ganeti-ext:firewall:protected")
    assert chosen(named, "ganeti-ext:firewall.1:own", *tags).profile == "own"
    assert chosen(named, "ganeti-ext:firewall:own", network=tags).profile == "own"


@pytest.mark.parametrize(
    "tag",
    [
        *("ganeti-ext:firewall", "ganeti-ext:firewall:", "ganeti-ext:firewall:ENABLED", "ganeti-ext:firewall:a/b"),
        *("ganeti-ext:firewall.1:", "synnefo:network:1:Limited", f"ganeti-ext:firewall:{'a' * 25}"),
    ],
)
def test_bad_names(named: Nic, tag: str) -> None:
    with pytest.raises(ContractError, match="names no firewall profile: a name is 1 to 24") as caught:
        chosen(named, tag)
    assert f"the tag {tag} " in str(caught.value)
