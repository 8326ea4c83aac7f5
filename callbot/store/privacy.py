"""Removes what is known of callers: what was said, once it is old; everything, when one asks for it.

The rows of calls stay, without who called: when, how long, how they ended, how many turns.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, Delete, delete, exists, func, or_, select, text
from sqlalchemy.orm import Session

from callbot.store.engine import Database, StoreError
from callbot.store.tables import CallRow, DeliveryRow, EventRow, LeadRow, LeaseRow, StreamRow

_AT_ONCE = 500
_SHORTEST = 7
"""Digits of a number that tell it from any other in what callers left as text."""
_FORGOTTEN = "forgotten"
"""In the header of a call whose caller was."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What the store knows of a caller. Numbers of rows, but for ``calls``, their ids."""

    calls: tuple[str, ...]
    entries: int
    leads: int
    deliveries: int
    delivered: int
    """Of these, how many had arrived: the business has them."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the row of a call says of it. ``over_at``: None while it may be going on."""

    business: str
    over_at: dt.datetime | None
    forgotten: bool
    """Its caller was forgotten, perhaps on a machine that does not see the files of this one."""


class Personal:
    """The personal data of a store. Every method raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def businesses(self) -> tuple[str, ...]:
        """Ids of all businesses that calls were made to."""
        with self._database.read() as session:
            return tuple(session.execute(select(CallRow.business_id).distinct()).scalars())

    def expired(self, business: str, before: dt.datetime) -> tuple[str, ...]:
        """Calls that were over before then and of which it is still known what was said."""
        said = exists().where(EventRow.call_id == CallRow.id)
        query = (
            select(CallRow.id)
            .where(CallRow.business_id == business)
            .where(func.coalesce(CallRow.ended_at, CallRow.started_at) < before)
            .where(or_(said, CallRow.snapshot.is_not(None)), CallRow.id.not_in(_running()))
            .order_by(CallRow.started_at, CallRow.id)
        )
        with self._database.read() as session:
            return tuple(session.execute(query).scalars())

    def known(self, calls: Sequence[str]) -> dict[str, Known]:
        """Those of these calls that the store knows, by id."""
        running = CallRow.id.in_(_running())
        found = {}
        with self._database.read() as session:
            for some in _portions(calls):
                query = select(CallRow, running).where(CallRow.id.in_(some))
                for call, runs in session.execute(query):
                    over_at = None if runs else call.ended_at or call.started_at
                    found[call.id] = Known(call.business_id, over_at, _FORGOTTEN in call.header)
        return found

    def purge(self, calls: Sequence[str]) -> int:
        """Remove what was said on these calls; how many entries that was. Leads stay."""
        removed = 0
        for some in _portions(calls):
            with self._database.write() as session:
                self._leave_no_trace(session)
                removed += _delete(session, delete(EventRow).where(EventRow.call_id.in_(some)))
                for call in session.execute(select(CallRow).where(CallRow.id.in_(some))).scalars():
                    call.snapshot = None
        self._empty_log()
        return removed

    def traces(self, number: str) -> Traces:
        """What is known of a number (E.164): calls from it, and calls whose lead names it."""
        with self._database.read() as session:
            return _traces(session, _calls_of(session, number))

    def forget(self, number: str) -> Traces:
        """Remove all of that. Raises StoreError, and removes nothing, while such a call is going on."""
        with self._database.write() as session:
            self._leave_no_trace(session)
            calls = _calls_of(session, number)
            found = _traces(session, calls)
            for some in _portions(calls):
                running = session.execute(_running().where(LeaseRow.call_id.in_(some))).scalars().all()
                running = running or session.execute(_opening().where(CallRow.id.in_(some))).scalars().all()
                if running:
                    raise StoreError(
                        f"{number} is on the phone now (call {running[0]}); try again when the call is over"
                    )
                for table in (EventRow, LeadRow, DeliveryRow, StreamRow, LeaseRow):
                    _delete(session, delete(table).where(table.call_id.in_(some)))
                for call in session.execute(select(CallRow).where(CallRow.id.in_(some))).scalars():
                    call.caller_number, call.snapshot = None, None
                    call.ended_at = call.ended_at or dt.datetime.now(dt.UTC)  # it broke off: nobody can go on
                    call.header = {**call.header, "caller_number": None, _FORGOTTEN: True}
        self._empty_log()
        return found

    def _leave_no_trace(self, session: Session) -> None:
        """SQLite leaves deleted rows in its file until their place is needed, unless it is told not to."""
        if self._database.is_sqlite:
            session.execute(text("PRAGMA secure_delete = ON"))

    def _empty_log(self) -> None:
        """The same for SQLite's log. A reader may keep it; the next writers then overwrite it."""
        if self._database.is_sqlite:
            with self._database.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            ) as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def names_number(value: object, number: str) -> bool:
    """Whether a value that a caller left is or holds a number, however it is written."""
    import phonenumbers

    national = str(phonenumbers.parse(number).national_number)
    digits = re.sub(r"\D", "", str(value))
    return len(national) >= _SHORTEST and national in digits


# --- within a transaction -------------------------------------------------------------------------
def _running() -> Any:
    return select(LeaseRow.call_id).where(LeaseRow.expires_at > dt.datetime.now(dt.UTC))


def _opening() -> Any:
    """Calls whose caller the carrier may connect at any moment."""
    given = select(StreamRow.call_id).where(StreamRow.expires_at > dt.datetime.now(dt.UTC))
    return select(CallRow.id).where(CallRow.ended_at.is_(None), CallRow.id.in_(given))


def _calls_of(session: Session, number: str) -> list[str]:
    found = dict.fromkeys(
        session.execute(
            select(CallRow.id).where(CallRow.caller_number == number).order_by(CallRow.started_at)
        ).scalars()
    )
    leads = select(LeadRow.call_id, LeadRow.fields, LeadRow.caller_number)
    for call_id, fields, caller in session.execute(leads):
        if caller == number or _names(fields, number):
            found.setdefault(call_id)
    return list(found)


def _names(fields: Mapping[str, Any], number: str) -> bool:
    return any(names_number(value, number) for value in fields.values())


def _traces(session: Session, calls: Sequence[str]) -> Traces:
    entries = leads = deliveries = delivered = 0
    for some in _portions(calls):
        entries += _count(session, EventRow.call_id.in_(some))
        leads += _count(session, LeadRow.call_id.in_(some))
        deliveries += _count(session, DeliveryRow.call_id.in_(some))
        delivered += _count(session, DeliveryRow.call_id.in_(some) & DeliveryRow.delivered_at.is_not(None))
    return Traces(tuple(calls), entries, leads, deliveries, delivered)


def _count(session: Session, condition: Any) -> int:
    return session.execute(select(func.count()).where(condition)).scalar_one()


def _delete(session: Session, statement: Delete) -> int:
    done = session.execute(statement)
    assert isinstance(done, CursorResult)
    return done.rowcount


def _portions(calls: Sequence[str]) -> list[Sequence[str]]:
    return [calls[at : at + _AT_ONCE] for at in range(0, len(calls), _AT_ONCE)]
