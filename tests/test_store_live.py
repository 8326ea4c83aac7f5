"""Live calls in the store: who may open a stream, who runs a call, and who may write of it."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from store_samples import call_record, numbered

from callbot.store.database import Store, StoreError
from callbot.store.live import (
    Admission,
    CallWrite,
    Finish,
    LeaseLost,
    NotAdmitted,
    WriteRefused,
)

RECORD = call_record("CA1", at=dt.datetime.now(dt.UTC))


def soon(seconds: float = 60.0) -> dt.datetime:
    """A moment from now; negative: one that is over."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def begin(store: Store, nonce: str = "n1", expires: float = 60.0) -> None:
    """A call with its first stream."""
    stream = store.live.begin("CA1", RECORD.header, nonce, soon(expires))
    assert stream is not None
    assert (stream.nonce, stream.attempt, stream.used) == (nonce, 1, False)


def test_a_call_begins_once_however_often_it_is_announced(store: Store) -> None:
    """From several threads at once, all get the same stream."""
    given: list[str] = []

    def announce(nonce: str) -> None:
        stream = store.live.begin("CA1", RECORD.header, nonce, soon())
        given.append(stream.nonce if stream else "none")

    threads = [threading.Thread(target=announce, args=(f"n{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == 6
    assert len(set(given)) == 1
    assert [call.id for call in store.calls.list()] == ["CA1"]


def test_a_nonce_opens_one_socket_of_its_call(store: Store) -> None:
    """Not another call's, not twice, not for another process, not late."""
    begin(store)
    store.live.begin("CA2", {**RECORD.header, "call": "CA2"}, "n2", soon(-1))
    for call_id, nonce in (("CA1", "n2"), ("CA2", "n1"), ("CA1", ""), ("CA2", "n2")):
        with pytest.raises(NotAdmitted, match="unknown, used, expired or another call's"):
            store.live.admit(call_id, nonce, "me", soon())
    live = store.live.admit("CA1", "n1", "me", soon())
    assert (live.business_id, live.attempts, live.next_seq, live.snapshot) == ("ruti", 1, 0, None)
    with pytest.raises(NotAdmitted):
        store.live.admit("CA1", "n1", "you", soon())


def test_only_one_of_many_sockets_gets_in(store: Store) -> None:
    """The same nonce, at the same moment."""
    begin(store)
    let_in: list[str] = []

    def knock(holder: str) -> None:
        try:
            store.live.admit("CA1", "n1", holder, soon())
        except StoreError:
            return
        let_in.append(holder)

    threads = [threading.Thread(target=knock, args=(f"p{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == 1


def test_only_the_holder_writes(store: Store) -> None:
    """A process that was thought dead finds its call taken, and writes nothing into it."""
    begin(store)
    store.live.admit("CA1", "n1", "a", soon(-1))  # and then a was not heard of
    entries = numbered(RECORD)
    assert store.live.commit("a", [CallWrite("CA1", entries[:3], snapshot={"turn": 1})]) == set()
    stream = store.live.give_stream("CA1", "n2", soon(), limit=3)
    assert stream is not None
    assert stream.attempt == 2
    live = store.live.admit("CA1", "n2", "b", soon())
    assert (live.next_seq, live.last_t, live.snapshot) == (3, entries[2][1].t, {"turn": 1})
    assert store.live.commit("a", [CallWrite("CA1", entries[3:5])]) == {"CA1"}
    assert store.live.renew("a", ["CA1"], soon()) == set()
    assert store.live.renew("b", ["CA1"], soon()) == {"CA1"}
    finish = Finish("model", "lead_complete")
    assert store.live.commit("b", [CallWrite("CA1", entries[3:], finish=finish, release=True)]) == set()
    call = store.calls.get("CA1")
    assert (call.ended_by, call.end_reason, call.turns) == ("model", "lead_complete", 1)
    written = store.calls.load_record("CA1").entries
    assert [(entry.t, type(entry.what)) for entry in written] == [
        (entry.t, type(entry.what)) for entry in RECORD.entries
    ]
    assert store.live.begin("CA1", RECORD.header, "n3", soon()) is None
    with pytest.raises(NotAdmitted):
        store.live.admit("CA1", "n2", "c", soon())


def test_a_call_that_is_over_keeps_nothing_to_go_on_from(store: Store) -> None:
    """Neither a snapshot of before, nor one that is written with its end, of calls written together."""
    for call_id in ("CA1", "CA2"):
        store.live.begin(call_id, {**RECORD.header, "call": call_id}, f"n-{call_id}", soon())
        store.live.admit(call_id, f"n-{call_id}", "a", soon())
    both = [CallWrite(call_id, snapshot={"turn": 1}) for call_id in ("CA1", "CA2")]
    assert store.live.commit("a", both) == set()
    last = {"snapshot": {"turn": 2}, "finish": Finish("caller", None), "release": True}
    unknown = Admission({**RECORD.header, "call": "CA3"}, "n3", soon())
    writes = [CallWrite("CA1", snapshot={"turn": 2}), CallWrite("CA2", **last)]
    assert store.live.commit("a", [*writes, CallWrite("CA3", **last, admission=unknown)]) == set()
    left = [store.calls.load_snapshot(call_id) for call_id in ("CA1", "CA2", "CA3")]
    assert left == [{"turn": 2}, None, None]


def test_a_living_process_keeps_its_calls(store: Store) -> None:
    """Its lease runs: no other stream, no end by others; once released, both."""
    begin(store)
    store.live.admit("CA1", "n1", "a", soon())
    with pytest.raises(LeaseLost, match="is run by a"):
        store.live.give_stream("CA1", "n2", soon(), limit=3)
    assert not store.live.finish_unheld("CA1", Finish("caller", None))
    assert store.live.give_up("text", soon()) == 0
    store.live.commit("a", [CallWrite("CA1", snapshot={"turn": 1}, release=True)])
    given = [store.live.give_stream("CA1", f"n{n}", soon(-1), limit=3) for n in (2, 3, 4)]
    assert [stream and stream.attempt for stream in given] == [2, 3, None]
    assert store.live.finish_unheld("CA1", Finish("caller", None))
    assert not store.live.finish_unheld("CA1", Finish("model", None))
    assert store.calls.get("CA1").ended_by == "caller"


def test_a_stream_that_was_given_and_not_used_is_given_again(store: Store) -> None:
    """Webhooks come twice."""
    begin(store)
    assert store.live.give_stream("CA1", "n2", soon(), limit=3) == store.live.give_stream(
        "CA1", "n3", soon(), limit=3
    )


def test_calls_that_nobody_ended_are_given_up(store: Store) -> None:
    """Their process died and the carrier never said how they ended."""
    begin(store)
    assert store.live.give_up("text", soon(-3600)) == 0
    assert store.live.give_up("twilio", soon()) == 0
    assert store.live.give_up("text", soon()) == 1
    call = store.calls.get("CA1")
    assert call.ended_at is not None
    assert call.ended_by is None


def test_what_was_let_in_without_the_store_is_made_up_for(store: Store) -> None:
    """The call, its stream (used) and its lease are written with its first entries."""
    admission = Admission(RECORD.header, "n1", soon())
    write = CallWrite("CA1", numbered(RECORD)[:3], admission=admission)
    assert store.live.commit("a", [write]) == set()
    assert store.live.commit("a", [CallWrite("CA1", numbered(RECORD)[3:4])]) == set()
    assert len(store.calls.load_record("CA1").entries) == 4
    with pytest.raises(NotAdmitted):
        store.live.admit("CA1", "n1", "b", soon())


def test_a_write_that_contradicts_names_its_call_and_leaves_nothing(store: Store) -> None:
    """So that it alone can be left out."""
    begin(store)
    store.live.begin("CA2", {**RECORD.header, "call": "CA2"}, "n2", soon())
    for call_id, nonce in (("CA1", "n1"), ("CA2", "n2")):
        store.live.admit(call_id, nonce, "a", soon())
    store.live.commit("a", [CallWrite("CA2", numbered(RECORD)[:1])])
    both = [CallWrite(call_id, numbered(RECORD)[:2]) for call_id in ("CA1", "CA2")]
    with pytest.raises(WriteRefused) as refused:
        store.live.commit("a", both)
    assert refused.value.call_id == "CA2"
    assert store.calls.load_record("CA1").entries == []
