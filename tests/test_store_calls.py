"""Calls and leads in the store: what was written is what is read, whatever happens to the writer."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import signal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError
from store_samples import NOON, call_record, numbered, start_python

from callbot import events as ev
from callbot.call import Call
from callbot.record import Entry, Record
from callbot.rules import Rules
from callbot.store.database import Store, StoreError, open_store

_ids = itertools.count()


def test_a_saved_call_comes_back_whole(store: Store) -> None:
    """A Record is the same before and after, and the call can be found by what it was."""
    record = call_record("CA1")
    assert store.calls.save_record(record) == "CA1"
    assert store.calls.load_record("CA1").to_jsonl() == record.to_jsonl()
    call = store.calls.get("CA1")
    assert (call.business_id, call.business_version, call.line, call.model) == ("ruti", 1, "text", "offline")
    assert (call.started_at, call.ended_at) == (NOON, NOON + dt.timedelta(seconds=20))
    assert (call.ended_by, call.end_reason, call.lead_status, call.turns) == (
        "model",
        "lead_complete",
        "complete",
        1,
    )
    assert call.started_at.utcoffset() == dt.timedelta(0)
    with pytest.raises(StoreError, match='the call "CA1" is already in the database'):
        store.calls.save_record(record)


def test_a_live_call_is_written_as_it_happens(store: Store) -> None:
    """Between start and finish everything that was appended can be read, the lead too."""
    record = call_record("CA1")
    entries = numbered(record)
    store.calls.start("CA1", record.header)
    assert store.calls.next_seq("CA1") == 0
    store.calls.append("CA1", entries[:6])
    assert store.leads.get("CA1") is None
    store.calls.append("CA1", entries[6:], at=NOON)
    store.calls.append("CA1", [])
    assert store.calls.next_seq("CA1") == len(entries)
    assert store.calls.get("CA1").ended_at is None
    lead = store.leads.get("CA1")
    assert lead is not None
    assert (lead.fields, lead.status, lead.caller_number) == (
        {"full_name": "דנה לוי"},
        "complete",
        "+972541112233",
    )
    store.calls.finish("CA1", ended_by=ev.EndedBy.MODEL, end_reason="lead_complete", ended_at=NOON)
    call = store.calls.get("CA1")
    assert (call.ended_by, call.ended_at, call.turns, call.lead_status) == ("model", NOON, 1, "complete")
    assert store.calls.load_record("CA1").entries == record.entries


def test_an_entry_is_written_once(store: Store) -> None:
    """A number that is taken refuses the whole batch, the lead with it."""
    record = call_record("CA1")
    store.calls.start("CA1", record.header)
    store.calls.append("CA1", numbered(record)[:3])
    with pytest.raises(StoreError, match="already written"):
        store.calls.append("CA1", numbered(record)[2:])
    assert store.calls.next_seq("CA1") == 3
    assert store.leads.get("CA1") is None


def test_a_lead_grows_with_its_call(store: Store) -> None:
    """Each SaveLead replaces the fields; the time of creation stays."""
    store.calls.start("CA1", call_record("CA1").header)
    later = NOON + dt.timedelta(minutes=1)
    partial = Entry(1.0, "command", ev.SaveLead({"full_name": "דנה"}, "in_progress"))
    full = Entry(2.0, "command", ev.SaveLead({"full_name": "דנה לוי", "notes": "קומה 3"}, "complete"))
    store.calls.append("CA1", [(0, partial)], at=NOON)
    store.calls.append("CA1", [(1, full)], at=later)
    lead = store.leads.get("CA1")
    assert lead is not None
    assert lead.fields == {"full_name": "דנה לוי", "notes": "קומה 3"}
    assert (lead.status, lead.created_at, lead.updated_at) == ("complete", NOON, later)
    assert store.calls.get("CA1").lead_status == "complete"


def test_lists_are_filtered_and_newest_first(store: Store) -> None:
    """By business, by who ended the call, by reason and by time."""
    for n, business in enumerate(("ruti", "dan", "ruti")):
        store.calls.save_record(call_record(f"CA{n}", business=business, at=NOON + dt.timedelta(hours=n)))
    store.calls.start("CA9", call_record("CA9", at=NOON - dt.timedelta(days=1)).header)
    store.calls.finish("CA9", ended_by="silence", end_reason="no_response")

    def ids(**filters: Any) -> list[str]:
        return [call.id for call in store.calls.list(**filters)]

    assert ids() == ["CA2", "CA1", "CA0", "CA9"]
    assert ids(business="ruti") == ["CA2", "CA0", "CA9"]
    assert ids(ended_by="silence") == ids(reason="no_response") == ["CA9"]
    assert ids(since=NOON + dt.timedelta(hours=1)) == ["CA2", "CA1"]
    # The same moment, named in another zone.
    jerusalem = dt.timezone(dt.timedelta(hours=2))
    assert ids(since=dt.datetime(2026, 11, 27, 15, 0, tzinfo=jerusalem)) == ["CA2", "CA1"]
    assert ids(limit=1) == ["CA2"]
    assert [lead.call_id for lead in store.leads.list(business="dan")] == ["CA1"]
    assert store.leads.list(status="declined") == ()


def test_a_call_is_found_by_how_its_id_begins(store: Store) -> None:
    """As long as only one begins so; % and _ are letters like any other."""
    for call_id in ("CA11", "CA12", "CA1"):
        store.calls.save_record(call_record(call_id))
    assert store.calls.find("CA12").id == "CA12"
    assert store.calls.find("CA1").id == "CA1"
    with pytest.raises(StoreError, match='several calls begin with "CA": CA1, CA11, CA12'):
        store.calls.find("CA")
    for unknown in ("CB", "", "%", "C_1"):
        with pytest.raises(StoreError, match="unknown call"):
            store.calls.find(unknown)


def test_a_snapshot_restores_a_call_until_it_ends(store: Store) -> None:
    """The last one counts; a call that is over has none."""
    rules = Rules(greeting="שלום")
    call = Call(rules)
    call.receive(ev.CallStarted(), 0.0)
    call.receive(ev.UserSpoke("רגע"), 1.0)
    store.calls.start("CA1", call_record("CA1").header)
    assert store.calls.load_snapshot("CA1") is None
    store.calls.save_snapshot("CA1", {"old": True})
    store.calls.save_snapshot("CA1", call.snapshot(2.0))
    loaded = store.calls.load_snapshot("CA1")
    assert loaded == json.loads(json.dumps(call.snapshot(2.0)))
    assert Call.restore(rules, loaded, 0.0).history.entries == call.history.entries
    store.calls.finish("CA1", ended_by="caller")
    assert store.calls.load_snapshot("CA1") is None


def test_times_without_a_zone_are_refused(store: Store) -> None:
    """Nobody can say later what they meant."""
    head = {**call_record("CA1").header, "started_at": "2026-11-27T12:00:00"}
    with pytest.raises(StoreError, match="needs a zone"):
        store.calls.start("CA1", head)
    store.calls.start("CA1", call_record("CA1").header)
    with pytest.raises(StatementError, match="without a zone"):
        store.calls.finish("CA1", ended_by=None, ended_at=dt.datetime(2026, 11, 27))
    assert store.calls.get("CA1").ended_at is None


def test_text_that_no_database_takes_is_kept_as_well_as_it_can_be(store: Store) -> None:
    """NUL and lone surrogates, from a broken keyboard or carrier, lose no call."""
    record = call_record("CA1", lead={"full_name": "d\0\ud800"})
    record.header["caller_number"] = "+97\0\ud800"
    record.event(121.0, ev.UserSpoke("\ud800\0"))
    store.calls.save_record(record)
    assert store.calls.get("CA1").caller_number == "+97\ufffd\ufffd"
    lead = store.leads.get("CA1")
    assert lead is not None
    assert lead.fields == {"full_name": "d\0\ud800"}
    assert store.calls.load_record("CA1").entries[-1] == record.entries[-1]


def test_unknown_calls_are_named(store: Store) -> None:
    """Every door says so."""
    for ask in (
        store.calls.get,
        store.calls.load_record,
        store.calls.load_snapshot,
        lambda call_id: store.calls.finish(call_id, ended_by=None),
        lambda call_id: store.calls.append(call_id, numbered(call_record("x"))),
        lambda call_id: store.calls.save_snapshot(call_id, {}),
    ):
        with pytest.raises(StoreError, match='unknown call "nobody"'):
            ask("nobody")


def test_hebrew_is_readable_in_the_database_itself(store: Store, store_url: str) -> None:
    """Whoever looks with another tool sees letters, not escapes."""
    store.calls.save_record(call_record("CA1"))
    if store_url.startswith("sqlite"):
        import sqlite3

        with sqlite3.connect(store_url.removeprefix("sqlite:///")) as connection:
            (fields,) = connection.execute("SELECT fields FROM leads").fetchone()
    else:
        with psycopg.connect(store_url) as connection:
            row = connection.execute("SELECT fields::text FROM leads").fetchone()
            assert row is not None
            fields = row[0]
    assert fields == '{"full_name":"דנה לוי"}'


# --- any Record ---------------------------------------------------------------------------------
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    # A caller's words may hold anything.
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
_data = st.dictionaries(st.text(), _json, max_size=3)
_seconds = st.floats(0, 1e9)
_values = st.dictionaries(st.text(min_size=1), st.text(), max_size=3)
_names = st.lists(st.text(), max_size=3).map(tuple)
_turn = st.integers(0, 1000)
_control = st.builds(
    ev.Control,
    should_end_call=st.booleans(),
    end_reason=st.none() | st.text(),
    lead_status=st.sampled_from(["in_progress", "complete", "declined"]),
    missing_fields=_names,
    notes=st.text(),
)
_events = st.one_of(
    st.sampled_from(
        [
            ev.CallStarted(),
            ev.CallResumed(),
            ev.SpeechStarted(),
            ev.SpeechContinues(),
            ev.CallerHungUp(),
            ev.Tick(),
        ]
    ),
    st.builds(ev.UserSpoke, st.text()),
    st.builds(ev.KeyPressed, st.sampled_from("0123456789*#")),
    st.builds(ev.AudioQueued, _turn, _seconds),
    st.builds(ev.Played, _turn),
    st.builds(ev.VoiceFailed, _turn, st.text()),
    st.builds(ev.SentenceReady, _turn, st.text()),
    st.builds(ev.ReplyDone, _turn, _control, _values),
    st.builds(ev.ReplyFailed, _turn, st.text()),
)
_commands = st.one_of(
    st.builds(ev.Speak, _turn, st.text(), st.sampled_from(ev.SpeechKind)),
    st.just(ev.ClearAudio()),
    st.builds(
        ev.AskModel,
        _turn,
        st.just(()),
        _values,
        _names,
        st.sampled_from(ev.Occasion),
        st.text(),
        _seconds,
        st.booleans(),
    ),
    st.builds(ev.CancelModel, _turn),
    st.builds(ev.SaveLead, _values, st.sampled_from(["in_progress", "complete", "declined"])),
    st.builds(ev.HangUp, st.sampled_from(ev.EndedBy), st.none() | st.text()),
)
_entries = st.one_of(
    st.builds(Entry, _seconds, st.just("event"), _events),
    st.builds(Entry, _seconds, st.just("command"), _commands),
    st.builds(
        Entry, _seconds, st.just("note"), st.builds(ev.Note, st.from_regex(r"[a-z_]+", fullmatch=True), _data)
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(extra=_data, entries=st.lists(_entries, max_size=12))
def test_any_record_comes_back_equal(store: Store, extra: dict[str, Any], entries: list[Entry]) -> None:
    """Whatever happened on a call, its Record is what was written; times are exact to the bit."""
    call_id = f"call-{next(_ids)}"
    record = Record({**extra, **json.loads(json.dumps(call_record(call_id).header, default=list))}, entries)
    store.calls.save_record(record)
    loaded = store.calls.load_record(call_id)
    assert loaded == record
    assert loaded.to_jsonl() == record.to_jsonl()


# --- several processes --------------------------------------------------------------------------
_WRITER = """
import sys
from store_samples import call_record, numbered
from callbot.store.database import open_store
with open_store(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(30):
        record = call_record(f"{sys.argv[2]}-{n}")
        store.calls.start(record.header["call"], record.header)
        for entry in numbered(record):
            store.calls.append(record.header["call"], [entry])
        store.calls.finish(record.header["call"], ended_by="model")
"""


def test_two_processes_write_at_once(store_url: str) -> None:
    """Neither fails, neither loses a row: writers queue."""
    writers = [start_python(_WRITER, store_url, name) for name in ("a", "b")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with open_store(store_url) as store:
        calls = store.calls.list()
        assert len(calls) == 60
        for call in calls:
            assert store.calls.load_record(call.id).entries == call_record(call.id).entries


_DOOMED = """
import sys
from store_samples import NOON, call_record, numbered
from callbot.store.calls import append_entries
from callbot.store.database import open_store
store = open_store(sys.argv[1])
record = call_record("CA1")
store.calls.start("CA1", record.header)
store.calls.append("CA1", numbered(record)[:8])

with store.calls._database.write() as session:
    append_entries(session, "CA1", numbered(record)[8:10], NOON)
    print("in the middle", flush=True)
    sys.stdin.readline()
"""


def test_a_killed_process_leaves_what_it_had_committed(store_url: str) -> None:
    """Killed within a transaction: what came before it is there, of it nothing, and others can write."""
    doomed = start_python(_DOOMED, store_url)
    assert doomed.stdout is not None
    assert doomed.stdout.readline() == "in the middle\n"
    doomed.kill()
    doomed.communicate()
    assert doomed.returncode == -signal.SIGKILL
    with open_store(store_url) as store:
        record = call_record("CA1")
        assert store.calls.load_record("CA1").entries == record.entries[:8]
        lead = store.leads.get("CA1")
        assert lead is not None
        assert lead.fields == {"full_name": "דנה לוי"}
        store.calls.append("CA1", numbered(record)[store.calls.next_seq("CA1") :])
        store.calls.finish("CA1", ended_by="model", end_reason="lead_complete")
        assert store.calls.load_record("CA1").entries == record.entries
