"""Twilio's playback buffer of a bidirectional stream: a queue of audio with marks between. Pure.

Audio of any size is played in order. A mark is returned when the audio before it has been played; a
clear drops the audio and returns every mark still waiting. What would come to more than ten minutes
is dropped (warning 31931).
"""

from __future__ import annotations

from collections import deque

from callbot.carrier.g711 import RATE

LIMIT = 600 * RATE
"""Bytes of mu-law that are buffered at most: ten minutes."""


class PlaybackBuffer:
    """What the bot sent and the caller has not heard."""

    def __init__(self) -> None:
        self._queue: deque[memoryview | str] = deque()
        self.size = 0
        """Bytes not yet played."""

    def push(self, audio: bytes) -> bool:
        """Take audio; False if it did not fit, and was dropped."""
        if self.size + len(audio) > LIMIT:
            return False
        if audio:
            self._queue.append(memoryview(audio))
            self.size += len(audio)
        return True

    def mark(self, name: str) -> None:
        """Remember to tell when everything pushed so far has been played."""
        self._queue.append(name)

    def clear(self) -> tuple[int, list[str]]:
        """Drop all audio. Returns how many bytes that was, and every mark, in order."""
        dropped, marks = self.size, [item for item in self._queue if isinstance(item, str)]
        self._queue.clear()
        self.size = 0
        return dropped, marks

    def reached(self) -> list[str]:
        """Marks whose audio has been played; each is told once."""
        marks = []
        while self._queue and isinstance(self._queue[0], str):
            marks.append(self._queue.popleft())
        return [mark for mark in marks if isinstance(mark, str)]

    def pull(self, count: int) -> bytes:
        """The next ``count`` bytes to play, fewer if there are no more."""
        parts: list[bytes] = []
        waiting: list[str] = []
        while count and self._queue:
            item = self._queue.popleft()
            if isinstance(item, str):
                waiting.append(item)  # inside this piece: it is reached once the piece has been played
                continue
            if len(item) > count:
                self._queue.appendleft(item[count:])
                item = item[:count]
            parts.append(bytes(item))
            count -= len(item)
        self._queue.extendleft(reversed(waiting))
        audio = b"".join(parts)
        self.size -= len(audio)
        return audio
