"""The Twilio line: a Media Streams socket becomes the engine's events, its commands become audio.

Sentences go whole into the carrier's buffer, each with a mark behind it, so that a busy server
cannot break one. Nothing here waits for playback: ``perform`` puts frames into an outbox that one
task sends, and a clear overtakes whatever waits there. Marks that were outstanding at a clear come
back although nobody heard their audio (Twilio, "clear"); they are recognised and say nothing.

A socket that ends without ``stop`` is *lost*, not hung up: the carrier still has the caller and will
ask what comes next. ``run`` then stays where it is, ``gone`` says why, and whoever runs the call
stops it and lets it be taken up again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from enum import StrEnum

from callbot import events as ev
from callbot.driver import Emit
from callbot.lines import twilio_wire as wire
from callbot.lines.twilio_opening import BAD_FRAMES, Transport, code_of
from callbot.sound import PHONE, Ears, Mouth

DEAD_LINE_SECONDS = 10.0
"""No audio from the carrier for so long: nobody is there any more (it sends silence, too)."""
MESSAGE_BYTES = 8000
"""Most audio in one message: a second."""
AHEAD = 2
"""Sentences synthesised at once: the one being sent and the next."""
_REMEMBERED = 16
"""Places of media frames remembered to know one that comes twice."""

_log = logging.getLogger(__name__)


class Gone(StrEnum):
    """Why nothing more comes from a socket."""

    STOPPED = "stopped"
    """The carrier says that the call is over."""
    LOST = "lost"
    """The socket broke, or broke the protocol; the carrier may still have the caller."""
    DEAD = "dead"
    """No audio for ``DEAD_LINE_SECONDS``."""
    CLOSED = "closed"
    """We closed it."""


class _Utterance:
    """A sentence on its way: its audio is made by a task, ahead of being sent."""

    def __init__(self, command: ev.Speak) -> None:
        self.command = command
        self.pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        """Audio; then None, or what went wrong."""
        self.maker: asyncio.Task[None] | None = None
        self.since = asyncio.get_running_loop().time()


class TwilioLine:
    """One Media Stream, from its ``start`` on; see ``driver.Line``.

    ``opening``: the event that ``run`` begins with. ``end_call``: ends the call on the carrier's
    side; awaited once, after ``HangUp``. ``on_oracle``: takes a simulated caller's words, or None
    where the recogniser is a real one. ``note`` gets ``voice_began`` (``mark``, ``seconds`` from Speak
    to its first audio queued). ``counts``: what came that should not have, by name.
    """

    def __init__(
        self,
        transport: Transport,
        start: wire.Start,
        ears: Ears,
        mouth: Mouth,
        end_call: Callable[[ev.HangUp], Awaitable[None]],
        *,
        opening: ev.CallStarted | ev.CallResumed | None = None,
        on_oracle: Callable[[str], None] | None = None,
        note: Callable[[ev.Note], None] = lambda note: None,
        dead_after: float = DEAD_LINE_SECONDS,
    ) -> None:
        self._transport, self._sid, self._ears, self._mouth = transport, start.stream_sid, ears, mouth
        self._end_call, self._on_oracle, self._dead_after = end_call, on_oracle, dead_after
        self._note = note
        self._opening = opening or ev.CallStarted()
        self.gone: asyncio.Future[Gone] = asyncio.get_running_loop().create_future()
        self.counts: Counter[str] = Counter()
        self._emit: Emit | None = None
        self._waiting: deque[_Utterance] = deque()
        self._to_speak = asyncio.Event()
        self._outbox: deque[str] = deque()
        self._to_send = asyncio.Event()
        self._outstanding: set[int] = set()
        self._discarded: set[int] = set()
        self._recent: deque[tuple[object, object, object]] = deque(maxlen=_REMEMBERED)
        self._sequence = -1
        self._chunk: int | None = None
        self._heard_at = 0.0
        self._stopped_elsewhere = asyncio.Event()
        self._hanging_up: asyncio.Task[None] | None = None
        self._speaking: asyncio.Task[None] | None = None

    # --- the driver's side ------------------------------------------------------------------------
    async def run(self, emit: Emit) -> None:
        """Listen until the carrier says that the call is over, or nothing comes any more."""
        self._emit = emit
        self._ears.start(emit)
        tasks = [asyncio.create_task(work()) for work in (self._speak, self._transmit)]
        self._speaking = tasks[0]
        emit(self._opening)
        try:
            gone = await self._listen()
            self._say_gone(gone)
            if gone is Gone.LOST:
                await asyncio.Event().wait()  # until whoever runs the call stops it
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._abandon_speech()
            await self._ears.close()

    async def perform(self, command: ev.Speak | ev.ClearAudio | ev.HangUp) -> None:
        """Do it; returns at once."""
        if isinstance(command, ev.Speak):
            self._waiting.append(_Utterance(command))
            self._synthesise_ahead()
            self._to_speak.set()
        elif isinstance(command, ev.ClearAudio):
            self._clear()
        elif self._hanging_up is None:
            self._hanging_up = asyncio.create_task(self._hang_up(command))

    def carrier_hung_up(self) -> None:
        """The carrier has said elsewhere (a status callback) that the call is over."""
        self._stopped_elsewhere.set()

    @property
    def hanging_up(self) -> bool:
        """Whether ``HangUp`` was performed."""
        return self._hanging_up is not None

    async def close(self) -> None:
        """Finish hanging up, if that was asked for, and close the socket. Idempotent."""
        if self._hanging_up is not None:
            await asyncio.shield(self._hanging_up)
        self._say_gone(Gone.CLOSED)
        await self._transport.close(1000, "")

    async def _hang_up(self, command: ev.HangUp) -> None:
        try:
            await self._end_call(command)
        except Exception:  # noqa: BLE001 - whatever broke, closing the socket is the second way
            _log.exception("the carrier could not be told to end the call; closing its socket")
        self._say_gone(Gone.CLOSED)
        await self._transport.close(1000, "")  # the second way: the carrier goes on to what follows

    # --- what the carrier says --------------------------------------------------------------------
    async def _listen(self) -> Gone:
        tasks = [asyncio.create_task(work()) for work in (self._read, self._stopped, self._silence)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(task.result() for task in tasks if task.done())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> Gone:
        loop = asyncio.get_running_loop()
        while (frame := await self._transport.receive()) is not None:
            message = wire.read_message(frame)
            if isinstance(message, wire.Stop) and message.stream_sid == self._sid:
                return Gone.STOPPED
            if isinstance(message, wire.Media):
                self._heard_at = loop.time()
            if (code := self._take(message)) is not None:
                await self._transport.close(code, "protocol")
                break
        return Gone.LOST

    async def _stopped(self) -> Gone:
        await self._stopped_elsewhere.wait()
        return Gone.STOPPED

    async def _silence(self) -> Gone:
        """Ends once the line is dead. Looks at a time written down: a timer for each frame would cost more."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        while True:
            left = self._heard_at + self._dead_after - loop.time()
            if left <= 0:
                return Gone.DEAD
            await asyncio.sleep(left)

    def _take(self, message: wire.Message) -> int | None:
        """Act on a message; the code to close the socket with if it went too far."""
        assert self._emit is not None
        match message:
            case wire.Media() | wire.Mark() | wire.Key() | wire.Stop() if message.stream_sid != self._sid:
                return self._fault(wire.Bad("another stream's"), "wrong_stream")
            case wire.Media():
                self._hear(message)
            case wire.Mark(_, name):
                self._played(name)
            case wire.Key(_, digit):
                self._emit(ev.KeyPressed(digit))
            case wire.Oracle(text) if self._on_oracle is not None:
                self._on_oracle(text)
            case wire.Start():
                self.counts["second_start"] += 1
                return 1008
            case wire.Bad():
                return self._fault(message, "bad_frame")
            case wire.Ignored() | wire.Oracle():
                self.counts["ignored"] += 1
        return None

    def _fault(self, message: wire.Bad, name: str) -> int | None:
        self.counts[name] += 1
        return code_of(message) if self.counts[name] >= BAD_FRAMES else None

    def _hear(self, media: wire.Media) -> None:
        if media.sequence is not None and media.sequence > self._sequence:
            self._sequence = media.sequence
        elif media.place[0] is not None and media.place in self._recent:
            self.counts["duplicate"] += 1
            return
        elif media.sequence is not None:
            self.counts["out_of_order"] += 1  # cannot be on TCP; 20 ms out of place do no harm
        self._recent.append(media.place)
        if media.chunk is not None:
            if self._chunk is not None and media.chunk > self._chunk + 1:
                self.counts["gap"] += 1
            self._chunk = max(media.chunk, self._chunk or 0)
        self._ears.hear(media.audio)

    def _played(self, name: str) -> None:
        assert self._emit is not None
        number = int(name) if name.isascii() and name.isdigit() else -1
        if number in self._outstanding:
            self._outstanding.discard(number)
            self._emit(ev.Played(number))
        elif number in self._discarded:
            self._discarded.discard(number)  # returned by a clear: nobody heard it
        else:
            self.counts["unknown_mark"] += 1

    def _say_gone(self, why: Gone) -> None:
        if not self.gone.done():
            self.gone.set_result(why)

    # --- what the bot says ------------------------------------------------------------------------
    def _synthesise_ahead(self) -> None:
        for utterance in list(self._waiting)[:AHEAD]:
            if utterance.maker is None:
                utterance.maker = asyncio.create_task(self._synthesise(utterance))

    async def _synthesise(self, utterance: _Utterance) -> None:
        command = utterance.command
        result: Exception | None = None
        try:
            audio: AsyncGenerator[bytes, None] = self._mouth.say(command.text, command.speech)
            async with contextlib.aclosing(audio) as pieces:
                async for piece in pieces:
                    utterance.pieces.put_nowait(piece)
        except Exception as error:  # noqa: BLE001 - whatever broke, the call goes on without this sentence
            result = error
        utterance.pieces.put_nowait(result)

    async def _speak(self) -> None:
        while True:
            await self._to_speak.wait()
            if not self._waiting:
                self._to_speak.clear()
                continue
            utterance = self._waiting[0]
            await self._say(utterance)
            if self._waiting and self._waiting[0] is utterance:  # else it was cleared meanwhile
                self._waiting.popleft()
            self._synthesise_ahead()

    async def _say(self, utterance: _Utterance) -> None:
        assert self._emit is not None
        mark, length = utterance.command.mark, 0
        while (piece := await utterance.pieces.get()) is not None:
            if isinstance(piece, Exception):
                self._emit(ev.VoiceFailed(mark, f"{type(piece).__name__}: {piece}"))
                return
            self._ears.bot_plays(piece)
            for begin in range(0, len(piece), MESSAGE_BYTES):
                self._put(wire.media_frame(self._sid, piece[begin : begin + MESSAGE_BYTES]))
            if piece and not length:
                seconds = asyncio.get_running_loop().time() - utterance.since
                self._note(ev.Note("voice_began", {"mark": mark, "seconds": seconds}))
            length += len(piece)
        if not length:
            self._emit(ev.VoiceFailed(mark, "the voice gave no audio"))
            return
        self._outstanding.add(mark)
        self._put(wire.mark_frame(self._sid, str(mark)))
        self._emit(ev.AudioQueued(mark, PHONE.seconds(length)))

    def _clear(self) -> None:
        """Silence at once: unsent frames go, what the carrier has is cleared, marks lose their meaning."""
        for utterance in self._waiting:
            if utterance.maker is not None:
                utterance.maker.cancel()
        self._waiting.clear()
        self._discarded |= self._outstanding
        self._outstanding.clear()
        self._outbox.clear()
        if self._speaking is not None:  # it may wait for audio that nobody makes any more
            self._speaking.cancel()
            self._speaking = asyncio.create_task(self._speak())
        self._put(wire.clear_frame(self._sid))
        self._ears.bot_silenced()

    async def _abandon_speech(self) -> None:
        makers = [u.maker for u in self._waiting if u.maker is not None]
        if self._speaking is not None:
            makers.append(self._speaking)
        for task in makers:
            task.cancel()
        await asyncio.gather(*makers, return_exceptions=True)
        self._waiting.clear()

    # --- the outbox -------------------------------------------------------------------------------
    def _put(self, frame: str) -> None:
        self._outbox.append(frame)
        self._to_send.set()

    async def _transmit(self) -> None:
        while True:
            await self._to_send.wait()
            if not self._outbox:
                self._to_send.clear()
                continue
            try:
                await self._transport.send(self._outbox.popleft())
            except (OSError, RuntimeError):
                return  # closed; reading says so too
