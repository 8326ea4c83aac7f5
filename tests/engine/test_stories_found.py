"""Faults of the engine that these tests found, each as the story that showed it."""

from __future__ import annotations

from phone import Phone

from callbot import events as ev
from callbot.events import Occasion


def test_fallback_is_told_why_it_is_asked():
    """The fallback that answers for a slow model is told of the silence, as the model was."""
    phone = Phone(silence_by_model=True, has_fallback=True).starts()
    phone.passes(8.0)
    asked = phone.question
    phone.feed(ev.ReplyFailed(asked.turn, "boom"))
    assert phone.question.fallback
    assert phone.question.occasion is Occasion.SILENCE
    assert phone.question.detail == asked.detail != ""
