"""The gate: is this run good enough? The default rules and ``--fail-under`` thresholds."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callbot.errors import CallbotError
from callbot.evals.report import INFRA_LIMIT, Gate, GateRule, ScenarioReport, Summary
from callbot.evals.scenario import CRITICAL, Scenario
from callbot.evals.statistics import Z95, wilson

_COMPARE: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}
_THRESHOLD = re.compile(r"^\s*([a-z0-9_.^]+)\s*(>=|<=)\s*(\d*\.?\d+)(%?)\s*$")

LOWER_IS_BETTER = ("premature_rate", "premature_rate.high")

METRICS: dict[str, Callable[[Summary], float | None]] = {
    "precision": lambda s: s.precision,
    "recall": lambda s: s.recall,
    "f1": lambda s: s.f1,
    "call.precision": lambda s: s.call.precision,
    "call.recall": lambda s: s.call.recall,
    "call.f1": lambda s: s.call.f1,
    "pass_rate": lambda s: s.passed / (s.passed + s.failed) if s.passed + s.failed else None,
    "lead_accuracy": lambda s: s.lead_accuracy,
    "premature_rate": lambda s: s.premature_rate.value,
    "premature_rate.high": lambda s: s.premature_rate.high,
}
"""Every metric is a rate in 0..1; ``pass^K`` is one more, for each K up to --repeat."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """``METRIC>=X`` or ``METRIC<=X``."""

    metric: str
    comparison: str
    bound: float

    def __str__(self) -> str:
        return f"{self.metric}{self.comparison}{self.bound:g}"


def parse_threshold(text: str) -> Threshold:
    """Read ``f1>=0.9`` or ``premature_rate<=2%``. Raises CallbotError."""
    match = _THRESHOLD.match(text)
    if match is None:
        raise CallbotError(f'--fail-under "{text}" is not METRIC>=X or METRIC<=X, for example f1>=0.9')
    metric, comparison, number, percent = match.groups()
    if metric not in METRICS and not re.fullmatch(r"pass\^[1-9]\d*", metric):
        raise CallbotError(f'--fail-under: unknown metric "{metric}"; known: {", ".join(METRICS)}, pass^K')
    bound = float(number) / (100 if percent else 1)
    if not 0 <= bound <= 1:
        raise CallbotError(f"--fail-under {text}: every metric is a rate; write 0.9 or 90%, not {bound:g}")
    better = "<=" if metric in LOWER_IS_BETTER else ">="
    if comparison != better:
        less = "lower" if better == "<=" else "higher"
        raise CallbotError(
            f"--fail-under {text} would pass what it should stop, for {metric} is better the {less} it is; "
            f"write {metric}{better}{number}{percent}"
        )
    return Threshold(metric, comparison, bound)


def refuse_unreachable(threshold: Threshold, scenarios: Sequence[Scenario], *, repeat: int) -> None:
    """Raise CallbotError if no run of this size could reach the threshold, with the size that could."""
    metric, bound, count = threshold.metric, threshold.bound, len(scenarios)
    if metric.startswith("pass^") and int(metric[5:]) > repeat:
        raise CallbotError(f"{threshold} needs --repeat {metric[5:]} or more; it is {repeat}")
    if metric.removeprefix("call.") in _OF_ENDS and not any(s.expect.end for s in scenarios):
        raise CallbotError(f"{threshold} needs at least 1 scenario that expects an end; none is selected")
    if metric == "lead_accuracy" and not any(s.expect.lead for s in scenarios):
        raise CallbotError(f"{threshold} needs at least 1 scenario that expects a lead; none is selected")
    if metric == "premature_rate.high" and wilson(0.0, count)[1] > bound:
        enough = f"at least {_scenarios_for(bound)} scenarios" if bound else "infinitely many"
        raise CallbotError(
            f"{threshold} cannot be reached with {count} scenarios even if none is premature; it needs {enough}"
        )


def _scenarios_for(bound: float) -> int:
    """How many scenarios it takes until the upper end of the interval around no premature one is ``bound``."""
    count = max(1, int(Z95 * Z95 * (1 - bound) / bound) - 1)  # wilson's upper end at 0 is z^2 / (n + z^2)
    while wilson(0.0, count)[1] > bound:
        count += 1
    return count


_OF_ENDS = ("precision", "recall", "f1")


def judge(summary: Summary, scenarios: Sequence[ScenarioReport], thresholds: Sequence[Threshold]) -> Gate:
    """Apply the default rules and the thresholds."""
    rules = [_all_pass(scenarios), _critical_never_premature(scenarios)]
    rules.extend(_reaches(summary, threshold) for threshold in thresholds)
    return Gate(passed=all(rule.passed for rule in rules), rules=rules)


def too_much_infra(summary: Summary) -> bool:
    """Whether provider failures make the run worthless."""
    return summary.runs > 0 and summary.infra / summary.runs > INFRA_LIMIT


def _all_pass(scenarios: Sequence[ScenarioReport]) -> GateRule:
    failed = [s.name for s in scenarios if s.passed is False and not s.excused]
    detail = f"{len(failed)} of {len(scenarios)} failed: {', '.join(failed[:5])}" if failed else ""
    if len(failed) > 5:
        detail += " ..."
    return GateRule(name="every scenario passes by majority", passed=not failed, detail=detail)


def _critical_never_premature(scenarios: Sequence[ScenarioReport]) -> GateRule:
    broken = [
        s.name
        for s in scenarios
        if CRITICAL in s.tags and not s.excused and any(run.verdict == "premature" for run in s.runs)
    ]
    return GateRule(name="no critical attempt is premature", passed=not broken, detail=", ".join(broken))


def _reaches(summary: Summary, threshold: Threshold) -> GateRule:
    if threshold.metric.startswith("pass^"):
        value = summary.pass_hat_k.get(threshold.metric[5:])
    else:
        value = METRICS[threshold.metric](summary)
    if value is None:
        return GateRule(name=str(threshold), passed=False, detail="no run says anything about it")
    passed = _COMPARE[threshold.comparison](value, threshold.bound)
    return GateRule(name=str(threshold), passed=passed, detail=f"{threshold.metric} is {value:.3f}")
