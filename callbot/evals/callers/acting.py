"""What simulated callers have in common: the time that speaking takes, and the pause before it."""

from __future__ import annotations

from collections.abc import Iterator

from callbot import events as ev

ANSWER_PAUSE = 0.5
"""Seconds between the end of the bot's words and a caller's answer."""
SPEECH_SIGN_EVERY = 2.0
"""Seconds between two signs of open speech (driver contract, point 6)."""


def speech(seconds: float, words: str) -> Iterator[tuple[float, ev.Event]]:
    """What a line tells the call while somebody speaks for so long; without ``words``, it is a noise."""
    yield 0.0, ev.SpeechStarted()
    sign = SPEECH_SIGN_EVERY
    while sign < seconds:
        yield sign, ev.SpeechContinues()
        sign += SPEECH_SIGN_EVERY
    yield seconds, ev.UserSpoke(words)
