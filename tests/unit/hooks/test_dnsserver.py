from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ganeti_ext.errors import CommandError, ExtError
from hooks.dnsanswer import Answer
from hooks.dnsserver import Server
from tests.unit.hooks.dns import SETTINGS

ANSWER = """;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1
;; flags: qr aa; QUERY: 1
;; QUESTION SECTION:
;web.example.org.  IN  A

;; ANSWER SECTION:
web.example.org.  300  IN  A  192.0.2.5
"""


class Programs:
    """Notes what is run; every run takes its seconds."""

    def __init__(self, answer: str = "", seconds: float = 0, failure: str = "") -> None:
        self.ran: list[tuple[str, str, float]] = []
        self.now = 100.0
        self._answer, self._seconds, self._failure = answer, seconds, failure

    def run(self, argv: Sequence[str], *, stdin: str, timeout: float) -> str:
        self.ran.append((" ".join(argv), stdin, timeout))
        self.now += self._seconds
        if self._failure:
            raise CommandError(f"{argv[0]}: {self._failure}")
        return self._answer

    def server(self, key: Path, **settings: object) -> Server:
        return Server(SETTINGS._replace(key=str(key), **settings), self.run, lambda: self.now)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("secret")
    return path


def test_questions_go_to_dig(key: Path) -> None:
    programs = Programs(ANSWER)
    server = programs.server(key, port=54)
    assert server.ask([("web.example.org.", "A")]) == {("web.example.org.", "A"): Answer(True, ("192.0.2.5",))}
    options = "+tcp +keepopen +norecurse +tries=1 +time=6"
    assert programs.ran == [(f"dig @192.0.2.53 -p 54 -k {key} {options} -f -", "web.example.org. A\n", 5.0)]


def test_updates_go_to_nsupdate(key: Path) -> None:
    programs = Programs()
    programs.server(key).update("example.org.", "send\n")
    assert programs.ran == [(f"nsupdate -k {key} -v", "send\n", 5.0)]


def test_all_of_it_has_one_timeout(key: Path) -> None:
    programs = Programs(ANSWER, seconds=2)
    server = programs.server(key)
    server.ask([("web.example.org.", "A")])
    server.update("example.org.", "")
    server.update("cloud.example.org.", "")
    with pytest.raises(ExtError, match=r"^updating a\. on 192\.0\.2\.53: no time left of 5 s$"):
        server.update("a.", "")
    assert [timeout for _, _, timeout in programs.ran] == [5, 3, 1]


def test_a_question_without_an_answer_is_named(key: Path) -> None:
    server = Programs(ANSWER).server(key)
    with pytest.raises(ExtError, match=r"^asking 192\.0\.2\.53: no answer about a\. TXT$"):
        server.ask([("web.example.org.", "A"), ("a.", "TXT")])


def test_failures_say_what_was_done(key: Path) -> None:
    server = Programs(failure="exit code 9").server(key)
    with pytest.raises(ExtError, match=r"^asking 192\.0\.2\.53: dig: exit code 9$"):
        server.ask([("a.", "A")])
    with pytest.raises(ExtError, match=r"^updating a\. on 192\.0\.2\.53: nsupdate: exit code 9$"):
        server.update("a.", "")


def test_without_the_key_nothing_is_asked(tmp_path: Path) -> None:
    programs = Programs(ANSWER)
    with pytest.raises(ExtError, match=r"^asking 192\.0\.2\.53: .*No such file or directory: .*/none'"):
        programs.server(tmp_path / "none").ask([("web.example.org.", "A")])
    assert programs.ran == []
