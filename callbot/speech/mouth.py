"""One call's voice: a business's sentences, in the line's format, from its clips where they are rendered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from callbot.business import Business
from callbot.events import SpeechKind
from callbot.sound import AudioFormat, SpeechFailed, Voice
from callbot.speech.audio import Converter
from callbot.speech.speakable import speakable

FIRST_AUDIO_SECONDS = 4.0
"""How long a caller may wait for a sentence to begin before its voice counts as failed."""

STALL_SECONDS = 3.0
"""How long a voice may pause in the middle of a sentence's audio."""


class BusinessMouth:
    """Speaks for one business; see ``sound.Mouth``. Cheap: one may be made for every call.

    ``clips``: audio of fixed sentences by their text, in ``format`` (``cache.render_fixed``); they are
    spoken even if the voice's provider is down. Everything else is made speakable and synthesised.
    ``first_audio``, ``stall``: seconds of nothing after which it gives up.
    """

    def __init__(
        self,
        business: Business,
        voice: Voice,
        format: AudioFormat,
        clips: Mapping[str, bytes] | None = None,
        *,
        first_audio: float = FIRST_AUDIO_SECONDS,
        stall: float = STALL_SECONDS,
    ) -> None:
        self._business, self._voice, self._format = business, voice, format
        self._clips = clips if clips is not None else {}
        self._first_audio, self._stall = first_audio, stall

    async def say(self, text: str, speech: SpeechKind) -> AsyncGenerator[bytes, None]:
        """Audio of ``text``; see ``sound.Mouth``."""
        if (clip := self._clips.get(text)) is not None:
            yield clip
            return
        language = self._business.language
        said = speakable(text, language, self._business.phone_region)
        if not said:
            raise SpeechFailed(f"there is nothing to say in a text of {len(text)} characters")
        converter = Converter(self._voice.format, self._format)
        heard = 0
        async with aclosing(self._voice.synthesise(said, language)) as pieces:
            while True:
                patience = self._stall if heard else self._first_audio
                try:
                    async with asyncio.timeout(patience):
                        piece = await anext(pieces, None)
                except TimeoutError as error:
                    when = f"after {heard} bytes" if heard else "to begin a sentence"
                    raise SpeechFailed(f"{self._voice.name} took over {patience:g} s {when}") from error
                if piece is None:
                    break
                heard += len(piece)
                if converted := converter.feed(piece):
                    yield converted
        if not heard:
            raise SpeechFailed(f"{self._voice.name} sent no audio")
        if rest := converter.flush():
            yield rest
