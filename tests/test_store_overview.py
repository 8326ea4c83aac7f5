"""What is read of the store by those who watch calls: in progress, past ones by the page, and news."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy import insert
from store_samples import NOON, call_record, numbered

from callbot.certificate import GOES_BY, greeting_certificate
from callbot.store.calls import UnknownCall
from callbot.store.database import Store, open_store
from callbot.store.live import CallWrite, Finish
from callbot.store.overview import SCANNED, Cursor, Wanted
from callbot.store.tables import CallRow

ALL = Wanted()


def ago(**time: float) -> dt.datetime:
    """A time that is over."""
    return dt.datetime.now(dt.UTC) - dt.timedelta(**time)


def pages(store: Store, wanted: Wanted, limit: int) -> list[list[str]]:
    """Ids of all pages, each from where the one before says."""
    found, cursor = [], None
    while True:
        page = store.overview.past(wanted, cursor, limit)
        found.append([call.info.id for call in page.calls])
        if page.next is None:
            return found
        cursor = page.next


def ids(store: Store, **wanted: str) -> list[str]:
    """Ids of past calls."""
    return [call.info.id for call in store.overview.past(Wanted(**wanted), None, 50).calls]


def test_a_call_in_progress_says_where_it_stands(store: Store) -> None:
    """Opening until a socket comes, talking while it is leased, lost in between, over in the end."""
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)

    def states() -> dict[str, str]:
        past = store.overview.past(ALL, None, 9).calls
        assert {call.state for call in past} <= {"over"}
        return {call.info.id: call.state for call in (*store.overview.in_progress(9), *past)}

    store.live.begin("CA1", call_record("CA1", at=ago(seconds=5)).header, "n", soon)
    assert states() == {"CA1": "opening"}
    store.live.admit("CA1", "n", "me", soon)
    assert states() == {"CA1": "talking"}
    store.live.commit("me", [CallWrite("CA1", release=True)])
    assert states() == {"CA1": "lost"}
    store.live.finish_unheld("CA1", Finish("caller", None))
    assert states() == {"CA1": "over"}
    store.calls.start("old", call_record("old", at=ago(hours=3)).header)
    assert states()["old"] == "over", "nobody has said how it ended, and nobody runs it"
    store.live.begin("long", call_record("long", at=ago(hours=3)).header, "m", soon)
    store.live.admit("long", "m", "me", soon)
    assert states()["long"] == "talking"


def test_pages_hold_every_call_once_the_newest_first(store: Store) -> None:
    """Also those that began at the same moment."""
    for n in range(5):
        store.calls.save_record(call_record(f"c{n}", at=NOON + dt.timedelta(minutes=n // 3)))
    assert pages(store, ALL, 2) == [["c3", "c4"], ["c0", "c1"], ["c2"]]
    assert pages(store, ALL, 5) == [["c3", "c4", "c0", "c1", "c2"]]
    assert store.overview.past(ALL, Cursor(NOON, None), 5).calls == ()


def test_past_calls_are_found_by_business_end_lead_id_and_number(store: Store) -> None:
    """A number as anybody writes it; letters that mean something to a database mean nothing here."""
    store.calls.save_record(call_record("CAa1", at=NOON))
    other = call_record("CAb2", business="shaked", at=NOON - dt.timedelta(hours=1), lead={})
    other.header["caller_number"] = "+16175550123"
    other.entries[-1:] = []
    store.calls.save_record(other)
    assert ids(store) == ["CAa1", "CAb2"]
    assert ids(store, business="shaked") == ["CAb2"]
    assert ids(store, ended_by="model") == ["CAa1"]
    assert ids(store, ended_by="nobody") == ["CAb2"]
    assert ids(store, lead_status="complete", business="shaked") == ["CAb2"]
    assert ids(store, lead_status="declined") == []
    for text in ("+972541112233", "054-111-2233", "0541112233", "00972 54 111 22 33", "CAa", "112233"):
        assert ids(store, text=text) == ["CAa1"], text
    for text in ("%", "_", "C_a", "", "0", "caa1x", "1' OR '1'='1", "\0", "٠٥٤١١١٢٢٣٣"):
        assert ids(store, text=text) == (["CAa1", "CAb2"] if text == "" else []), text


def test_a_page_looks_at_so_many_calls_and_says_where_to_go_on(tmp_path: Path) -> None:
    """What is rare is found page by page; no page reads a whole year."""
    with open_store(f"sqlite:///{tmp_path}/callbot.db") as store:
        common = dict.fromkeys(CallRow.__table__.columns.keys())
        common |= {"business_id": "b", "line": "twilio", "lead_status": "complete", "turns": 1, "header": {}}
        rows = [
            {**common, "id": f"c{n}", "started_at": NOON - dt.timedelta(minutes=n), "ended_at": NOON}
            for n in range(SCANNED + 5)
        ]
        rows[-1]["lead_status"] = "declined"
        with store._database.write() as session:
            session.execute(insert(CallRow), rows)
        first = store.overview.past(Wanted(lead_status="declined"), None, 5)
        assert first.calls == ()
        second = store.overview.past(Wanted(lead_status="declined"), first.next, 5)
        assert [call.info.id for call in second.calls] == [f"c{SCANNED + 4}"]
        assert second.next is None


def test_news_are_the_entries_since(store: Store) -> None:
    """With the call as it stands; records hold only what was asked for."""
    record = call_record("CA1", at=ago(seconds=9))
    store.calls.start("CA1", record.header)
    store.calls.append("CA1", numbered(record)[:4])
    news = store.overview.news("CA1", 2)
    assert [seq for seq, _ in news.entries] == [2, 3]
    assert news.call.state == "opening"
    assert store.overview.header("CA1") == store.calls.load_record("CA1").header
    store.calls.append("CA1", numbered(record)[4:])
    store.calls.finish("CA1", ended_by="model")
    news = store.overview.news("CA1", 4)
    assert ([entry for _, entry in news.entries], news.call.state) == (record.entries[4:], "over")
    with pytest.raises(UnknownCall):
        store.overview.news("CA")
    store.calls.start("CA2", call_record("CA2").header)
    found = store.overview.records(["CA1", "CA2", "CA3"], GOES_BY)
    assert list(found) == ["CA1"]
    assert len(found["CA1"].entries) == 3
    assert greeting_certificate(found["CA1"]) == greeting_certificate(record)
