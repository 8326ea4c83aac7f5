"""The store's tables. A change here needs a migration and a new ``REVISION``.

Times are aware and in UTC, in Python and on the wire; SQLite keeps them as ISO 8601 text. JSON is
text with its letters readable: the ``json`` of PostgreSQL, not ``jsonb``, which drops key order and
refuses the NUL that a caller's words may hold.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

REVISION = "0004"
"""The newest migration. Revisions are numbers of four digits, so that newer ones sort behind."""


class Utc(TypeDecorator[dt.datetime]):
    """An aware time. Raises ValueError for a naive one; gives back UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """To the database, in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value.isoformat()}")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """From the database: SQLite gives the zone back as none, PostgreSQL as the session's."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class SafeText(TypeDecorator[str]):
    """Text that every database takes: NUL and lone surrogates, which none means, become U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To the database."""
        if value is None:
            return None
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Table(DeclarativeBase):
    """What every table shares. Constraints have names, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {dt.datetime: Utc, dict[str, Any]: JSON, str: SafeText, float: Double}


class BusinessRow(Table):
    """A business that was imported; ``active_version`` is what answers its calls."""

    __tablename__ = "businesses"

    id: Mapped[str] = mapped_column(primary_key=True)
    active_version: Mapped[int | None]
    created_at: Mapped[dt.datetime]


class VersionRow(Table):
    """One version of a whole business file, with what it extends, as YAML text."""

    __tablename__ = "business_versions"
    __table_args__ = (UniqueConstraint("business_id", "sha256"),)

    business_id: Mapped[str] = mapped_column(ForeignKey("businesses.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    yaml: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64))
    comment: Mapped[str]
    created_at: Mapped[dt.datetime]


class ActivationRow(Table):
    """Which versions were active, oldest first; a rollback marks the newest as undone."""

    __tablename__ = "activations"
    __table_args__ = (
        ForeignKeyConstraint(
            ["business_id", "version"], ["business_versions.business_id", "business_versions.version"]
        ),
        Index(None, "business_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    business_id: Mapped[str]
    version: Mapped[int]
    activated_at: Mapped[dt.datetime]
    undone_at: Mapped[dt.datetime | None]


class NumberRow(Table):
    """A dialled number (E.164) and the one business whose active version claims it."""

    __tablename__ = "phone_numbers"

    number: Mapped[str] = mapped_column(primary_key=True)
    business_id: Mapped[str] = mapped_column(ForeignKey("businesses.id"), index=True)


class CallRow(Table):
    """One call. Its business need not be in the store: ``chat`` also runs on files."""

    __tablename__ = "calls"
    __table_args__ = (Index(None, "business_id", "started_at"), Index(None, "caller_number", "started_at"))

    id: Mapped[str] = mapped_column(primary_key=True)
    business_id: Mapped[str]
    business_version: Mapped[int | None]
    line: Mapped[str]
    model: Mapped[str | None]
    caller_number: Mapped[str | None]
    dialled_number: Mapped[str | None]
    started_at: Mapped[dt.datetime] = mapped_column(index=True)
    ended_at: Mapped[dt.datetime | None]
    ended_by: Mapped[str | None]
    end_reason: Mapped[str | None]
    lead_status: Mapped[str]
    turns: Mapped[int]
    header: Mapped[dict[str, Any]]
    snapshot: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class EventRow(Table):
    """One entry of a call's Record; ``data`` is what follows ``t``, ``kind`` and ``type`` in it."""

    __tablename__ = "call_events"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    t: Mapped[float]
    kind: Mapped[str]
    type: Mapped[str]
    data: Mapped[dict[str, Any]]


class TellRow(Table):
    """Something that a call shows and that makes it worth a look; see ``suspicion.Tell``."""

    __tablename__ = "call_tells"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    tell: Mapped[str] = mapped_column(primary_key=True)


class LeadRow(Table):
    """What a call has captured so far, partial leads too."""

    __tablename__ = "leads"
    __table_args__ = (Index(None, "business_id", "created_at"),)

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    business_id: Mapped[str]
    fields: Mapped[dict[str, Any]]
    status: Mapped[str]
    caller_number: Mapped[str | None]
    created_at: Mapped[dt.datetime] = mapped_column(index=True)
    updated_at: Mapped[dt.datetime]


class StreamRow(Table):
    """A media stream that a call was given: its nonce opens one socket, once, until it expires."""

    __tablename__ = "call_streams"
    __table_args__ = (UniqueConstraint("call_id", "attempt"),)

    nonce: Mapped[str] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    """1 for the call's first stream."""
    expires_at: Mapped[dt.datetime]
    used_at: Mapped[dt.datetime | None]


class LeaseRow(Table):
    """The process that runs a call, until ``expires_at`` unless it renews."""

    __tablename__ = "call_leases"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    holder: Mapped[str]
    expires_at: Mapped[dt.datetime]


class DeliveryRow(Table):
    """The outbox: one final delivery for each call of a business that wants its leads posted.

    What is posted is made from the call and its lead, which change no more once the call is over.
    """

    __tablename__ = "deliveries"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    business_id: Mapped[str]
    created_at: Mapped[dt.datetime]
    due_at: Mapped[dt.datetime | None] = mapped_column(index=True)
    """When it is tried next; None once it was delivered or given up."""
    attempts: Mapped[int]
    holder: Mapped[str | None]
    """Who sends it, until ``held_until``."""
    held_until: Mapped[dt.datetime | None]
    delivered_at: Mapped[dt.datetime | None]
    error: Mapped[str | None]
    """Why the last attempt failed."""
