"""Connections to providers, routes of models, price rules.

Rollback: restore the backup made before the upgrade.
"""

import sqlalchemy as sa
from alembic import op

from octavo_server.stores.control import Json, UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "connections",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("base_url", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("has_secret", sa.Boolean, nullable=False),
        sa.Column("secret_version", sa.Integer, nullable=False),
        sa.Column("secret_last4", sa.Text, nullable=False),
        sa.Column("secret_options", Json, nullable=False),
        sa.Column("options", Json, nullable=False),
        sa.Column("models", Json, nullable=False),
        sa.Column("known_models", Json, nullable=False),
        sa.Column("prices_as", sa.Text, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("project_id", "name", name="uq_connections_name"),
    )
    op.create_index(
        "uq_connections_default",
        "connections",
        ["project_id"],
        unique=True,
        sqlite_where=sa.text("is_default = 1"),
        postgresql_where=sa.text("is_default = true"),
    )
    op.create_table(
        "model_routes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("pattern", sa.Text, nullable=False),
        sa.Column("targets", Json, nullable=False),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("timeouts", Json, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("project_id", "pattern", name="uq_model_routes_pattern"),
    )
    op.create_table(
        "price_rules",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("rates", Json, nullable=False),
        sa.Column("effective_from", UtcDateTime, nullable=False),
        sa.Column("effective_to", UtcDateTime),
        sa.Column("batch", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_price_rules_project_id", "price_rules", ["project_id"])
