"""``callbot db``: the database's tables."""

from __future__ import annotations

import typer

from callbot.cli.storing import DatabaseOption

app = typer.Typer(no_args_is_help=True, help="Look after the database.")


@app.command()
def upgrade(database: DatabaseOption = None) -> None:
    """Bring the database's tables up to what this callbot needs.

    SQLite files do this themselves when they are opened; PostgreSQL waits for this command. Safe to
    run again, and from several places at once.
    """
    from callbot.config import load_settings
    from callbot.store.database import upgrade_store

    before, after = upgrade_store(load_settings(database=database).database)
    if before == after:
        typer.echo(f"up to date at revision {after}")
    else:
        typer.echo(
            f"upgraded from {'nothing' if before is None else f'revision {before}'} to revision {after}"
        )


@app.command()
def status(database: DatabaseOption = None) -> None:
    """Say which revision the database's tables are at; exit with 1 if they need an upgrade."""
    from callbot.config import load_settings
    from callbot.store.database import store_revision
    from callbot.store.tables import REVISION

    name, found = store_revision(load_settings(database=database).database)
    typer.echo(f"database: {name}")
    typer.echo(f"revision: {found or 'no tables yet'}")
    if found != REVISION:
        typer.echo(f"needed:   {REVISION}; run: callbot db upgrade")
        raise typer.Exit(1)
