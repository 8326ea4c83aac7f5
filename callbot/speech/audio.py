"""Audio in bytes: G.711 mu-law, sample rates, and files, each by a library.

mu-law is the standard library's ``audioop`` (the package audioop-lts from Python 3.13 on), rates are
changed by soxr, files are read by libsndfile. All audio is mono.
"""

from __future__ import annotations

import audioop
import io
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from callbot.errors import CallbotError
from callbot.sound import AudioFormat

SILENCE = {"pcm16": b"\x00", "mulaw": b"\xff"}
"""The byte that silence is written with, by encoding."""

_FULL_SCALE = 32768.0


class UnreadableAudio(CallbotError):
    """Bytes or a file that hold no audio anybody can read."""


def decode_mulaw(audio: bytes) -> bytes:
    """Signed 16-bit little-endian samples of G.711 mu-law bytes."""
    return audioop.ulaw2lin(audio, 2)


def encode_mulaw(pcm: bytes) -> bytes:
    """G.711 mu-law bytes of signed 16-bit little-endian samples. Raises ValueError for half a sample."""
    if len(pcm) % 2:
        raise ValueError("16-bit audio ends in the middle of a sample")
    return audioop.lin2ulaw(pcm, 2)


class Converter:
    """A stream of audio from one format into another, piece by piece.

    Pieces may be of any length: half a sample waits for its other half. What ``feed`` and ``flush``
    return, joined, does not depend on how the audio was cut.
    """

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self._source, self._target = source, target
        self._as_it_is = source == target and source.encoding == "mulaw"
        self._half = b""
        self._resampler = (
            soxr.ResampleStream(source.rate, target.rate, 1, dtype="float32")
            if source.rate != target.rate
            else None
        )

    def feed(self, audio: bytes) -> bytes:
        """The next of the source's audio, as much of it as can be given out by now."""
        return self._convert(audio, last=False)

    def flush(self) -> bytes:
        """The rest, when nothing more will be fed. Half a sample at the very end is dropped."""
        return self._convert(b"", last=True)

    def _convert(self, audio: bytes, *, last: bool) -> bytes:
        if self._as_it_is:
            return audio
        if self._source.encoding == "mulaw":
            pcm = decode_mulaw(audio)
        else:
            pcm = self._half + audio
            whole = len(pcm) - len(pcm) % 2
            pcm, self._half = pcm[:whole], pcm[whole:]
        if self._resampler is not None:
            samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
            pcm = _pcm16(self._resampler.resample_chunk(samples, last=last))
        return pcm if self._target.encoding == "pcm16" else encode_mulaw(pcm)


def convert(audio: bytes, source: AudioFormat, target: AudioFormat) -> bytes:
    """All of ``audio`` in another format."""
    converter = Converter(source, target)
    return converter.feed(audio) + converter.flush()


def read_audio(source: Path | bytes, target: AudioFormat) -> bytes:
    """The audio of a WAV, FLAC, Ogg or MP3 file (or its bytes), channels mixed to one.

    Raises UnreadableAudio.
    """
    samples, rate = read_samples(source)
    return convert_samples(samples, rate, target)


def convert_samples(samples: npt.NDArray[np.float32], rate: int, target: AudioFormat) -> bytes:
    """Samples between -1 and 1 at ``rate``, in another format."""
    return convert(_pcm16(samples * _FULL_SCALE), AudioFormat("pcm16", rate), target)


def read_samples(source: Path | bytes) -> tuple[npt.NDArray[np.float32], int]:
    """Samples between -1 and 1, channels mixed to one, and their rate. Raises UnreadableAudio."""
    samples, rate, _ = _read(source)
    mixed: npt.NDArray[np.float32] = samples.mean(axis=1, dtype=np.float32)
    return mixed, rate


def _read(source: Path | bytes) -> tuple[npt.NDArray[np.float32], int, int]:
    """Samples (frames x channels), their rate, and how many channels there are. Raises UnreadableAudio."""
    import soundfile

    try:
        file = str(source) if isinstance(source, Path) else io.BytesIO(source)
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        said = str(error).rpartition(": ")[2].rstrip(".")
        raise UnreadableAudio(f"no audio that can be read ({said}); use WAV, FLAC, Ogg or MP3") from error
    return samples, int(rate), int(samples.shape[1])


def read_caller(path: Path, target: AudioFormat) -> tuple[bytes, bool]:
    """A recorded caller, and whether the file is of a whole call: the caller left, somebody else right.

    Raises UnreadableAudio.
    """
    samples, rate, channels = _read(path)
    left: npt.NDArray[np.float32] = np.ascontiguousarray(samples[:, 0])
    return convert_samples(left, rate, target), channels == 2 and not np.array_equal(left, samples[:, 1])


def wav_bytes(audio: bytes, format: AudioFormat) -> bytes:
    """A WAV file of 16-bit samples holding ``audio``."""
    pcm = convert(audio, format, AudioFormat("pcm16", format.rate))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(format.rate)
        file.writeframes(pcm)
    return buffer.getvalue()


def _pcm16(samples: npt.NDArray[np.float32]) -> bytes:
    """16-bit samples of values on the 16-bit scale; what resampling swung past full scale is held there."""
    held = np.clip(np.rint(samples), -_FULL_SCALE, _FULL_SCALE - 1)
    return held.astype("<i2").tobytes()
