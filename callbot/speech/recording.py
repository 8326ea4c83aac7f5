"""A business's own recording of its greeting: read, checked for what callers would mind, converted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callbot.business import Business
from callbot.errors import CallbotError, InvalidInput, Problem
from callbot.sound import AudioFormat
from callbot.speech.audio import UnreadableAudio, convert_samples, read_samples

SHORTEST, LONGEST = 0.3, 60.0
"""Seconds of a greeting."""

_LEAST_RATE = 8000
_SILENT_PEAK = 0.01  # -40 dBFS
_CLIPPED_LEVEL, _CLIPPED_SHARE = 0.999, 0.001
_LATEST_START = 1.0
"""Seconds of nothing at the start, after which a caller wonders whether anybody is there."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording in the format it was asked for in."""

    audio: bytes
    seconds: float
    warnings: tuple[str, ...] = ()
    """What can be played, and should be recorded again."""


def read_recording(path: Path, format: AudioFormat) -> Recording:
    """Read and check a recording. Raises CallbotError saying what is wrong with it and how to mend it."""
    if not path.is_file():
        raise CallbotError(f"there is no file {path}")
    try:
        samples, rate = read_samples(path)
    except UnreadableAudio as error:
        raise UnreadableAudio(f"{path} holds {error}") from error
    seconds = len(samples) / rate
    loud = np.abs(samples)
    if rate < _LEAST_RATE:
        raise CallbotError(f"{path} has {rate} samples a second; record it with {_LEAST_RATE} or more")
    if not SHORTEST <= seconds <= LONGEST:
        raise CallbotError(f"{path} lasts {seconds:.1f} s; a greeting lasts {SHORTEST} to {LONGEST:g} s")
    if not np.isfinite(samples).all():
        raise CallbotError(f"{path} holds samples that are no numbers; export it again")
    if loud.max() < _SILENT_PEAK:
        raise CallbotError(f"{path} is silent: its loudest sample is {loud.max():.2%} of full scale")
    warnings = []
    clipped = float((loud >= _CLIPPED_LEVEL).mean())
    if clipped > _CLIPPED_SHARE:
        warnings.append(f"{clipped:.1%} of its samples are clipped; record it with less gain")
    start = int(np.argmax(loud >= _SILENT_PEAK)) / rate
    if start > _LATEST_START:
        warnings.append(f"it begins with {start:.1f} s of silence; cut them")
    return Recording(convert_samples(samples, rate, format), seconds, tuple(warnings))


def greeting_recording(business: Business, folder: Path, format: AudioFormat) -> Recording | None:
    """The business's recorded greeting, or None if it has none. ``greeting.audio`` is relative to ``folder``.

    Raises InvalidInput.
    """
    if business.greeting.audio is None:
        return None
    try:
        return read_recording(folder / Path(business.greeting.audio).expanduser(), format)
    except CallbotError as error:
        problem = Problem(None, None, f"{business.id}: greeting.audio", str(error))
        raise InvalidInput([problem]) from error
