"""Calls in progress: the streams they were given, who runs them, and what is written while they run.

Several processes share a store. A process runs a call only while it holds the call's lease, which
it renews; a lease that expired or was released may be taken by whoever the carrier connects next.
Every write of a running call names its holder, so that a process that was thought dead cannot write
into a call that another has taken up. Clocks of the processes must agree within a second.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, bindparam, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from callbot.record import Entry
from callbot.store.calls import (
    CallExists,
    NumberTaken,
    append_entries,
    call_row,
    finish_row,
    start_row,
)
from callbot.store.engine import Database, StoreError
from callbot.store.outbox import enqueue
from callbot.store.tables import CallRow, EventRow, LeaseRow, StreamRow


class LeaseLost(StoreError):
    """Another process has taken up the call, or it was never ours."""


class NotAdmitted(StoreError):
    """A socket's nonce opens nothing: unknown, expired, used, another call's, or the call is over."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that a call was given. ``attempt`` counts from 1; ``expires_at`` in UTC."""

    nonce: str
    attempt: int
    expires_at: dt.datetime
    used: bool


@dataclass(frozen=True, slots=True)
class Finish:
    """How a call ended; see ``Calls.finish``."""

    ended_by: str | None
    end_reason: str | None
    lead_status: str | None = None
    turns: int | None = None


class WriteRefused(StoreError):
    """What is to be written of a call contradicts what stands there; no later try would go better."""

    def __init__(self, call_id: str, why: str) -> None:
        super().__init__(f'the call "{call_id}" cannot be written: {why}')
        self.call_id = call_id


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that was let in while the database could not be asked: what should have been written then."""

    header: Mapping[str, Any]
    nonce: str
    until: dt.datetime
    """Of the lease."""


@dataclass(frozen=True, slots=True)
class CallWrite:
    """What is to be written of one call, all or none. ``entries`` carry their numbers."""

    call_id: str
    entries: Sequence[tuple[int, Entry]] = ()
    snapshot: Mapping[str, Any] | None = None
    finish: Finish | None = None
    release: bool = False
    """Give up the lease with it."""
    admission: Admission | None = None
    """The call may be unknown: begin it first."""


@dataclass(frozen=True, slots=True)
class LiveCall:
    """What a process needs to run or judge a call."""

    call_id: str
    business_id: str
    business_version: int | None
    header: dict[str, Any]
    snapshot: dict[str, Any] | None
    started_at: dt.datetime
    ended: bool
    ended_by: str | None
    end_reason: str | None
    attempts: int
    """Streams that it was given so far."""
    next_seq: int
    last_t: float
    """Time of its last entry, in the Record's seconds."""
    lease_until: dt.datetime | None
    """When its lease runs out; None without one."""


class LiveCalls:
    """The running calls of a store. Every method raises StoreError if the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- streams ----------------------------------------------------------------------------------
    def begin(
        self, call_id: str, header: Mapping[str, Any], nonce: str, expires_at: dt.datetime
    ) -> Stream | None:
        """Write down a new call with its first stream; of a known call, its newest stream.

        Idempotent: a webhook that comes twice gets the same stream. None if the call is over.
        """
        try:
            return self._begin(call_id, header, nonce, expires_at)
        except CallExists:  # the same webhook, at the same moment, at another process
            return self._begin(call_id, header, nonce, expires_at)

    def _begin(
        self, call_id: str, header: Mapping[str, Any], nonce: str, expires_at: dt.datetime
    ) -> Stream | None:
        with self._database.write() as session:
            call = session.get(CallRow, call_id)
            if call is None:
                start_row(session, call_id, header)
                return _give(session, call_id, nonce, 1, expires_at)
            return None if call.ended_at is not None else _newest(session, call_id)

    def give_stream(self, call_id: str, nonce: str, expires_at: dt.datetime, *, limit: int) -> Stream | None:
        """Another stream for a call that lost its own, at most ``limit`` in all; None if there is no more.

        A stream that was given and not used yet is given again, as webhooks come twice. Raises
        LeaseLost while a process holds the call.
        """
        now = _now()
        with self._database.write() as session:
            lease = session.get(LeaseRow, call_id, with_for_update=True)
            if lease is not None and lease.expires_at > now:
                raise LeaseLost(f'the call "{call_id}" is run by {lease.holder}')
            newest = _newest(session, call_id)
            if newest is not None and not newest.used and newest.expires_at > now:
                return newest
            attempt = newest.attempt + 1 if newest else 1
            return None if attempt > limit else _give(session, call_id, nonce, attempt, expires_at)

    def admit(self, call_id: str, nonce: str, holder: str, until: dt.datetime) -> LiveCall:
        """Let a socket into a call: its nonce is used up and ``holder`` gets the lease.

        Raises NotAdmitted, and LeaseLost if another process holds the call.
        """
        now = _now()
        with self._database.write() as session:
            used = session.execute(
                update(StreamRow)
                .where(
                    StreamRow.nonce == nonce,
                    StreamRow.call_id == call_id,
                    StreamRow.used_at.is_(None),
                    StreamRow.expires_at > now,
                )
                .values(used_at=now)
                .returning(StreamRow.attempt)
            ).scalar()
            if used is None:
                raise NotAdmitted("the nonce is unknown, used, expired or another call's")
            call = call_row(session, call_id)
            if call.ended_at is not None:
                raise NotAdmitted("the call is over")
            lease = session.get(LeaseRow, call_id, with_for_update=True)
            if lease is None:
                session.add(LeaseRow(call_id=call_id, holder=holder, expires_at=until))
            elif lease.expires_at > now:
                raise LeaseLost(f'the call "{call_id}" is run by {lease.holder}')
            else:
                lease.holder, lease.expires_at = holder, until
            return _live(session, call)

    # --- leases -----------------------------------------------------------------------------------
    def renew(self, holder: str, call_ids: Iterable[str], until: dt.datetime) -> set[str]:
        """Keep the leases of these calls; return those that are still ``holder``'s."""
        wanted = sorted(call_ids)
        with self._database.write() as session:
            rows = session.execute(
                update(LeaseRow)
                .where(LeaseRow.holder == holder, LeaseRow.call_id.in_(wanted))
                .values(expires_at=until)
                .returning(LeaseRow.call_id)
            )
            return set(rows.scalars())

    # --- what happens on calls --------------------------------------------------------------------
    def commit(self, holder: str, writes: Sequence[CallWrite]) -> set[str]:
        """Write what happened on calls, in one transaction; return the calls that are not ours any more.

        A call that ``holder`` has no lease of is left out. Raises WriteRefused, and then nothing is
        written of any call.
        """
        lost: set[str] = set()
        now = _now()
        with self._database.write() as session:
            holders = _holders(session, [write.call_id for write in writes])
            for write in sorted(writes, key=lambda write: write.call_id):  # one order: nobody deadlocks
                held_by = holders.get(write.call_id)
                if held_by is None and write.admission is not None:
                    held_by = _make_up_for(session, write.call_id, write.admission, holder, now)
                if held_by != holder:
                    lost.add(write.call_id)
                    continue
                try:
                    append_entries(session, write.call_id, list(write.entries), now)
                except (NumberTaken, IntegrityError) as error:
                    raise WriteRefused(write.call_id, str(error)) from error
                if write.snapshot is not None and write.finish is None:
                    session.execute(_KEEP, {"call": write.call_id, "kept": dict(write.snapshot)})
                if write.finish is not None:
                    _finish(session, write.call_id, write.finish, now)
                if write.release:
                    session.execute(delete(LeaseRow).where(LeaseRow.call_id == write.call_id))
        return lost

    def finish_unheld(self, call_id: str, finish: Finish) -> bool:
        """End a call that nobody runs; false if it is unknown, over, or held by a living process."""
        now = _now()
        with self._database.write() as session:
            call = session.get(CallRow, call_id)
            lease = session.get(LeaseRow, call_id, with_for_update=True)
            if call is None or call.ended_at is not None or (lease is not None and lease.expires_at > now):
                return False
            _finish(session, call_id, finish, now)
            if lease is not None:
                session.delete(lease)
            return True

    def give_up(self, line: str, before: dt.datetime) -> int:
        """Close the rows of calls on ``line`` that began before then and that nobody runs; how many.

        They broke off and nobody said how: the carrier's last word never came.
        """
        now = _now()
        held = select(LeaseRow.call_id).where(LeaseRow.expires_at > now)
        with self._database.write() as session:
            query = select(CallRow.id).where(
                CallRow.line == line,
                CallRow.ended_at.is_(None),
                CallRow.started_at < before,
                CallRow.id.not_in(held),
            )
            stale = list(session.execute(query).scalars())
            for call_id in stale:
                _finish(session, call_id, Finish(None, None), now)
            session.execute(delete(LeaseRow).where(LeaseRow.call_id.in_(stale)))
        return len(stale)

    def get(self, call_id: str) -> LiveCall | None:
        """A call as it stands, if it is known."""
        with self._database.read() as session:
            call = session.get(CallRow, call_id)
            return None if call is None else _live(session, call)


# --- within a transaction -------------------------------------------------------------------------
def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _give(session: Session, call_id: str, nonce: str, attempt: int, expires_at: dt.datetime) -> Stream:
    session.add(StreamRow(nonce=nonce, call_id=call_id, attempt=attempt, expires_at=expires_at, used_at=None))
    session.flush()
    return Stream(nonce, attempt, expires_at, used=False)


def _holders(session: Session, call_ids: list[str]) -> dict[str, str]:
    """Who holds the leases of these calls; nobody takes one of them before the transaction is over."""
    return {row.call_id: row.holder for row in session.execute(_HOLDERS, {"calls": call_ids})}


_HOLDERS = (
    select(LeaseRow.call_id, LeaseRow.holder)
    .where(LeaseRow.call_id.in_(bindparam("calls", expanding=True)))
    .order_by(LeaseRow.call_id)
    .with_for_update()
)
_KEEP = (
    update(cast("Table", CallRow.__table__))
    .where(CallRow.id == bindparam("call"))
    .values(snapshot=bindparam("kept"))
)
"""Made once: what a server of many calls runs at every turn of each."""


def _make_up_for(
    session: Session, call_id: str, admission: Admission, holder: str, now: dt.datetime
) -> str | None:
    """Write down a call's beginning after the fact: who holds it. None if it is over, which nobody could know."""
    call = session.get(CallRow, call_id)
    if call is None:
        start_row(session, call_id, admission.header)
    elif call.ended_at is not None:
        return None
    stream = session.get(StreamRow, admission.nonce)
    if stream is None:
        newest = _newest(session, call_id)
        _give(session, call_id, admission.nonce, newest.attempt + 1 if newest else 1, now)
        stream = session.get_one(StreamRow, admission.nonce)
    stream.used_at = now
    session.add(LeaseRow(call_id=call_id, holder=holder, expires_at=admission.until))
    session.flush()
    return holder


def _newest(session: Session, call_id: str) -> Stream | None:
    row = session.execute(
        select(StreamRow).where(StreamRow.call_id == call_id).order_by(StreamRow.attempt.desc()).limit(1)
    ).scalar()
    if row is None:
        return None
    return Stream(row.nonce, row.attempt, row.expires_at, row.used_at is not None)


def _finish(session: Session, call_id: str, finish: Finish, at: dt.datetime) -> None:
    finish_row(
        session,
        call_id,
        ended_by=finish.ended_by,
        end_reason=finish.end_reason,
        lead_status=finish.lead_status,
        turns=finish.turns,
        ended_at=at,
    )
    enqueue(session, call_row(session, call_id), at)


def _live(session: Session, call: CallRow) -> LiveCall:
    attempts = session.execute(
        select(func.max(StreamRow.attempt)).where(StreamRow.call_id == call.id)
    ).scalar()
    last = session.execute(
        select(func.max(EventRow.seq), func.max(EventRow.t)).where(EventRow.call_id == call.id)
    ).one()
    lease = session.get(LeaseRow, call.id)
    return LiveCall(
        call_id=call.id,
        business_id=call.business_id,
        business_version=call.business_version,
        header=call.header,
        snapshot=call.snapshot,
        started_at=call.started_at,
        ended=call.ended_at is not None,
        ended_by=call.ended_by,
        end_reason=call.end_reason,
        attempts=attempts or 0,
        next_seq=0 if last[0] is None else last[0] + 1,
        last_t=last[1] or 0.0,
        lease_until=lease.expires_at if lease else None,
    )
