"""Leads: what each call has captured, partial ones too, one row a call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from callbot.events import SaveLead
from callbot.store.engine import Database
from callbot.store.tables import CallRow, LeadRow


@dataclass(frozen=True, slots=True)
class Lead:
    """One lead. ``fields`` holds valid values by field name; times in UTC."""

    call_id: str
    business_id: str
    fields: dict[str, Any]
    status: str
    caller_number: str | None
    created_at: dt.datetime
    updated_at: dt.datetime


_LEADS = select(
    LeadRow.call_id,
    LeadRow.business_id,
    LeadRow.fields,
    LeadRow.status,
    LeadRow.caller_number,
    LeadRow.created_at,
    LeadRow.updated_at,
)


class Leads:
    """The leads of a store. Every method raises StoreError if the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, call_id: str) -> Lead | None:
        """A call's lead, if it has captured anything."""
        with self._database.read() as session:
            row = session.execute(_LEADS.where(LeadRow.call_id == call_id)).first()
        return None if row is None else Lead(*row)

    def list(
        self,
        *,
        business: str | None = None,
        status: str | None = None,
        since: dt.datetime | None = None,
        limit: int | None = None,
    ) -> tuple[Lead, ...]:
        """Leads, the newest first; ``since``: created at that time (aware) or later."""
        query = _LEADS.order_by(LeadRow.created_at.desc(), LeadRow.call_id).limit(limit)
        for column, value in ((LeadRow.business_id, business), (LeadRow.status, status)):
            if value is not None:
                query = query.where(column == value)
        if since is not None:
            query = query.where(LeadRow.created_at >= since)
        with self._database.read() as session:
            return tuple(Lead(*row) for row in session.execute(query))


def upsert_lead(session: Session, call_id: str, save: SaveLead, at: dt.datetime) -> None:
    """Write what a SaveLead says, into the lead and the call, within a write transaction."""
    call = session.get_one(CallRow, call_id)
    call.lead_status = str(save.status)
    lead = session.get(LeadRow, call_id)
    if lead is None:
        lead = LeadRow(
            call_id=call_id,
            business_id=call.business_id,
            caller_number=call.caller_number,
            created_at=at,
        )
        session.add(lead)
    lead.fields, lead.status, lead.updated_at = dict(save.lead), str(save.status), at


def field_names(leads: tuple[Lead, ...]) -> Iterator[str]:
    """Every field that any of the leads has, in the order they are met."""
    seen: dict[str, None] = {}
    for lead in leads:
        seen.update(dict.fromkeys(lead.fields))
    yield from seen
