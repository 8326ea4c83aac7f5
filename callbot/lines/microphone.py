"""The microphone line: a sound card becomes the engine's events, its commands become sound.

The card's own thread takes what is played and gives what was heard, block by block; nothing else
happens there. Each block comes to the event loop, where it is recorded, heard and counted, so that
the line's time is the card's: an utterance counts as played when its last sample has been given to
the card and the card's output latency has passed, in samples. The microphone is open before
anything is played. A greeting that the carrier plays is played here by the line itself, one buffer
queued once; what is said during it reaches nobody (rule 1 of the call), and the call starts after it.

Who sits at the microphone hangs up politely by ``leave``: the bot's sentence on the air is heard to
its end, and then the caller has hung up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from callbot import events as ev
from callbot.certificate import CARRIER_PLAYED
from callbot.driver import Emit
from callbot.lines.deck import Deck
from callbot.lines.loudspeakers import EchoGate
from callbot.lines.tape import Tape
from callbot.sound import AudioFormat, Ears, Mouth

FIRST_BLOCK_SECONDS = 6.0
"""A card that has given nothing for so long after it was started will give nothing (a sleeping
PulseAudio sink takes two seconds to wake)."""
DEAD_SECONDS = 3.0
"""A card that gives nothing for so long in mid-call has gone."""
SETTLING_SECONDS = 0.2
"""Between the first block and the first sound: cards swallow, or stumble over, what comes at once."""
SILENT_SECONDS = 3.0
"""So much digital silence from a microphone means that it is muted, or denied to us."""

_GREETING = 0
"""The line's own mark; the engine counts from 1."""

UNDERFLOW, RESTARTED = "output_underflow", "stream_restarted"
Slips = Sequence[str]
"""What a card says went wrong before a block: ``input_overflow``, UNDERFLOW, RESTARTED (it was broken)."""
Exchange = Callable[[bytes, Slips], bytes]
"""Called by a card from its own thread with what was heard; returns as much to play."""


class Card(Protocol):
    """A sound card that is open: mono, 16 bit. ``latency`` in seconds, of its output."""

    format: AudioFormat
    latency: float
    hears: bool
    """Whether there is a microphone."""

    def start(self, exchange: Exchange, gone: Callable[[], None]) -> None:
        """Begin; ``gone`` is called, from any thread, if it stops by itself."""
        ...

    def close(self) -> None:
        """Stop, after what was given to it has been played. Idempotent; may take a second."""
        ...


class Conversion(Protocol):
    """A stream of audio from one format into another."""

    def feed(self, audio: bytes) -> bytes:
        """The next piece."""
        ...

    def flush(self) -> bytes:
        """The rest."""
        ...


@dataclass(slots=True)
class RecordedCaller:
    """A recording in a card's format that is heard instead of the microphone; silence follows it.

    ``from_opening``: it begins as the line opens (a channel of a whole call), else when the caller
    may speak.
    """

    audio: bytes
    from_opening: bool = False

    def next(self, length: int) -> bytes:
        """The next ``length`` bytes."""
        piece, self.audio = self.audio[:length], self.audio[length:]
        return piece.ljust(length, b"\0")


class MicrophoneLine:
    """One talk; see ``driver.Line``.

    ``format`` is what ears and mouth use; ``convert`` makes converters between it and the card's.
    ``greeting``: audio that stands for the carrier's, in ``format``; None if the call plays its own.
    ``half_duplex``: while the bot can be heard, only what is louder than its echo is. ``note`` gets
    ``carrier_played_greeting``, ``voice_began`` (``mark``, ``seconds`` from Speak to its first sample
    queued), ``device_slipped`` (``what``, at its first time), ``device_lost`` (``why``) and
    ``microphone_silent``. ``counts``: slips of the card, and ``voice_gap``: times that the voice
    was slower than its own speech.
    """

    def __init__(
        self,
        card: Card,
        ears: Ears,
        mouth: Mouth,
        format: AudioFormat,
        convert: Callable[[AudioFormat, AudioFormat], Conversion],
        *,
        greeting: bytes | None = None,
        half_duplex: bool = False,
        recorded: RecordedCaller | None = None,
        tape: Tape | None = None,
        note: Callable[[ev.Note], None] = lambda note: None,
    ) -> None:
        self._card, self._ears, self._mouth, self._format = card, ears, mouth, format
        self._convert, self._greeting = convert, greeting
        self._recorded, self._tape, self._note = recorded, tape, note
        self._heard = convert(card.format, format)
        self._rate = card.format.rate
        self._half_duplex = half_duplex
        self._gate: EchoGate | None = None
        """Made with the first block, which tells how long blocks are."""
        self.muted = False
        self.counts: Counter[str] = Counter()
        self.behind = 0.0
        """Seconds: the longest that a block has waited for the event loop."""
        self._deck = Deck()
        self._emit: Emit | None = None
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._opened, self._greeted = asyncio.Event(), asyncio.Event()
        self._listening = self._leaving = False
        self._waiting: deque[tuple[ev.Speak, float]] = deque()
        """Speak commands whose audio is not all queued, and when they came."""
        self._to_speak = asyncio.Event()
        self._midway = False
        """Some of an utterance's audio is queued, and not yet all of it."""
        self._speaking: asyncio.Task[None] | None = None
        self._marks: deque[tuple[int, int]] = deque()
        """Bytes queued up to an utterance's end, and its mark."""
        self._due: deque[tuple[int, int]] = deque()
        """Marks whose audio the card has, and the sample at which it has been heard."""
        self._position = 0
        """Samples exchanged."""
        self._taken = 0
        self._short = True
        """The last block was not filled by the bot."""
        self._last_block = 0.0
        self._quiet_input = 0
        """Samples of digital silence since the beginning; -1: it was none."""

    # --- the driver's side ------------------------------------------------------------------------
    async def run(self, emit: Emit) -> None:
        """Open, greet, listen, until the caller leaves or the card has gone."""
        self._emit = emit
        self._speaking = asyncio.create_task(self._speak())
        watching = asyncio.create_task(self._watch())
        try:
            self._card.start(self._exchange, self._card_stopped)
            await self._either(self._opened)
            if not self._over.done():
                await self._greet()
            await self._over
        finally:
            for task in (watching, self._speaking):
                task.cancel()
            await asyncio.gather(watching, self._speaking, return_exceptions=True)
            await self._ears.close()

    async def perform(self, command: ev.Speak | ev.ClearAudio | ev.HangUp) -> None:
        """Do it; returns at once. After HangUp nothing is left to do: the last sentence was heard."""
        if isinstance(command, ev.Speak):
            self._waiting.append((command, self._loop.time()))
            self._to_speak.set()
        elif isinstance(command, ev.ClearAudio):
            self._clear()

    def leave(self, *, at_once: bool = False) -> None:
        """Hang up as the caller: after the bot's sentence that is on the air, or ``at_once``."""
        self._leaving = True
        if at_once:
            self._deck.clear()
            self._end()
        self._leave_if_quiet()

    @property
    def leaving(self) -> bool:
        """Whether the caller is about to hang up."""
        return self._leaving

    async def close(self) -> None:
        """Give the card and the tape back; a card that has gone may never answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEAD_SECONDS):
                await asyncio.to_thread(self._card.close)
        if self._tape is not None:
            self._tape.close()

    # --- opening ----------------------------------------------------------------------------------
    async def _greet(self) -> None:
        assert self._emit is not None
        begun = self._position
        if self._greeting is not None:
            converter = self._convert(self._format, self._card.format)
            audio = converter.feed(self._greeting) + converter.flush()
            breaks = self._breaks()
            self._deck.put(audio)
            self._marks.append((self._deck.queued, _GREETING))
            await self._either(self._greeted)
            if not self._greeted.is_set():
                return  # the caller has left, or the card
            self._note(
                ev.Note(
                    CARRIER_PLAYED,
                    {
                        "seconds": self._card.format.seconds(len(audio)),
                        "elapsed": (self._position - begun) / self._rate,
                        "underruns": self._breaks() - breaks,
                    },
                )
            )
        self._ears.start(self._emit)
        self._listening = True
        self._emit(ev.CallStarted())

    def _breaks(self) -> int:
        """How often the card has broken off what it was given."""
        return self.counts[UNDERFLOW] + self.counts[RESTARTED]

    async def _either(self, event: asyncio.Event) -> None:
        """Wait for it, or for the end of the line."""
        waiting = asyncio.create_task(event.wait())
        self._over.add_done_callback(lambda over: waiting.cancel())
        await asyncio.wait({waiting})

    async def _watch(self) -> None:
        self._last_block = self._loop.time()
        while not self._over.done():
            await asyncio.sleep(0.25)
            silent = self._loop.time() - self._last_block
            if not self._opened.is_set() and not self._position and silent > FIRST_BLOCK_SECONDS:
                self._lose(f"the sound card has given nothing for {FIRST_BLOCK_SECONDS:g} s")
            elif self._position and silent > DEAD_SECONDS:
                self._lose(f"the sound card has given nothing for {DEAD_SECONDS:g} s")

    def _card_stopped(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            self._loop.call_soon_threadsafe(self._lose, "the sound card has stopped")

    def _lose(self, why: str) -> None:
        if not self._over.done():
            self._note(ev.Note("device_lost", {"why": why}))
            self._end()

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    # --- the card's side --------------------------------------------------------------------------
    def _exchange(self, heard: bytes, slips: Slips) -> bytes:
        """In the card's thread: as short as can be."""
        play, taken = self._deck.take(len(heard))
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._block, heard, play, taken, slips, self._loop.time())
        return play

    def _block(self, heard: bytes, played: bytes, taken: int, slips: Slips, passed: float) -> None:
        """One block has passed, in the event loop."""
        if self._over.done():
            return
        self.behind = max(self.behind, self._loop.time() - passed)
        try:
            self._pass(heard, played, taken, slips)
        except Exception as error:  # noqa: BLE001 - a callback has nobody else to tell
            self._over.set_exception(error)

    def _pass(self, heard: bytes, played: bytes, taken: int, slips: Slips) -> None:
        self._last_block = self._loop.time()
        self._position += len(heard) // 2
        for what in slips:
            self.counts[what] += 1
            if self.counts[what] == 1:
                self._note(ev.Note("device_slipped", {"what": what}))
        short = taken - self._taken < len(played)
        if self._midway and short and not self._short:
            self.counts["voice_gap"] += 1
        self._taken, self._short = taken, short
        heard = self._of_caller(heard)
        if self._tape is not None:
            self._tape.write(heard, played)
        if not self._opened.is_set() and self._position >= SETTLING_SECONDS * self._rate:
            self._opened.set()
        heard = self._gated(heard, played)
        self._return_marks()
        if self._listening and (converted := self._heard.feed(heard)):
            self._ears.hear(converted)

    def _of_caller(self, heard: bytes) -> bytes:
        """What the caller's side carries: the recording if there is one, nothing while muted."""
        if self._recorded is not None:
            begun = self._listening or self._recorded.from_opening
            return self._recorded.next(len(heard)) if begun else bytes(len(heard))
        if self._card.hears and self._quiet_input >= 0:
            self._quiet_input = -1 if any(heard) else self._quiet_input + len(heard) // 2
            if self._quiet_input >= SILENT_SECONDS * self._rate:
                self._quiet_input = -1
                self._note(ev.Note("microphone_silent", {"seconds": SILENT_SECONDS}))
        return bytes(len(heard)) if self.muted else heard

    def _gated(self, heard: bytes, played: bytes) -> bytes:
        """On loudspeakers: nothing but what is louder than the bot, while that can be heard."""
        if not self._half_duplex:
            return heard
        if self._gate is None:
            self._gate = EchoGate(len(played) / 2 / self._rate, self._card.latency)
        return heard if self._gate.passes(heard, played) else bytes(len(heard))

    def _return_marks(self) -> None:
        assert self._emit is not None
        latency = round(self._card.latency * self._rate)
        while self._marks and self._marks[0][0] <= self._taken:
            self._due.append((self._position + latency, self._marks.popleft()[1]))
        while self._due and self._due[0][0] <= self._position:
            mark = self._due.popleft()[1]
            if mark == _GREETING:
                self._greeted.set()
            else:
                self._emit(ev.Played(mark))
            if self._leaving:
                self._loop.call_soon(self._end)  # after whoever waits for the greeting

    def _leave_if_quiet(self) -> None:
        if self._leaving and not (self._marks or self._due or self._waiting):
            self._end()

    # --- what the bot says ------------------------------------------------------------------------
    async def _speak(self) -> None:
        while True:
            await self._to_speak.wait()
            if not self._waiting:
                self._to_speak.clear()
                continue
            command, since = self._waiting[0]
            await self._say(command, since)
            self._waiting.popleft()
            self._leave_if_quiet()

    async def _say(self, command: ev.Speak, since: float) -> None:
        """Queue the audio of an utterance as fast as the voice makes it. Raises nothing but a cancel."""
        assert self._emit is not None
        length = 0
        converter = self._convert(self._format, self._card.format)
        try:
            async with contextlib.aclosing(self._mouth.say(command.text, command.speech)) as pieces:
                async for piece in pieces:
                    if not length:
                        seconds = self._loop.time() - since
                        self._note(ev.Note("voice_began", {"mark": command.mark, "seconds": seconds}))
                    self._midway = True
                    self._ears.bot_plays(piece)
                    length += len(piece)
                    self._deck.put(converter.feed(piece))
        except Exception as error:  # noqa: BLE001 - whatever broke, the call goes on without this sentence
            self._emit(ev.VoiceFailed(command.mark, f"{type(error).__name__}: {error}"))
            return
        finally:
            self._midway = False
        if not length:
            self._emit(ev.VoiceFailed(command.mark, "the voice gave no audio"))
            return
        self._deck.put(converter.flush())
        self._marks.append((self._deck.queued, command.mark))
        self._emit(ev.AudioQueued(command.mark, self._format.seconds(length)))

    def _clear(self) -> None:
        """Silence at once; marks of what is dropped never come back."""
        if self._speaking is not None:
            self._speaking.cancel()
            self._speaking = asyncio.create_task(self._speak())
        self._waiting.clear()
        self._deck.clear()
        self._marks.clear()
        self._due.clear()
        self._ears.bot_silenced()
        self._leave_if_quiet()
