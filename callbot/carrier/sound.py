"""Sound in and out of files: whatever a bot serves becomes 8 kHz mu-law, as on the telephone network."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from callbot.carrier import g711
from callbot.carrier.trouble import BAD_CONTENT_TYPE, TwilioError

_RAW = ("audio/basic", "audio/ulaw", "audio/x-mulaw", "audio/mulaw")
_PLAYABLE = (
    *("audio/mpeg", "audio/wav", "audio/wave", "audio/x-wav", "audio/aiff", "audio/x-aifc", "audio/x-aiff"),
    *("audio/x-gsm", "audio/gsm", *_RAW),
)
"""Content types that ``<Play>`` takes."""


def played(body: bytes, content_type: str, url: str) -> bytes:
    """A fetched file as mu-law. Raises TwilioError if ``<Play>`` would not take it."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _PLAYABLE:
        raise TwilioError(
            BAD_CONTENT_TYPE, f'<Play> {url}: Content-Type "{kind}" is no audio that Twilio plays'
        )
    if kind in _RAW and not body.startswith(b".snd"):
        return body
    try:
        return telephone(*_decoded(io.BytesIO(body)))
    except soundfile.LibsndfileError as error:
        raise TwilioError(BAD_CONTENT_TYPE, f"<Play> {url}: cannot be decoded as {kind}: {error}") from error


def load(path: Path) -> bytes:
    """An audio file of the user's as mu-law. Raises TwilioError."""
    try:
        return telephone(*_decoded(path))
    except (soundfile.LibsndfileError, OSError) as error:
        raise TwilioError(None, f"{path}: cannot be read as audio: {error}") from error


def _decoded(source: Path | io.BytesIO) -> tuple[NDArray[np.int16], int]:
    samples, rate = soundfile.read(source, dtype="int16", always_2d=True)
    return samples.mean(axis=1).astype(np.int16), rate


def telephone(samples: NDArray[np.int16], rate: int) -> bytes:
    """16-bit mono at ``rate`` as 8 kHz mu-law."""
    if rate != g711.RATE:
        samples = soxr.resample(samples, rate, g711.RATE)
    return g711.encode(np.ascontiguousarray(samples, dtype=np.int16))


def save_stereo(path: Path, left: bytes | bytearray, right: bytes | bytearray) -> None:
    """Write two mu-law tracks of equal length as 16-bit stereo at 8 kHz: WAV, or FLAC by its suffix."""
    both = np.stack([g711.decode(left), g711.decode(right)], axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, both, g711.RATE, subtype="PCM_16", format=path.suffix[1:].upper())
