"""An administrator of the cloud."""

from __future__ import annotations

from sqlalchemy import insert
from werkzeug.security import generate_password_hash

from frontend.database import db
from tests.unit.frontend.conftest import MINE, PASSWORD, Api

ADAM = "a-adam"


def administrator(nobody: Api) -> Api:
    """The API, called by adam, an admin in project `mine`."""
    hashed = generate_password_hash(PASSWORD, "pbkdf2:sha256:1")
    with nobody.engine.begin() as connection:
        connection.execute(insert(db.user).values(id=ADAM, name="adam", password_hash=hashed, enabled=True))
        connection.execute(insert(db.membership).values(user_id=ADAM, project_id=MINE, role="admin"))
    return nobody.become("adam")
