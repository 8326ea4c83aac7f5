"""What one ``callbot talk`` was asked for, and the parts that follow from it: made before the call begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from callbot.business import Business
from callbot.cli.talk_speech import choose_recogniser, choose_voice
from callbot.config import Settings
from callbot.errors import CallbotError
from callbot.lines.microphone import RecordedCaller
from callbot.lookup import DEFAULT_PROMPTS_DIR, business_files, find_business
from callbot.models.base import Model
from callbot.models.registry import default_model, make_model
from callbot.sound import PHONE, AudioFormat, Recogniser, Voice
from callbot.speech.audio import UnreadableAudio, read_caller

WIDEBAND = AudioFormat("pcm16", 16_000)
"""What a talk sounds like without ``--phone``; recognisers take no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """What one ``callbot talk`` was asked for."""

    business: str | None
    tts: str | None
    stt: str | None
    typed: bool
    recorded: Path | None
    input_device: str | None
    output_device: str | None
    phone: bool
    headset: bool
    caller_number: str | None
    settings: Settings

    @property
    def format(self) -> AudioFormat:
        """How the call sounds."""
        return PHONE if self.phone else WIDEBAND


@runtime_checkable
class Warmable(Protocol):
    """A model that can get ready before it is needed."""

    async def warm(self) -> None:
        """Get ready."""
        ...


@dataclass(slots=True)
class Parts:
    """Everything that a talk needs and that may be missing; made before the call begins."""

    business: Business
    model: Model
    fallback: Model | None
    voice: Voice
    recogniser: Recogniser | None
    remarks: list[str]
    """What to say about them first."""
    _closed: bool = field(default=False, init=False)

    async def close(self) -> None:
        """Release connections. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for part in (self.model, self.fallback, self.voice, self.recogniser):
            if part is not None:
                await part.close()


def make_parts(talk: Talk) -> Parts:
    """Make everything that a talk was asked for. Raises CallbotError for what is missing."""
    settings = talk.settings
    business = _business(talk)
    name = settings.model or default_model()
    model = make_model(name)
    behind = settings.fallback or ("offline" if name.startswith("openai") else None)
    fallback = make_model(behind) if behind is not None and behind != name else None
    voice, about_voice = choose_voice(business, talk.tts, settings.tts)
    recogniser, about_ears = (
        (None, "you type, the bot speaks")
        if talk.typed
        else choose_recogniser(business, talk.stt, settings.stt)
    )
    if recogniser is None and talk.recorded is not None:
        raise CallbotError(f"--from needs a recogniser: {about_ears}")
    then = f", and {fallback.name} if it fails" if fallback else ""
    why = (
        " (embedded; no --model named, no OPENAI_API_KEY set)"
        if not settings.model and name == "offline"
        else ""
    )
    heard = recogniser.name if recogniser else "the keyboard"
    remarks = [
        f"{business.id}, model {model.name}{then}{why}, voice {voice.name}, ears {heard}",
        *filter(None, (about_voice, about_ears)),
    ]
    return Parts(business, model, fallback, voice, recogniser, remarks)


def _business(talk: Talk) -> Business:
    settings = talk.settings
    if talk.business is not None:
        return find_business(talk.business, settings.prompts_dir, settings.database)
    known = list(business_files(settings.prompts_dir or DEFAULT_PROMPTS_DIR))
    if len(known) != 1:
        listed = (
            f"one of {', '.join(known)}" if known else "there are none in prompts/; callbot init makes one"
        )
        raise CallbotError(f"say which business to call: {listed}")
    return find_business(known[0], settings.prompts_dir, settings.database)


def recorded_caller(talk: Talk, format: AudioFormat) -> RecordedCaller | None:
    """The recording that ``--from`` names, in a card's format. Raises CallbotError."""
    if talk.recorded is None:
        return None
    if not talk.recorded.is_file():
        raise CallbotError(f"--from: there is no file {talk.recorded}")
    try:
        audio, stereo = read_caller(talk.recorded, format)
    except UnreadableAudio as error:
        raise CallbotError(f"--from: {talk.recorded} holds {error}") from error
    return RecordedCaller(audio, from_opening=stereo)
