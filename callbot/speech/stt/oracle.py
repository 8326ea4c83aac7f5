"""The recogniser of simulations: it hears what the simulated caller says it said.

The line gets the words beside the audio, as a text frame ``{"event": "callbot.oracle", "text": ...}``
sent when the audio of the utterance ends, and passes them to ``CallEars.oracle``. Everything else
(detection, echo, the ends of utterances) works on the audio.
"""

from __future__ import annotations

from callbot.sound import PHONE


class OracleHearing:
    """One utterance; see ``sound.Hearing``. Without ``tell`` it has no words."""

    def __init__(self) -> None:
        self._words: list[str] = []

    def tell(self, text: str) -> None:
        """What is said in it; several add up."""
        self._words.append(text)

    def feed(self, audio: bytes) -> None:
        """Audio tells it nothing."""

    async def text(self) -> str:
        """What it was told."""
        return " ".join(self._words)

    def abandon(self) -> None:
        """Nothing is under way."""


class OracleRecogniser:
    """See the module, and ``sound.Recogniser``."""

    name = "oracle"
    format = PHONE

    def listen(self, language: str, expecting: str = "") -> OracleHearing:
        """Begin an utterance."""
        return OracleHearing()

    async def warm(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to release."""
