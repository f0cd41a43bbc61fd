"""What an administrator may choose, and what he may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganeti_ext.errors import ConfigError
from kvm_ifup.settings import Settings, load


def test_without_a_file_all_is_default(tmp_path: Path) -> None:
    assert load(str(tmp_path / "network.conf")) == Settings()


def test_what_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "network.conf"
    path.write_text("[network]\nfirewall = iptables\nmac_mask = ff:ff:ff:00:00:00\nmark_mask = 0xff00\n")
    assert load(str(path)) == Settings(firewall="iptables", mac_mask="ff:ff:ff:00:00:00", mark_mask="0xff00")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("firewall = pf", "firewall has a bad value 'pf': nftables or iptables"),
        ("tap_mac = x", "tap_mac has a bad value 'x'"),
        ("mac_mask = ff:00:ff:00:00:00", "mac_mask has a bad value"),
        ("mac_mask = 00:00:00:00:00:00", "mac_mask has a bad value"),
        ("mac_mask = 00:00:0f:ff:ff:ff", "mac_mask has a bad value"),
        ("mark_mask = 0x0f0f0000", "mark_mask has a bad value"),
        ("mark_mask = 0", "mark_mask has a bad value"),
        ("mark_mask = 0x100000000", "mark_mask has a bad value"),
        ("mark_mask = ten", "mark_mask has a bad value 'ten'"),
        ("marks = 1", "unknown key 'marks'"),
    ],
)
def test_what_cannot_be_chosen_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "network.conf"
    path.write_text(f"[network]\n{line}\n")
    with pytest.raises(ConfigError, match=words):
        load(str(path))
