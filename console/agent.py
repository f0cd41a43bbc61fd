"""A password for a user of a guest, set by the agent that runs in it (qga/qapi-schema.json: guest-set-user-password).

It goes by the agent's socket alone. Of what the guest says instead, nothing is logged: it may be the password.
"""

from __future__ import annotations

import base64
import os

from ganeti_ext import qemusocket
from ganeti_ext.consolewire import AWAKE, LOST, NO_SOCKET, REFUSED, SET, SILENT
from ganeti_ext.errors import ExtError


class Unable(ExtError):
    """It was not set, or nobody knows; `why` is one of consolewire.WHY, `said` what the guest's agent says of it."""

    def __init__(self, name: str, why: str, words: str, said: str = "") -> None:
        super().__init__(f"{name}: no password was set: {words}")
        self.why, self.said = why, said


def tell(folder: str, name: str, user: str, password: str) -> None:
    """Let the guest's agent set it; Unable when it does not."""
    path = os.path.join(folder, f"{name}.qga")
    if not os.path.exists(path):
        raise Unable(name, NO_SOCKET, "it has no socket for an agent here (use_guest_agent)")
    try:
        connection = qemusocket.agent(path, AWAKE)
    except ExtError as err:
        raise Unable(name, SILENT, "no agent answers in it") from err
    coded = base64.b64encode(password.encode()).decode()
    with connection:
        try:
            connection.ask("guest-set-user-password", SET, {"username": user, "password": coded, "crypted": False})
        except qemusocket.Refused as err:
            raise Unable(name, REFUSED, "its agent will not", err.said) from err
        except ExtError as err:
            raise Unable(name, LOST, "its agent did not say whether it has") from err
