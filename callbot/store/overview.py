"""Calls as somebody who watches them needs them: those in progress, pages of past ones, and what is new.

Every query is bounded: a page looks at no more than the ``SCANNED`` calls before its start, by the
index of their times, and says where the next page goes on. A call in progress has a lease, or is so
young that its caller may still hear the greeting; what has neither broke off, whatever its row says.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select, union_all

from callbot.record import Entry, Record
from callbot.store.calls import INFO, SUSPECT, CallInfo, call_row, entry_of_row, info_of_row, unknown_call
from callbot.store.engine import Database
from callbot.store.tables import CallRow, EventRow, LeaseRow, StreamRow

SCANNED = 20_000
OPENING = dt.timedelta(hours=1)
"""How long a call without a lease may still be on its way to a process; see ``LiveCalls.give_up``."""
BROKE_OFF = "nobody"
"""Stands for calls that nobody ended, in ``Wanted.ended_by``."""

State = Literal["talking", "opening", "lost", "over"]
_SHORTEST = 4
"""Digits that are looked for in callers' numbers."""


@dataclass(frozen=True, slots=True)
class ListedCall:
    """A call and where it stands: ``opening`` has no line yet, ``lost`` has none any more, which may come back."""

    info: CallInfo
    state: State


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which past calls to show; None: all. ``text``: an id or its beginning, or a part of a number.

    ``suspect``: only those that something makes worth a look (``suspicion.Tell``).
    """

    business: str | None = None
    ended_by: str | None = None
    lead_status: str | None = None
    text: str | None = None
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list of past calls: behind the call of this time and id."""

    started_at: dt.datetime
    call_id: str | None
    """None: behind all calls of this time."""


@dataclass(frozen=True, slots=True)
class Page:
    """Past calls, the newest first. ``next``: where older ones begin; None if there are none."""

    calls: tuple[ListedCall, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class News:
    """A call as it stands, and its entries from a number on."""

    call: ListedCall
    entries: Sequence[tuple[int, Entry]]


class Overview:
    """What is read of a store by those who watch. Every method raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def in_progress(self, limit: int) -> tuple[ListedCall, ...]:
        """Calls in progress, the newest first."""
        now = _now()
        query = (
            _listed(now).where(_in_progress(now)).order_by(CallRow.started_at.desc(), CallRow.id).limit(limit)
        )
        with self._database.read() as session:
            return tuple(_call(row) for row in session.execute(query))

    def past(self, wanted: Wanted, after: Cursor | None, limit: int) -> Page:
        """A page of past calls."""
        now = _now()
        theirs = [] if wanted.business is None else [CallRow.business_id == wanted.business]
        ahead = [*theirs, _behind(after)] if after is not None else theirs
        horizon = select(CallRow.started_at).where(*ahead).order_by(CallRow.started_at.desc())
        with self._database.read() as session:
            furthest = session.execute(horizon.offset(SCANNED - 1).limit(1)).scalar()
            near = [] if furthest is None else [CallRow.started_at >= furthest]
            query = (
                _listed(now)
                .where(*ahead, *near, not_(_in_progress(now)), *_conditions(wanted))
                .order_by(CallRow.started_at.desc(), CallRow.id)
                .limit(limit + 1)
            )
            calls = tuple(_call(row) for row in session.execute(query))
        if len(calls) > limit:
            last = calls[limit - 1].info
            return Page(calls[:limit], Cursor(last.started_at, last.id))
        return Page(calls, None if furthest is None else Cursor(furthest, None))

    def header(self, call_id: str) -> dict[str, Any]:
        """The header of a call's Record. Raises StoreError if it is unknown."""
        with self._database.read() as session:
            return call_row(session, call_id).header

    def news(self, call_id: str, first: int = 0) -> News:
        """A call and its entries numbered ``first`` and later. Raises StoreError if it is unknown."""
        columns = (EventRow.seq, EventRow.t, EventRow.kind, EventRow.type, EventRow.data)
        query = select(*columns).where(EventRow.call_id == call_id, EventRow.seq >= first)
        with self._database.read() as session:
            row = session.execute(_listed(_now()).where(CallRow.id == call_id)).first()
            if row is None:
                raise unknown_call(call_id)
            entries = [
                (seq, entry_of_row(*rest)) for seq, *rest in session.execute(query.order_by(EventRow.seq))
            ]
            return News(_call(row), entries)

    def records(self, call_ids: Collection[str], types: Collection[str]) -> dict[str, Record]:
        """The entries of these types on these calls, as Records; calls without any are left out."""
        heads = select(CallRow.id, CallRow.header).where(CallRow.id.in_(call_ids))
        said = (
            select(EventRow.call_id, EventRow.t, EventRow.kind, EventRow.type, EventRow.data)
            .where(EventRow.call_id.in_(call_ids), EventRow.type.in_(types))
            .order_by(EventRow.call_id, EventRow.seq)
        )
        with self._database.read() as session:
            records = {call_id: Record(header) for call_id, header in session.execute(heads)}
            for call_id, *rest in session.execute(said):
                records[call_id].entries.append(entry_of_row(*rest))
        return {call_id: record for call_id, record in records.items() if record.entries}


# --- parts of queries -----------------------------------------------------------------------------
def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _listed(now: dt.datetime) -> Any:
    leased = exists().where(LeaseRow.call_id == CallRow.id, LeaseRow.expires_at > now)
    answered = exists().where(StreamRow.call_id == CallRow.id, StreamRow.used_at.is_not(None))
    return select(*INFO, _in_progress(now), leased, answered)


def _call(row: Any) -> ListedCall:
    *info, in_progress, leased, answered = row
    state: State = "over"
    if in_progress:
        state = "talking" if leased else "lost" if answered else "opening"
    return ListedCall(info_of_row(*info), state)


def _in_progress(now: dt.datetime) -> ColumnElement[bool]:
    """Found by two short ways, never by looking for rows without an end."""
    young = select(CallRow.id).where(CallRow.started_at > now - OPENING, CallRow.ended_at.is_(None))
    leased = select(LeaseRow.call_id).where(LeaseRow.expires_at > now)
    return and_(CallRow.id.in_(union_all(young, leased)), CallRow.ended_at.is_(None))


def _behind(cursor: Cursor) -> ColumnElement[bool]:
    older = CallRow.started_at < cursor.started_at
    if cursor.call_id is None:
        return older
    # the first condition alone is what an index answers
    same_time = and_(CallRow.started_at == cursor.started_at, CallRow.id > cursor.call_id)
    return and_(CallRow.started_at <= cursor.started_at, or_(older, same_time))


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.ended_by is not None:
        broke_off = wanted.ended_by == BROKE_OFF
        conditions.append(CallRow.ended_by.is_(None) if broke_off else CallRow.ended_by == wanted.ended_by)
    if wanted.lead_status is not None:
        conditions.append(CallRow.lead_status == wanted.lead_status)
    if wanted.suspect:
        conditions.append(SUSPECT)
    if wanted.text is not None:
        conditions.append(_names(wanted.text.strip()))
    return conditions


def _names(text: str) -> ColumnElement[bool]:
    """Whether an id begins so, or the caller's number holds it, however it is written."""
    digits = "".join(char for char in text if char.isdecimal() and char.isascii())
    digits = digits.removeprefix("00").lstrip("0")  # +972 52 is 0097252 from abroad, 052 at home
    begins = CallRow.id.startswith(text, autoescape=True)
    if any(not char.isdecimal() and char not in "+-.() /" for char in text) or len(digits) < _SHORTEST:
        return begins
    return or_(begins, CallRow.caller_number.contains(digits))
