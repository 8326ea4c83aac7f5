"""The store: businesses and their versions, calls, leads. Opened by ``open_store``.

Everything is synchronous; asyncio code calls it in a thread. A Store may be used from many threads.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from callbot.store import migrate
from callbot.store.businesses import Businesses
from callbot.store.calls import Calls
from callbot.store.engine import BUSY_SECONDS, Database, StoreError, connect, set_wal
from callbot.store.leads import Leads
from callbot.store.live import LiveCalls
from callbot.store.news import Listener
from callbot.store.outbox import Outbox
from callbot.store.overview import Overview
from callbot.store.privacy import Personal
from callbot.store.tables import REVISION

__all__ = ["Store", "StoreError", "open_store", "store_revision", "upgrade_store"]


class Store:
    """An open store. Close it, or use it in ``with``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.businesses = Businesses(database)
        self.calls = Calls(database)
        self.leads = Leads(database)
        self.live = LiveCalls(database)
        self.outbox = Outbox(database)
        self.overview = Overview(database)
        self.personal = Personal(database)

    @property
    def listeners(self) -> list[Listener]:
        """Told what becomes of calls in this store, by this process, once it is committed."""
        return self._database.listeners

    @property
    def name(self) -> str:
        """What messages call it: a path, or a URL without its password."""
        return self._database.name

    def close(self) -> None:
        """Release its connections. Idempotent."""
        self._database.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(url: str, *, create: bool = True, busy_seconds: float = BUSY_SECONDS) -> Store:
    """Open the store at a SQLAlchemy URL.

    SQLite migrates itself, and is made if it is missing unless ``create`` is false; PostgreSQL waits
    for ``callbot db upgrade``. ``busy_seconds``: how long to wait for another writer of an SQLite
    file. Raises StoreError for whatever keeps it from being used.
    """
    database = connect(url, create=create, busy_seconds=busy_seconds)
    try:
        if database.is_sqlite:
            _prepare_sqlite(database)
        else:
            _require_newest(database)
    except BaseException:
        database.engine.dispose()
        raise
    return Store(database)


def _prepare_sqlite(database: Database) -> None:
    found = migrate.revision(database)  # before anything is written to a file that may be someone else's
    set_wal(database)
    if found != REVISION:
        migrate.upgrade(database)


def _require_newest(database: Database) -> None:
    found = migrate.revision(database)
    if found != REVISION:
        state = "has no tables of callbot yet" if found is None else f"is at revision {found}"
        raise StoreError(
            f"{database.name}: {state}, and this callbot needs {REVISION}; run: callbot db upgrade"
        )


def upgrade_store(url: str) -> tuple[str | None, str]:
    """Migrate the store to the newest revision; return the revisions before and after. Raises StoreError."""
    database = connect(url, create=True)
    try:
        before = migrate.revision(database)
        if database.is_sqlite:
            set_wal(database)
        migrate.upgrade(database)
    finally:
        database.engine.dispose()
    return before, REVISION


def store_revision(url: str) -> tuple[str, str | None]:
    """The store's name for messages and its revision, without changing anything. Raises StoreError."""
    database = connect(url, create=False)
    try:
        return database.name, migrate.revision(database)
    finally:
        database.engine.dispose()
