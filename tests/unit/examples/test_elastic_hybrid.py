"""The example that makes and deletes servers, at two providers at once: told by its file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examples.elastic import elastic
from examples.elastic.elastic import Fleet, Idle, Site, SiteError, look, read
from tests.unit.examples.test_elastic import SITE, CloudError, Pretended, fleet, server

FAR = {"cloud": "far", "image": "Debian 13", "flavor": "m1", "network": "public"}


class Hybrid:
    """A site with two providers; `work` is what waits, `busy` are names, `now` seconds."""

    def __init__(self, folder: Path, home: Pretended, far: Pretended, **more: Any) -> None:
        self._folder = folder
        commands = {"waiting": f"cat {folder}/waiting", "busy": f"cat {folder}/busy"}
        self.site = Site(**{**SITE, **commands, "burst": [FAR], "linger": 100, **more})
        self.fleet: Fleet = fleet(self.site, folder, home, far)
        self.idle, self.now = Idle(), 0.0

    def look(self, work: int, *busy: str, after: float = 15.0) -> None:
        self.now += after
        (self._folder / "waiting").write_text(str(work))
        (self._folder / "busy").write_text("\n".join(busy))
        look(self.site, self.fleet, self.idle, clock=lambda: self.now)


def test_what_the_quota_at_home_does_not_let_is_made_elsewhere(tmp_path: Path) -> None:
    home, far = Pretended(quota=2), Pretended()
    Hybrid(tmp_path, home, far).look(4)
    assert (home.names, far.names) == (["w-1", "w-2"], ["w-3", "w-4"])
    kind = {key: value for key, value in far.calls[0][1].items() if key in FAR}
    assert kind == {"image": "Debian 13", "flavor": "m1", "network": "public"}
    assert home.calls[0][1]["image"] == SITE["image"]


def test_a_place_that_refused_is_asked_again_later(tmp_path: Path) -> None:
    home, far = Pretended(quota=1), Pretended()
    hybrid = Hybrid(tmp_path, home, far)
    hybrid.look(2)
    home.quota = 9
    hybrid.look(3)
    assert (home.names, far.names) == (["w-1"], ["w-2", "w-3"])
    hybrid.look(4, after=300)
    assert (home.names, far.names) == (["w-1", "w-4"], ["w-2", "w-3"])


def test_room_is_kept_to_and_most_is_of_all_places(tmp_path: Path) -> None:
    home, far = Pretended(), Pretended()
    hybrid = Hybrid(tmp_path, home, far, room=1, most=3, burst=[{**FAR, "room": 1}])
    with pytest.raises(SiteError, match="w-3: no place has room"):
        hybrid.look(5)
    assert (home.names, far.names) == (["w-1"], ["w-2"])


def test_those_elsewhere_go_first(tmp_path: Path) -> None:
    home, far = Pretended(quota=2), Pretended()
    hybrid = Hybrid(tmp_path, home, far)
    hybrid.look(3)
    hybrid.look(0, "w-3")
    hybrid.look(1, after=150)  # w-3 is to go, but has not been idle for long
    assert (home.names, far.names) == (["w-2"], ["w-3"])
    hybrid.look(1, after=150)
    assert (home.names, far.names) == (["w-2"], [])


def test_of_equally_idle_ones_those_elsewhere_go(tmp_path: Path) -> None:
    home, far = Pretended(quota=2), Pretended()
    hybrid = Hybrid(tmp_path, home, far)
    hybrid.look(3)
    hybrid.look(2)
    hybrid.look(2, after=150)
    assert (home.names, far.names) == (["w-1", "w-2"], [])


def test_a_place_that_breaks_a_server_is_passed_over(tmp_path: Path) -> None:
    home, far = Pretended(server("1", "w-1", "w", "ERROR")), Pretended()
    Hybrid(tmp_path, home, far).look(1)
    assert (home.names, far.names) == ([], ["w-2"])


def test_while_one_provider_is_away_the_other_goes_on(tmp_path: Path) -> None:
    home, far = Pretended(), Pretended(server("1", "w-1", "w"))
    hybrid = Hybrid(tmp_path, home, far)
    hybrid.look(1)
    far.down = True
    hybrid.look(2, after=150)
    assert (home.names, far.calls) == (["w-2"], [])  # w-1 counts as there
    hybrid.look(0, after=150)
    hybrid.look(0, after=150)
    assert (home.names, far.calls) == ([], [])
    far.down = False
    hybrid.look(0, after=1)
    assert far.names == []


def test_nothing_changes_before_each_provider_has_answered_once(tmp_path: Path) -> None:
    home, far = Pretended(), Pretended()
    far.down = True
    with pytest.raises(CloudError, match="no route"):
        Hybrid(tmp_path, home, far).look(1)
    assert home.calls == []


def test_what_may_have_been_made_is_not_made_elsewhere_at_once(tmp_path: Path) -> None:
    home, far = Pretended(), Pretended()
    hybrid = Hybrid(tmp_path, home, far)
    home.fails = 504
    with pytest.raises(CloudError):
        hybrid.look(1)
    assert far.calls == []
    hybrid.look(1)
    assert far.names == ["w-1"]


@pytest.mark.parametrize(
    ("burst", "words"),
    [
        ([{"cloud": "far", "size": 3}], "burst: size: no such setting"),
        ([{"image": "x"}], "burst: expected another cloud each, got '', ''"),
        ([FAR, FAR], "got '', 'far', 'far'"),
    ],
)
def test_a_place_that_makes_no_sense_is_refused(burst: list[dict[str, Any]], words: str) -> None:
    given: dict[str, Any] = {**SITE, "burst": burst}
    with pytest.raises(SiteError, match=words):
        Site(**given)


def test_the_file_of_two_providers_names_both() -> None:
    home, far = read(Path(elastic.__file__).parent / "hybrid.toml").places()
    assert (home.cloud, far.cloud) == ("here", "elsewhere")
    assert far.image != home.image
    assert far.user_data != home.user_data
