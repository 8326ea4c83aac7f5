"""Whisper on this machine, by faster-whisper (CTranslate2), with 8-bit weights.

One worker thread serves all calls: the computation already uses every core. The language is given,
Whisper's own voice detection is off (the ears have cut the audio), every utterance stands alone,
and the number of tokens is bounded, for Whisper repeats itself when it is lost. What it invents on
noise is recognised as in its own decoder, by the thresholds that faster-whisper documents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from callbot.errors import CallbotError
from callbot.sound import AudioFormat, SpeechFailed
from callbot.speech.stt.words import clean_words

NO_SPEECH = 0.6
LEAST_LOG_PROBABILITY = -1.0
MOST_COMPRESSION = 2.4
"""Defaults of ``WhisperModel.transcribe``: silence, doubt, repetition."""
_TOKENS_A_SECOND, _MOST_TOKENS = 12, 200
"""Hebrew takes most: two words a second of up to five tokens. The decoder itself holds 224."""
_LEAST_TOKENS = 24


class WhisperRecogniser:
    """See the module, and ``sound.Recogniser``. ``model``: a folder, or a name that is downloaded once.

    Raises CallbotError where faster-whisper is not installed, or for a folder that is none.
    """

    format = AudioFormat("pcm16", 16000)

    def __init__(self, model: str) -> None:
        self.name = f"faster-whisper:{model}"
        if find_spec("faster_whisper") is None:
            raise CallbotError(f'"{self.name}" needs faster-whisper: pip install "callbot[whisper]"')
        folder = Path(model).expanduser()
        self._model = str(folder) if folder.is_dir() else model
        if not folder.is_dir() and model.startswith((".", "/", "~")):
            raise CallbotError(f'"{self.name}": there is no folder {folder} with a model in it')
        if folder.is_dir() and not (folder / "model.bin").is_file():
            raise CallbotError(
                f'"{self.name}": {folder} holds no model.bin; it takes models converted for CTranslate2'
            )
        self._worker = ThreadPoolExecutor(1, "whisper")
        self._whisper: Any = None

    def listen(self, language: str, expecting: str = "") -> WhisperHearing:
        """Begin an utterance."""
        return WhisperHearing(self, language)

    async def transcribe(self, audio: bytes, language: str) -> str:
        """The words of a whole utterance. Raises SpeechFailed."""
        work = partial(self._transcribe, audio, language)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except (RuntimeError, ValueError, OSError) as error:  # of CTranslate2, and of a download
            raise SpeechFailed(f"{self.name} failed: {error}") from error

    def _transcribe(self, audio: bytes, language: str) -> str:
        samples = np.frombuffer(audio, "<i2").astype(np.float32) / 32768
        seconds = len(samples) / self.format.rate
        segments, _ = self._loaded().transcribe(
            samples,
            language=language,
            beam_size=5,
            temperature=0.0,  # further tries at other temperatures would each cost as much again
            condition_on_previous_text=False,
            without_timestamps=True,
            vad_filter=False,
            max_new_tokens=min(_MOST_TOKENS, _LEAST_TOKENS + round(_TOKENS_A_SECOND * seconds)),
        )
        return clean_words(" ".join(believable(segments)), language)

    def _loaded(self) -> Any:
        if self._whisper is None:
            from faster_whisper import WhisperModel  # type: ignore[import-untyped]

            self._whisper = WhisperModel(self._model, device="auto", compute_type="int8")
        return self._whisper

    async def warm(self) -> None:
        """Load the weights, or download them first. Raises SpeechFailed."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._worker, self._loaded)
        except (RuntimeError, ValueError, OSError) as error:
            raise SpeechFailed(f"{self.name} could not be loaded: {error}") from error

    async def close(self) -> None:
        """Let the worker end."""
        self._worker.shutdown(wait=False, cancel_futures=True)


class WhisperHearing:
    """One utterance, recognised when it is over; see ``sound.Hearing``."""

    def __init__(self, recogniser: WhisperRecogniser, language: str) -> None:
        self._recogniser, self._language = recogniser, language
        self._audio = bytearray()

    def feed(self, audio: bytes) -> None:
        """Keep it until the utterance is over."""
        self._audio += audio

    async def text(self) -> str:
        """Its words. Raises SpeechFailed."""
        return await self._recogniser.transcribe(bytes(self._audio), self._language)

    def abandon(self) -> None:
        """What the worker has begun it ends; nobody reads it."""
        self._audio.clear()


def believable(segments: Iterable[Any]) -> list[str]:
    """The texts of faster-whisper's segments, without those invented on silence and noise."""
    return [
        segment.text
        for segment in segments
        if not (segment.no_speech_prob > NO_SPEECH and segment.avg_logprob < LEAST_LOG_PROBABILITY)
        and segment.compression_ratio <= MOST_COMPRESSION
    ]
