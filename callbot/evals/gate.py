"""The gate: is this run good enough? The default rules and ``--fail-under`` conditions."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callbot.errors import CallbotError
from callbot.evals.rates import METRICS
from callbot.evals.repeats import certain_attempts
from callbot.evals.report import INFRA_LIMIT, Gate, GateRule, ScenarioReport, Summary
from callbot.evals.scenario import CRITICAL, Scenario
from callbot.evals.statistics import wilson
from callbot.plainly import suggestion

_COMPARE: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}
_THRESHOLD = re.compile(r"^\s*([a-z0-9_.^]+)\s*(>=|<=)\s*(\d*\.?\d+)(%?)\s*$")
_GROUP = re.compile(r"^\s*(tag|business):(.+?)\s*(?:=\s*(all)|(>=|<=)\s*(\d*\.?\d+)(%?))\s*$")


@dataclass(frozen=True, slots=True)
class Threshold:
    """``METRIC>=X`` or ``METRIC<=X``; METRIC may be one end of an interval, or scenarios of a kind."""

    metric: str
    """``f1``, ``f1.low``, ``premature_rate.high``, ``pass^3``, ``tag:NAME``, ``business:ID``."""
    comparison: str
    bound: float

    def __str__(self) -> str:
        if self.group and self.bound == 1:
            return f"{self.metric}=all"
        return f"{self.metric}{self.comparison}{self.bound:g}"

    @property
    def group(self) -> tuple[str, str] | None:
        """``tag`` or ``business`` and which, of a condition on the scenarios of a kind."""
        kind, colon, name = self.metric.partition(":")
        return (kind, name) if colon else None

    @property
    def base(self) -> str:
        """The metric without the end of its interval."""
        return re.sub(r"\.(low|high)$", "", self.metric)

    @property
    def end(self) -> str:
        """``low`` or ``high`` where the end of an interval is meant, else empty."""
        return self.metric[len(self.base) + 1 :]


def parse_threshold(text: str) -> Threshold:
    """Read ``f1>=0.9``, ``premature_rate.high<=2%`` or ``tag:critical=all``. Raises CallbotError."""
    if group := _GROUP.match(text):
        kind, name, everyone, comparison, number, percent = group.groups()
        if everyone:
            return Threshold(f"{kind}:{name}", ">=", 1.0)
        return _checked(text, Threshold(f"{kind}:{name}", comparison, _rate(text, number, percent)), ">=")
    match = _THRESHOLD.match(text)
    if match is None:
        raise CallbotError(
            f'--fail-under "{text}" is not METRIC>=X or METRIC<=X, for example f1>=0.9; '
            "of some scenarios: tag:NAME=all, tag:NAME>=0.9, business:ID>=0.9"
        )
    metric, comparison, number, percent = match.groups()
    threshold = Threshold(metric, comparison, 0.0)
    if re.fullmatch(r"pass\^[1-9]\d*", metric):
        better, end = ">=", ""
    elif threshold.base in METRICS:
        lower = METRICS[threshold.base].lower_is_better
        better, end = ("<=", "high") if lower else (">=", "low")
    else:
        known = ", ".join(METRICS)
        raise CallbotError(
            f'--fail-under: unknown metric "{metric}"; known: {known}, pass^K, '
            "an end of an interval (f1.low, premature_rate.high), tag:NAME, business:ID"
        )
    if threshold.end and threshold.end != end:
        raise CallbotError(
            f"--fail-under {text}: the end of the interval that can be vouched for is {threshold.base}.{end}"
        )
    return _checked(text, Threshold(metric, comparison, _rate(text, number, percent)), better)


def _rate(text: str, number: str, percent: str) -> float:
    bound = float(number) / (100 if percent else 1)
    if not 0 <= bound <= 1:
        raise CallbotError(f"--fail-under {text}: every metric is a rate; write 0.9 or 90%, not {bound:g}")
    return bound


def _checked(text: str, threshold: Threshold, better: str) -> Threshold:
    if threshold.comparison == better:
        return threshold
    less = "lower" if better == "<=" else "higher"
    raise CallbotError(
        f"--fail-under {text} would pass what it should stop, for {threshold.metric} is better the {less} it "
        f"is; write {text.strip().replace(threshold.comparison, better)}"
    )


# --- before a run ---
def refuse_unreachable(
    threshold: Threshold, scenarios: Sequence[Scenario], *, repeat: int, stop_early: bool = False
) -> None:
    """Raise CallbotError if no run of this size could reach the threshold, with the size that could."""
    metric = threshold.metric
    if threshold.group:
        _refuse_nobody(threshold, scenarios)
        return
    if metric.startswith("pass^"):
        _refuse_too_few_attempts(threshold, repeat, stop_early=stop_early)
        return
    ends = [s for s in scenarios if s.expect.end]
    leads = [s for s in scenarios if s.expect.lead]
    counted = (
        ends if threshold.base in _OF_ENDS else leads if threshold.base == "lead_accuracy" else scenarios
    )
    if not counted:
        what = "a lead" if threshold.base == "lead_accuracy" else "an end"
        raise CallbotError(f"{threshold} needs at least 1 scenario that expects {what}; none is selected")
    if threshold.end and not _reaches_with(threshold, len(counted)):
        enough = _scenarios_for(threshold)
        those = f"{len(counted)} scenario{'s' * (len(counted) != 1)}"
        if threshold.base in _OF_ENDS:
            those += " that expect an end" if len(counted) != 1 else " that expects an end"
        best = "none is premature" if threshold.end == "high" else "everything is right"
        needs = f"at least {enough} scenarios" if enough else "infinitely many"
        raise CallbotError(f"{threshold} cannot be reached with {those} even if {best}; it needs {needs}")


def _refuse_nobody(threshold: Threshold, scenarios: Sequence[Scenario]) -> None:
    assert threshold.group is not None
    kind, name = threshold.group
    known = {tag for s in scenarios for tag in s.tags} if kind == "tag" else {s.business for s in scenarios}
    if name not in known:
        listed = suggestion(name, known) or f"; known: {', '.join(sorted(known)) or 'none'}"
        raise CallbotError(f'{threshold}: no selected scenario has {kind} "{name}"{listed}')


def _refuse_too_few_attempts(threshold: Threshold, repeat: int, *, stop_early: bool) -> None:
    wanted = int(threshold.metric[5:])
    if wanted > repeat:
        raise CallbotError(f"{threshold} needs --repeat {wanted} or more; it is {repeat}")
    certain = certain_attempts(repeat)
    if stop_early and wanted > certain:
        raise CallbotError(
            f"{threshold} needs {wanted} attempts at every scenario; with --stop-early {certain} of {repeat} "
            f"are certain: leave it out, or use --repeat {2 * wanted - 1}"
        )


_OF_ENDS = ("precision", "recall", "f1", "call.precision", "call.recall", "call.f1")


def _reaches_with(threshold: Threshold, count: int) -> bool:
    """Whether the interval of a perfect run of so many scenarios, Wilson's, reaches the bound."""
    low, high = wilson(0.0 if threshold.end == "high" else 1.0, count)
    return _COMPARE[threshold.comparison](high if threshold.end == "high" else low, threshold.bound)


def _scenarios_for(threshold: Threshold) -> int | None:
    """The fewest scenarios whose perfect run reaches the bound; None if no number does."""
    if threshold.bound == (0 if threshold.end == "high" else 1):
        return None
    low, high = 0, 1
    while not _reaches_with(threshold, high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _reaches_with(threshold, middle) else (middle, high)
    return high


# --- after a run ---
def judge(summary: Summary, scenarios: Sequence[ScenarioReport], thresholds: Sequence[Threshold]) -> Gate:
    """Apply the default rules and the thresholds."""
    rules = [_all_pass(scenarios), _critical_never_premature(scenarios)]
    return with_rules([*rules, *conditions(summary, scenarios, thresholds)])


def conditions(
    summary: Summary, scenarios: Sequence[ScenarioReport], thresholds: Sequence[Threshold]
) -> list[GateRule]:
    """The thresholds alone."""
    return [
        _group_passes(scenarios, threshold) if threshold.group else _reaches(summary, threshold)
        for threshold in thresholds
    ]


def with_rules(rules: Sequence[GateRule]) -> Gate:
    """The gate that holds when every rule does."""
    return Gate(passed=all(rule.passed for rule in rules), rules=list(rules))


def too_much_infra(summary: Summary) -> bool:
    """Whether provider failures make the run worthless, the bot's or the judge's."""
    if summary.judged is not None and summary.judged.unanswered_share > INFRA_LIMIT:
        return True
    return summary.runs > 0 and summary.infra / summary.runs > INFRA_LIMIT


def names_of(failed: Sequence[str]) -> str:
    """The first few names, and that there are more."""
    return ", ".join(failed[:5]) + (" ..." if len(failed) > 5 else "")


def _all_pass(scenarios: Sequence[ScenarioReport]) -> GateRule:
    failed = [s.name for s in scenarios if s.passed is False and not s.excused]
    detail = f"{len(failed)} of {len(scenarios)} failed: {names_of(failed)}" if failed else ""
    return GateRule(name="every scenario passes by majority", passed=not failed, detail=detail)


def _critical_never_premature(scenarios: Sequence[ScenarioReport]) -> GateRule:
    broken = [
        s.name
        for s in scenarios
        if CRITICAL in s.tags and not s.excused and any(run.verdict == "premature" for run in s.runs)
    ]
    return GateRule(name="no critical attempt is premature", passed=not broken, detail=names_of(broken))


def _group_passes(scenarios: Sequence[ScenarioReport], threshold: Threshold) -> GateRule:
    """The share of a tag's or a business's scenarios that passed; excused and infra ones do not count."""
    assert threshold.group is not None
    kind, name = threshold.group
    counted = [
        s
        for s in scenarios
        if (name in s.tags if kind == "tag" else name == s.business)
        and s.passed is not None
        and not s.excused
    ]
    if not counted:
        return GateRule(name=str(threshold), passed=False, detail="no run says anything about it")
    failed = [s.name for s in counted if not s.passed]
    share = 1 - len(failed) / len(counted)
    detail = f"{len(counted) - len(failed)} of {len(counted)} passed"
    if failed:
        detail += f"; failed: {names_of(failed)}"
    return GateRule(name=str(threshold), passed=share >= threshold.bound, detail=detail)


def _reaches(summary: Summary, threshold: Threshold) -> GateRule:
    value = _value(summary, threshold)
    if value is None:
        return GateRule(name=str(threshold), passed=False, detail="no run says anything about it")
    passed = _COMPARE[threshold.comparison](value, threshold.bound)
    return GateRule(name=str(threshold), passed=passed, detail=f"{threshold.metric} is {value:.3f}")


def _value(summary: Summary, threshold: Threshold) -> float | None:
    if threshold.metric.startswith("pass^"):
        return summary.pass_hat_k.get(threshold.metric[5:])
    found = summary.intervals.get(threshold.base)
    if found is None:
        return None
    return {"low": found.low, "high": found.high}.get(threshold.end, found.value)
