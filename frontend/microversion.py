"""Compute's microversions: which one a request asks for, and how the answer says so (api-guide, "Microversions").

Pure. Without a header a request asks for the lowest: clients that were made before a change never see it.
"""

from __future__ import annotations

import re

from frontend.fault import BadRequest, NotAcceptable

Version = tuple[int, int]

MINIMUM: Version = (2, 1)
MAXIMUM: Version = (2, 26)

STANDARD = "OpenStack-API-Version"
LEGACY = "X-OpenStack-Nova-API-Version"
VARY = f"X-Auth-Token, {STANDARD}, {LEGACY}"

_FORM = re.compile(r"([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")


def negotiate(standard: str | None, legacy: str | None) -> Version:
    """The version to answer by, from the values of both headers.

    NotAcceptable for one that there is not, BadRequest for what is no version.
    """
    asked = _asked(standard or "", legacy or text(MINIMUM))
    if asked.lower() == "latest":
        return MAXIMUM
    match = _FORM.fullmatch(asked)
    if match is None:
        raise BadRequest(f"API Version String {asked!r:.80} is of invalid format. Must be of format MajorNum.MinorNum.")
    version = (int(match[1]), int(match[2]))
    if not MINIMUM <= version <= MAXIMUM:
        raise NotAcceptable(
            f"Version {asked} is not supported by the API. Minimum is {text(MINIMUM)} and maximum is {text(MAXIMUM)}."
        )
    return version


def text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def told(version: Version) -> dict[str, str]:
    """The headers of an answer by this version."""
    return {STANDARD: f"compute {text(version)}", LEGACY: text(version), "Vary": VARY}


def _asked(standard: str, legacy: str) -> str:
    """The last one that is named; of the two headers the newer kind, which names services, counts."""
    asked = legacy.rpartition(",")[2].strip()
    for part in standard.split(","):
        service, _, version = part.strip().partition(" ")
        if service.lower() == "compute":
            asked = version.strip()
    return asked
