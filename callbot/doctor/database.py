"""The database: can it be reached and written, and are its tables those of this callbot?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from callbot.doctor.finding import STORING, Finding, Setup
from callbot.errors import CallbotError

_NAME = "database"
_ELSEWHERE = "or choose another: database in callbot.toml, CALLBOT_DATABASE or --database"


def examine(setup: Setup) -> Iterator[Finding]:
    """One line. Nothing is made, migrated or changed by looking."""
    from callbot.store.engine import connect, database_exists
    from callbot.store.migrate import revision

    url, bad = setup.settings.database, setup.broken(STORING)
    try:
        if not database_exists(url):
            yield _not_yet(setup, url)
            return
        database = connect(url, create=False)
        try:
            found = revision(database)
            with database.writing_connection() as connection:
                connection.rollback()
        finally:
            database.engine.dispose()
    except CallbotError as error:
        yield Finding(_NAME, bad, str(error), f"mend that, {_ELSEWHERE}")
        return
    yield _of_revision(setup, database.name, found, migrates_itself=database.is_sqlite)


def _not_yet(setup: Setup, url: str) -> Finding:
    """An SQLite file that is still to be made."""
    from sqlalchemy import make_url

    path = Path(make_url(url).database or "").expanduser()
    if os.access(path.parent, os.W_OK):
        return Finding(_NAME, "ok", f"{path} is not there yet; the first call makes it")
    detail = f"{path} is not there, and cannot be made in {path.parent.absolute()}"
    remedy = f"make that folder, and let it be written, {_ELSEWHERE}"
    return Finding(_NAME, setup.broken(STORING), detail, remedy)


def _of_revision(setup: Setup, name: str, found: str | None, *, migrates_itself: bool) -> Finding:
    from callbot.store.tables import REVISION

    if found == REVISION:
        return Finding(_NAME, "ok", f"{name}: can be written, its tables are at revision {REVISION}")
    state = "has no tables yet" if found is None else f"is at revision {found}"
    if migrates_itself:
        return Finding(_NAME, "ok", f"{name}: {state}; it is upgraded when it is next used")
    detail = f"{name}: {state}, and this callbot needs {REVISION}"
    return Finding(_NAME, setup.broken(STORING), detail, "callbot db upgrade")
