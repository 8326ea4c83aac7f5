"""What a run comes to, for a reader of the first screen: sentences, rates with intervals, reasons.

Beside ``view.py``, which tells of single calls; neither judges a run again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from callbot.evals.report import PASSING, Interval, Report, RunReport, ScenarioReport, Verdict
from callbot.reporting import view

_HAPPENED = {
    "premature": ("hangs up too early", "hang up too early"),
    "late": ("ends too late", "end too late"),
    "never": ("never ends", "never end"),
    "wrong_reason": ("ends for a wrong reason", "end for a wrong reason"),
    "refused": ("asks to end before the lead is complete", "ask to end before the lead is complete"),
    "off_script": ("leaves the script", "leave the script"),
    "checks": ("ends well but fails a check", "end well but fail a check"),
}
"""What the bot does in a failed call, for one and for more, gravest first."""

_NAMES = {
    "precision": "requests to end that were right",
    "recall": "due ends that were noticed",
    "f1": "both together (f1)",
    "call.precision": "calls: ends that were right",
    "call.recall": "calls: due ends that came",
    "call.f1": "calls: both together (f1)",
    "pass_rate": "attempts that passed",
    "premature_rate": "scenarios ended too early",
    "lead_accuracy": "lead fields right",
    "premature": "ended too early",
    "late": "ended late",
    "never": "never ended",
    "wrong_reason": "ended for a wrong reason",
}


def meaning(report: Report) -> list[str]:
    """What the verdict on the run means, in a few sentences without terms of the field."""
    return [
        sentence for sentence in (_calls(report), _critical(report), _lost(report), _care(report)) if sentence
    ]


def _calls(report: Report) -> str:
    judged = [scenario for scenario in report.scenarios if scenario.passed is not None]
    if not judged:
        return "No call could be judged."
    failed = view.with_outcome(report, "failed")
    if not failed:
        good = len(view.with_outcome(report, "passed"))
        return (
            f"{good:,} of {view.count(len(judged), 'call')} went as a thoughtful person would have them go."
        )
    happened = Counter(_happened(scenario) for scenario in failed)
    parts = [f"{number:,} {_HAPPENED[kind][number != 1]}" for kind in _HAPPENED if (number := happened[kind])]
    return f"Of {view.count(len(judged), 'call')}, {' and '.join([', '.join(parts[:-1]), parts[-1]] if parts[1:] else parts)}."


def _happened(scenario: ScenarioReport) -> str:
    run = view.telling_run(scenario)
    return run.verdict if run is not None and run.verdict in _HAPPENED else "checks"


def _critical(report: Report) -> str:
    names = [each.name for each in view.with_outcome(report, "failed") if "critical" in each.tags]
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{'Critical among them' if len(names) > 1 else 'Critical is'}: {', '.join(names[:3])}{more}."


def _lost(report: Report) -> str:
    ends = report.summary.counterfactual
    if ends is None:
        return ""
    fields = ", ".join(f"{name} ({number})" for name, number in ends.fields_lost.items())
    lost = f"{view.count(ends.leads_lost, 'lead')} lost by hanging up too early"
    return f"{lost}{f'; details lost: {fields}' if fields else ''}; {view.seconds(ends.seconds_wasted)} wasted by ending late."


def _care(report: Report) -> str:
    if report.summary.infra:
        return (
            f"{view.count(report.summary.infra, 'attempt')} failed at the provider and counted for nothing."
        )
    return ""


Kind = Literal["good", "early", "wrong", "unknown"]
_ORDER: tuple[Kind, ...] = get_args(Kind)
_KINDS: dict[str, Kind] = {"premature": "early", "infra": "unknown"}


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The runs that got one verdict, as a part of a bar of all runs."""

    verdict: str
    number: int
    before: int
    """Runs in the parts before it."""
    kind: Kind


def verdicts(report: Report) -> list[Verdicts]:
    """How many runs got which verdict, good ones first, then the premature: what costs a lead."""
    counts = Counter(run.verdict for scenario in report.scenarios for run in scenario.runs)
    found: list[Verdicts] = []
    for verdict in sorted(get_args(Verdict), key=lambda verdict: _ORDER.index(_kind(verdict))):
        if number := counts[verdict]:
            before = found[-1].before + found[-1].number if found else 0
            found.append(Verdicts(verdict, number, before, _kind(verdict)))
    return found


def _kind(verdict: str) -> Kind:
    return "good" if verdict in PASSING else _KINDS.get(verdict, "wrong")


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate to be drawn with its 95% interval; shares of one."""

    name: str
    title: str
    """What it is a share of, in plain words."""
    value: float
    low: float
    high: float
    of: str = ""
    """``37 of 40``, where that is known."""

    @property
    def told(self) -> str:
        """In words: value and interval."""
        return f"{view.percent(self.value)} (95%: {view.percent(self.low)} to {view.percent(self.high)})"


def rates(report: Report) -> list[Rate]:
    """Every rate of the run that has an interval, as gates name them."""
    found = dict(report.summary.intervals)
    if "premature_rate" not in found and report.summary.runs > report.summary.infra:
        found["premature_rate"] = report.summary.premature_rate
    return [_rate(name, interval) for name, interval in found.items()]


def observed(report: Report) -> list[Rate]:
    """The rates of endings that were observed elsewhere; none in other reports."""
    if report.observed is None:
        return []
    counts = report.observed.counts
    return [
        _rate(name, interval, "{:,} of {:,}".format(*counts[name]) if name in counts else "")
        for name, interval in report.observed.rates.items()
    ]


def _rate(name: str, interval: Interval, of: str = "") -> Rate:
    title = _NAMES.get(name, "")
    return Rate(name, title, interval.value, interval.low, interval.high, of)


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each reason was given (columns), by the reason that was expected (rows)."""

    given: list[str]
    rows: list[tuple[str, list[tuple[int, bool]]]]
    """Expected reason, then counts, and whether such an end is right."""


def confusion(report: Report) -> Confusion:
    """The reasons as a table; empty in reports that did not count them."""
    reasons = report.summary.totals.reasons
    given = sorted(
        {name for row in reasons.values() for name in row}, key=lambda name: (name == "no request", name)
    )
    rows = [
        (expected, [(row.get(name, 0), _right(expected, name)) for name in given])
        for expected, row in reasons.items()
    ]
    return Confusion(given, rows)


def _right(expected: str, given: str) -> bool:
    if expected == "open":
        return given == "no request"
    return given != "no request" and (expected == "any reason" or given in expected.split(" or "))


def counted(run: RunReport, currency: str | None) -> Iterator[tuple[str, str]]:
    """What was counted on one attempt beside its verdict, where there was any."""
    measures = run.measures
    if measures.turns_late is not None and (measures.turns_late or measures.seconds_late):
        waited = f", {view.seconds(measures.seconds_late)}" if measures.seconds_late is not None else ""
        yield "late by", f"{view.count(measures.turns_late, 'turn')}{waited}"
    if measures.lost_fields:
        yield "lost", ", ".join(measures.lost_fields) + (": the lead" if measures.lead_lost else "")
    if measures.broken_invariants:
        yield "no good bot", "; ".join(measures.broken_invariants)
    faults = [
        (measures.drifts, "claim about the lead that is not so", "claims about the lead that are not so"),
        (measures.contract_faults, "departure from the contract", "departures from the contract"),
        (measures.guard_refusals, "request refused by the guard", "requests refused by the guard"),
    ]
    found = [f"{number:,} {one if number == 1 else many}" for number, one, many in faults if number]
    if found:
        yield "faults", ", ".join(found)
    spent = []
    if any(run.latencies_ms):  # the embedded model's take no time
        spent.append(f"slowest answer {view.milliseconds(max(run.latencies_ms))}")
    if run.tokens.input or run.tokens.output:
        spent.append(f"{run.tokens.input:,} tokens in, {run.tokens.output:,} out")
    if run.cost is not None:
        spent.append(f"{run.cost:.4f} {currency or ''}".strip())
    if spent:
        yield "used", "; ".join(spent)
