"""What simulated callers have in common."""

from __future__ import annotations

ANSWER_PAUSE = 0.5
"""Seconds between the end of the bot's words and a caller's answer."""
