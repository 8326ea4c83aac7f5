"""Connections to a database: SQLite or PostgreSQL, with errors that say what to do.

SQLite: write-ahead logging, so that readers never wait for a writer; every write transaction is
``BEGIN IMMEDIATE``, so that writers queue at the door (up to ``BUSY_SECONDS``) instead of failing
half-way; foreign keys are enforced.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from callbot.errors import CallbotError
from callbot.store.news import Listener, spread

BUSY_SECONDS = 5
"""How long a writer waits for another one of the same file, and a connection for its server."""

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_EXAMPLES = "such as sqlite:///callbot.db or postgresql://user:password@host/name"


class StoreError(CallbotError):
    """The database cannot be used, or not for this."""


class Database:
    """An open database: ``read`` and ``write`` are the only ways to its rows."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name
        """For messages: a path, or a URL without its password."""
        self.listeners: list[Listener] = []
        """Told of what was written of calls, once it is committed."""
        self._writer = engine.execution_options(callbot_write=True)

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database. Raises StoreError."""
        with explained(self.name), Session(self.engine) as session:
            yield session

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is committed at the end, or leaves nothing if anything raised. Raises StoreError."""
        with explained(self.name), Session(self._writer) as session:
            with session.begin():
                yield session
            spread(session, self.listeners)

    @contextlib.contextmanager
    def writing_connection(self) -> Iterator[Connection]:
        """The same as ``write``, for migrations."""
        with explained(self.name), self._writer.connect() as connection, connection.begin():
            yield connection

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a file."""
        return self.engine.dialect.name == "sqlite"


def connect(url: str, *, create: bool, busy_seconds: float = BUSY_SECONDS) -> Database:
    """Open the database at a SQLAlchemy URL; ``create``: an SQLite file that is missing is made.

    ``busy_seconds``: how long a writer waits for another one's lock on an SQLite file.
    Raises StoreError for what is no URL, has no driver, or cannot be opened.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return _connect_sqlite(parsed, create=create, busy_seconds=busy_seconds)
    try:
        engine = create_engine(
            parsed,
            json_serializer=json_text,
            pool_pre_ping=True,
            connect_args={"connect_timeout": BUSY_SECONDS},
        )
    except ModuleNotFoundError as error:
        raise StoreError(
            'PostgreSQL needs the driver psycopg; install it with: pip install "callbot[postgres]"'
        ) from error
    except ImportError as error:
        raise StoreError(f"the PostgreSQL driver psycopg cannot be loaded: {error}") from error
    return Database(engine, parsed.render_as_string(hide_password=True))


def database_exists(url: str) -> bool:
    """Whether there can be anything to read: an SQLite file that is there, or any server."""
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        return True
    return parsed.database is not None and Path(parsed.database).expanduser().exists()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"the database must be a URL, {_EXAMPLES}{_as_file(url)}") from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise StoreError(
            f'a database of the kind "{parsed.drivername}" is not supported; use SQLite or PostgreSQL, {_EXAMPLES}'
        )
    return parsed.set(drivername=driver)


def _as_file(url: str) -> str:
    return "" if "://" in url else f"; for a file: sqlite:///{url}"


def _connect_sqlite(url: URL, *, create: bool, busy_seconds: float) -> Database:
    if url.host:
        raise StoreError(f"a SQLite URL has three slashes before the path: sqlite:///{url.host}")
    if not url.database or url.database == ":memory:" or url.query:
        raise StoreError("a SQLite URL names a file and nothing else: sqlite:///callbot.db")
    path = Path(url.database).expanduser()
    if path.is_dir():
        raise StoreError(f"{path} is a folder, not a database file")
    if not path.parent.is_dir():
        raise StoreError(f"{path}: there is no folder {path.parent}; make it first")
    if not create and not path.exists():
        raise StoreError(
            f"{path}: there is no such database yet; `callbot chat` and `callbot prompts import` make one"
        )
    engine = create_engine(
        url.set(database=str(path.absolute())),
        json_serializer=json_text,
        connect_args={"timeout": busy_seconds},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return Database(engine, str(path))


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # Python's driver must not begin transactions by itself
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("callbot_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def set_wal(database: Database) -> None:
    """Make sure that an SQLite file is in write-ahead mode (it remembers). Raises StoreError."""
    give_up = time.monotonic() + BUSY_SECONDS
    with explained(database.name), contextlib.closing(database.engine.raw_connection()) as connection:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                # SQLite does not wait here as it does elsewhere: when several processes open a new
                # file at once, all but one are told that it is locked.
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > give_up:
                    raise
                time.sleep(0.005)
            else:
                return


# --- errors -----------------------------------------------------------------------------------
@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what a database reports into StoreError; broken constraints pass, for callers know them."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise StoreError(f"{name}: {_explanation(error.orig)}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{name}: {_explanation(error)}") from error
    except PoolTimeout as error:
        raise StoreError(f"{name}: all its connections are busy") from error


_SQLITE = {
    "SQLITE_BUSY": "another process keeps it locked",
    "SQLITE_LOCKED": "another process keeps it locked",
    "SQLITE_NOTADB": "is not an SQLite database",
    "SQLITE_CORRUPT": "is damaged; restore it from a backup, or save what is left with sqlite3's .recover",
    "SQLITE_CANTOPEN": "cannot be opened; check that the file and its folder may be read and written",
    "SQLITE_READONLY": "cannot be written; check the rights of the file and its folder",
    "SQLITE_PERM": "cannot be opened; check the rights of the file and its folder",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_IOERR": "the disk reports an error",
}


def _explanation(error: BaseException | None) -> str:
    code = getattr(error, "sqlite_errorname", "")
    for prefix, text in _SQLITE.items():
        if code.startswith(prefix):
            return text
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


# --- JSON -------------------------------------------------------------------------------------
def json_text(value: object) -> str:
    """JSON with readable letters. What UTF-8 cannot carry (a lone surrogate) is escaped."""
    try:
        return to_json(value, inf_nan_mode="null").decode()
    except PydanticSerializationError:
        return json.dumps(value, default=_as_dict)


def _as_dict(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
