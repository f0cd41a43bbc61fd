"""All of ours, and nothing else."""

from __future__ import annotations

import pytest

from ganeti_ext.errors import CommandError
from kvm_ifup import iptables, ours


@pytest.fixture(autouse=True)
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was removed of iptables."""
    found: list[str] = []
    monkeypatch.setattr(iptables, "found", lambda: ["-N ganeti-ext"])
    monkeypatch.setattr(iptables, "remove", lambda: found.append("iptables"))
    return found


def test_what_is_there_is_listed() -> None:
    def run(argv: list[str]) -> str:
        if "netdev" in argv:
            raise CommandError("nft list table netdev ganeti_ext: exit code 1: Error: No such file or directory")
        return f"table {argv[-2]} ganeti_ext {{\n}}\n"

    assert ours.listed(run) == ["table bridge ganeti_ext {", "}", "table inet ganeti_ext {", "}", "-N ganeti-ext"]


def test_what_cannot_be_listed_is_told() -> None:
    def run(_argv: list[str]) -> str:
        raise CommandError("nft: not installed")

    with pytest.raises(CommandError, match="not installed"):
        ours.listed(run)


def test_all_tables_go_at_once(removed: list[str]) -> None:
    said: list[str] = []
    ours.remove(lambda _argv, stdin: said.append(stdin) or "")  # type: ignore[func-returns-value]
    (text,) = said
    deleted = [line.split()[2:] for line in text.splitlines() if line.startswith("delete")]
    assert deleted == [[family, "ganeti_ext"] for family in ("netdev", "bridge", "inet")]
    assert removed == ["iptables"]
