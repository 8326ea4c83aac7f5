"""Calls in the store: each one's header, its Record entry by entry, and how it ended.

A live call is ``start``ed, its entries are ``append``ed as they happen and it is ``finish``ed; a call
that is already over is written by ``save_record``. Each of these is one transaction, so that a
process that dies keeps everything it had committed. Leads follow from the SaveLead entries.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from callbot.events import AskModel, CallerHungUp, EndedBy, HangUp, Occasion, SaveLead
from callbot.record import Entry, Record, entry_from_json, entry_to_json
from callbot.store.engine import Database, StoreError
from callbot.store.leads import upsert_lead
from callbot.store.tables import CallRow, EventRow, TellRow
from callbot.store.tells import TELLS_OF_A_CALL, begun, ended, in_order
from callbot.suspicion import Tell


class CallExists(StoreError):
    """A call of this id is already in the database."""


class UnknownCall(StoreError):
    """There is no such call."""


class NumberTaken(StoreError):
    """An entry of this number is already written."""


@dataclass(frozen=True, slots=True)
class CallInfo:
    """A call in a list. Times in UTC; ``ended_at`` and ``ended_by`` are None while it runs or if it broke off.

    ``tells``: what makes it worth a look, found when it ended or later.
    """

    id: str
    business_id: str
    business_version: int | None
    line: str
    model: str | None
    caller_number: str | None
    dialled_number: str | None
    started_at: dt.datetime
    ended_at: dt.datetime | None
    ended_by: str | None
    end_reason: str | None
    lead_status: str
    turns: int
    tells: tuple[Tell, ...]


INFO = (*(getattr(CallRow, name) for name in CallInfo.__slots__ if name != "tells"), TELLS_OF_A_CALL)
"""What is selected of a call for ``info_of_row``."""
_INFO = select(*INFO)
SUSPECT = exists().where(TellRow.call_id == CallRow.id)
"""The condition that something makes a call worth a look."""


class Calls:
    """The calls of a store. Every method raises StoreError if the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- writing ----------------------------------------------------------------------------------
    def start(self, call_id: str, header: Mapping[str, Any]) -> None:
        """Write down that a call has begun.

        ``header``: the Record's. Its ``business``, ``line``, ``model``, ``business_version``,
        ``caller_number``, ``dialled_number`` and ``started_at`` (ISO 8601 with a zone; else now)
        are what calls are found by. Raises StoreError if the call is already there.
        """
        with self._database.write() as session:
            start_row(session, call_id, header)

    def append(
        self, call_id: str, entries: Iterable[tuple[int, Entry]], *, at: dt.datetime | None = None
    ) -> None:
        """Write down entries with their numbers, all or none; the lead follows its SaveLeads.

        ``at``: when (aware; default now), for the lead's times. Raises StoreError for an unknown
        call and for a number that is taken.
        """
        with self._database.write() as session:
            call_row(session, call_id)
            append_entries(session, call_id, list(entries), at or dt.datetime.now(dt.UTC))

    def next_seq(self, call_id: str) -> int:
        """The number that the call's next entry gets."""
        with self._database.read() as session:
            last = session.execute(select(func.max(EventRow.seq)).where(EventRow.call_id == call_id)).scalar()
        return 0 if last is None else last + 1

    def finish(
        self,
        call_id: str,
        *,
        ended_by: EndedBy | str | None,
        end_reason: str | None = None,
        lead_status: str | None = None,
        turns: int | None = None,
        ended_at: dt.datetime | None = None,
    ) -> None:
        """Write down how a call ended and drop its snapshot. ``ended_at``: aware; default now.

        ``lead_status`` and ``turns`` left out keep what the entries said. Raises StoreError for an
        unknown call.
        """
        with self._database.write() as session:
            finish_row(
                session,
                call_id,
                ended_by=ended_by,
                end_reason=end_reason,
                lead_status=lead_status,
                turns=turns,
                ended_at=ended_at or dt.datetime.now(dt.UTC),
            )

    def save_record(self, record: Record) -> str:
        """Write down a call that is over, at once; return its id (the header's ``call``).

        Times of its entries count from the first. Raises StoreError if the call is already there.
        """
        call_id = str(record.header["call"])
        with self._database.write() as session:
            call = start_row(session, call_id, record.header)
            seconds = record.entries[-1].t - record.entries[0].t if record.entries else 0.0
            ended_at = call.started_at + dt.timedelta(seconds=seconds)
            append_entries(session, call_id, list(enumerate(record.entries)), ended_at)
            call.ended_at = ended_at
            call.ended_by, call.end_reason = how_it_ended(record)
            ended(session, call, lambda: record)
        return call_id

    def save_snapshot(self, call_id: str, snapshot: Mapping[str, Any]) -> None:
        """Keep what ``Call.restore`` needs, in place of the last one. Raises StoreError if unknown."""
        with self._database.write() as session:
            call_row(session, call_id).snapshot = dict(snapshot)

    # --- reading ----------------------------------------------------------------------------------
    def load_snapshot(self, call_id: str) -> dict[str, Any] | None:
        """The last snapshot; None if there is none or the call is over. Raises StoreError if unknown."""
        with self._database.read() as session:
            return call_row(session, call_id).snapshot

    def load_record(self, call_id: str) -> Record:
        """The call's Record as far as it was written. Raises StoreError if the call is unknown."""
        with self._database.read() as session:
            return _record(session, call_row(session, call_id))

    def get(self, call_id: str) -> CallInfo:
        """One call. Raises StoreError if it is unknown."""
        with self._database.read() as session:
            row = session.execute(_INFO.where(CallRow.id == call_id)).first()
        if row is None:
            raise unknown_call(call_id)
        return info_of_row(*row)

    def find(self, start_of_id: str) -> CallInfo:
        """The one call whose id is or begins so. Raises StoreError if there is none, or several."""
        query = _INFO.where(CallRow.id.startswith(start_of_id, autoescape=True)).order_by(CallRow.id)
        with self._database.read() as session:
            found = [info_of_row(*row) for row in session.execute(query.limit(6))]
        exact = [call for call in found if call.id == start_of_id]
        if not found or not start_of_id:
            raise unknown_call(start_of_id)
        if len(found) > 1 and not exact:
            ids = ", ".join(call.id for call in found[:5])
            raise StoreError(f'several calls begin with "{start_of_id}": {ids}{" ..." if found[5:] else ""}')
        return (exact or found)[0]

    def list(
        self,
        *,
        business: str | None = None,
        ended_by: str | None = None,
        reason: str | None = None,
        since: dt.datetime | None = None,
        suspect: bool = False,
        limit: int | None = None,
    ) -> tuple[CallInfo, ...]:
        """Calls, the newest first; ``since``: started at that time (aware) or later; ``suspect``: with tells."""
        query = _INFO.order_by(CallRow.started_at.desc(), CallRow.id).limit(limit)
        wanted = (
            (CallRow.business_id, business),
            (CallRow.ended_by, ended_by),
            (CallRow.end_reason, reason),
        )
        for column, value in wanted:
            if value is not None:
                query = query.where(column == value)
        if since is not None:
            query = query.where(CallRow.started_at >= since)
        if suspect:
            query = query.where(SUSPECT)
        with self._database.read() as session:
            return tuple(info_of_row(*row) for row in session.execute(query))


def how_it_ended(record: Record) -> tuple[str | None, str | None]:
    """By whom and for what reason a Record's call ended; None twice if it broke off."""
    for entry in reversed(record.entries):
        if isinstance(entry.what, HangUp):
            return str(entry.what.by), entry.what.reason
        if isinstance(entry.what, CallerHungUp):
            return str(EndedBy.CALLER), None
    return None, None


# --- within a transaction -------------------------------------------------------------------------
def unknown_call(call_id: str) -> UnknownCall:
    """What is said of a call that is not there."""
    return UnknownCall(f'unknown call "{call_id}"; see: callbot calls list')


def call_row(session: Session, call_id: str) -> CallRow:
    """A call's row. Raises StoreError if it is unknown."""
    call = session.get(CallRow, call_id)
    if call is None:
        raise unknown_call(call_id)
    return call


def start_row(session: Session, call_id: str, header: Mapping[str, Any]) -> CallRow:
    """Add a call. Raises StoreError if it is already there."""
    call = CallRow(
        id=call_id,
        business_id=str(header.get("business", "")),
        business_version=header.get("business_version"),
        line=str(header.get("line", "")),
        model=header.get("model"),
        caller_number=header.get("caller_number"),
        dialled_number=header.get("dialled_number"),
        started_at=_started_at(header.get("started_at")),
        lead_status="in_progress",
        turns=0,
        header=dict(header),
    )
    session.add(call)
    try:
        session.flush()
    except IntegrityError as error:
        raise CallExists(f'the call "{call_id}" is already in the database') from error
    begun(session, call)
    return call


def finish_row(
    session: Session,
    call_id: str,
    *,
    ended_by: EndedBy | str | None,
    end_reason: str | None,
    lead_status: str | None,
    turns: int | None,
    ended_at: dt.datetime,
) -> None:
    """Write down how a call ended; what is None keeps what the entries said."""
    call = call_row(session, call_id)
    call.ended_at = ended_at
    call.ended_by = None if ended_by is None else str(ended_by)
    call.end_reason = end_reason
    if lead_status is not None:
        call.lead_status = str(lead_status)
    if turns is not None:
        call.turns = turns
    call.snapshot = None
    ended(session, call, lambda: _record(session, call))


def _started_at(value: object) -> dt.datetime:
    if value is None:
        return dt.datetime.now(dt.UTC)
    time = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
    if time.tzinfo is None:
        raise StoreError(f"a call's started_at needs a zone, such as {time.isoformat()}+00:00")
    return time


def append_entries(
    session: Session, call_id: str, entries: Sequence[tuple[int, Entry]], at: dt.datetime
) -> None:
    """Add entries to a call that is there, and what they say to its turns and its lead.

    Raises StoreError for a number that is taken.
    """
    rows, turns = [], 0
    for seq, entry in entries:
        flat = entry_to_json(entry)
        head = {name: flat.pop(name) for name in ("t", "kind", "type")}
        rows.append({"call_id": call_id, "seq": seq, **head, "data": flat})
        if isinstance(entry.what, AskModel) and entry.what.occasion in _TURNS and not entry.what.fallback:
            turns += 1
        elif isinstance(entry.what, SaveLead):
            upsert_lead(session, call_id, entry.what, at)
    if turns:
        session.execute(update(CallRow).where(CallRow.id == call_id).values(turns=CallRow.turns + turns))
    if not rows:
        return
    try:
        session.execute(_ADD_EVENTS, rows)
    except IntegrityError as error:
        raise NumberTaken(f'the call "{call_id}": an entry of these numbers is already written') from error


_ADD_EVENTS = insert(cast("Table", EventRow.__table__))
"""Past the mapper, which would cost a server of many calls as much as the rows themselves."""

_TURNS = (Occasion.CALLER_SPOKE, Occasion.AFTER_FAREWELL)
"""Questions that are a turn of the caller's, as the engine counts them for ``limits.turns``."""


def info_of_row(*row: Any) -> CallInfo:
    """The call that a row of ``INFO`` tells of."""
    values = dict(zip(CallInfo.__slots__, row, strict=True))
    return CallInfo(**{**values, "tells": in_order(values["tells"])})


def _record(session: Session, call: CallRow) -> Record:
    query = (
        select(EventRow.t, EventRow.kind, EventRow.type, EventRow.data)
        .where(EventRow.call_id == call.id)
        .order_by(EventRow.seq)
    )
    return Record(call.header, [entry_of_row(*row) for row in session.execute(query)])


def entry_of_row(t: float, kind: str, type: str, data: Mapping[str, Any]) -> Entry:
    """The entry that a row of ``call_events`` holds."""
    return entry_from_json({"t": t, "kind": kind, "type": type, **data})
