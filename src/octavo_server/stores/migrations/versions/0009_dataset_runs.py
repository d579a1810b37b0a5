"""Which trace a dataset item was run in, as Langfuse's clients before version 5 tell it.

Rollback: restore the backup made before the upgrade.
"""

import sqlalchemy as sa
from alembic import op

from octavo_server.stores.control import UtcDateTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "dataset_run_links",
        sa.Column("project_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("dataset_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("run_name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("span_id", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_dataset_run_links_run", "dataset_run_links", ["project_id", "dataset_id", "run_name"])
