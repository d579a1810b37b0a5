"""Datasets, their versions and the cases in them.

Rollback: restore the backup made before the upgrade.
"""

import sqlalchemy as sa
from alembic import op

from octavo_server.stores.control import Json, UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("input_schema", sa.Text, nullable=False),
        sa.Column("expected_schema", sa.Text, nullable=False),
        sa.Column("splits", Json, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("next_position", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_datasets_name", "datasets", ["project_id", "name"], unique=True)
    op.create_table(
        "dataset_versions",
        sa.Column("dataset_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("cases", sa.Integer, nullable=False),
        sa.Column("added", sa.Integer, nullable=False),
        sa.Column("removed", sa.Integer, nullable=False),
        sa.Column("splits", Json, nullable=False),
        sa.Column("author_kind", sa.Text, nullable=False),
        sa.Column("author_id", sa.Text, nullable=False),
        sa.Column("author_name", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_dataset_versions_digest", "dataset_versions", ["dataset_id", "digest"])
    op.create_table(
        "dataset_items",
        sa.Column("project_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("added", sa.Integer, primary_key=True),
        sa.Column("dataset_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("source_trace_id", sa.Text, nullable=False),
        sa.Column("source_span_id", sa.Text, nullable=False),
        sa.Column("removed", sa.Integer),
        sa.Column("is_archived", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_dataset_items_position", "dataset_items", ["dataset_id", "position"])
