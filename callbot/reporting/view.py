"""What every report says of a run, before it is laid out: outcomes, windows, wants, in plain words.

Terminal, HTML, JUnit and Markdown draw these; none of them judges a run again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from callbot.evals.report import (
    INFRA_LIMIT,
    PASSING,
    Check,
    EndWindow,
    Report,
    RunReport,
    ScenarioReport,
    TurnReport,
)

Outcome = Literal["failed", "infra", "excused", "passed"]
OUTCOMES: tuple[Outcome, ...] = ("failed", "infra", "excused", "passed")
"""In the order in which a reader wants them."""

NONE = "–"
"""Stands for a rate that nothing was there to count for."""


@dataclass(frozen=True, slots=True)
class TurnView:
    """A turn as it is drawn: its words, what the model wanted in it, and how that fits the window."""

    n: int
    caller: str
    bot: str
    wants: str
    """``keeps open``, ``ENDS reason``, ``not asked``; empty for the greeting, at which nobody is asked."""
    ends: bool
    asked_first: bool
    """The first request to end: the one that is judged."""
    in_window: bool
    right: bool
    """A request to end where the window allows one, for an allowed reason."""
    guard: str | None
    broken: tuple[str, ...]
    """What was wrong with replies that could not be used."""
    answer: str
    """On a transcript: what the model would have said."""
    missing: str
    """The fields that the model still missed, as it says."""
    notes: str


def outcome(scenario: ScenarioReport) -> Outcome:
    """What became of a scenario."""
    if scenario.passed is None:
        return "infra"
    if scenario.passed:
        return "passed"
    return "excused" if scenario.excused else "failed"


def with_outcome(report: Report, *outcomes: Outcome) -> list[ScenarioReport]:
    """The scenarios of these outcomes, in the order of the report."""
    return [scenario for scenario in report.scenarios if outcome(scenario) in outcomes]


def telling_run(scenario: ScenarioReport) -> RunReport | None:
    """The attempt to show: the first that failed, else the first that was infra, else the first."""
    for wanted in ("failed", "infra"):
        for run in scenario.runs:
            if not run.passed and (run.verdict == "infra") == (wanted == "infra"):
                return run
    return scenario.runs[0] if scenario.runs else None


def turn_views(scenario: ScenarioReport, run: RunReport) -> list[TurnView]:
    """The turns of an attempt, ready to be drawn."""
    return [_turn_view(scenario.end, run, turn) for turn in run.turns]


def _turn_view(end: EndWindow, run: RunReport, turn: TurnReport) -> TurnView:
    control = turn.control
    first = run.wanted_end == turn.n
    ends = first or control.get("should_end_call") is True
    window = run.window or end.turns
    in_window = window is not None and window[0] <= turn.n <= window[1]
    reason = control.get("end_reason") or (run.wanted_reason if first else None)
    wants = f"ENDS {reason or 'without a reason'}" if ends else "keeps open" if control else "not asked"
    if turn.n == 0 and not control:
        wants = ""
    return TurnView(
        n=turn.n,
        caller=turn.caller,
        bot=turn.bot,
        wants=wants,
        ends=ends,
        asked_first=first,
        in_window=in_window,
        right=ends and in_window and (not end.reason or reason in end.reason),
        guard=turn.guard,
        broken=tuple(turn.broken),
        answer=turn.answer,
        missing=", ".join(map(str, control.get("missing_fields") or ())),
        notes=str(control.get("notes") or ""),
    )


def should(end: EndWindow) -> str:
    """When the call should have ended, in words."""
    if end.after is not None:
        when = f"ends {_within(end.within or 0)} {_MILESTONES.get(end.after, end.after)}"
        when += f", with {' and '.join(end.before)} captured" if end.before else ""
    elif end.turns is None:
        return "stays open"
    else:
        first, last = end.turns
        when = f"ends in turn {first}" if first == last else f"ends in turn {first} to {last}"
    return f"{when}, {' or '.join(end.reason)}" if end.reason else when


def _within(turns: int) -> str:
    return f"within {turns} turn{'s' * (turns != 1)} after the caller" if turns else "as soon as the caller"


_MILESTONES = {
    "lead_complete": "has told every detail",
    "declined": "has declined",
    "goodbye": "has said goodbye",
    "silent": "has fallen silent",
}


def did(run: RunReport) -> str:
    """What the model wanted, in words."""
    if run.verdict == "infra":
        return "the provider failed"
    if run.wanted_end is None:
        return "never asked to end"
    return f"asked in turn {run.wanted_end}, {run.wanted_reason or run.end_reason or 'without a reason'}"


def call_did(run: RunReport) -> str:
    """What the call itself did, guard included; empty where it did what the model wanted."""
    if run.ended_turn is None:
        if run.call_verdict is None:
            return ""  # nobody held this call: its turns stood in a transcript
        return "the call went on" if run.wanted_end is not None else ""
    if run.ended_turn == run.wanted_end and run.ended_by == "model":
        return ""
    reason = f", {run.end_reason}" if run.end_reason else ""
    return f"the call ended in turn {run.ended_turn}, by {run.ended_by or 'nobody'}{reason}"


def why(run: RunReport) -> str:
    """What explains a verdict beyond ``should`` and ``did``."""
    return "" if run.verdict in ("premature", "late", "never", "wrong_reason") else run.detail


def worded(verdict: str) -> str:
    """A verdict as words."""
    return verdict.replace("_", " ")


def verdict_of(scenario: ScenarioReport, run: RunReport) -> str:
    """The verdict in words; an attempt that ended well and failed a check says so."""
    if run.verdict in PASSING and not run.passed:
        return f"{worded(run.verdict)}, but a check failed"
    return worded(run.verdict)


def failed_checks(run: RunReport) -> list[str]:
    """The checks that failed, each in a line that says whose opinion it is, if it is one."""
    return [
        f"{check.name}: {check.detail or 'failed'}{judged_by(check)}"
        for check in run.checks
        if not check.passed
    ]


def judged_by(check: Check) -> str:
    """Whose opinion a check is, in brackets; empty for what was computed."""
    return f" (judged by {check.judged_by})" if check.judged_by is not None else ""


def open_questions(report: Report) -> Iterator[tuple[ScenarioReport, str]]:
    """``judge:`` lines that a judge was to answer and did not, with why: each once a scenario."""
    for scenario in report.scenarios:
        if report.run.judge is not None:
            open_lines = {line.line: line.why for run in scenario.runs for line in run.not_judged}
            yield from ((scenario, f"{line}: {why}") for line, why in open_lines.items())


def attempts(scenario: ScenarioReport) -> str:
    """How many attempts passed, where there was more than one: ``1 of 3 passed``."""
    if len(scenario.runs) < 2:
        return ""
    return f"{sum(run.passed for run in scenario.runs)} of {len(scenario.runs)} attempts passed"


def unsteady(report: Report) -> list[ScenarioReport]:
    """Scenarios that passed by majority while an attempt of theirs failed."""
    return [
        scenario
        for scenario in with_outcome(report, "passed")
        if any(not run.passed and run.verdict != "infra" for run in scenario.runs)
    ]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Passed and counted scenarios by tag (rows) and business (columns)."""

    businesses: list[str]
    tags: list[str]
    cells: dict[tuple[str, str], tuple[int, int]]


ALL = "all"


def matrix(report: Report) -> Matrix:
    """Where it fails: scenarios by tag and business, infra left out; the last row counts each once."""
    passed: Counter[tuple[str, str]] = Counter()
    counted: Counter[tuple[str, str]] = Counter()
    for scenario in report.scenarios:
        if scenario.passed is None:
            continue
        for tag in {*scenario.tags, ALL}:
            counted[tag, scenario.business] += 1
            passed[tag, scenario.business] += scenario.passed
    tags = sorted({tag for tag, _ in counted} - {ALL})
    return Matrix(
        businesses=sorted({scenario.business for scenario in report.scenarios}),
        tags=[*tags, ALL],
        cells={key: (passed[key], count) for key, count in counted.items()},
    )


def rate(value: float | None) -> str:
    """A share of one with three digits: what precision and recall are given in."""
    return NONE if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """A share of one as a percentage."""
    return NONE if value is None else f"{100 * value:.1f}%"


def milliseconds(value: float | None) -> str:
    """A latency."""
    return NONE if value is None else f"{value:,.0f} ms"


def seconds(value: float) -> str:
    """A length of time."""
    return f"{value:.1f} s" if value < 60 else f"{value // 60:.0f} min {value % 60:02.0f} s"


def count(number: int, noun: str) -> str:
    """A number with its noun: ``1 scenario``, ``1,204 scenarios``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def headline(report: Report) -> str:
    """The run in one line: model, how much, how long."""
    run = report.run
    parts = [run.model, count(len(report.scenarios), "scenario")]
    if run.repeat > 1:
        parts.append(f"{run.repeat} attempts each")
    if run.requests:
        parts.append(count(run.requests, "request"))
    if run.seconds:
        parts.append(seconds(run.seconds))
    return " · ".join(parts)


def tally(report: Report) -> str:
    """How the scenarios came out: ``80 passed, 3 failed, 1 infra``; what did not happen is left out."""
    numbers = Counter(outcome(scenario) for scenario in report.scenarios)
    parts = [
        f"{numbers[kind]:,} {kind}" for kind in ("passed", "failed", "infra", "excused") if numbers[kind]
    ]
    return ", ".join(parts) or "nothing ran"


def state(report: Report) -> Literal["PASS", "FAIL", "NO VERDICT"]:
    """What to make of the whole run: a gate that holds over too little says nothing."""
    if not report.gate.passed:
        return "FAIL"
    return "NO VERDICT" if _why_no_verdict(report) else "PASS"


def gate_line(report: Report) -> str:
    """The verdict on the whole run, explained."""
    why = _why_no_verdict(report)
    verdict = (why or "the gate holds") if report.gate.passed else "the gate does not hold"
    stopped = " (interrupted)" if report.run.interrupted and verdict != why else ""
    return f"{verdict}: {tally(report)}{stopped}"


def _why_no_verdict(report: Report) -> str | None:
    run, summary = report.run, report.summary
    if run.stopped_by:
        return f"the run was stopped ({run.stopped_by.splitlines()[0]})"
    if run.interrupted:
        return "the run was interrupted"
    if summary.infra > INFRA_LIMIT * summary.runs:
        return "the provider failed"
    if summary.judged is not None and summary.judged.unanswered_share > INFRA_LIMIT:
        return "the judge did not answer"
    return None if summary.runs else "nothing ran"


def verdict_counts(report: Report) -> str:
    """How many runs got which verdict; without those that none got."""
    numbers: Iterable[tuple[str, int]] = report.summary.verdicts.items()
    return ", ".join(f"{number:,} {worded(verdict)}" for verdict, number in numbers if number)
