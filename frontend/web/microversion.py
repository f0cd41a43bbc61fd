"""Microversions of Compute and Block Storage: which one a request asks for, and how the answer says so (api-guide,
"Microversions").

Pure. Without a header a request asks for the lowest: clients that were made before a change never see it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from frontend.web.fault import BadRequest, NotAcceptable

Version = tuple[int, int]

MINIMUM: Version = (2, 1)
MAXIMUM: Version = (2, 26)


class Service(NamedTuple):
    name: str
    """In the header."""
    least: Version
    most: Version


COMPUTE = Service("compute", MINIMUM, MAXIMUM)
VOLUME = Service("volume", (3, 0), (3, 42))

STANDARD = "OpenStack-API-Version"
LEGACY = "X-OpenStack-Nova-API-Version"
VARY = f"X-Auth-Token, {STANDARD}, {LEGACY}"

_FORM = re.compile(r"([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")


def negotiate(standard: str | None, legacy: str | None, service: Service = COMPUTE) -> Version:
    """The version to answer by, from the values of both headers; the older one is Compute's alone.

    NotAcceptable for one that there is not, BadRequest for what is no version.
    """
    asked = _asked(service.name, standard or "", legacy or text(service.least))
    if asked.lower() == "latest":
        return service.most
    match = _FORM.fullmatch(asked)
    if match is None:
        raise BadRequest(f"API Version String {asked!r:.80} is of invalid format. Must be of format MajorNum.MinorNum.")
    version = (int(match[1]), int(match[2]))
    if not service.least <= version <= service.most:
        raise NotAcceptable(
            f"Version {asked} is not supported by the API. Minimum is {text(service.least)} and maximum is "
            f"{text(service.most)}."
        )
    return version


def text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def told(version: Version, service: Service = COMPUTE) -> dict[str, str]:
    """The headers of an answer by this version."""
    if service is VOLUME:
        return {STANDARD: f"{service.name} {text(version)}", "Vary": f"X-Auth-Token, {STANDARD}"}
    return {STANDARD: f"compute {text(version)}", LEGACY: text(version), "Vary": VARY}


def _asked(name: str, standard: str, legacy: str) -> str:
    """The last one that is named; of the two headers the newer kind, which names services, counts."""
    asked = legacy.rpartition(",")[2].strip()
    for part in standard.split(","):
        service, _, version = part.strip().partition(" ")
        if service.lower() == name:
            asked = version.strip()
    return asked
