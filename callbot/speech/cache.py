"""Fixed sentences of a business as audio: rendered ahead, and kept on disk.

Only sentences that stand in a business's file are kept: what a model says holds names and numbers
of callers, and no such audio is left lying about. A clip's file is named by the hash of everything
it was made from, and begins with the hash of its audio; one that does not match is rendered again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from callbot.business import Business
from callbot.errors import CallbotError
from callbot.events import SpeechKind
from callbot.files import write_whole
from callbot.sound import AudioFormat, SpeechFailed, Voice
from callbot.speech.mouth import BusinessMouth
from callbot.speech.speakable import speakable

RENDER_SECONDS = 20.0
"""How long the first audio of a sentence may take when nobody waits on the phone."""

_UNUSED_DAYS = 90
_SUFFIX = ".clip"
_HASH_BYTES = hashlib.sha256().digest_size

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clips:
    """Rendered sentences by their text, in ``format``."""

    format: AudioFormat
    audio: Mapping[str, bytes]
    missing: Mapping[str, str] = field(default_factory=dict)
    """Sentences that could not be rendered, and why."""


class ClipFolder:
    """Clips on disk. Several processes may share a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._refused = False

    def path(self, voice: str, text: str, language: str, format: AudioFormat) -> Path:
        """Where the clip of a (speakable) text is, or would be."""
        made_from = "\0".join((voice, language, format.encoding, str(format.rate), text))
        return self._folder / f"{hashlib.sha256(made_from.encode()).hexdigest()[:32]}{_SUFFIX}"

    def get(self, path: Path) -> bytes | None:
        """A clip's audio, or None if there is none that is whole."""
        try:
            data = path.read_bytes()
            with suppress(OSError):
                os.utime(path)  # still in use
        except OSError:
            return None
        digest, audio = data[:_HASH_BYTES], data[_HASH_BYTES:]
        if not audio or hashlib.sha256(audio).digest() != digest:
            _log.warning("%s is damaged and will be rendered again", path)
            return None
        return audio

    def put(self, path: Path, audio: bytes) -> None:
        """Keep a clip. A disk that takes none costs a warning, not the call."""
        try:
            write_whole(path, hashlib.sha256(audio).digest() + audio)
        except CallbotError as error:
            if not self._refused:
                _log.warning("%s; what is rendered is not kept", error)
            self._refused = True

    def prune(self) -> None:
        """Remove clips that nobody has used for 90 days."""
        oldest = time.time() - _UNUSED_DAYS * 86400
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def fixed_sentences(business: Business) -> dict[str, SpeechKind]:
    """Everything of a business's file that its bot may say word by word, with the kind it is said as."""
    kinds: dict[str, SpeechKind] = {}
    for text, kind in _sentences(business):
        kinds.setdefault(text, kind)
    return kinds


def _sentences(business: Business) -> Iterator[tuple[str, SpeechKind]]:
    yield business.greeting.text, SpeechKind.GREETING
    for text in business.sentence_list("warn"):
        yield text, SpeechKind.WARNING
    for text in business.sentence_list("filler"):
        yield text, SpeechKind.FILLER
    for key in ("close", "limit", "goodbye", "failure"):
        yield business.sentence(key), SpeechKind.CLOSING
    for key in ("apology", "repeat"):
        yield business.sentence(key), SpeechKind.APOLOGY
    yield business.sentence("resume"), SpeechKind.RESUME
    for wanted in business.fields:
        if wanted.ask:
            yield wanted.ask, SpeechKind.REPLY


async def render_fixed(
    business: Business,
    voice: Voice,
    format: AudioFormat,
    folder: Path,
    recorded: Mapping[str, bytes] | None = None,
) -> Clips:
    """All fixed sentences of a business, from ``folder`` where they are, else rendered and kept there.

    ``recorded``: audio of sentences that are not to be rendered, in ``format`` (the business's own
    greeting). A sentence that cannot be rendered is in ``missing``; after two in a row the voice
    counts as down, and is asked for no more.
    """
    kept = ClipFolder(folder)
    mouth = BusinessMouth(business, voice, format, first_audio=RENDER_SECONDS)
    audio: dict[str, bytes] = dict(recorded or {})
    missing: dict[str, str] = {}
    failures = 0
    for text, kind in fixed_sentences(business).items():
        if text in audio:
            continue
        said = speakable(text, business.language, business.phone_region)
        path = kept.path(voice.name, said, business.language, format)
        clip = kept.get(path)
        if clip is None and failures < 2:
            try:
                clip = b"".join([piece async for piece in mouth.say(text, kind)])
                failures = 0
            except SpeechFailed as error:
                failures += 1
                missing[text] = str(error)
            else:
                kept.put(path, clip)
        elif clip is None:
            missing[text] = f"{voice.name} is down"
        if clip is not None:
            audio[text] = clip
    kept.prune()
    return Clips(format, audio, missing)
