"""One server process: its parts, the calls that run in it, and its end.

Metrics, pages and deliveries join by ``observers`` (everything that happens on a call) and
``when_over`` (a stream of a call is done with: it ended, or was lost).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import os
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from callbot.events import EndedBy
from callbot.lines.twilio_opening import Transport
from callbot.lines.twilio_rest import HangUpFailed, TwilioCalls
from callbot.lines.twilio_wire import Start
from callbot.models.base import Loadable, Model
from callbot.models.registry import make_model
from callbot.server.admission import LEASE_SECONDS, Admissions
from callbot.server.delivery import Courier
from callbot.server.directory import Directory
from callbot.server.meters import CallMeters
from callbot.server.metrics import Metrics
from callbot.server.options import ServeOptions
from callbot.server.phonecall import Admitted, CallObserver, Outcome, Parts, PhoneCall
from callbot.server.recording import Recordings
from callbot.server.signature import Signatures
from callbot.server.speaking import Speech
from callbot.server.strangers import Refusals
from callbot.server.threads import in_thread
from callbot.server.writer import Writer
from callbot.store.database import Store, StoreError, open_store
from callbot.store.live import Finish, LiveCall

LINE = "twilio"
STORE_BUSY_SECONDS = 1.0
"""A webhook cannot wait longer for a locked database; the writer tries again."""
SETTLE_SECONDS = 3.0
"""How long a stream that is over may take to be done with."""
KEEP_UP_SECONDS = 10.0
STALE_SECONDS = 3600.0
LAG_SECONDS = 0.25
"""How often the event loop is timed."""
INCIDENTS = (
    "calls_given_up",
    "calls_resumed",
    "calls_turned_away",
    "connections_crowded_out",
    "connections_too_much",
    "connections_too_slow",
    "hang_up_failed",
    "numbers_unknown",
    "recordings_lost",
    "requests_unreadable",
    "sockets_crowded_out",
    "sockets_never_started",
    "sockets_unsigned",
    "stream_errors",
    "streams_refused",
    "transfers_failed",
    "webhooks_refused",
)
_OUTCOMES = 10_000
_THREADS = 16

_log = logging.getLogger(__name__)


class CallHost:
    """Everything that the calls of one process share. ``start`` it, ``drain`` it, ``close`` it."""

    def __init__(self, options: ServeOptions) -> None:
        self.options = options
        self.signatures = Signatures(options)
        self.observers: list[CallObserver] = []
        self.when_over: list[Callable[[PhoneCall], None]] = []
        self.counts: Counter[str] = Counter(dict.fromkeys(INCIDENTS, 0))
        """How often each of ``INCIDENTS`` has happened."""
        self.metrics = Metrics()
        self.refusals = Refusals(self.counts)
        self.running: dict[str, PhoneCall] = {}
        self.draining = False
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.model: Model = make_model(options.model)
        self.fallback: Model | None = make_model(options.fallback) if options.fallback else None
        self._rest = TwilioCalls(options.credentials, api_url=options.twilio_api_url)
        self._loop = asyncio.get_running_loop()
        self.store: Store = open_store(options.database, busy_seconds=STORE_BUSY_SECONDS)
        self.store.listeners.append(self.metrics.news)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="serve")
        self.speech = Speech(options)
        self.directory = Directory(self.store, self.speech, self._threads)
        self.admissions = Admissions(self.store, self.directory, self._threads, self.holder)
        self.writer = Writer(self.store.live, self.holder, self._lost_lease, self.metrics.commits.observe)
        self.recordings = Recordings(options.calls_dir, self._lost_recording)
        self.parts = Parts(
            self.speech,
            self.model,
            self.fallback,
            self.writer,
            self._end_call,
            self.observers,
            self.recordings,
        )
        self.courier = Courier(self.store, options.prompts_dir, self._threads, os.environ, self.holder)
        meters = CallMeters(self.metrics, self.running)
        self.observers.append(meters.observe)
        self.when_over += [lambda _: self.courier.wake(), meters.over]
        self._outcomes: dict[str, Outcome] = {}
        self._empty = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # --- its life ---------------------------------------------------------------------------------
    async def start(self) -> None:
        """Load everything that the first call would wait for. Raises CallbotError for what is missing."""
        await self.directory.load()
        await self.speech.load()
        for model in (self.model, self.fallback):
            if isinstance(model, Loadable):
                await model.load(self.directory.businesses)
        self._tasks = [
            asyncio.create_task(work())
            for work in (self._renew, self._keep_up, self._time_the_loop, self.courier.run)
        ]

    async def drain(self) -> None:
        """Take no new calls, and wait for those in progress, for at most ``drain_seconds``."""
        self.draining = True
        _log.info("draining", extra={"calls": len(self.running)})
        if self.running:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.options.drain_seconds):
                    await self._empty.wait()
        _log.info("drained", extra={"calls": len(self.running)})

    async def release(self) -> None:
        """Give up what still runs, so that another process may take it up."""
        for call in list(self.running.values()):
            call.lose()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await asyncio.gather(*(call.done.wait() for call in list(self.running.values())))

    async def close(self) -> None:
        """Write everything down and release all parts; calls still running are given up."""
        await self.release()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.directory.close()
        await asyncio.to_thread(self.recordings.stop, 10.0)
        left = await asyncio.to_thread(self.writer.stop, 10.0)
        if left:
            _log.error("calls could not be written before the end", extra={"calls": left})
        for part in (self.speech, self.model, self.fallback):
            if part is not None:
                await part.close()
        self._rest.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.store.close()

    # --- calls ------------------------------------------------------------------------------------
    @property
    def full(self) -> bool:
        """No further call is taken."""
        return len(self.running) >= self.options.max_calls

    def warm(self, call_id: str) -> None:
        """Open the connections of a call that is about to begin."""
        if (given := self.admissions.given(call_id)) is not None:
            models = [(m.name, m) for m in (self.model, self.fallback) if m is not None]
            self.speech.warm(given.business, models)

    async def run_call(self, admitted: Admitted, transport: Transport, start: Start) -> None:
        """Run an admitted call on its stream, until the stream is over."""
        call = PhoneCall(admitted, self.parts, caller_left=admitted.call_id in self._outcomes)
        self.running[admitted.call_id] = call
        try:
            await call.run(transport, start)
        finally:
            self.running.pop(admitted.call_id, None)
            if call.outcome is not None:
                self._remember(admitted.call_id, call.outcome)
            if not self.running:
                self._empty.set()
            for listener in self.when_over:
                listener(call)

    async def stream_over(self, call_id: str) -> Outcome | None:
        """The carrier asks what follows a stream: how its call ended, or None if it may go on.

        Waits for a stream that this process still runs: the carrier's question may overtake the
        end of its socket.
        """
        if (call := self.running.get(call_id)) is not None:
            if call.outcome is None:
                call.lose()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_SECONDS):
                    await call.done.wait()
            if call.outcome is not None:
                return call.outcome
        return self._outcomes.get(call_id)

    async def caller_gone(self, call_id: str) -> None:
        """The carrier says that a call is over."""
        if (call := self.running.get(call_id)) is not None:
            call.carrier_hung_up()
            return
        if call_id in self._outcomes:
            return
        self._remember(call_id, Outcome(str(EndedBy.CALLER), None))
        await self.finish(call_id, Finish(str(EndedBy.CALLER), None))

    async def finish(self, call_id: str, finish: Finish) -> None:
        """End a call that nobody runs, in the store; a database that cannot be asked costs a warning."""
        try:
            await in_thread(self._threads, self.store.live.finish_unheld, call_id, finish)
        except StoreError as error:
            _log.warning("a call's end was not written", extra={"call": call_id, "error": str(error)})

    async def look_up(self, call_id: str) -> LiveCall | None:
        """A call as the store has it. Raises StoreError."""
        return await in_thread(self._threads, self.store.live.get, call_id)

    async def ready(self) -> bool:
        """Whether a new call would be answered well: not draining, and the store answers."""
        if self.draining:
            return False
        try:
            async with asyncio.timeout(STORE_BUSY_SECONDS):
                await in_thread(self._threads, self.store.businesses.find_by_number, "")
        except (StoreError, TimeoutError):
            return False
        return True

    async def deliveries_waiting(self) -> int | None:
        """Leads that are still to be delivered; None if the store cannot say."""
        try:
            async with asyncio.timeout(STORE_BUSY_SECONDS):
                return await in_thread(self._threads, self.store.outbox.waiting)
        except (StoreError, TimeoutError):
            return None

    # --- within -----------------------------------------------------------------------------------
    def _remember(self, call_id: str, outcome: Outcome) -> None:
        self._outcomes[call_id] = outcome
        if len(self._outcomes) > _OUTCOMES:
            del self._outcomes[next(iter(self._outcomes))]

    async def _end_call(self, call_id: str) -> None:
        try:
            await self._rest.end(call_id)
        except HangUpFailed as error:
            self.counts["hang_up_failed"] += 1
            _log.error(
                "the carrier took no hang-up; closing the socket",
                extra={"call": call_id, "error": str(error)},
            )

    def _lost_lease(self, call_id: str) -> None:
        """From the writer's thread: somebody else writes this call."""
        self._loop.call_soon_threadsafe(self._taken, call_id)

    def _lost_recording(self) -> None:
        """From any thread: a recording could not be written to its end."""
        self._loop.call_soon_threadsafe(self.counts.update, ("recordings_lost",))

    def _taken(self, call_id: str) -> None:
        if (call := self.running.get(call_id)) is not None:
            call.taken()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 4)
            mine = [call_id for call_id, call in self.running.items() if call.outcome is None]
            if not mine:
                continue
            until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=LEASE_SECONDS)
            try:
                await in_thread(self._threads, self.store.live.renew, self.holder, mine, until)
            except StoreError as error:  # the calls go on; nobody takes them unless the carrier asks
                _log.warning("leases were not renewed", extra={"error": str(error)})

    async def _time_the_loop(self) -> None:
        while True:
            due = time.monotonic() + LAG_SECONDS  # the loop's own time stands still while it is busy
            await asyncio.sleep(LAG_SECONDS)
            self.metrics.loop_lag.observe(max(0.0, time.monotonic() - due))

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(KEEP_UP_SECONDS)
            await self.directory.keep_up()
            before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=STALE_SECONDS)
            with contextlib.suppress(StoreError):
                await in_thread(self._threads, self.store.live.give_up, LINE, before)
