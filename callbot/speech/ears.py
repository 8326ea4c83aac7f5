"""One caller's ears: audio in, the engine's events out; see ``sound.Ears``.

Every 20 ms of the line become one decision of the detector; the endpointer makes utterances of
them; the recogniser is fed while the caller speaks, from before the onset, and answers when the
utterance has ended. A caller who speaks on before the answer has come had not finished: both
utterances become one speech. So each SpeechStarted is followed by exactly one UserSpoke, whatever
the recogniser does: what it cannot answer within ``PATIENCE_SECONDS`` counts as no words.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from callbot.events import Event, Note, SpeechContinues, SpeechStarted, UserSpoke
from callbot.sound import AudioFormat, Hearing, Recogniser
from callbot.speech.audio import Converter
from callbot.speech.echo import Echo
from callbot.speech.endpointing import FRAME_MS, LONGEST_MS, Edge, Endpointer
from callbot.speech.stt.oracle import OracleHearing
from callbot.speech.vad import FRAME_BYTES, RATE, Detector

PATIENCE_SECONDS = 6.0
"""For the words of an utterance that has ended; the caller hears nothing meanwhile."""

SIGN_MS = 1000
"""Between two signs of an open speech; the engine gives it up after 3 s without one."""

_DETECTION = AudioFormat("pcm16", RATE)
_LEAD_FRAMES = 800 // FRAME_MS
"""Audio from before speech was certain: the longest onset, and the first consonant before it."""
_TRAIL_MS = 300
"""Silence after the last voice that a recogniser is fed: on more of it Whisper invents words."""
_ORACLE_MS = 3000
"""Words told before their audio was noticed wait this long for it."""


def _nobody_listens(event: Event) -> None:
    """Before ``start`` and after ``close``."""


@dataclass(slots=True)
class _Speech:
    """What one SpeechStarted opens and one UserSpoke closes: one utterance, or several."""

    began: int
    """Milliseconds of audio heard before it."""
    listening: bool = True
    """Its last utterance has not ended."""
    full: bool = False
    """As long as any may be: nothing joins it any more."""
    words: list[asyncio.Task[str]] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Everything in it was recognised."""
        return not self.listening and all(task.done() for task in self.words)


class CallEars:
    """Listens to one call; cheap to make once ``vad.warm()`` has loaded the detector.

    ``format`` is the line's, ``language`` ``he`` or ``en``. ``patience``: see ``PATIENCE_SECONDS``.
    ``note`` gets what Records and metrics should tell: ``recognised`` (``seconds`` from the end of
    the utterance to its words, ``audio_seconds``), ``recogniser_failed`` (``seconds``, ``error``) and
    ``oracle_unheard`` (``text`` of a simulated caller that no voice carried).
    """

    def __init__(
        self,
        recogniser: Recogniser,
        format: AudioFormat,
        language: str,
        *,
        note: Callable[[Note], None] = lambda note: None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._recogniser, self._format, self._language = recogniser, format, language
        self._note, self._patience = note, patience
        self._emit: Callable[[Event], None] = _nobody_listens
        self._frame_bytes = format.rate * FRAME_MS // 1000 * format.sample_bytes
        self._line = bytearray()
        self._decoder, self._decoded = Converter(format, _DETECTION), bytearray()
        self._detector, self._endpointer, self._echo = Detector(), Endpointer(), Echo(format)
        self._recent: deque[bytes] = deque(maxlen=_LEAD_FRAMES)
        self._field_type = ""
        self._now = 0
        """Milliseconds of audio heard."""
        self._next_sign = 0
        self._utterance: _Utterance | None = None
        self._speeches: deque[_Speech] = deque()
        """The engine knows of the first; others wait for its words."""
        self._told: deque[tuple[int, str]] = deque()

    def start(self, emit: Callable[[Event], None]) -> None:
        """Begin to listen; see ``sound.Ears``."""
        self._emit = emit

    def hear(self, audio: bytes) -> None:
        """The caller's next audio; see ``sound.Ears``."""
        self._line += audio
        while len(self._line) >= self._frame_bytes:
            frame = bytes(self._line[: self._frame_bytes])
            del self._line[: self._frame_bytes]
            self._hear(frame)

    def bot_plays(self, audio: bytes) -> None:
        """The line queued audio of the bot; see ``sound.Ears``."""
        self._echo.plays(audio)

    def bot_silenced(self) -> None:
        """The line dropped all queued audio of the bot."""
        self._echo.silenced()

    def expect(self, field_type: str) -> None:
        """What the bot has just asked for; see ``sound.Ears``."""
        self._field_type = field_type
        self._endpointer.expect(field_type)

    def oracle(self, text: str) -> None:
        """What a simulated caller says; the ``oracle`` recogniser hears it when their audio ends.

        To be told when the audio ends, or at most 3 s before it begins. Words whose audio does not
        open speech (too short, too faint, lost) are lost as well, as they would be on a real call.
        Other recognisers never learn of them.
        """
        self._told.append((self._now, text))
        self._tell()

    async def close(self) -> None:
        """Abandon what is being recognised; nothing is emitted any more."""
        self._emit = _nobody_listens
        if self._utterance is not None:
            self._utterance.abandon()
            self._utterance = None
        tasks = [task for speech in self._speeches for task in speech.words]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._speeches.clear()

    # --- frames ---------------------------------------------------------------------------------
    def _hear(self, frame: bytes) -> None:
        self._now += FRAME_MS
        self._recent.append(frame)
        edge = self._judge(frame)
        if edge is Edge.BEGAN:
            self._began()
        elif self._utterance is not None:
            self._utterance.hear(frame, self._endpointer.silence)
        if edge is Edge.ENDED:
            self._ended()
        if self._speeches and self._now >= self._next_sign:
            self._next_sign = self._now + SIGN_MS
            self._emit(SpeechContinues())
        while self._told and self._now - self._told[0][0] > _ORACLE_MS:
            self._note(Note("oracle_unheard", {"text": self._told.popleft()[1]}))

    def _judge(self, frame: bytes) -> Edge | None:
        """What one frame of the line makes certain; a resampler may give out less or more than one."""
        self._decoded += self._decoder.feed(frame)
        edge = None
        while len(self._decoded) >= FRAME_BYTES:
            piece = bytes(self._decoded[:FRAME_BYTES])
            del self._decoded[:FRAME_BYTES]
            self._echo.hears(piece)
            voiced = self._detector.hear(piece, self._echo)
            edge = self._endpointer.hear(voiced, careful=self._echo.audible) or edge
        return edge

    # --- speeches -------------------------------------------------------------------------------
    def _began(self) -> None:
        self._utterance = _Utterance(self._listen(), Converter(self._format, self._recogniser.format))
        for frame in self._recent:
            self._utterance.hear(frame, 0)
        self._tell()
        if self._speeches and not self._speeches[-1].full:
            self._speeches[-1].listening = True
            return
        self._speeches.append(_Speech(self._now))
        if len(self._speeches) == 1:
            self._announce()

    def _listen(self) -> Hearing:
        try:
            return self._recogniser.listen(self._language, self._field_type)
        except Exception as error:  # noqa: BLE001 - the line goes on whatever broke
            return _Broken(error)

    def _ended(self) -> None:
        assert self._utterance is not None
        speech = self._speeches[-1]
        speech.listening = False
        speech.full = self._now - speech.began >= LONGEST_MS
        task = asyncio.get_running_loop().create_task(self._words(self._utterance))
        speech.words.append(task)
        task.add_done_callback(lambda done: self._deliver())
        self._utterance = None

    async def _words(self, utterance: _Utterance) -> str:
        """What was said; empty if the recogniser failed, too late or broken."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(self._patience):
                text = await utterance.words()
        except Exception as error:  # noqa: BLE001 - whatever broke, the speech must close
            utterance.abandon()
            slow = isinstance(error, TimeoutError)
            said = f"no words within {self._patience:g} s" if slow else str(error) or type(error).__name__
            spent = {"seconds": loop.time() - begun, "error": said}
            self._note(Note("recogniser_failed", {"recogniser": self._recogniser.name, **spent}))
            return ""
        spent = {"seconds": loop.time() - begun, "audio_seconds": utterance.seconds}
        self._note(Note("recognised", {"recogniser": self._recogniser.name, **spent}))
        return text

    def _announce(self) -> None:
        self._next_sign = self._now + SIGN_MS
        self._emit(SpeechStarted())

    def _deliver(self) -> None:
        """Close every speech whose words are all there, in order."""
        while self._speeches and self._speeches[0].over:
            speech = self._speeches.popleft()
            if any(task.cancelled() for task in speech.words):
                continue  # closed
            self._emit(UserSpoke(" ".join(filter(None, (task.result().strip() for task in speech.words)))))
            if self._speeches:
                self._announce()

    def _tell(self) -> None:
        if self._utterance is None or not isinstance(self._utterance.hearing, OracleHearing):
            return
        while self._told:
            self._utterance.hearing.tell(self._told.popleft()[1])


class _Utterance:
    """Feeds one Hearing in its recogniser's format, without the silence at its end."""

    def __init__(self, hearing: Hearing, converter: Converter) -> None:
        self.hearing, self._converter = hearing, converter
        self._held: list[bytes] = []
        """Silence that is fed once the caller speaks on."""
        self.seconds = 0.0

    def hear(self, frame: bytes, silence: int) -> None:
        """The next frame of the line; ``silence``: milliseconds since the last voice."""
        if silence > _TRAIL_MS:
            self._held.append(frame)
            return
        for piece in (*self._held, frame):
            self.seconds += FRAME_MS / 1000
            self._feed(self._converter.feed(piece))
        self._held.clear()

    def _feed(self, audio: bytes) -> None:
        try:
            self.hearing.feed(audio)
        except Exception as error:  # noqa: BLE001 - the line goes on whatever broke
            self.hearing.abandon()
            self.hearing = _Broken(error)

    async def words(self) -> str:
        """Its words; see ``sound.Hearing``."""
        self._feed(self._converter.flush())
        return await self.hearing.text()

    def abandon(self) -> None:
        """Nobody wants its words any more."""
        self.hearing.abandon()


class _Broken:
    """A Hearing that could not be had; it says why when its words are wanted."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def feed(self, audio: bytes) -> None:
        """Nobody listens."""

    async def text(self) -> str:
        """Raise what broke."""
        raise self._error

    def abandon(self) -> None:
        """Nothing is under way."""
