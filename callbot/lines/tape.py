"""A call as a stereo WAV file that only its owner may read: the caller on the left, the bot on the right.

Whoever writes it says what stands at the same moment of both channels. The file is whole after every
write, so that a process that is killed leaves what was said until then.
"""

from __future__ import annotations

import os
import wave
from pathlib import Path

from callbot.errors import CallbotError

_WRITE_BYTES = 32_000
"""Of each channel, kept back before they are written: a second at 16 kHz."""


class Tape:
    """Writes 16-bit samples at ``rate`` a second. Raises CallbotError where no new file can be made."""

    def __init__(self, path: Path, rate: int) -> None:
        self.path = path
        self.fault: str | None = None
        """Why nothing more is recorded, once the disk takes no more."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._bytes = open(path, "xb", opener=_private)  # noqa: SIM115 - closed with the call
            self._file = wave.open(self._bytes, "wb")  # noqa: SIM115 - the same
        except OSError as error:
            raise CallbotError(f"{path} cannot be written: {error.strerror}") from error
        self._file.setnchannels(2)
        self._file.setsampwidth(2)
        self._file.setframerate(rate)
        self._left, self._right = bytearray(), bytearray()

    def write(self, left: bytes, right: bytes) -> None:
        """The next samples of both channels, equally many."""
        self._left += left
        self._right += right
        if len(self._left) >= _WRITE_BYTES:
            self._flush()

    def close(self) -> None:
        """Write the rest. Idempotent."""
        self._flush()
        for file in (self._file, self._bytes):
            try:
                file.close()
            except OSError as error:
                self.fault = self.fault or str(error.strerror)

    def _flush(self) -> None:
        frames = bytearray(2 * len(self._left))
        for offset in (0, 1):
            frames[offset::4] = self._left[offset::2]
            frames[offset + 2 :: 4] = self._right[offset::2]
        self._left.clear()
        self._right.clear()
        if self.fault is None and frames:
            try:
                self._file.writeframes(frames)
            except OSError as error:
                self.fault = str(error.strerror)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
