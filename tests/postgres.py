"""Databases to test on: SQLite files, and a real PostgreSQL server that starts on first use."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pgserver
import psycopg
import pytest

from callbot.store.database import Store, open_store, upgrade_store

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A server of this test process's own; its socket's path must stay below 107 characters."""
    with tempfile.TemporaryDirectory(prefix="callbot-pg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database, on a server that does not think in UTC."""
    name = f"callbot_{next(_numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        connection.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Jerusalem'")
        yield postgres_server.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/callbot.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store_url(empty_url: str) -> str:
    """The URL of a database with tables."""
    upgrade_store(empty_url)
    return empty_url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open store."""
    with open_store(store_url) as opened:
        yield opened
