"""Which sockets are let into which calls.

A webhook gives its call a stream: a nonce for one socket, once, within ``NONCE_SECONDS``. It stands
in the store, so that any process may let the socket in; and in the memory of the process that gave
it, so that a database that is locked or down keeps nobody from the phone.
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
import time
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from callbot.server.directory import Answering, Directory
from callbot.server.phonecall import Admitted
from callbot.server.threads import in_thread
from callbot.store.database import Store, StoreError
from callbot.store.live import Admission, LeaseLost, LiveCall, NotAdmitted, Stream

NONCE_SECONDS = 60.0
LEASE_SECONDS = 3.0
"""A process that has not renewed for so long may be dead: its calls may be taken up."""
STREAMS = 3
"""A call's first stream, and twice another one after it was lost."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Given:
    """A stream that this process gave. ``at``: monotonic seconds of the webhook's answer."""

    nonce: str
    header: dict[str, Any]
    answering: Answering
    at: float
    stored: bool
    """The store knows of it."""
    used: bool = False


@dataclass(slots=True)
class Admissions:
    """The door. ``holder`` names this process in leases."""

    store: Store
    directory: Directory
    threads: Executor
    holder: str
    _given: dict[str, _Given] = field(default_factory=dict)
    """By call; the newest stream of each."""

    async def begin(
        self, call_id: str, header: dict[str, Any], answering: Answering, greeting: float
    ) -> str | None:
        """A new call's stream, or a known call's newest; None if the call is over.

        ``greeting``: seconds that the carrier plays before it opens the stream.
        """
        self._forget_old()
        known = self._given.get(call_id)
        nonce = known.nonce if known else secrets.token_urlsafe(24)
        expires_at = _in(NONCE_SECONDS + greeting)
        stored = True
        try:
            stream = await in_thread(self.threads, self.store.live.begin, call_id, header, nonce, expires_at)
        except StoreError as error:
            _log.warning("a call begins without the store", extra={"call": call_id, "error": str(error)})
            stream, stored = Stream(nonce, 1, expires_at, used=False), False
        if stream is None:
            return None
        if known is None:
            self._given[call_id] = _Given(stream.nonce, header, answering, time.monotonic(), stored)
        return stream.nonce

    def given(self, call_id: str) -> Answering | None:
        """Who answers a call that this process has given a stream."""
        given = self._given.get(call_id)
        return None if given is None else given.answering

    async def again(self, call: LiveCall) -> str | None:
        """Another stream for a call that lost its own; None if it had all. Raises LeaseLost, StoreError."""
        stream = await in_thread(
            self.threads, self._give, call.call_id, secrets.token_urlsafe(24), _in(NONCE_SECONDS)
        )
        return None if stream is None else stream.nonce

    def _give(self, call_id: str, nonce: str, expires_at: dt.datetime) -> Stream | None:
        return self.store.live.give_stream(call_id, nonce, expires_at, limit=STREAMS)

    async def admit(self, call_id: str, nonce: str) -> Admitted:
        """Let a socket in. Raises NotAdmitted, and LeaseLost if another process runs the call."""
        given = self._given.get(call_id)
        if given is not None and not secrets.compare_digest(given.nonce.encode(), nonce.encode()):
            given = None  # another process has given this call another stream since
        if given is not None and given.used:
            raise NotAdmitted("the nonce was used")
        until = _in(LEASE_SECONDS)
        try:
            live = await in_thread(self.threads, self.store.live.admit, call_id, nonce, self.holder, until)
        except (NotAdmitted, LeaseLost):
            if given is None or given.stored or time.monotonic() - given.at > NONCE_SECONDS:
                raise
            return self._from_memory(call_id, given, until)
        except StoreError as error:
            _log.warning("a stream begins without the store", extra={"call": call_id, "error": str(error)})
            if given is None or time.monotonic() - given.at > 2 * NONCE_SECONDS:
                raise NotAdmitted("the store cannot say, and this process does not know") from error
            return self._from_memory(call_id, given, until)
        if given is not None:
            given.used = True
        answering = await self.directory.by_id(live.business_id, live.business_version)
        if answering is None:
            raise NotAdmitted(f'this process does not know the business "{live.business_id}"')
        return Admitted(
            call_id=call_id,
            answering=answering,
            header=live.header,
            snapshot=live.snapshot,
            started_at=live.started_at,
            attempt=live.attempts,
            next_seq=live.next_seq,
            last_t=live.last_t,
            elapsed=time.monotonic() - given.at if given else None,
        )

    def _from_memory(self, call_id: str, given: _Given, until: dt.datetime) -> Admitted:
        given.used = True
        return Admitted(
            call_id=call_id,
            answering=given.answering,
            header=given.header,
            snapshot=None,
            started_at=dt.datetime.fromisoformat(given.header["started_at"]),
            attempt=1,
            next_seq=0,
            last_t=0.0,
            elapsed=time.monotonic() - given.at,
            admission=Admission(given.header, given.nonce, until),
        )

    def _forget_old(self) -> None:
        oldest = time.monotonic() - 10 * NONCE_SECONDS
        for call_id in [call_id for call_id, given in self._given.items() if given.at < oldest]:
            del self._given[call_id]


def _in(seconds: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
