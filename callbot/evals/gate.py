"""The gate: is this run good enough? The default rules and ``--fail-under`` thresholds."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callbot.errors import CallbotError
from callbot.evals.report import Gate, GateRule, ScenarioReport, Summary
from callbot.evals.scenario import CRITICAL
from callbot.evals.statistics import wilson

INFRA_LIMIT = 0.10
"""More than this share of infra runs: the run says nothing (exit code 3)."""

_COMPARE: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}
_THRESHOLD = re.compile(r"^\s*([a-z0-9_.^]+)\s*(>=|<=)\s*(\d*\.?\d+)(%?)\s*$")

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
        raise CallbotError(
            f"--fail-under {text}: every metric is a rate from 0 to 1, so {bound:g} is never reached"
        )
    return Threshold(metric, comparison, bound)


def refuse_unreachable(threshold: Threshold, *, scenarios: int, repeat: int) -> None:
    """Raise CallbotError if no run of this size could reach the threshold, with the size that could."""
    if threshold.metric.startswith("pass^"):
        wanted = int(threshold.metric[5:])
        if wanted > repeat:
            raise CallbotError(f"{threshold} needs --repeat {wanted} or more; it is {repeat}")
    if threshold.metric == "premature_rate.high" and threshold.comparison == "<=":
        if wilson(0.0, scenarios)[1] > threshold.bound:
            enough = next((n for n in range(1, 100_000) if wilson(0.0, n)[1] <= threshold.bound), None)
            least = f"at least {enough} scenarios" if enough else "more scenarios than is sensible"
            raise CallbotError(
                f"{threshold} cannot be reached with {scenarios} scenarios even if none is premature; "
                f"it needs {least}"
            )


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
