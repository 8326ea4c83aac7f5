"""Businesses in the store: versions of their whole files, which one is active, who answers a number.

A version is never changed or deleted. Its text decides what it is: importing a text that the
business already had gives that version again. Activations are a stack: ``rollback`` undoes the
newest, and once more the one before it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from callbot.business import Business, business_of
from callbot.fields import phone_e164
from callbot.store.documents import canonical_yaml, sha256_of
from callbot.store.engine import Database, StoreError
from callbot.store.tables import ActivationRow, BusinessRow, NumberRow, VersionRow
from callbot.yamlfile import Document, parse_yaml


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a business file. ``created_at`` in UTC; ``yaml`` is the whole merged file."""

    business_id: str
    number: int
    yaml: str
    sha256: str
    comment: str
    created_at: dt.datetime
    active: bool

    def business(self) -> Business:
        """The business, validated. Raises InvalidInput if this callbot no longer takes the text."""
        return business_of(parse_yaml(self.yaml, Path(f"{self.business_id} version {self.number}")))


@dataclass(frozen=True, slots=True)
class BusinessInfo:
    """A business in a list. ``active``: its active version, None if none ever was; ``newest``: the latest."""

    id: str
    active: int | None
    newest: int
    sha256: str | None
    """Of the active version."""
    numbers: tuple[str, ...]
    """Dialled numbers that it answers."""
    changed_at: dt.datetime
    """When its newest version came."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: ``new`` is false if the business already had this text as ``version``."""

    business_id: str
    version: int
    new: bool
    active: bool


class Businesses:
    """The businesses of a store. Every method raises StoreError if the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- writing ----------------------------------------------------------------------------------
    def import_version(self, document: Document, *, comment: str = "", activate: bool = True) -> int:
        """Store a merged business document; return its version number. Raises InvalidInput."""
        return self.import_versions([document], comment=comment, activate=activate)[0].version

    def import_versions(
        self, documents: Sequence[Document], *, comment: str = "", activate: bool = True
    ) -> tuple[Imported, ...]:
        """Store several documents, all or none. A business's first version is activated in any case.

        Raises InvalidInput for a document that is no business, StoreError for two documents of one
        business and for a phone number that another business answers.
        """
        texts: dict[str, str] = {}
        for document in documents:
            business = business_of(document)
            if business.id in texts:
                raise StoreError(f'{document.path}: the business "{business.id}" is imported twice')
            texts[business.id] = canonical_yaml(document)
        with self._database.write() as session:
            stored = {
                business_id: _store(session, business_id, text, comment)
                for business_id, text in sorted(texts.items())  # one order, so that nobody deadlocks
            }
            active = _active(session, texts)
            chosen = {
                business_id: version
                for business_id, (version, _) in stored.items()
                if activate or active.get(business_id) is None
            }
            _activate(
                session,
                {
                    business_id: version
                    for business_id, version in chosen.items()
                    if active.get(business_id) != version
                },
            )
        active.update(chosen)
        return tuple(
            Imported(business_id, version, new, active.get(business_id) == version)
            for business_id, (version, new) in stored.items()
        )

    def activate(self, business_id: str, number: int) -> None:
        """Let a version answer the business's calls. Raises StoreError if there is no such version."""
        with self._database.write() as session:
            _lock(session, business_id)
            if _version(session, business_id, number).active:
                return
            _activate(session, {business_id: number})

    def rollback(self, business_id: str) -> int:
        """Undo the newest activation; return the version that is active again.

        Raises StoreError if no version was active before.
        """
        with self._database.write() as session:
            _lock(session, business_id)
            query = (
                select(ActivationRow.id, ActivationRow.version)
                .where(ActivationRow.business_id == business_id, ActivationRow.undone_at.is_(None))
                .order_by(ActivationRow.id.desc())
                .limit(2)
            )
            rows = session.execute(query).all()
            if len(rows) < 2:
                _version(session, business_id, None)  # says so if the business itself is unknown
                raise StoreError(
                    f"{business_id}: no other version was active before; see: callbot prompts list"
                )
            undone, previous = rows
            session.execute(
                update(ActivationRow).where(ActivationRow.id == undone.id).values(undone_at=_now())
            )
            _answer_with(session, {business_id: previous.version})
        return int(previous.version)

    # --- reading ----------------------------------------------------------------------------------
    def get(self, business_id: str, number: int | None = None) -> Business:
        """A version's business (None: the active one), validated. Raises StoreError, InvalidInput."""
        return self.version(business_id, number).business()

    def version(self, business_id: str, number: int | None = None) -> Version:
        """A version (None: the active one). Raises StoreError naming what there is instead."""
        with self._database.read() as session:
            return _version(session, business_id, number)

    def versions(self, business_id: str) -> tuple[Version, ...]:
        """All versions of a business, oldest first. Raises StoreError if it is unknown."""
        with self._database.read() as session:
            _version(session, business_id, None)
            query = _VERSIONS.where(VersionRow.business_id == business_id).order_by(VersionRow.version)
            return tuple(Version(*row) for row in session.execute(query))

    def find_by_number(self, number: str) -> Version | None:
        """The active version of the business that answers a dialled number (E.164), if any does."""
        query = (
            _VERSIONS.join(NumberRow, NumberRow.business_id == VersionRow.business_id)
            .where(NumberRow.number == number)
            .where(VersionRow.version == BusinessRow.active_version)
        )
        with self._database.read() as session:
            row = session.execute(query).first()
        return None if row is None else Version(*row)

    def list(self) -> tuple[BusinessInfo, ...]:
        """Every business, by id."""
        newest = (
            select(
                VersionRow.business_id,
                func.max(VersionRow.version).label("version"),
                func.max(VersionRow.created_at).label("changed_at"),
            )
            .group_by(VersionRow.business_id)
            .subquery()
        )
        query = (
            select(
                BusinessRow.id,
                BusinessRow.active_version,
                newest.c.version,
                VersionRow.sha256,
                newest.c.changed_at,
            )
            .join(newest, newest.c.business_id == BusinessRow.id)
            .outerjoin(
                VersionRow,
                (VersionRow.business_id == BusinessRow.id)
                & (VersionRow.version == BusinessRow.active_version),
            )
            .order_by(BusinessRow.id)
        )
        with self._database.read() as session:
            rows = session.execute(query).all()
            numbers: dict[str, list[str]] = {}
            for number, business_id in session.execute(
                select(NumberRow.number, NumberRow.business_id).order_by(NumberRow.number)
            ):
                numbers.setdefault(business_id, []).append(number)
        return tuple(
            BusinessInfo(
                business_id, active, version, sha256, tuple(numbers.get(business_id, ())), changed_at
            )
            for business_id, active, version, sha256, changed_at in rows
        )


_VERSIONS = select(
    VersionRow.business_id,
    VersionRow.version,
    VersionRow.yaml,
    VersionRow.sha256,
    VersionRow.comment,
    VersionRow.created_at,
    func.coalesce(VersionRow.version == BusinessRow.active_version, False),
).join(BusinessRow, BusinessRow.id == VersionRow.business_id)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _lock(session: Session, business_id: str) -> None:
    """Let one process at a time change a business (SQLite's write transaction already does)."""
    session.execute(select(BusinessRow.id).where(BusinessRow.id == business_id).with_for_update())


def _store(session: Session, business_id: str, text: str, comment: str) -> tuple[int, bool]:
    """The text's version number, and whether it is new."""
    fingerprint = sha256_of(text)
    if session.get(BusinessRow, business_id) is None:
        fresh = {"id": business_id, "active_version": None, "created_at": _now()}
        with contextlib.suppress(IntegrityError), session.begin_nested():  # another process may be first
            session.execute(insert(BusinessRow).values(fresh))
    _lock(session, business_id)
    known = session.execute(
        select(VersionRow.version).where(
            VersionRow.business_id == business_id, VersionRow.sha256 == fingerprint
        )
    ).scalar()
    if known is not None:
        return known, False
    latest = session.execute(
        select(func.max(VersionRow.version)).where(VersionRow.business_id == business_id)
    )
    version = (latest.scalar() or 0) + 1
    row = VersionRow(
        business_id=business_id,
        version=version,
        yaml=text,
        sha256=fingerprint,
        comment=comment,
        created_at=_now(),
    )
    session.add(row)
    session.flush()
    return version, True


def _active(session: Session, ids: Mapping[str, object]) -> dict[str, int]:
    query = select(BusinessRow.id, BusinessRow.active_version).where(BusinessRow.id.in_(list(ids)))
    return {business_id: version for business_id, version in session.execute(query) if version is not None}


def _activate(session: Session, versions: Mapping[str, int]) -> None:
    _answer_with(session, versions)
    now = _now()
    for business_id, number in versions.items():
        session.add(ActivationRow(business_id=business_id, version=number, activated_at=now, undone_at=None))


def _answer_with(session: Session, versions: Mapping[str, int]) -> None:
    """Make versions active and give their businesses the numbers they claim, all at once: they may swap."""
    session.execute(delete(NumberRow).where(NumberRow.business_id.in_(list(versions))))
    for business_id, number in versions.items():
        business = _version(session, business_id, number).business()
        for phone in dict.fromkeys(
            phone_e164(text, business.phone_region) or text for text in business.phone_numbers
        ):
            owner = session.execute(select(NumberRow.business_id).where(NumberRow.number == phone)).scalar()
            if owner is not None:
                raise StoreError(
                    f'{phone} is answered by "{owner}" already; "{business_id}" cannot claim it too'
                )
            try:
                session.execute(insert(NumberRow).values(number=phone, business_id=business_id))
            except IntegrityError as error:  # claimed by another process at this moment
                raise StoreError(
                    f'{phone} is answered by another business; "{business_id}" cannot claim it'
                ) from error
        session.execute(
            update(BusinessRow).where(BusinessRow.id == business_id).values(active_version=number)
        )


def _version(session: Session, business_id: str, number: int | None) -> Version:
    wanted = BusinessRow.active_version if number is None else number
    row = session.execute(
        _VERSIONS.where(VersionRow.business_id == business_id, VersionRow.version == wanted)
    ).first()
    if row is not None:
        return Version(*row)
    known = session.execute(
        select(VersionRow.version).where(VersionRow.business_id == business_id).order_by(VersionRow.version)
    ).scalars()
    numbers = [str(n) for n in known]
    if numbers:
        raise StoreError(f"{business_id}: there is no version {number}; versions: {', '.join(numbers)}")
    ids = list(session.execute(select(BusinessRow.id).order_by(BusinessRow.id)).scalars())
    near = difflib.get_close_matches(business_id, ids, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    there = f"stored: {', '.join(ids)}" if ids else "none is stored; see: callbot prompts import"
    raise StoreError(f'unknown business "{business_id}": {hint}{there}')
