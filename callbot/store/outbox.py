"""The outbox: leads that are to be told to their businesses, each call's once its end is written.

A delivery is written in the transaction that ends its call, so there is exactly one a call. Whoever
sends it holds it meanwhile, so that two processes do not both send; one that was killed between
sending and marking is followed by another when its hold runs out. Delivery is at least once, always
under the call's id.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from callbot.store.engine import Database
from callbot.store.tables import CallRow, DeliveryRow, LeadRow


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery to be sent now. ``attempts``: this one included; ``body``: what is posted."""

    call_id: str
    business_id: str
    attempts: int
    created_at: dt.datetime
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeliveryInfo:
    """A delivery in a list; ``due_at`` is None once it was delivered or given up."""

    call_id: str
    business_id: str
    created_at: dt.datetime
    due_at: dt.datetime | None
    attempts: int
    delivered_at: dt.datetime | None
    error: str | None

    @property
    def state(self) -> str:
        """Delivered, waiting, or given up."""
        if self.delivered_at is not None:
            return "delivered"
        return "given up" if self.due_at is None else "waiting"


_INFO = select(*(getattr(DeliveryRow, name) for name in DeliveryInfo.__slots__))


class Outbox:
    """The deliveries of a store. Every method raises StoreError; times are aware."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, holder: str, now: dt.datetime, until: dt.datetime, limit: int) -> list[Due]:
        """Take up to ``limit`` deliveries that are due and that nobody holds, until then."""
        free = or_(DeliveryRow.held_until.is_(None), DeliveryRow.held_until <= now)
        due = (
            select(DeliveryRow)
            .where(DeliveryRow.due_at <= now, free)
            .order_by(DeliveryRow.due_at, DeliveryRow.call_id)
            .limit(limit)
        )
        with self._database.read() as session:  # nobody queues up to write when there is nothing to do
            if session.execute(due.limit(1)).first() is None:
                return []
        with self._database.write() as session:
            rows = list(session.execute(due.with_for_update(skip_locked=True)).scalars())
            for row in rows:
                row.holder, row.held_until = holder, until
                row.attempts += 1
            return [
                Due(row.call_id, row.business_id, row.attempts, row.created_at, _body(session, row.call_id))
                for row in rows
            ]

    def delivered(self, call_id: str, at: dt.datetime) -> None:
        """It arrived, whoever sent it."""
        with self._database.write() as session:
            session.execute(
                update(DeliveryRow)
                .where(DeliveryRow.call_id == call_id, DeliveryRow.delivered_at.is_(None))
                .values(delivered_at=at, due_at=None, holder=None, held_until=None, error=None)
            )

    def failed(self, call_id: str, holder: str, error: str, due_at: dt.datetime | None) -> None:
        """It did not arrive, and is tried again at ``due_at``, or never if that is None.

        Nothing is written if somebody else holds it by now.
        """
        with self._database.write() as session:
            session.execute(
                update(DeliveryRow)
                .where(
                    DeliveryRow.call_id == call_id,
                    DeliveryRow.holder == holder,
                    DeliveryRow.delivered_at.is_(None),
                )
                .values(due_at=due_at, holder=None, held_until=None, error=error)
            )

    def retry(self, now: dt.datetime, business: str | None = None) -> int:
        """Make everything due now that has not arrived, given-up ones too; how many.

        What was given up gets its whole time again. A delivery that somebody holds stays theirs.
        """
        query = update(DeliveryRow).where(
            DeliveryRow.delivered_at.is_(None),
            or_(DeliveryRow.held_until.is_(None), DeliveryRow.held_until <= now),
        )
        if business is not None:
            query = query.where(DeliveryRow.business_id == business)
        with self._database.write() as session:
            given_up = query.where(DeliveryRow.due_at.is_(None)).values(due_at=now, created_at=now)
            again = session.execute(given_up.returning(DeliveryRow.call_id)).all()
            waiting = query.where(DeliveryRow.due_at > now).values(due_at=now)
            return len(again) + len(session.execute(waiting.returning(DeliveryRow.call_id)).all())

    def waiting(self) -> int:
        """How many are still to be sent, or sent again."""
        with self._database.read() as session:
            count = select(func.count()).where(DeliveryRow.due_at.is_not(None))
            return session.execute(count).scalar_one()

    def list(
        self, *, business: str | None = None, open_only: bool = False, limit: int | None = None
    ) -> tuple[DeliveryInfo, ...]:
        """Deliveries, the newest first; ``open_only``: those that have not arrived."""
        query = _INFO.order_by(DeliveryRow.created_at.desc(), DeliveryRow.call_id).limit(limit)
        if business is not None:
            query = query.where(DeliveryRow.business_id == business)
        if open_only:
            query = query.where(DeliveryRow.delivered_at.is_(None))
        with self._database.read() as session:
            return tuple(DeliveryInfo(*row) for row in session.execute(query))


# --- within a transaction -------------------------------------------------------------------------
def enqueue(session: Session, call: CallRow, at: dt.datetime) -> None:
    """Put a call that ends into the outbox, if its header says ``deliver``; once, however often it ends."""
    if not call.header.get("deliver") or session.get(DeliveryRow, call.id) is not None:
        return
    session.add(
        DeliveryRow(call_id=call.id, business_id=call.business_id, created_at=at, due_at=at, attempts=0)
    )


def _body(session: Session, call_id: str) -> dict[str, Any]:
    call = session.get_one(CallRow, call_id)
    lead = session.get(LeadRow, call_id)
    return {
        "type": "call.ended",
        "final": True,
        "call_id": call.id,
        "business": call.business_id,
        "business_version": call.business_version,
        "caller_number": call.caller_number,
        "dialled_number": call.dialled_number,
        "started_at": call.started_at.isoformat(),
        "ended_at": call.ended_at.isoformat() if call.ended_at else None,
        "ended_by": call.ended_by,
        "end_reason": call.end_reason,
        "turns": call.turns,
        "lead_status": call.lead_status,
        "lead": lead.fields if lead else {},
    }
