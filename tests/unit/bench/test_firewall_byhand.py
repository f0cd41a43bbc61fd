from __future__ import annotations

import pytest

from bench.firewall import byhand


def test_every_tap_has_two_jumps_in_forward() -> None:
    jumps = [line for line in byhand.iptables(7) if line.startswith("-A FORWARD")]
    assert jumps == [
        "-A FORWARD -m physdev --physdev-in tap7 -j out-tap7",
        "-A FORWARD -m physdev --physdev-out tap7 -j in-tap7",
    ]


@pytest.mark.parametrize(
    ("add", "remove"), [(byhand.iptables, byhand.no_iptables), (byhand.ebtables, byhand.no_ebtables)]
)
def test_what_is_added_to_chains_of_others_is_removed_and_what_is_made_is_emptied_first(add, remove) -> None:  # type: ignore[no-untyped-def]
    made = [line.split()[1] for line in add(7) if line.startswith("-N")]
    foreign = [line[3:] for line in add(7) if line.startswith("-A") and line.split()[1] not in made]
    gone = remove(7)
    assert foreign == [line[3:] for line in gone if line.startswith("-D")]
    assert gone[-2 * len(made) :] == [f"-F {chain}" for chain in made] + [f"-X {chain}" for chain in made]


def test_another_profile_is_a_jump_that_goes_and_comes() -> None:
    assert byhand.other_iptables(7) == [
        "-D FORWARD -m physdev --physdev-out tap7 -j in-tap7",
        "-A FORWARD -m physdev --physdev-out tap7 -j in-tap7",
    ]


def test_restore_names_all_chains_before_any_rule() -> None:
    text = byhand.restore([*byhand.ebtables(1), *byhand.iptables(2)])
    lines = text.splitlines()
    assert (lines[0], lines[-1]) == ("*filter", "COMMIT")
    assert lines[1:5] == [":FROMTAP1 RETURN", ":TOTAP1 RETURN", ":out-tap2 - [0:0]", ":in-tap2 - [0:0]"]
    assert all(line.startswith("-A ") for line in lines[5:-1])
