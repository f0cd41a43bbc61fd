"""What the database keeps for a while and must not show to whoever reads it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken


class Vault:
    """Encrypts with a key that follows from the front's secret: every front and consumer with it can read."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        key = hmac.new(self._secret, b"ganeti-ext owed 1", hashlib.sha256).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def lock(self, value: Any) -> str:
        """JSON, encrypted."""
        return self._fernet.encrypt(json.dumps(value).encode()).decode()

    def unlock(self, text: str) -> Any:
        """What was locked; ValueError when it was locked with another secret, or damaged."""
        try:
            return json.loads(self._fernet.decrypt(text.encode()))
        except InvalidToken as err:
            raise ValueError("it was encrypted with another secret") from err

    def seed_key(self, server_id: str) -> str:
        """What opens a change of this server's seed (ganeti_ext/seed.py), in hexadecimal; it need not be kept."""
        return hmac.new(self._secret, f"ganeti-ext seed 1 {server_id}".encode(), hashlib.sha256).hexdigest()
