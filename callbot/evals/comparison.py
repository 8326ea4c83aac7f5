"""The comparison of two runs (``callbot.comparison/1``): what is written, and what reporting reads.

A is the run before, B the one on trial; differences are B - A.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from callbot.evals.report import Interval, PromptUsed, Tokens

Outcome = Literal["better", "worse", "no_difference", "inconclusive"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Side(_Part):
    """One of the two runs."""

    id: str
    started_at: str
    model: str
    prompts: list[PromptUsed]
    repeat: int
    stop_early: bool
    seed: int
    infra: int
    """Attempts at which the provider failed; they count for nothing."""


class Tests(_Part):
    """Two-sided p-values. ``lost`` and ``gained``: scenarios whose majority verdict changed."""

    decides: Literal["mcnemar", "sign_flip"]
    p: float
    """Of the test that decides: sign flips if any scenario was tried more than once, else McNemar."""
    lost: int
    gained: int
    mcnemar_p: float
    sign_flip_p: float | None = None
    sign_flip_exact: bool = True
    """False: 10,000 drawn sign flips stand for all."""


class Flip(_Part):
    """A scenario and how it did on both sides; held: passed, and if critical never ended early."""

    name: str
    business: str
    tags: list[str]
    critical: bool
    held_in_a: bool
    held_in_b: bool
    passed_a: int
    made_a: int
    """Attempts that the provider answered."""
    passed_b: int
    made_b: int


class Metric(_Part):
    """A rate on both sides, and its change with a 95% interval; null where nothing was there to count."""

    name: str
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None


class Settling(_Part):
    """What would settle a comparison that was too small, at 80% power."""

    scenarios_if_as_seen: int | None
    """Scenarios that would show a difference as large as the one seen; null if none was seen."""
    scenarios_if_none: int
    """Scenarios that would show that there is none of 10 points, if there is none."""
    attempts_if_as_seen: int | None
    """Attempts at each of these scenarios that would show it; null if no number would, or it cannot be told."""


class Comparison(BaseModel):
    """Two runs of the same scenarios, pair by pair."""

    model_config = ConfigDict(populate_by_name=True)

    schema_: Literal["callbot.comparison/1"] = Field(default="callbot.comparison/1", alias="schema")
    a: Side
    b: Side
    verdict: Outcome
    scenarios: int
    """Compared: answered by the provider on both sides."""
    not_answered: list[str]
    difference: Interval
    """Change in the share of attempts that pass, mean over scenarios, with its 95% interval."""
    tests: Tests
    settling: Settling | None
    """Only if inconclusive."""
    smallest_detectable: float | None
    """The smallest share of scenarios lost, none gained, that a comparison of this size finds."""
    lost: list[Flip]
    gained: list[Flip]
    metrics: list[Metric]
    tokens_a: Tokens
    tokens_b: Tokens
    cost_a: float | None = None
    cost_b: float | None = None
    notes: list[str]
    """What a reader should know before believing it."""

    @property
    def critical_lost(self) -> list[str]:
        """Critical scenarios that held in A and do not in B."""
        return [flip.name for flip in self.lost if flip.critical]

    @property
    def loss(self) -> bool:
        """Whether B must not replace A: significantly worse, or a critical scenario lost."""
        return self.verdict == "worse" or bool(self.critical_lost)
