"""A tenant who speaks HTTP with the front himself, to see what no client shows."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from lab.services import LOOPBACK_PORT

BASE = f"http://127.0.0.1:{LOOPBACK_PORT}"
COMPUTE = "/compute/v2.1"


class Caller:
    """With the token of one user in his project; urllib.error.HTTPError for a refusal."""

    def __init__(self, user: str, password: str, project: str) -> None:
        domain = {"domain": {"name": "Default"}}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "password": password, **domain}},
        }
        auth = {"identity": identity, "scope": {"project": {"name": project, **domain}}}
        self.token = ""
        answer, headers = self._ask("POST", "/identity/v3/auth/tokens", {"auth": auth})
        self.token = headers["X-Subject-Token"]
        self.user_id: str = answer["token"]["user"]["id"]

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON; None when it has no body."""
        return self._ask(method, path, body)[0]

    def _ask(self, method: str, path: str, body: object) -> tuple[Any, Any]:
        headers = {"Content-Type": "application/json"} | ({"X-Auth-Token": self.token} if self.token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(BASE + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
            return (json.loads(text) if text else None), response.headers
