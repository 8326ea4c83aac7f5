"""Tells of stored calls (``suspicion``): found as calls begin and end, and kept, so that lists need no Record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from sqlalchemy import Select, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from callbot.certificate import greeting_certificate
from callbot.record import Record
from callbot.store import news
from callbot.store.tables import CallRow, TellRow
from callbot.suspicion import BY_THE_BOT, CLOCKS, REDIAL, Tell, tells_of

_INSERT: dict[str, Callable[[type[TellRow]], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}

_log = logging.getLogger(__name__)

TELLS_OF_A_CALL = (
    select(func.aggregate_strings(TellRow.tell, " "))
    .where(TellRow.call_id == CallRow.id)
    .correlate(CallRow)
    .scalar_subquery()
    .label("tells")
)
"""For ``in_order``, beside what else is selected of a call."""


def in_order(tells: str | None) -> tuple[Tell, ...]:
    """What ``TELLS_OF_A_CALL`` gives, as tells."""
    found = set((tells or "").split())
    return tuple(tell for tell in Tell if tell in found)


def begun(session: Session, call: CallRow) -> None:
    """A call was added: its caller may be ringing again."""
    news.add(session, news.Begun(call.business_id, call.business_version))
    if (same := _same_caller(call)) is None:
        return
    earlier = same.where(
        CallRow.ended_at.between(call.started_at - REDIAL, call.started_at + CLOCKS),
        CallRow.ended_by.in_(BY_THE_BOT),
    )
    for other in session.execute(earlier).scalars():
        _keep(session, other, [Tell.REDIAL])


def ended(session: Session, call: CallRow, read: Callable[[], Record]) -> None:
    """A call's end was written down: judge it by its Record."""
    try:
        record = read()
        greeting = greeting_certificate(record) if "rules" in record.header else None
        tells = [*tells_of(record, call.ended_by)]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # Entries of another version of callbot, say: the end must be written all the same. What the
        # error says may be a caller's words.
        _log.error("a call could not be judged", extra={"call": call.id, "error": type(error).__name__})
        greeting, tells = None, []
    if _rang_again(session, call):  # the end was written late
        tells.append(Tell.REDIAL)
    news.add(
        session,
        news.Ended(call.business_id, call.business_version, call.ended_by, call.end_reason, greeting),
    )
    _keep(session, call, tells)


def _rang_again(session: Session, call: CallRow) -> bool:
    same, at = _same_caller(call), call.ended_at
    if same is None or at is None or call.ended_by not in BY_THE_BOT:
        return False
    later = same.where(CallRow.started_at.between(at - CLOCKS, at + REDIAL))
    return session.execute(later.limit(1)).first() is not None


def _same_caller(call: CallRow) -> Select[CallRow] | None:
    """The caller's other calls to the business; None for a caller who withholds the number."""
    if call.caller_number is None:
        return None
    return select(CallRow).where(
        CallRow.caller_number == call.caller_number,
        CallRow.business_id == call.business_id,
        CallRow.line == call.line,
        CallRow.id != call.id,
    )


def _keep(session: Session, call: CallRow, tells: Iterable[Tell]) -> None:
    """Write down what is not yet known of a call; another process may find the same at the same time."""
    if not (rows := [{"call_id": call.id, "tell": tell.value} for tell in tells]):
        return
    insert = _INSERT[session.get_bind().dialect.name](TellRow).values(rows).on_conflict_do_nothing()
    for tell in session.execute(insert.returning(TellRow.tell)).scalars():
        news.add(session, news.Told(call.business_id, call.business_version, Tell(tell)))
