"""Migrations of the control store: one linear history for SQLite and PostgreSQL, run by Alembic from here.

`upgrade(url)` brings a database to this version's schema; `current(url)` and `head()` say where one stands. Each room
adds `versions/NNNN_<room>_<what>.py` with `revision = "NNNN"` and `down_revision` the number before. Migrations only
add and fill; going back means restoring the backup that `octavo db migrate` advises to make.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from octavo_server.stores import SchemaTooNew
from octavo_server.stores.control import make_engine, normalise_url

_POSTGRES_MIGRATION_LOCK = 0x0C7A41


def upgrade(url: str) -> str:
    """Brings the control database to the newest schema, in one transaction, and returns its revision.

    Safe to call from several processes at once. Raises SchemaTooNew when the database is ahead of this program."""
    config = _config()
    script = ScriptDirectory.from_config(config)
    newest = script.get_current_head()
    assert newest is not None
    engine = make_engine(normalise_url(url))
    try:
        with engine.connect().execution_options(octavo_write=True) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_MIGRATION_LOCK})
            present = _revision(connection)
            if present == newest:
                return newest
            if present is not None and present not in {one.revision for one in script.walk_revisions()}:
                raise SchemaTooNew("control", present=present, known=newest)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return newest
    finally:
        engine.dispose()


def current(url: str) -> str | None:
    """Revision of the database; None when it is empty."""
    engine = make_engine(normalise_url(url))
    try:
        with engine.connect() as connection:
            return _revision(connection)
    finally:
        engine.dispose()


def head() -> str:
    """Revision this program needs."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None
    return newest


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
