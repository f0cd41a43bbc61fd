"""What a guest came to by DHCPv4, and what it should have come to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.lab.clients import host as site
from tests.lab.clients.box import Program
from tests.lab.clients.guest import Guest

# A script's line that tells its environment, for `told`.
TELL = "printf 'TOLD %s\\n' \"$(env | tr '\\n' '\\037')\"\n"


@dataclass(frozen=True)
class Lease:
    """`routes` are those beside the default one: where to by which router; `search` includes the domain if it leads."""

    address: str
    router: str | None
    routes: dict[str, str]
    nameservers: list[str]
    domain: str
    search: list[str]
    hostname: str
    mtu: int
    ntp: list[str] = field(default_factory=list)


def expected(guest: Guest) -> Lease:
    """By the binding and the configuration."""
    terms = guest.terms
    assert terms.ip is not None
    assert terms.subnet is not None
    return Lease(
        address=f"{terms.ip}/{terms.subnet.partition('/')[2]}",
        router=terms.gateway,
        routes={site.ROUTE: site.ROUTE_BY},
        nameservers=site.NAMESERVERS,
        domain=site.DOMAIN,
        search=site.SEARCH,
        hostname=terms.hostname,
        mtu=site.MTU,
        ntp=site.NTP,
    )


def in_effect(guest: Guest, **told: object) -> Lease:
    """As the guest's kernel and its resolv.conf have it; `told` is what shows in neither."""
    (address,) = guest.addresses()
    routes = guest.routes()
    resolver = guest.path("/etc/resolv.conf").read_text().splitlines() if not told.get("nameservers") else []
    words = [line.split() for line in resolver if line.strip()]
    found = Lease(
        address=address,
        router=routes.pop("default", None),
        routes=routes,
        nameservers=[word[1] for word in words if word[0] == "nameserver" and ":" not in word[1]],
        domain=next((word[1] for word in words if word[0] == "domain"), ""),
        search=next(([name.rstrip(".") for name in word[1:]] for word in words if word[0] == "search"), []),
        hostname="",
        mtu=0,
    )
    return replace(found, **told)  # type: ignore[arg-type]


def of_hook(guest: Guest, env: dict[str, str]) -> Lease:
    """By the environment that dhclient and dhcpcd give their hooks."""
    return in_effect(
        guest,
        hostname=env["new_host_name"],
        mtu=int(env["new_interface_mtu"]),
        ntp=env.get("new_ntp_servers", "").split(),
    )


def told(client: Program, reasons: str) -> dict[str, str]:
    """Wait until a client's script tells its environment for one of `reasons`, a regular expression."""
    return environment(client.says(rf"^TOLD (.*\x1f)?reason=({reasons})\x1f.*$").group())


def environment(line: str) -> dict[str, str]:
    """What a line of TELL says."""
    return dict(pair.partition("=")[::2] for pair in line.removeprefix("TOLD ").split("\x1f"))
