from __future__ import annotations

import pytest

from ganeti_ext.errors import ExtError
from hooks.dnsanswer import Answer, batch, parse, values


def said(question: str, *records: str, status: str = "NOERROR", flags: str = "qr aa") -> str:
    """One answer as dig 9.20 prints it."""
    return (
        f""";; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: {status}, id: 20299
;; flags: {flags}; QUERY: 1, ANSWER: 2, AUTHORITY: 1, ADDITIONAL: 3

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags:; udp: 1232
; COOKIE: ab4eeaa065f28152010000006b017ffb87842342267fe1fa (good)
;; QUESTION SECTION:
;{question.replace(" ", "		IN	")}

;; ANSWER SECTION:
"""
        + "".join(f"{record}\n" for record in records)
        + """
;; TSIG PSEUDOSECTION:
ganeti-ext.		0	ANY	TSIG	hmac-sha256. 1795260462 300 32 gO+6utgrZm3jlnvvtoDzrGdvk6sMGbES= 21798 NOERROR 0

;; Query time: 0 msec
;; SERVER: 127.0.0.1#53(127.0.0.1) (TCP)

"""
    )


def test_what_is_asked() -> None:
    assert batch([("web.example.org.", "A"), ("5.2.0.192.in-addr.arpa.", "PTR")]) == (
        "web.example.org. A\n5.2.0.192.in-addr.arpa. PTR\n"
    )


def test_answers_by_question() -> None:
    text = "\n; <<>> DiG 9.20 <<>> @127.0.0.1\n;; global options: +cmd\n"
    text += said("web.example.org. A", "web.example.org.	60	IN	A	192.0.2.2",
                 "web.example.org. 60 IN A 192.0.2.1",
                 "example.org. 60 IN NS ns.example.org.", "ns.example.org. 60 IN A 192.0.2.53")  # fmt: skip
    text += said("web.example.org. AAAA", "WEB.Example.org. 60 IN AAAA 2001:DB8:0::1")
    text += said("5.2.0.192.in-addr.arpa. PTR", "5.2.0.192.in-addr.arpa. 60 IN PTR Web.Example.ORG.")
    text += said("_ganeti-ext.web.example.org. TXT", '_ganeti-ext.web.example.org. 60 IN TXT "a  b;" "c"')
    assert parse(text) == {
        ("web.example.org.", "A"): Answer(True, ("192.0.2.1", "192.0.2.2")),
        ("web.example.org.", "AAAA"): Answer(True, ("2001:db8::1",)),
        ("5.2.0.192.in-addr.arpa.", "PTR"): Answer(True, ("web.example.org.",)),
        ("_ganeti-ext.web.example.org.", "TXT"): Answer(True, ('"a  b;" "c"',)),
    }


SOA = "2.0.192.in-addr.arpa. 0 IN SOA ns.example.org. root.example.org. 1 60 60 60 60"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (said("5.2.0.192.in-addr.arpa. SOA", SOA, status="NXDOMAIN"), Answer(True, zone="2.0.192.in-addr.arpa.")),
        (
            said("5.2.0.192.in-addr.arpa. SOA", "192.IN-ADDR.ARPA. 86400 IN SOA 192.IN-ADDR.ARPA. . 0 2 7 6 8"),
            Answer(True),  # BIND's own empty zone
        ),
        (said("5.2.0.192.in-addr.arpa. SOA", status="REFUSED", flags="qr"), Answer()),
        (said("5.2.0.192.in-addr.arpa. SOA", ". 518400 IN NS A.ROOT-SERVERS.NET.", flags="qr ra"), Answer()),
        (said("5.2.0.192.in-addr.arpa. PTR", SOA, status="NXDOMAIN"), Answer(True)),
        (
            said("5.2.0.192.in-addr.arpa. PTR", "5.2.0.192.in-addr.arpa. 60 IN CNAME 5.0-63.2.0.192.in-addr.arpa.",
                 "5.0-63.2.0.192.in-addr.arpa. 60 IN PTR a."),
            Answer(True, alias="5.0-63.2.0.192.in-addr.arpa."),
        ),
    ],
    ids=["zone", "empty zone", "refused", "referral", "no such name", "alias"],
)  # fmt: skip
def test_what_the_server_knows(text: str, answer: Answer) -> None:
    (found,) = parse(text).values()
    assert found == answer


def test_what_a_cache_remembers_does_not_count() -> None:
    assert parse(said("a.example.com. A", "a.example.com. 60 IN A 192.0.2.1", flags="qr ra")) == {
        ("a.example.com.", "A"): Answer()
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (said("a. A", status="SERVFAIL"), r"no answer but an error \(SERVFAIL\)"),
        (
            ";; Couldn't verify signature: tsig indicates error\n" + said("a. A", status="NOTAUTH", flags="qr"),
            r"our key is not accepted \(NOTAUTH\)",
        ),
        (
            ";; Couldn't verify signature: expected a TSIG or SIG(0)\n" + said("a. A", "a. 60 IN A 192.0.2.1"),
            "an answer is not signed with our key",
        ),
    ],
)
def test_what_is_no_answer_is_named(text: str, why: str) -> None:
    with pytest.raises(ExtError, match=why):
        parse(said("b. A") + text)


def test_nothing_said_is_no_answer() -> None:
    assert parse("") == {}


def test_values_of_several_types() -> None:
    seen = {("a.", "A"): Answer(True, ("192.0.2.1",)), ("a.", "AAAA"): Answer(True, ("2001:db8::1",))}
    assert values(seen, "a.", "A", "AAAA") == ("192.0.2.1", "2001:db8::1")
