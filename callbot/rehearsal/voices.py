"""Who speaks and who listens on rehearsed calls, as the virtual loop reaches them.

espeak is embedded: it takes no virtual time, and each of its sentences is kept on disk, since it never
says one twice in quite the same way: so the same call sounds the same again, in any run. Any other
voice or recogniser works in real time, and the call waits for it as long as it took.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np

from callbot.carrier import g711
from callbot.events import SpeechKind
from callbot.rehearsal.virtualtime import Outside
from callbot.sound import PHONE, Hearing, Mouth, Recogniser, Voice
from callbot.speech.audio import convert
from callbot.speech.cache import ClipFolder


def is_embedded(voice: str) -> bool:
    """Whether a voice of this name needs nobody else."""
    return voice.startswith("espeak")


class KeptVoice:
    """A voice whose sentences are kept in a folder; see ``sound.Voice``."""

    format = PHONE

    def __init__(self, voice: Voice, folder: ClipFolder) -> None:
        self._voice, self._folder = voice, folder
        self.name = voice.name
        self._said: dict[tuple[str, str], bytes] = {}

    async def synthesise(self, text: str, language: str) -> AsyncGenerator[bytes, None]:
        """Speak, in one piece; see ``sound.Voice``."""
        audio = self._said.get((text, language))
        if audio is None:
            path = self._folder.path(self.name, text, language, PHONE)
            audio = self._folder.get(path)
            if audio is None:
                audio = convert(await whole(self._voice, text, language), self._voice.format, PHONE)
                self._folder.put(path, audio)
            self._said[text, language] = audio
        yield audio

    async def warm(self) -> None:
        """Load what the first sentence would wait for."""
        await self._voice.warm()

    async def close(self) -> None:
        """Release what the voice holds."""
        await self._voice.close()


async def whole(voice: Voice, text: str, language: str) -> bytes:
    """All that a voice says. Raises SpeechFailed."""
    async with aclosing(voice.synthesise(text, language)) as pieces:
        return b"".join([piece async for piece in pieces])


class CallerVoice:
    """The caller's voice; see ``carrier.voice.Voice``."""

    def __init__(self, voice: KeptVoice) -> None:
        self._voice = voice

    async def speak(self, text: str, language: str) -> tuple[bytes, int]:
        """16-bit mono samples in native byte order, and their rate in hertz."""
        audio = await whole(self._voice, text, language)
        return g711.decode(audio).astype(np.int16).tobytes(), g711.RATE


class OutsideVoice:
    """A voice that speaks outside; see ``sound.Voice``."""

    def __init__(self, voice: Voice, outside: Outside) -> None:
        self._voice, self._outside = voice, outside
        self.name, self.format = voice.name, voice.format

    def synthesise(self, text: str, language: str) -> AsyncGenerator[bytes, None]:
        """Speak; what is embedded takes no time. See ``sound.Voice``."""
        counted = not is_embedded(self.name)
        return self._outside.timed(lambda: self._voice.synthesise(text, language), counted=counted)

    async def warm(self) -> None:
        """It was warmed outside."""

    async def close(self) -> None:
        """It is closed outside."""


class RecallingMouth:
    """A mouth that remembers how its sentences sounded; see ``sound.Mouth``."""

    def __init__(self, mouth: Mouth) -> None:
        self._mouth = mouth
        self.said: dict[str, bytes] = {}

    async def say(self, text: str, speech: SpeechKind) -> AsyncGenerator[bytes, None]:
        """Audio of ``text`` in pieces of any length; see ``sound.Mouth``."""
        audio = b""
        async with aclosing(self._mouth.say(text, speech)) as pieces:
            async for piece in pieces:
                audio += piece
                yield piece
        self.said[text] = audio


class OutsideRecogniser:
    """A recogniser that listens outside; see ``sound.Recogniser``."""

    def __init__(self, recogniser: Recogniser, outside: Outside) -> None:
        self._recogniser, self._outside = recogniser, outside
        self.name, self.format = recogniser.name, recogniser.format

    def listen(self, language: str, expecting: str = "") -> OutsideHearing:
        """Begin an utterance."""
        hearing = self._outside.do(lambda: self._recogniser.listen(language, expecting))
        return OutsideHearing(hearing, self._outside)

    async def warm(self) -> None:
        """It was warmed outside."""

    async def close(self) -> None:
        """It is closed outside."""


class OutsideHearing:
    """One utterance; see ``sound.Hearing``."""

    def __init__(self, hearing: Hearing, outside: Outside) -> None:
        self._hearing, self._outside = hearing, outside

    def feed(self, audio: bytes) -> None:
        """The next of the utterance's audio."""
        self._outside.do(lambda: self._hearing.feed(audio))

    async def text(self) -> str:
        """Its words, after the time that recognising them took. Raises SpeechFailed."""

        async def recognised() -> AsyncGenerator[str, None]:
            yield await self._hearing.text()

        async with aclosing(self._outside.timed(recognised, counted=True)) as texts:
            return await anext(texts)

    def abandon(self) -> None:
        """Nobody wants its words any more."""
        self._outside.do(self._hearing.abandon)
