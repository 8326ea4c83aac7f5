"""What the bot has on the air: utterances handed to the line, in order, and which were heard.

Pure bookkeeping for ``call.py``. A mark proves hearing only while its utterance is still here:
a carrier returns every outstanding mark on ``clear`` (Twilio Media Streams, "mark" and "clear"
messages), so a clear empties this queue first and the marks that come back find nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from callbot.events import SpeechKind
from callbot.rules import MARK_GRACE, speech_seconds


@dataclass(slots=True)
class Utterance:
    """One sentence of the bot. ``ends``: when its audio should be over, in engine seconds."""

    text: str
    kind: SpeechKind
    turn: int = 0
    started: bool = False
    """It was handed to the line at least once, perhaps cut since."""
    mark: int = 0
    seconds: float = 0.0
    ends: float = 0.0


class Playback:
    """The queue on the carrier."""

    __slots__ = ("_next_mark", "queue")

    def __init__(self, next_mark: int = 1) -> None:
        self.queue: deque[Utterance] = deque()
        self._next_mark = next_mark

    def __bool__(self) -> bool:
        return bool(self.queue)

    @property
    def next_mark(self) -> int:
        """The mark that the next utterance gets; marks are never used twice in a call."""
        return self._next_mark

    @property
    def lost_mark_deadline(self) -> float | None:
        """When the mark of the utterance being played counts as lost."""
        return self.queue[0].ends + MARK_GRACE if self.queue else None

    def add(self, utterance: Utterance, now: float) -> None:
        """Queue an utterance behind the others and give it its mark."""
        utterance.mark = self._next_mark
        self._next_mark += 1
        utterance.started = True
        utterance.seconds = speech_seconds(utterance.text)
        utterance.ends = max(now, self.queue[-1].ends if self.queue else now) + utterance.seconds
        self.queue.append(utterance)

    def sized(self, mark: int, seconds: float, now: float) -> None:
        """The line knows the length of an utterance's audio and has just handed it over."""
        previous_end = now
        for utterance in self.queue:
            if utterance.mark == mark:
                utterance.seconds = seconds
            if utterance.mark >= mark:
                utterance.ends = max(now, previous_end) + utterance.seconds
            previous_end = utterance.ends

    def heard(self, mark: int) -> list[Utterance]:
        """Take off what a returned mark proves heard: it and everything before it."""
        done = []
        while self.queue and self.queue[0].mark <= mark:
            done.append(self.queue.popleft())
        return done

    def lost(self, mark: int) -> Utterance | None:
        """Take off an utterance that could not be voiced."""
        for utterance in self.queue:
            if utterance.mark == mark:
                self.queue.remove(utterance)
                return utterance
        return None

    def cut(self) -> list[Utterance]:
        """Take off everything, unheard."""
        unheard = list(self.queue)
        self.queue.clear()
        return unheard
