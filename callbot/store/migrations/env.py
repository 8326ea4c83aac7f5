"""Run by Alembic: migrates on the connection that ``database.py`` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from callbot.store.migrate import VERSION_TABLE
from callbot.store.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
