"""What a run's rates are made of: counts a scenario, added up, and each metric a ratio of the sums.

Because every metric is a function of sums over scenarios, one set of resampled sums gives the interval
of each, and of its difference between two runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from callbot.evals.bootstrap import Counts, interval
from callbot.evals.report import Interval, ScenarioReport, Verdict
from callbot.evals.statistics import f1, wilson


class Ends(NamedTuple):
    """Requests to end: due and made in the window for an allowed reason, made at all, due at all."""

    right: float
    asked: float
    due: float

    @property
    def precision(self) -> float | None:
        """Share of the requests that were right."""
        return self.right / self.asked if self.asked else None

    @property
    def recall(self) -> float | None:
        """Share of the ends due that were asked for rightly."""
        return self.right / self.due if self.due else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both."""
        return f1(self.precision, self.recall)


def ends(verdicts: Iterable[Verdict]) -> Ends:
    """Count verdicts as the report format says.

    A request in the window with an allowed reason is a true positive, refused by the guard or not;
    premature a false positive; late or never a false negative; a wrong reason both.
    """
    counts = Counter(verdicts)
    right = counts["on_time"] + counts["refused"]
    asked = right + counts["premature"] + counts["wrong_reason"]
    due = right + counts["late"] + counts["never"] + counts["wrong_reason"]
    return Ends(right, asked, due)


class Tally(NamedTuple):
    """One scenario's counts, or their sum over scenarios. ``call_``: what the call did, guard included."""

    right: float
    asked: float
    due: float
    call_right: float
    call_asked: float
    call_due: float
    lead_right: float
    """Expected fields of the lead that hold what they should."""
    lead_due: float
    answered: float
    """1 for a scenario with an attempt that the provider answered."""
    passed: float
    """1 for a scenario that passed by majority."""
    pass_share: float
    """Share of its answered attempts that passed."""
    premature: float
    """Share of its answered attempts that asked to end too early."""

    @property
    def model(self) -> Ends:
        """What the model wanted."""
        return Ends(self.right, self.asked, self.due)

    @property
    def call(self) -> Ends:
        """What the call did."""
        return Ends(self.call_right, self.call_asked, self.call_due)


def tally(scenario: ScenarioReport, attempts: int | None = None) -> Tally:
    """Count a scenario. ``attempts``: only its first ones count for rates; the majority is of all."""
    runs = [run for run in scenario.runs if attempts is None or run.attempt <= attempts]
    answered = [run for run in runs if run.verdict != "infra"]
    share = 1 / len(answered) if answered else 0.0
    return Tally(
        *ends(run.verdict for run in runs),
        *ends(run.call_verdict for run in runs if run.call_verdict is not None),
        lead_right=scenario.lead_fields[0],
        lead_due=scenario.lead_fields[1],
        answered=float(bool(answered)),
        passed=float(scenario.passed is True),
        pass_share=share * sum(run.passed for run in answered),
        premature=share * sum(run.verdict == "premature" for run in answered),
    )


def added(tallies: Sequence[Tally]) -> Tally:
    """The sum over scenarios."""
    return Tally(*map(sum, zip(*tallies, strict=True))) if tallies else Tally(*[0.0] * len(Tally._fields))


@dataclass(frozen=True, slots=True)
class Metric:
    """A rate in 0..1. ``of``: its value; ``counted``: what a scenario has to have for it to say anything."""

    of: Callable[[Tally], float | None]
    counted: Callable[[Tally], float]
    lower_is_better: bool = False


def _over_scenarios(value: Callable[[Tally], float]) -> Callable[[Tally], float | None]:
    return lambda t: value(t) / t.answered if t.answered else None


METRICS: Mapping[str, Metric] = {
    "precision": Metric(lambda t: t.model.precision, lambda t: t.asked),
    "recall": Metric(lambda t: t.model.recall, lambda t: t.due),
    "f1": Metric(lambda t: t.model.f1, lambda t: t.due),
    "call.precision": Metric(lambda t: t.call.precision, lambda t: t.call_asked),
    "call.recall": Metric(lambda t: t.call.recall, lambda t: t.call_due),
    "call.f1": Metric(lambda t: t.call.f1, lambda t: t.call_due),
    "pass_rate": Metric(_over_scenarios(lambda t: t.passed), lambda t: t.answered),
    "lead_accuracy": Metric(
        lambda t: t.lead_right / t.lead_due if t.lead_due else None, lambda t: t.lead_due
    ),
    "premature_rate": Metric(
        _over_scenarios(lambda t: t.premature), lambda t: t.answered, lower_is_better=True
    ),
}
"""Every rate that is reported, compared and gated, by name."""

WILSON = ("pass_rate", "premature_rate")
"""Rates over scenarios: their intervals are Wilson's. The others are ratios and are bootstrapped."""


def intervals(tallies: Sequence[Tally], sums: Sequence[Counts]) -> dict[str, Interval]:
    """The 95% interval of every metric that has a value. ``sums``: of resampled tallies.

    Scenarios that are all alike have no spread to resample; Wilson's interval over those that say
    anything about the metric stands in.
    """
    total = added(tallies)
    found: dict[str, Interval] = {}
    for name, metric in METRICS.items():
        value = metric.of(total)
        if value is None:
            continue
        counted = sum(metric.counted(each) > 0 for each in tallies)
        bounds = None if name in WILSON else interval(sums, lambda each, of=metric.of: of(Tally(*each)))  # type: ignore[misc]
        if bounds is None or bounds[0] == bounds[1]:
            bounds = wilson(value, counted)
        found[name] = Interval(value=value, low=bounds[0], high=bounds[1])
    return found
