"""Whether a model that plays a caller still plays one: if not, the run says nothing of the bot."""

from __future__ import annotations

from callbot.evals.callers.phrases import Phrases
from callbot.fields import folded

SILENT_TURNS = 3
"""A caller who has said nothing by the end of so many turns never will."""
REPEATS = 3
"""The same words in answer to so many different ones of the bot are no conversation."""
_ECHO = 5
"""Words from which on the bot's own words, said back, are an echo and no short confirmation."""


class Fidelity:
    """Watches one caller. Words are compared without case, accents and spacing."""

    def __init__(self, phrases: Phrases) -> None:
        self._phrases = phrases
        self._answered: dict[str, set[str]] = {}
        """By what was said, the bot's words that it answered."""
        self._spoke = False
        self._silences = 0

    def fault_in_words(self, said: str, heard: str) -> str | None:
        """What is wrong with ``said`` in answer to ``heard``; None if a caller may say it."""
        words, bot = folded(said).replace("’", "'"), folded(heard)
        self._spoke = True
        if "```" in said or ("{" in said and '"' in said):
            return "spoke JSON"
        if found := self._phrases.reveals.search(words):
            return f'broke character: said "{found.group().strip()}"'
        if found := self._phrases.serves.search(words):
            return f'spoke as the bot: said "{found.group().strip()}"'
        if len(words.split()) >= _ECHO and words.strip(" .!?") in bot:
            return "said the bot's own words back to it"
        self._answered.setdefault(words, set()).add(bot)
        if len(words.split()) > 1 and len(self._answered[words]) >= REPEATS:
            return f'said the same again and again: "{said}"'
        return None

    def fault_in_silence(self) -> str | None:
        """What is wrong with saying nothing once more."""
        self._silences += 1
        if not self._spoke and self._silences >= SILENT_TURNS:
            return f"never spoke in {SILENT_TURNS} turns"
        return None

    def fault_in_leaving(self, milestones: set[str]) -> str | None:
        """What is wrong with hanging up; ``milestones``: what the caller has done so far."""
        return None if milestones else "hung up for no reason: nothing told, nothing declined, no goodbye"
