"""Writes running calls into the store, beside the audio and never in its way.

One thread commits what is due, in one transaction. What a turn has decided must be there within
``DUE_SECONDS`` and waits for ``TURN_SECONDS`` of them: a turn decides several things within a few
milliseconds, and the processor is the answer's first. The rest gathers for ``GATHER_SECONDS``. When
the database is locked, full or gone, everything waits in memory and is tried again; calls go on, and
``late`` counts.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from callbot.record import Entry
from callbot.store.database import StoreError
from callbot.store.live import Admission, CallWrite, Finish, LiveCalls, WriteRefused

DUE_SECONDS = 0.05
TURN_SECONDS = 0.015
GATHER_SECONDS = 0.2
_FIRST_BACKOFF, _LAST_BACKOFF = 0.05, 1.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pending:
    """What is to be written of a call. ``due``: when, in monotonic seconds; ``urgent_since``: of a turn."""

    entries: list[tuple[int, Entry]] = field(default_factory=list)
    snapshot: Mapping[str, Any] | None = None
    finish: Finish | None = None
    release: bool = False
    admission: Admission | None = None
    due: float = float("inf")
    urgent_since: float | None = None
    waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = field(default_factory=list)

    def after(self, older: _Pending) -> _Pending:
        """Both, this one being the newer."""
        since = (older.urgent_since, self.urgent_since)
        return _Pending(
            older.entries + self.entries,
            self.snapshot if self.snapshot is not None else older.snapshot,
            self.finish or older.finish,
            self.release or older.release,
            older.admission or self.admission,
            min(older.due, self.due),
            min((s for s in since if s is not None), default=None),
            older.waiters + self.waiters,
        )

    @property
    def empty(self) -> bool:
        """Somebody only waits for what is being written already."""
        return not (self.entries or self.snapshot or self.finish or self.release)

    def as_write(self, call_id: str) -> CallWrite:
        """As the store takes it."""
        return CallWrite(call_id, self.entries, self.snapshot, self.finish, self.release, self.admission)


class Writer:
    """The one writer of a process.

    In the writer's thread, ``on_lost`` hears of calls that others run now, and ``on_commit`` how many
    seconds each turn's commit took.
    """

    def __init__(
        self,
        live: LiveCalls,
        holder: str,
        on_lost: Callable[[str], None],
        on_commit: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._live, self._holder, self._on_lost, self._on_commit = live, holder, on_lost, on_commit
        self._pending: dict[str, _Pending] = {}
        self._writing: Mapping[str, _Pending] = {}
        self._changed = threading.Condition()  # with a re-entrant lock
        self._wakes = float("inf")
        """When the thread looks next, in monotonic seconds."""
        self._stopping = False
        self.late = 0
        """Commits of turns that took longer than ``DUE_SECONDS``."""
        self.failures = 0
        """Commits that the database refused; each is tried again."""
        self._thread = threading.Thread(target=self._run, name="call-writer", daemon=True)
        self._thread.start()

    # --- from the event loop ----------------------------------------------------------------------
    def put(
        self,
        call_id: str,
        entries: list[tuple[int, Entry]] | None = None,
        *,
        snapshot: Mapping[str, Any] | None = None,
        finish: Finish | None = None,
        release: bool = False,
        admission: Admission | None = None,
        urgent: bool = False,
    ) -> None:
        """Put down what is to be written; never waits."""
        now = time.monotonic()
        new = _Pending(
            list(entries or ()),
            snapshot,
            finish,
            release,
            admission,
            due=now + (TURN_SECONDS if urgent else GATHER_SECONDS),
            urgent_since=now if urgent else None,
        )
        self._add(call_id, new)

    async def written(self, call_id: str, seconds: float) -> bool:
        """Wait until everything put down for a call is committed; false if that takes longer."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        with self._changed:
            if call_id not in self._pending and call_id not in self._writing:
                return True
            self._add(call_id, _Pending(due=time.monotonic(), waiters=[(loop, done)]))
        try:
            async with asyncio.timeout(seconds):
                await done
        except TimeoutError:
            return False
        return True

    def stop(self, seconds: float) -> int:
        """Write what is left, for at most so long; return how many calls could not be written."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(seconds)
        with self._changed:
            return len(self._pending)

    @property
    def backlog(self) -> int:
        """Entries waiting in memory."""
        with self._changed:
            return sum(len(pending.entries) for pending in self._pending.values())

    def _add(self, call_id: str, new: _Pending) -> None:
        with self._changed:
            older = self._pending.get(call_id)
            self._pending[call_id] = new if older is None else new.after(older)
            if new.due >= self._wakes:
                return
            self._wakes = new.due
        # Not now: a thread that wakes only to see how long it has to wait takes the interpreter for it.
        asyncio.get_running_loop().call_later(new.due - time.monotonic(), self._wake)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    # --- the thread -------------------------------------------------------------------------------
    def _run(self) -> None:
        backoff = _FIRST_BACKOFF
        while (batch := self._next()) is not None:
            if self._commit(batch):
                backoff = _FIRST_BACKOFF
            else:
                time.sleep(backoff)
                backoff = min(2 * backoff, _LAST_BACKOFF)

    def _next(self) -> dict[str, _Pending] | None:
        """What is due, and what is nearly due with it, once something is; None when the writer is to stop."""
        with self._changed:
            while True:
                due = min((pending.due for pending in self._pending.values()), default=float("inf"))
                if self._stopping:
                    return self._take(float("inf")) if self._pending else None
                now = time.monotonic()
                if due <= now:
                    return self._take(now + GATHER_SECONDS / 2)
                self._wakes = due
                self._changed.wait(None if due == float("inf") else due - now)
                self._wakes = 0.0

    def _take(self, until: float) -> dict[str, _Pending]:
        """What is due by then is being written from now on."""
        taken = {call: pending for call, pending in self._pending.items() if pending.due <= until}
        for call_id in taken:
            del self._pending[call_id]
        self._writing = taken
        return dict(taken)

    def _commit(self, batch: dict[str, _Pending]) -> bool:
        try:
            writes = [p.as_write(call) for call, p in batch.items() if not p.empty]
            lost = self._live.commit(self._holder, writes) if writes else set()
        except WriteRefused as refused:  # it would be refused for ever: the others must not wait for it
            _log.error("a call cannot be written any more", extra={"call": refused.call_id})
            self._done(refused.call_id, batch.pop(refused.call_id))
            return self._commit(batch) if batch else True
        except StoreError as error:
            self.failures += 1
            _log.warning("the store took no writes, which wait in memory", extra={"error": str(error)})
            self._put_back(batch)
            return False
        for call_id, pending in batch.items():
            self._done(call_id, pending)
        with self._changed:
            self._writing = {}
        for call_id in lost:
            self._on_lost(call_id)
        return True

    def _done(self, call_id: str, pending: _Pending) -> None:
        if pending.urgent_since is not None:
            seconds = time.monotonic() - pending.urgent_since
            self._on_commit(seconds)
            if seconds > DUE_SECONDS:
                self.late += 1
                _log.warning(
                    "a turn was committed late", extra={"call": call_id, "seconds": round(seconds, 3)}
                )
        for loop, done in pending.waiters:
            loop.call_soon_threadsafe(_resolve, done)

    def _put_back(self, batch: dict[str, _Pending]) -> None:
        with self._changed:
            for call_id, pending in batch.items():
                newer = self._pending.get(call_id)
                self._pending[call_id] = pending if newer is None else newer.after(pending)
            self._writing = {}


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
