"""Images that an administrator has put into the storage of another cluster, too."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKey, String

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "cluster_image",
        Column("storage", String(255), primary_key=True),
        Column("image_id", String(36), ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    )
