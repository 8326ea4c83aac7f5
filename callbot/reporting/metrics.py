"""Everything that a run measured, in names and values, as every report lists it."""

from __future__ import annotations

from collections.abc import Iterator

from callbot.evals.report import Interval, Report
from callbot.evals.totals import NONE, OPEN
from callbot.reporting import overview, view

_SHOWN = 3


def metrics(report: Report) -> list[tuple[str, str]]:
    """Names and values of everything measured, as every report lists it."""
    summary = report.summary
    early = summary.premature_rate
    rows = [
        (
            "model wants to end",
            _scores(summary.precision, summary.recall, summary.f1) + _bounds(summary.intervals.get("f1")),
        ),
        (
            "call ends",
            _scores(summary.call.precision, summary.call.recall, summary.call.f1)
            + _bounds(summary.intervals.get("call.f1")),
        ),
        (
            "premature",
            f"{view.percent(early.value)} of scenarios (95%: {view.percent(early.low)} to {view.percent(early.high)})"
            if summary.runs > summary.infra
            else view.NONE,
        ),
    ]
    if confused := _confused(report):
        rows.append(("reasons confused", confused))
    if report.run.repeat > 1 and summary.pass_hat_k:
        powers = sorted(summary.pass_hat_k.items(), key=lambda item: int(item[0]))
        rows.append(("pass^k", ", ".join(f"k={k} {view.rate(value)}" for k, value in powers)))
    rows.append(
        (
            "lead",
            view.NONE if summary.lead_accuracy is None else f"{view.percent(summary.lead_accuracy)} right",
        )
    )
    rows.extend(_judged(report))
    latency = summary.latency_ms
    rows.extend(_faults(report))
    if summary.broken_replies:
        rows.append(("unusable replies", f"{summary.broken_replies:,}, the contract was broken"))
    rows.append(("latency", f"p50 {view.milliseconds(latency.p50)}, p95 {view.milliseconds(latency.p95)}"))
    if report.run.refusals:
        times = f"{report.run.refusals:,} request{'s' * (report.run.refusals != 1)} refused"
        rows.append(("rate limits", f"{times}, {report.run.waited_seconds:.1f} s waited (in no latency)"))
    rows.append(("tokens", f"{summary.tokens.input:,} in, {summary.tokens.output:,} out"))
    if summary.cost is not None:
        rows.append(("cost", _cost(report)))
    return rows


def _confused(report: Report) -> str:
    """Requests to end for another reason than expected, the most frequent first; the page has all of them."""
    table = overview.confusion(report)
    wrong = [
        (number, f"{number:,} {given} for {expected}")
        for expected, cells in table.rows
        for given, (number, right) in zip(table.given, cells, strict=True)
        if number and not right and given != NONE and expected != OPEN
    ]
    wrong.sort(key=lambda each: -each[0])
    more = f" and {view.count(len(wrong) - _SHOWN, 'other pair')}" if len(wrong) > _SHOWN else ""
    return ", ".join(told for _, told in wrong[:_SHOWN]) + more


def _judged(report: Report) -> Iterator[tuple[str, str]]:
    """What the judge said, and what it took, which is in no other count."""
    judged = report.summary.judged
    if judged is None:
        return
    if report.run.judge is None:
        yield "judge", f"{view.count(judged.not_judged, 'line')} not judged: no --judge-model was named"
        return
    parts = [f"{view.count(judged.held, 'line')} held", f"{judged.failed:,} did not"]
    if judged.not_judged:
        parts.append(f"{judged.not_judged:,} not judged")
    cost = f", {judged.cost:.4f} {report.run.currency or ''}".rstrip() if judged.cost is not None else ""
    used = f"{judged.tokens.input:,} tokens in, {judged.tokens.output:,} out{cost}"
    yield "judge", f"{', '.join(parts)} ({report.run.judge}: {used})"


def _faults(report: Report) -> Iterator[tuple[str, str]]:
    """What was counted beside the verdicts, where there was any, and what bad ends came to."""
    totals = report.summary.totals
    if totals.turns_late is not None and (totals.turns_late or totals.seconds_late):
        mean = f"{totals.turns_late:.1f} turn{'s' * (totals.turns_late != 1)} on average"
        yield "late by", f"{mean}, {totals.seconds_late:.0f} s in all"
    counted = [
        (totals.drifts, "claim about the lead that is not so", "claims about the lead that are not so"),
        (totals.contract_faults, "departure from the contract", "departures from the contract"),
        (totals.guard_refusals, "request that the guard refused", "requests that the guard refused"),
        (totals.broken_invariants, "thing that no good bot does", "things that no good bot does"),
    ]
    found = [f"{number:,} {one if number == 1 else many}" for number, one, many in counted if number]
    if found:
        yield "faults", ", ".join(found)
    ends = report.summary.counterfactual
    if ends is not None:
        lost = view.count(ends.leads_lost, "lead")
        value = f" (worth {ends.value_lost:,.2f})" if ends.value_lost is not None else ""
        wasted = f" (costing {ends.cost_wasted:,.2f})" if ends.cost_wasted is not None else ""
        yield "bad ends", f"{lost} lost{value}, {ends.seconds_wasted:.0f} s wasted{wasted}"
        if ends.fields_lost:
            fields = ", ".join(f"{name} {number}" for name, number in ends.fields_lost.items())
            yield "details lost", fields


def _cost(report: Report) -> str:
    """What the answers cost, and what this run paid if that is not the same.

    Less, where a cassette or an earlier run paid the rest; more, where attempts were cut off.
    """
    cost, spent, currency = report.summary.cost or 0.0, report.run.spent, report.run.currency or ""
    total = f"{cost:.4f} {currency}"
    if spent is None or abs(cost - spent) < 5e-5:
        return total
    if spent > cost:
        return f"{total}; spent {spent:.4f}, with what was cut off"
    return f"{total}, of which spent now {spent:.4f}"


def _bounds(interval: Interval | None) -> str:
    """A 95% interval behind its rate; nothing in reports of earlier versions, which have none."""
    return "" if interval is None else f" (95%: {view.rate(interval.low)} to {view.rate(interval.high)})"


def _scores(precision: float | None, recall: float | None, f1: float | None) -> str:
    return f"precision {view.rate(precision)}, recall {view.rate(recall)}, f1 {view.rate(f1)}"
