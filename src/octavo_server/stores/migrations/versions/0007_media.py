"""Media of traces and dataset items.

Rollback: restore the backup made before the upgrade.
"""

import sqlalchemy as sa
from alembic import op

from octavo_server.stores.control import UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "media",
        sa.Column("project_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("uploaded_at", UtcDateTime),
    )
    op.create_table(
        "media_links",
        sa.Column("project_id", sa.Text, primary_key=True),
        sa.Column("media_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("subject_id", sa.Text, primary_key=True),
        sa.Column("seen_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_media_links_subject", "media_links", ["project_id", "kind", "subject_id"])
