"""What Alembic runs for each command: the connection is the caller's (migration.py), and so is its transaction."""

from __future__ import annotations

from alembic import context

from frontend.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
