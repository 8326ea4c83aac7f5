"""Brings a database's tables up to the newest revision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, inspect, select, table, text

from callbot.store.engine import Database, StoreError, explained
from callbot.store.tables import REVISION

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "callbot_version"
"""Not Alembic's usual name: a PostgreSQL database may be shared with others that use Alembic."""
_LOCK = 0x63616C6C  # "call": whoever migrates a PostgreSQL database holds this advisory lock


def revision(database: Database) -> str | None:
    """The database's revision; None if it has no tables of callbot's. Raises StoreError."""
    with explained(database.name), database.engine.connect() as connection:
        return _revision(connection, database.name)


def _revision(connection: Connection, name: str) -> str | None:
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        found = connection.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar()
        if found is not None and str(found) > REVISION:
            raise StoreError(
                f"{name}: was written by a newer callbot (revision {found}, this one knows {REVISION}); "
                "upgrade callbot"
            )
        return None if found is None else str(found)
    if tables and connection.dialect.name == "sqlite":
        raise StoreError(f"{name}: is a database of another program (tables: {', '.join(tables[:5])})")
    return None


def upgrade(database: Database) -> None:
    """Migrate to the newest revision, in one transaction. Raises StoreError.

    Safe to run from several processes at once: the second finds nothing to do.
    """
    from alembic import command

    with database.writing_connection() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if _revision(connection, database.name) != REVISION:
            command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, made here instead of in a file that would have to be found."""
    from alembic.config import Config

    config = Config()
    # A "%" in the path would be an interpolation to the configuration's parser.
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config
