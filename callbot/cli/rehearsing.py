"""What ``eval --audio`` needs: the stage on which calls are held aloud, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from callbot.errors import CallbotError
from callbot.evals.casting import PersonaSpec
from callbot.evals.scenario import Scenario
from callbot.models.base import Model

if TYPE_CHECKING:
    from callbot.rehearsal.studio import Studio


@dataclass(frozen=True, slots=True)
class Aloud:
    """Whether calls are held aloud, and by whom they are spoken and heard; None: by what is embedded."""

    wanted: bool
    tts: str | None
    stt: str | None
    clips: Path
    prompts: Path

    def __post_init__(self) -> None:
        """Voices and recognisers are of no use in text."""
        for option, given in (("--tts", self.tts), ("--stt", self.stt)):
            if given is not None and not self.wanted:
                raise CallbotError(f"{option} goes with --audio: in text nobody speaks and nobody listens")

    def elsewhere(self) -> Aloud:
        """The same for another process, which works in another folder."""
        return replace(self, prompts=self.prompts.resolve())

    def check(self, scenarios: Sequence[Scenario]) -> None:
        """Raises CallbotError for calls that cannot be held aloud, wherever that is tried."""
        transcripts = [each.name for each in scenarios if each.transcript is not None]
        if self.wanted and transcripts:
            raise CallbotError(
                f"{transcripts[0]} is a transcript: what both sides said is fixed, and nothing is left to be "
                "heard; leave --audio out, or the transcripts"
            )

    def stage(self, scenarios: Sequence[Scenario], model: Model, concurrency: int) -> Studio | None:
        """The stage for these calls; None: in text. Raises CallbotError for what is missing or cannot be."""
        if not self.wanted:
            return None
        waits = model.latency is None or any(isinstance(each.caller, PersonaSpec) for each in scenarios)
        try:
            from callbot.rehearsal.studio import Sound, Studio
        except ModuleNotFoundError as error:
            raise CallbotError(
                f"--audio needs {error.name}, which is not installed: pip install 'callbot[dial,speech]'"
            ) from error
        # Calls that wait for nobody only hinder one another: they are computed one after another.
        return Studio(
            Sound(self.tts or "espeak", self.stt or "oracle", self.clips, self.prompts),
            concurrency if waits else 1,
        )
