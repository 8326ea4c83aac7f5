"""What the sound card plays: audio queued by the call, taken away by the card's own thread."""

from __future__ import annotations

import threading


class Deck:
    """A queue of audio between two threads. Every method is safe in both; none waits for audio.

    ``queued`` and what ``take`` returns count bytes since the beginning, cleared ones included, so
    that the place of an utterance's end can be told from what was queued before it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for a copy of a few kilobytes, never for I/O
        self._audio = bytearray()
        self._taken = 0

    @property
    def queued(self) -> int:
        """Bytes queued so far."""
        with self._lock:
            return self._taken + len(self._audio)

    def put(self, audio: bytes) -> None:
        """Queue audio behind what is there."""
        with self._lock:
            self._audio += audio

    def clear(self) -> None:
        """Drop all that was not taken."""
        with self._lock:
            self._taken += len(self._audio)
            self._audio.clear()

    def take(self, length: int) -> tuple[bytes, int]:
        """The next ``length`` bytes, silence behind the end of what there is; and how many were taken so far."""
        with self._lock:
            piece = bytes(self._audio[:length])
            del self._audio[:length]
            self._taken += len(piece)
            return piece.ljust(length, b"\0"), self._taken
