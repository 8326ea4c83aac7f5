"""One call on one stream: its line, its driver, its journal, and what becomes of it.

A stream ends in one of three ways. The call is *over*: by decision, or because the caller left. It is
*suspended*: the socket was lost, the carrier still has the caller and will ask what comes next. Or it
is *taken*: another process runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from callbot import events as ev
from callbot.business import Transfer
from callbot.call import Call
from callbot.certificate import CARRIER_PLAYED, greeting_certificate
from callbot.driver import Dialogue, Driver, RealClock
from callbot.lines.twilio import Gone, TwilioLine
from callbot.lines.twilio_opening import Transport
from callbot.lines.twilio_wire import Start
from callbot.models.base import Model
from callbot.record import Record, rules_from_json
from callbot.server.directory import Answering
from callbot.server.journal import Journal
from callbot.server.recording import CallRecording, RecordedEars, Recordings
from callbot.server.writer import Writer
from callbot.store.live import Admission, Finish
from callbot.suspicion import TRANSFERRED

if TYPE_CHECKING:
    from callbot.server.speaking import Speech

COMMIT_SECONDS = 1.5
"""How long hanging up waits for the store to know of it; the carrier may ask another process next."""
WORDS = (ev.UserSpoke, ev.KeyPressed)
_TELLS = (ev.CallStarted, ev.CallResumed, ev.Played)
"""Events after which the greeting may have been heard."""

_log = logging.getLogger(__name__)

CallObserver = Callable[[str, float, "ev.Event | ev.Command", Call], None]
"""Told of everything that happens on any call of the process, with the call's id."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call. ``transfer``: where the caller is to be connected."""

    ended_by: str | None
    end_reason: str | None
    transfer: Transfer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A stream that was let in. ``elapsed``: seconds since its webhook was answered; None if unknown."""

    call_id: str
    answering: Answering
    header: dict[str, Any]
    snapshot: dict[str, Any] | None
    started_at: dt.datetime
    attempt: int
    next_seq: int
    last_t: float
    elapsed: float | None
    admission: Admission | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a process lends each of its calls."""

    speech: Speech
    model: Model
    fallback: Model | None
    writer: Writer
    end_call: Callable[[str], Awaitable[None]]
    """Ends a call on the carrier's side, by its CallSid; never raises."""
    observers: Sequence[CallObserver]
    recordings: Recordings


class CallClock(RealClock):
    """Seconds since the call began, whichever process it began in; never before its last entry."""

    def __init__(self, started_at: dt.datetime, last_t: float) -> None:
        since = (dt.datetime.now(dt.UTC) - started_at).total_seconds()
        self._origin = time.monotonic() - max(since, last_t)

    def now(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self._origin


@dataclass(slots=True)
class PhoneCall:
    """A call that runs in this process."""

    admitted: Admitted
    parts: Parts
    caller_left: bool = False
    """The carrier has said so before the stream was begun here."""
    call: Call = field(init=False)
    record: Record = field(init=False)
    outcome: Outcome | None = None
    """Set once the call is over."""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    """Nothing more is done about this stream."""
    _clock: CallClock = field(init=False)
    _line: TwilioLine = field(init=False)
    _journal: Journal = field(init=False)
    _taken: asyncio.Event = field(default_factory=asyncio.Event)
    _lost: asyncio.Event = field(default_factory=asyncio.Event)
    _recording: CallRecording | None = None

    # --- what others may say ----------------------------------------------------------------------
    def taken(self) -> None:
        """Another process holds the call's lease now."""
        self._taken.set()

    def lose(self) -> None:
        """The carrier says that the stream is over, whatever the socket looks like from here."""
        self._lost.set()

    def carrier_hung_up(self) -> None:
        """The carrier says that the call is over."""
        self._line.carrier_hung_up()

    # --- its course -------------------------------------------------------------------------------
    async def run(self, transport: Transport, start: Start) -> None:
        """Run the call on its stream until the stream is over. Never raises."""
        try:
            self._prepare(transport, start)
            if self.caller_left:
                self._line.carrier_hung_up()
            await self._run()
        except Exception:  # noqa: BLE001 - one call's fault is no other call's
            _log.exception("a call broke", extra={"call": self.admitted.call_id})
        finally:
            with contextlib.suppress(OSError, RuntimeError):
                await transport.close(1000, "")
            if self._recording is not None:
                self._recording.close()
            self.done.set()

    def _prepare(self, transport: Transport, start: Start) -> None:
        admitted, business = self.admitted, self.admitted.answering.business
        rules = rules_from_json(admitted.header["rules"])
        self._clock = clock = CallClock(admitted.started_at, admitted.last_t)
        self.record = Record(admitted.header)
        opening: ev.CallStarted | ev.CallResumed = ev.CallStarted()
        if admitted.snapshot is None:
            self.call = Call(rules)
        else:
            self.call = Call.restore(rules, admitted.snapshot, clock.now())
            opening = ev.CallResumed()
        ears = self.parts.speech.ears(business, self._noted)
        oracle = self.parts.speech.recogniser(business).name == "oracle"
        if business.privacy.record_audio:
            self._recording = self.parts.recordings.begin(admitted.call_id, admitted.attempt)
        self._line = TwilioLine(
            transport,
            start,
            ears if self._recording is None else RecordedEars(ears, self._recording),
            self.parts.speech.mouth(business, admitted.answering.spoken),
            self._end_call,
            opening=opening,
            on_oracle=ears.oracle if oracle else None,
            note=self._noted,
        )
        self._journal = Journal(
            admitted.call_id, self.record, self.parts.writer, admitted.next_seq, admitted.admission
        )
        self._note_the_opening(clock.now())
        zone = ZoneInfo(business.timezone)
        dialogue = Dialogue(
            business,
            self.parts.model,
            self.parts.fallback,
            admitted.header.get("caller_number"),
            wall_clock=lambda: dt.datetime.now(zone),
        )
        types = {field.name: field.type for field in business.fields}

        def expect_answer() -> None:
            asked = next((name for name in rules.required if name not in self.call.lead), None)
            ears.expect(types[asked] if asked else "")

        if self.call.turns:
            expect_answer()

        def observe(t: float, what: ev.Event | ev.Command, call: Call) -> None:
            if self._recording is not None:
                self._recording.observe(what)
                self._begin_to_record(t, what, self._recording)
            self._journal.observe(t, what, call)
            if isinstance(what, ev.ReplyDone):
                expect_answer()
            self._show(t, what)

        self._driver = Driver(self.call, self._line, dialogue, self.record, clock=clock, observe=observe)

    _driver: Driver = field(init=False)

    def _noted(self, note: ev.Note) -> None:
        """What the line and the ears tell of the call."""
        now = self._clock.now()
        self.record.note(now, note.type, **note.data)
        self._show(now, note)

    def _show(self, t: float, what: ev.Event | ev.Command) -> None:
        for observer in self.parts.observers:
            try:
                observer(self.admitted.call_id, t, what, self.call)
            except Exception:  # noqa: BLE001 - whoever looks on cannot break a call
                _log.exception("an observer broke", extra={"call": self.admitted.call_id})

    def _begin_to_record(self, now: float, what: ev.Event | ev.Command, recording: CallRecording) -> None:
        """Once the caller has heard the whole greeting, in which they are told of it."""
        if self._journal.told or not isinstance(what, _TELLS):
            return
        if isinstance(what, ev.CallResumed):
            self._journal.told = bool((self.admitted.snapshot or {}).get("told"))
        else:
            self._journal.told = greeting_certificate(self.record).result == "pass"
        if self._journal.told and recording.notice_given():
            self.record.note(now, "recorded", file=str(recording.path))

    def _note_the_opening(self, now: float) -> None:
        admitted = self.admitted
        self.record.note(now, "stream_started", attempt=admitted.attempt)
        spoken, rules = admitted.answering.spoken, admitted.header["rules"]
        played = admitted.attempt == 1 and not rules["greeting_streamed"]
        if played and spoken and spoken.greeting and admitted.elapsed is not None:
            self.record.note(now, CARRIER_PLAYED, seconds=spoken.greeting.seconds, elapsed=admitted.elapsed)

    async def _run(self) -> None:
        driving = asyncio.create_task(self._driver.run())
        ends = [
            driving,
            asyncio.create_task(self._taken.wait()),
            asyncio.create_task(self._lost.wait()),
            asyncio.create_task(self._socket_lost()),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            driven = driving.done()
            for task in ends:
                task.cancel()
            results = await asyncio.gather(*ends, return_exceptions=True)
        broken = isinstance(results[0], Exception)
        if broken:
            _log.error("a call broke", exc_info=results[0], extra={"call": self.admitted.call_id})
        if self._taken.is_set():
            self._journal.abandon()
            _log.warning("another process runs the call now", extra={"call": self.admitted.call_id})
        elif self._line.hanging_up or (driven and not broken):
            await self._over()
        else:
            self._journal.suspend()
            await self._journal.written(COMMIT_SECONDS)
            _log.warning(
                "the line is lost; the carrier will ask", extra=self._facts(counts=dict(self._line.counts))
            )

    async def _socket_lost(self) -> None:
        if await self._line.gone is not Gone.LOST:
            await asyncio.Event().wait()

    async def _over(self) -> None:
        """The call has ended: hang up if that was decided, and close the books."""
        if not self._line.hanging_up:  # nobody decided to: the caller left
            gone = self._line.gone.result() if self._line.gone.done() else None
            ending = self.call.ending
            silent = gone is Gone.DEAD and not any(True for _ in self.record.of(*WORDS))
            self._close_books(ending.by if ending else None, "no_response" if silent else None)
            if gone is not Gone.STOPPED:  # the carrier still has the call
                await self.parts.end_call(self.admitted.call_id)
        await self._line.close()
        await self._journal.written(COMMIT_SECONDS)
        assert self.outcome is not None
        _log.info(
            "call over",
            extra=self._facts(
                ended_by=self.outcome.ended_by,
                reason=self.outcome.end_reason,
                turns=self.call.turns,
                lead=self.call.lead_status,
                counts=dict(self._line.counts),
            ),
        )

    async def _end_call(self, command: ev.HangUp) -> None:
        """Obey HangUp. A call that goes on to somebody else is not ended: its socket is closed."""
        self._close_books(command.by, command.reason)
        await self._journal.written(COMMIT_SECONDS)
        assert self.outcome is not None
        if self.outcome.transfer is None:
            await self.parts.end_call(self.admitted.call_id)

    def _close_books(self, ended_by: str | None, reason: str | None) -> None:
        reasons = {r.name: r.then for r in self.admitted.answering.business.end_reasons}
        transfer = reasons.get(reason or "") if ended_by == ev.EndedBy.MODEL else None
        self.outcome = Outcome(None if ended_by is None else str(ended_by), reason, transfer)
        if transfer is not None:
            self.record.note(self._clock.now(), TRANSFERRED)
        self._journal.finish(
            Finish(
                self.outcome.ended_by, reason, lead_status=str(self.call.lead_status), turns=self.call.turns
            )
        )

    def _facts(self, **more: object) -> dict[str, object]:
        return {"call": self.admitted.call_id, "business": self.admitted.answering.business.id, **more}
