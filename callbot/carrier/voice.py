"""The simulated caller's voice: any that keeps this protocol; espeak-ng is the one that ships.

espeak-ng keeps one state per process and is not safe in threads, so it speaks in one worker thread.
Hebrew without vowel signs comes out largely as consonants: enough to be heard as speech, not to be
recognised; bots are told the words with ``--oracle``.
"""

from __future__ import annotations

import asyncio
import ctypes
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from callbot.errors import CallbotError

_HEBREW = re.compile("[\u05d0-\u05ea]")
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: the callback gets the samples, before espeak_Synth returns
_UTF8 = 1


class Voice(Protocol):
    """Speaks for the simulated caller."""

    async def speak(self, text: str, language: str) -> tuple[bytes, int]:
        """16-bit mono samples in native byte order, and their rate in hertz. ``language``: ISO 639-1."""
        ...


def language_of(text: str) -> str:
    """``he`` if the text holds Hebrew letters, else ``en``."""
    return "he" if _HEBREW.search(text) else "en"


class EspeakVoice:
    """espeak-ng, from the ``espeakng-loader`` package: no download, no system package."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="espeak")
        self._engine: _Espeak | None = None

    async def speak(self, text: str, language: str) -> tuple[bytes, int]:
        """Speak. Raises CallbotError for a language that espeak-ng does not have."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._speak, text, language)

    def _speak(self, text: str, language: str) -> tuple[bytes, int]:
        if self._engine is None:
            self._engine = _Espeak()
        return self._engine.speak(text, language), self._engine.rate


class _Espeak:
    """The library, held by one thread."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        path = espeakng_loader.get_data_path().encode()
        self.rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, path, 0)
        if self.rate <= 0:
            raise CallbotError("espeak-ng could not be started; reinstall espeakng-loader")
        self._pieces: list[bytes] = []
        self._callback = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )(self._take)  # kept: the library calls it after this line
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: Any, count: int, _events: object) -> int:
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    def speak(self, text: str, language: str) -> bytes:
        if self._library.espeak_SetVoiceByName(language.encode()) != 0:
            raise CallbotError(f'espeak-ng has no voice for the language "{language}"')
        self._pieces = []
        words = text.encode() + b"\0"
        self._library.espeak_Synth(words, len(words), 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        return b"".join(self._pieces)
