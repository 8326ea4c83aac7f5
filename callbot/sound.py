"""What sound is between the parts: its formats, and who synthesises, recognises, listens and speaks.

Lines carry audio without knowing how speech is made or understood; ``speech`` makes and understands
it without knowing on which line. They meet in these protocols, and ``server`` and ``cli`` introduce
them to each other. Importing this costs the standard library only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from callbot.errors import CallbotError
from callbot.events import Event, SpeechKind


class SpeechFailed(CallbotError):
    """A voice could not speak, or a recogniser could not listen: connection, status, timeout, no audio."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How mono audio is written in bytes: ``rate`` in samples a second, no header, whole samples."""

    encoding: Literal["pcm16", "mulaw"]
    """``pcm16``: signed 16-bit little-endian, 2 bytes a sample; ``mulaw``: G.711 mu-law, 1 byte a sample."""
    rate: int

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 2 if self.encoding == "pcm16" else 1

    def seconds(self, length: int) -> float:
        """How long ``length`` bytes last."""
        return length / (self.sample_bytes * self.rate)


PHONE = AudioFormat("mulaw", 8000)
"""What Twilio Media Streams carry, both ways."""


class Voice(Protocol):
    """Text to speech. One for all calls of a process.

    ``name`` is what ``--tts`` takes; ``format`` is that of the audio it yields.
    """

    name: str
    format: AudioFormat

    def synthesise(self, text: str, language: str) -> AsyncGenerator[bytes, None]:
        """Speak ``text`` (speakable already; ``language``: ``he`` or ``en``): pieces of any length, in order.

        Closing the generator abandons the rest (a barge-in). Raises SpeechFailed; never yields nothing.
        """
        ...

    async def warm(self) -> None:
        """Open connections and load what the first sentence would wait for. Failures show later."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Hearing(Protocol):
    """The recognition of one utterance while it is spoken."""

    def feed(self, audio: bytes) -> None:
        """The next of the utterance's audio, in the recogniser's format."""
        ...

    async def text(self) -> str:
        """The utterance is over: its words, empty for none. Raises SpeechFailed."""
        ...

    def abandon(self) -> None:
        """Nobody wants its words any more."""
        ...


class Recogniser(Protocol):
    """Speech to text. One for all calls of a process.

    ``name`` is what ``--stt`` takes; ``format`` is what it is fed.
    """

    name: str
    format: AudioFormat

    def listen(self, language: str, expecting: str = "") -> Hearing:
        """Begin an utterance. ``expecting``: the type of the field just asked for, or empty."""
        ...

    async def warm(self) -> None:
        """Open connections and load weights before the first utterance needs them."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Ears(Protocol):
    """One caller's audio becomes the engine's events: SpeechStarted, SpeechContinues, UserSpoke.

    Time is the audio's own: frames of a line follow one another without gaps, so that the same
    frames give the same events on a real and on a virtual clock.
    """

    def start(self, emit: Callable[[Event], None]) -> None:
        """Begin to listen; events go to ``emit``, from the running event loop."""
        ...

    def hear(self, audio: bytes) -> None:
        """The caller's next audio in the line's format, any length. Never waits."""
        ...

    def bot_plays(self, audio: bytes) -> None:
        """The line queues this audio of the bot behind what it has queued (for the bot's own echo)."""
        ...

    def bot_silenced(self) -> None:
        """The line dropped all queued audio of the bot."""
        ...

    def expect(self, field_type: str) -> None:
        """The bot has just asked for a field of this type (``phone`` is dictated slowly), or nothing: ``""``."""
        ...

    async def close(self) -> None:
        """Abandon what is being recognised."""
        ...


class Mouth(Protocol):
    """One call's voice: the business's sentences in the line's format, from the cache where it can."""

    def say(self, text: str, speech: SpeechKind) -> AsyncGenerator[bytes, None]:
        """Audio of ``text`` in pieces of any length. Closing it abandons the rest. Raises SpeechFailed."""
        ...
