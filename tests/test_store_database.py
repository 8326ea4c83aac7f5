"""Opening a store: tables that migrate themselves, and errors that say what to do."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from store_samples import call_record, document, start_python

from callbot.store.database import StoreError, open_store, store_revision, upgrade_store
from callbot.store.engine import connect
from callbot.store.migrate import VERSION_TABLE, alembic_config
from callbot.store.tables import REVISION, Table


# --- migrations ---------------------------------------------------------------------------------
def test_migrations_make_exactly_the_tables_that_the_code_uses(empty_url: str) -> None:
    """Nobody has changed a table and forgotten its migration."""
    assert upgrade_store(empty_url) == (None, REVISION)
    assert upgrade_store(empty_url) == (REVISION, REVISION)
    database = connect(empty_url, create=False)
    with database.engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Table.metadata) == []
    database.engine.dispose()


def test_the_code_knows_the_newest_migration() -> None:
    """``REVISION`` is what opening compares with, without loading Alembic."""
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [REVISION]


def test_migrations_can_be_undone(store_url: str) -> None:
    """Down to nothing and up again."""
    database = connect(store_url, create=False)
    with database.writing_connection() as connection:
        command.downgrade(alembic_config(connection), "base")
    with database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == [VERSION_TABLE]
    database.engine.dispose()
    assert upgrade_store(store_url) == (None, REVISION)


def test_postgresql_waits_for_its_upgrade(postgres_url: str) -> None:
    """A server's tables are changed by a person, not by the first process that comes along."""
    assert store_revision(postgres_url)[1] is None
    with pytest.raises(StoreError, match=r"has no tables of callbot yet.*run: callbot db upgrade"):
        open_store(postgres_url)
    upgrade_store(postgres_url.replace("postgresql://", "postgres://"))
    open_store(postgres_url).close()
    with psycopg.connect(postgres_url) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0000'")
    with pytest.raises(StoreError, match=r"is at revision 0000.*run: callbot db upgrade"):
        open_store(postgres_url)


def test_a_newer_database_is_left_alone(store_url: str) -> None:
    """An old callbot does not guess at tables it has never seen."""
    database = connect(store_url, create=False)
    with database.writing_connection() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    database.engine.dispose()
    for refuse in (open_store, upgrade_store, store_revision):
        with pytest.raises(StoreError, match="written by a newer callbot"):
            refuse(store_url)


_OPENER = """
import sys
from callbot.store.database import open_store, upgrade_store
print("ready", flush=True)
sys.stdin.readline()
upgrade_store(sys.argv[1])
with open_store(sys.argv[1]) as store:
    store.businesses.list()
"""


def test_several_processes_open_a_new_database_at_once(empty_url: str) -> None:
    """One of them makes the tables, the others find them."""
    openers = [start_python(_OPENER, empty_url) for _ in range(4)]
    for opener in openers:
        assert opener.stdout is not None
        assert opener.stdout.readline() == "ready\n"
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    for opener in openers:
        opener.communicate()
        assert opener.returncode == 0


# --- SQLite -------------------------------------------------------------------------------------
def _url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_an_sqlite_file_is_set_up_for_several_processes(tmp_path: Path) -> None:
    """Write-ahead logging, enforced foreign keys, and a wait for other writers."""
    store = open_store(_url(tmp_path / "a.db"))
    with store._database.read() as session:
        settings = {
            name: session.connection().exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000}
    store.close()


def test_readers_do_not_wait_for_a_writer_and_writers_do(tmp_path: Path) -> None:
    """While one process writes, others read what was there; a second writer gives up in the end."""
    url = _url(tmp_path / "a.db")
    with open_store(url) as store, open_store(url, busy_seconds=0.05) as other:
        store.calls.save_record(call_record("CA1"))
        with store._database.write() as session:
            session.connection()  # begins
            assert [call.id for call in other.calls.list()] == ["CA1"]
            with pytest.raises(StoreError, match=r"a\.db: another process keeps it locked"):
                other.calls.save_record(call_record("CA2"))
        other.calls.save_record(call_record("CA2"))


def test_one_store_serves_many_threads(tmp_path: Path) -> None:
    """The server calls it from a pool of them."""
    with open_store(_url(tmp_path / "a.db")) as store:
        threads = [
            threading.Thread(target=store.calls.save_record, args=(call_record(f"CA{n}"),)) for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.calls.list()) == 8


def test_what_raises_within_a_transaction_leaves_nothing(store_url: str) -> None:
    """All of it or none."""

    def break_off() -> None:
        with store._database.write() as session:
            session.connection().exec_driver_sql("DELETE FROM callbot_version")
            raise ZeroDivisionError

    with open_store(store_url) as store:
        with pytest.raises(ZeroDivisionError):
            break_off()
        assert store_revision(store_url)[1] == REVISION


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """Text, and the databases of other programs."""
    text = tmp_path / "notes.txt"
    text.write_text("שלום " * 1000, encoding="utf-8")
    with pytest.raises(StoreError, match=r"notes\.txt: is not an SQLite database"):
        open_store(_url(text))
    assert text.read_text(encoding="utf-8") == "שלום " * 1000

    foreign = tmp_path / "places.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE moz_places (id INTEGER)")
    before = foreign.read_bytes()
    with pytest.raises(StoreError, match=r"is a database of another program \(tables: moz_places\)"):
        open_store(_url(foreign))
    assert foreign.read_bytes() == before


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    """Pages overwritten by a broken disk."""
    path = tmp_path / "a.db"
    with open_store(_url(path)) as store:
        store.businesses.import_version(document())
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(StoreError, match=r"a\.db: is damaged"), open_store(_url(path)) as store:
        store.businesses.get("ruti")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("callbot.db", r"must be a URL, such as sqlite:///callbot\.db .*; for a file: sqlite:///callbot\.db"),
        ("", "must be a URL"),
        ("sqlite://callbot.db", "three slashes before the path: sqlite:///callbot.db"),
        ("sqlite://", "names a file and nothing else"),
        ("sqlite:///:memory:", "names a file and nothing else"),
        ("sqlite+aiosqlite:///a.db", r'of the kind "sqlite\+aiosqlite" is not supported'),
        ("mysql://root@localhost/callbot", 'of the kind "mysql" is not supported; use SQLite or PostgreSQL'),
        ("sqlite:///missing/folder/a.db", "there is no folder missing/folder; make it first"),
        ("sqlite:///.", "is a folder, not a database file"),
    ],
)
def test_urls_that_name_no_database(
    url: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each says what to write instead, and makes nothing."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=message):
        open_store(url)
    assert not list(tmp_path.iterdir())


def test_looking_makes_no_database(tmp_path: Path) -> None:
    """A mistyped path is an error, not an empty list."""
    with pytest.raises(StoreError, match="there is no such database yet"):
        open_store(_url(tmp_path / "a.db"), create=False)
    assert not list(tmp_path.iterdir())


# --- PostgreSQL ---------------------------------------------------------------------------------
def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    """The message may end up in a log."""
    with pytest.raises(StoreError) as caught:
        open_store("postgresql://me:hunter2@127.0.0.1:1/callbot")
    assert "127.0.0.1:1/callbot" in str(caught.value)
    assert "refused" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_missing_driver_says_how_to_install_it() -> None:
    """As in an environment without ``callbot[postgres]``: an import that is blocked raises the same error."""
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from callbot.store.database import open_store\n"
        "from callbot.errors import CallbotError\n"
        "try: open_store('postgresql://localhost/x')\n"
        "except CallbotError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "callbot[postgres]"' in done.stdout


def test_a_connection_that_was_cut_is_made_anew(store_url: str) -> None:
    """A server that restarts at night does not cost the morning's first call (SQLite has no server)."""
    with open_store(store_url) as store:
        store.calls.save_record(call_record("CA1"))
        if store_url.startswith("postgresql"):
            with psycopg.connect(store_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        store.calls.save_record(call_record("CA2"))
        assert len(store.calls.list()) == 2
