"""How good is a suite of scenarios? Faults are planted in a good model, and the suite must notice each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from callbot.evals.budget import Budget
from callbot.evals.report import RunReport
from callbot.evals.runner import Attempt, Results, Runner
from callbot.evals.scenario import Scenario
from callbot.evals.selection import Selection
from callbot.models.base import Model

CONFIDENCE = 0.95
"""How surely the smallest regression that is printed would be noticed."""


@dataclass(frozen=True, slots=True)
class FaultResult:
    """What the suite makes of one planted fault.

    ``caught_by``: scenarios that the good model passes and the spoilt one fails, in the suite's order.
    """

    fault: str
    what: str
    caught_by: tuple[str, ...]

    @property
    def smallest_share(self) -> float | None:
        """The share of calls in which the fault must strike to be noticed by one run of the suite.

        Each of the k scenarios that can notice it misses with probability 1 - p, so that at least one
        notices with probability 1 - (1 - p)^k; solved for p at ``CONFIDENCE``. For small p it is about
        3 / k, the rule of three (Hanley & Lippman-Hand, JAMA 249, 1983). None if nothing notices.
        """
        if not self.caught_by:
            return None
        return 1.0 - float((1.0 - CONFIDENCE) ** (1.0 / len(self.caught_by)))


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """The whole verdict on a suite. ``unusable``: scenarios that the good model itself fails."""

    scenarios: int
    unusable: tuple[str, ...]
    faults: tuple[FaultResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every fault was caught."""
        return all(fault.caught_by for fault in self.faults)

    @property
    def idle(self) -> int:
        """How many usable scenarios caught no fault at all."""
        busy = {name for fault in self.faults for name in fault.caught_by}
        return self.scenarios - len(self.unusable) - len(busy)


class Interrupted(Exception):
    """Ctrl-C: what ran is on disk."""


async def run_once(
    model: Model,
    selection: Selection,
    folder: Path,
    *,
    budget: Budget,
    concurrency: int,
    on_finished: Callable[[Scenario, RunReport], None],
) -> dict[str, RunReport]:
    """Run every scenario once, by name. Raises the CallbotError that stopped it, or Interrupted."""
    attempts = [Attempt(s, selection.businesses[s.business], 1) for s in selection.scenarios]
    runner = Runner(model, folder, budget=budget, on_finished=on_finished)
    results: Results = await runner.run(attempts, concurrency)
    if results.stopped_by is not None:
        raise results.stopped_by
    if results.interrupted:
        raise Interrupted
    return {name: runs[0] for name, runs in results.runs.items()}


def caught(good: dict[str, RunReport], spoilt: dict[str, RunReport]) -> tuple[str, ...]:
    """Scenarios that tell the spoilt model from the good one. A provider's failure tells nothing."""
    return tuple(
        name
        for name, run in good.items()
        if run.passed and not spoilt[name].passed and spoilt[name].verdict != "infra"
    )


def unusable(good: dict[str, RunReport]) -> tuple[str, ...]:
    """Scenarios that the good model does not pass: they could blame any fault."""
    return tuple(name for name, run in good.items() if not run.passed)


def suite_result(good: dict[str, RunReport], faults: Sequence[FaultResult]) -> SuiteResult:
    """Put the results together."""
    return SuiteResult(len(good), unusable(good), tuple(faults))
