"""The voices and recognisers of a server: one of each name, shared by all calls; a business's clips."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from callbot.business import Business
from callbot.errors import CallbotError, InvalidInput, Problem
from callbot.events import Note
from callbot.server.options import ServeOptions
from callbot.sound import PHONE, Recogniser, Voice
from callbot.speech import vad
from callbot.speech.audio import UnreadableAudio, read_audio, wav_bytes
from callbot.speech.cache import Clips, render_fixed
from callbot.speech.ears import CallEars
from callbot.speech.mouth import BusinessMouth
from callbot.speech.stt.registry import make_recogniser
from callbot.speech.tts.registry import make_voice, voice_for

WARM_SECONDS = 30.0
"""What was warmed so lately is warm: providers keep idle connections for a minute."""

_log = logging.getLogger(__name__)


@runtime_checkable
class Warmable(Protocol):
    """Anything that can open its connections before they are needed."""

    async def warm(self) -> None:
        """Open them."""
        ...


@dataclass(frozen=True, slots=True)
class Audio:
    """A file that the carrier plays. ``id`` names what it was made from; ``seconds`` its length."""

    id: str
    content: bytes
    seconds: float
    content_type: str = "audio/wav"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A business's fixed sentences, rendered: for its calls (``clips``) and for the carrier to play."""

    clips: Clips
    greeting: Audio | None
    """None: it could not be rendered."""
    failure: Audio | None
    """The recorded apology for a call that nobody can go on with."""


@dataclass(slots=True)
class Speech:
    """Who speaks and who listens, by business."""

    options: ServeOptions
    _voices: dict[str, Voice] = field(default_factory=dict)
    _recognisers: dict[str, Recogniser] = field(default_factory=dict)
    _warmed: dict[str, float] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def check(self, business: Business) -> None:
        """Make what the business speaks and listens with. Raises CallbotError for what may not or cannot be."""
        voice = self._tts_of(business)
        if voice.startswith("espeak") and not self.options.allow_espeak:
            raise CallbotError(
                f"{business.id}: espeak is a robot's voice, for tests; choose another with --tts or "
                "voice.tts, or say --allow-espeak"
            )
        stt = self._stt_of(business)
        if stt.startswith("oracle") and not self.options.simulated_callers_only:
            raise CallbotError(
                f"{business.id}: the recogniser oracle hears no real caller; choose another with --stt or "
                "voice.stt, or say --simulated-callers-only"
            )
        self.voice(business)
        self.recogniser(business)

    def voice(self, business: Business) -> Voice:
        """The business's own voice, else the server's."""
        name = self._tts_of(business)
        if name not in self._voices:
            self._voices[name] = make_voice(name)
        return self._voices[name]

    def recogniser(self, business: Business) -> Recogniser:
        """The business's own recogniser, else the server's."""
        name = self._stt_of(business)
        if name not in self._recognisers:
            self._recognisers[name] = make_recogniser(name)
        return self._recognisers[name]

    def _tts_of(self, business: Business) -> str:
        if self.options.simulated_callers_only and self.options.tts:
            return self.options.tts
        return voice_for(business, self.options.tts)

    def _stt_of(self, business: Business) -> str:
        if self.options.simulated_callers_only and self.options.stt:
            return self.options.stt
        name = business.voice.stt or self.options.stt
        if name is None:
            raise CallbotError(
                f"{business.id} has no recogniser: set voice.stt in its file, or choose one with --stt"
            )
        return name

    async def spoken(self, business: Business) -> Spoken:
        """Render (or find) the business's fixed sentences. Raises InvalidInput for its own recording."""
        recorded = await asyncio.to_thread(_recorded, business, self.options.prompts_dir)
        voice = self.voice(business)
        clips = await render_fixed(business, voice, PHONE, self.options.clips_dir, recorded)
        for text, why in clips.missing.items():
            _log.warning(
                "a sentence could not be rendered", extra={"business": business.id, "text": text, "why": why}
            )
        failure = business.sentence("failure")
        return Spoken(
            clips,
            _audio(business, voice, clips, business.greeting.text),
            _audio(business, voice, clips, failure),
        )

    def mouth(self, business: Business, spoken: Spoken | None) -> BusinessMouth:
        """A call's voice."""
        return BusinessMouth(business, self.voice(business), PHONE, spoken.clips.audio if spoken else None)

    def ears(self, business: Business, note: Callable[[Note], None]) -> CallEars:
        """A call's ears."""
        return CallEars(self.recogniser(business), PHONE, business.language, note=note)

    def warm(self, business: Business, others: Iterable[tuple[str, object]]) -> None:
        """Open the connections that the business's next call needs, while its greeting plays."""
        voice, recogniser = self.voice(business), self.recogniser(business)
        for name, part in ((voice.name, voice), (recogniser.name, recogniser), *others):
            now = time.monotonic()
            if isinstance(part, Warmable) and now - self._warmed.get(name, -WARM_SECONDS) >= WARM_SECONDS:
                self._warmed[name] = now
                task = asyncio.create_task(_warm(name, part))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def load(self) -> None:
        """Load what the first call would wait for. Raises CallbotError for what is not installed."""
        await asyncio.to_thread(vad.warm)

    async def close(self) -> None:
        """Release connections."""
        for task in self._tasks:
            task.cancel()
        for voice in self._voices.values():
            await voice.close()
        for recogniser in self._recognisers.values():
            await recogniser.close()


async def _warm(name: str, part: Warmable) -> None:
    try:
        await part.warm()
    except Exception as error:  # noqa: BLE001 - the call itself will show what is wrong, and go on
        _log.warning("could not be warmed", extra={"part": name, "error": type(error).__name__})


def _recorded(business: Business, folder: Path) -> dict[str, bytes]:
    """The business's own recording of its greeting, by the greeting's text; its path is from ``folder``."""
    if business.greeting.audio is None:
        return {}
    path = folder / Path(business.greeting.audio).expanduser()
    if not path.is_file():
        raise InvalidInput(
            [Problem(None, None, f"{business.id}: greeting.audio", f"there is no file {path}")]
        )
    try:
        return {business.greeting.text: read_audio(path, PHONE)}
    except UnreadableAudio as error:
        raise InvalidInput(
            [Problem(None, None, f"{business.id}: greeting.audio", f"{path}: {error}")]
        ) from error


def _audio(business: Business, voice: Voice, clips: Clips, text: str) -> Audio | None:
    clip = clips.audio.get(text)
    if clip is None:
        return None
    made_from = [business.id, business.language, voice.name, text]
    if text == business.greeting.text and business.greeting.audio:
        made_from.append(hashlib.sha256(clip).hexdigest())
    name = hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:32]
    return Audio(name, wav_bytes(clip, PHONE), PHONE.seconds(len(clip)))
