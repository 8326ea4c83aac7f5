"""espeak-ng: a robot's voice that needs no key and no network; for tests and laptops.

The library comes in the wheel of ``espeakng-loader`` and is spoken to through ctypes. It keeps one
state per process and is not thread-safe, so one worker thread serves all voices and calls. Function
and constant values are those of espeak-ng 1.52's ``speak_lib.h``. That state outlives a sentence: said
again later the same sentence differs by some samples (up to 1% in length), but the same sentences in
the same order of a process are always the same.
"""

from __future__ import annotations

import asyncio
import ctypes
import re
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from callbot.errors import CallbotError
from callbot.sound import AudioFormat, SpeechFailed
from callbot.speech.tts import hebrew

RATE = 22050
"""Samples a second of every espeak voice."""

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: audio comes to the callback, before espeak_Synth returns
_DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: without data the library would end the process
_BY_CHARACTER = 1  # POS_CHARACTER
_UTF8 = 1  # espeakCHARS_UTF8
_PHONEMES = 0x100  # espeakPHONEMES: [[...]] holds phoneme mnemonics
_SPEED = 1  # espeakRATE, words a minute
_DEFAULT_SPEED = 175
_SLOWEST, _FASTEST = 80, 450

_SPEC = re.compile(
    r"(?P<kind>espeak(?:-hebrew)?)(?::(?P<variant>[A-Za-z][A-Za-z0-9_-]*))?(?:/(?P<speed>\d{1,4}))?"
)

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakVoice:
    """A voice of espeak-ng; see ``sound.Voice``.

    ``variant``: one of espeak's (``f2``, ``m3``, ``whisper``, ...), empty for the plain one.
    ``speed`` in words a minute. ``vowels``: Hebrew is given its vowels first (``espeak-hebrew``).
    Raises CallbotError where espeak, or what vowels need, is not installed, or has no such variant.
    """

    format = AudioFormat("pcm16", RATE)

    def __init__(self, variant: str = "", speed: int = _DEFAULT_SPEED, *, vowels: bool = False) -> None:
        if not _SLOWEST <= speed <= _FASTEST:
            raise CallbotError(f"espeak speaks {_SLOWEST} to {_FASTEST} words a minute, not {speed}")
        self.name = "espeak-hebrew" if vowels else "espeak"
        if variant or speed != _DEFAULT_SPEED:
            self.name += (f":{variant}" if variant else "") + (f"/{speed}" if speed != _DEFAULT_SPEED else "")
        self._variant, self._speed, self._vowels = variant, speed, vowels
        known = _worker().submit(_library).result().variants
        if variant and variant not in known:
            raise CallbotError(f'espeak has no variant "{variant}"; it has {", ".join(sorted(known))}')
        if vowels:
            hebrew.load()

    @classmethod
    def from_spec(cls, spec: str) -> EspeakVoice:
        """The voice of ``espeak[:VARIANT][/SPEED]``. Raises CallbotError."""
        parts = _SPEC.fullmatch(spec.strip())
        if parts is None:
            raise CallbotError(f'"{spec}" is no voice; write espeak, espeak:VARIANT or espeak:VARIANT/SPEED')
        vowels = parts["kind"] == "espeak-hebrew"
        return cls(parts["variant"] or "", int(parts["speed"] or _DEFAULT_SPEED), vowels=vowels)

    async def synthesise(self, text: str, language: str) -> AsyncGenerator[bytes, None]:
        """Speak; see ``sound.Voice``."""
        if not any(letter.isalnum() for letter in text):  # it would answer with a moment of silence
            raise SpeechFailed(f"espeak found nothing to say in a text of {len(text)} characters")
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        abandoned = threading.Event()

        def hand_over(piece: bytes | None) -> None:
            if not abandoned.is_set():
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        def speak() -> None:
            try:
                if not abandoned.is_set():
                    voice = f"{language}+{self._variant}" if self._variant else language
                    phonemes = self._vowels and language == "he"
                    said = hebrew.phonemes(text) if phonemes else text
                    _library().speak(said, voice, self._speed, hand_over, abandoned.is_set, phonemes=phonemes)
            finally:
                hand_over(None)

        work = _worker().submit(speak)
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
        finally:
            abandoned.set()
        await asyncio.wrap_future(work)  # raises what stopped it

    async def warm(self) -> None:
        """Let the worker load what the first sentence needs."""
        await asyncio.get_running_loop().run_in_executor(_worker(), _library)

    async def close(self) -> None:
        """Nothing to release: the library serves the whole process."""


class _Library:
    """The C library. Only the worker thread speaks through it."""

    def __init__(self, library: Any, data_path: str) -> None:
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data_path.encode(), _DO_NOT_EXIT)
        if rate != RATE:
            raise CallbotError(f"espeak-ng could not start from {data_path} (espeak_Initialize said {rate})")
        self._library = library
        self.variants = frozenset(path.name for path in Path(data_path, "voices", "!v").iterdir())
        """Names of the variants; espeak_SetVoiceByName takes any name after a + and ignores it."""
        self._take: Callable[[bytes], None] | None = None
        self._stopped: Callable[[], bool] = lambda: False
        self._callback = _Callback(self._on_audio)  # kept: the library holds only a pointer to it
        library.espeak_SetSynthCallback(self._callback)

    def speak(
        self,
        text: str,
        voice: str,
        speed: int,
        take: Callable[[bytes], None],
        stopped: Callable[[], bool],
        *,
        phonemes: bool,
    ) -> None:
        """Speak ``text``, giving each piece to ``take`` until ``stopped``. Raises SpeechFailed.

        ``phonemes``: what stands in ``[[...]]`` is phonemes.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SpeechFailed(f'espeak has no voice for "{voice}"')
        self._library.espeak_SetParameter(_SPEED, speed, 0)
        data = text.replace("\0", " ").encode("utf-8", "replace") + b"\0"
        flags = _UTF8 | (_PHONEMES if phonemes else 0)
        self._take, self._stopped = take, stopped
        status = self._library.espeak_Synth(data, len(data), 0, _BY_CHARACTER, 0, flags, None, None)
        if status != 0:
            raise SpeechFailed(f"espeak_Synth said {status}")

    def _on_audio(self, samples: Any, count: int, events: Any) -> int:
        """Called by the library with 16-bit samples; 1 makes it stop."""
        if self._stopped():
            return 1
        if count > 0 and samples and self._take is not None:
            self._take(ctypes.string_at(samples, 2 * count))
        return 0


@cache
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="espeak")


@cache
def _library() -> _Library:
    try:
        import espeakng_loader
    except ImportError as error:
        raise CallbotError(
            "the voice espeak is not installed: pip install 'callbot[espeak]' (its parts are GPL)"
        ) from error
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    return _Library(library, espeakng_loader.get_data_path())
