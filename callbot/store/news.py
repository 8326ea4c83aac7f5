"""What a transaction has done to calls, told to whoever counts once it is committed.

Each change is made by exactly one process, so that what several processes were told adds up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from callbot.certificate import Certificate
from callbot.suspicion import Tell

_KEY = "callbot_news"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Begun:
    """A call was written down. ``version``: None for a business that is a file."""

    business_id: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Ended:
    """A call's end was written down. ``greeting``: None if nobody can say."""

    business_id: str
    version: int | None
    ended_by: str | None
    end_reason: str | None
    greeting: Certificate | None


@dataclass(frozen=True, slots=True)
class Told:
    """A call has turned out to show this."""

    business_id: str
    version: int | None
    tell: Tell


News = Begun | Ended | Told
Listener = Callable[[News], None]
"""Called in whichever thread has committed."""


def add(session: Session, item: News) -> None:
    """Something that is true once the session's transaction is committed."""
    session.info.setdefault(_KEY, []).append(item)


def spread(session: Session, listeners: list[Listener]) -> None:
    """Tell it, after the commit. A listener that breaks is nobody else's fault."""
    for item in session.info.pop(_KEY, ()):
        for listener in listeners:
            try:
                listener(item)
            except Exception:  # noqa: BLE001 - what was written stays written
                _log.exception("news of a call could not be told")
