"""Judges one Record: the report of an attempt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from callbot.evals.checks import matches_any, run_checks
from callbot.evals.measures import measures_of
from callbot.evals.opinions import checks_of, not_judged, tokens_of
from callbot.evals.outcome import Outcome, TurnOutcome, outcome_of
from callbot.evals.report import PASSING, Check, RunReport, Tokens, TurnReport
from callbot.evals.scenario import Scenario
from callbot.evals.verdict import call_verdict_of, verdict_of, window_of
from callbot.prices import Price
from callbot.record import Record


def run_report(
    scenario: Scenario,
    attempt: int,
    record: Record,
    path: Path,
    price: Price | None = None,
    judge_price: Price | None = None,
    more: Sequence[Check] = (),
) -> RunReport:
    """Judge a Record. ``attempt``: its number; ``path``: where it is, relative to the run's folder.

    ``price``, ``judge_price``: of the tokens of the model and of the judge's, if they are known. ``more``:
    checks of what no Record tells.
    """
    outcome = outcome_of(record)
    verdict, detail = verdict_of(outcome, scenario.expect)
    window = window_of(outcome, scenario.expect)
    checks = [*run_checks(scenario, outcome, record), *more, *checks_of(record)]
    judge_tokens = tokens_of(record)
    request = outcome.first_request
    return RunReport(
        attempt=attempt,
        verdict=verdict,
        passed=verdict in PASSING and all(check.passed for check in checks),
        wanted_end=request.turn if request else None,
        wanted_reason=request.reason if request else None,
        end_reason=outcome.end_reason,
        ended_turn=outcome.ended_turn,
        ended_by=outcome.ended_by,
        lead=dict(outcome.lead),
        lead_fields=_lead_fields(scenario, outcome),
        record=path.as_posix(),
        turns=[_turn(turn) for turn in outcome.turns if turn.n or turn.bot],
        checks=checks,
        detail=detail,
        tokens=Tokens(input=outcome.input_tokens, output=outcome.output_tokens, cached=outcome.cached_tokens),
        cost=_cost(outcome, price),
        latencies_ms=[seconds * 1000 for seconds in outcome.latencies],
        window=window,
        caller_tokens=Tokens(input=outcome.caller_input_tokens, output=outcome.caller_output_tokens),
        call_verdict=None if scenario.transcript else call_verdict_of(outcome, scenario.expect),
        measures=measures_of(outcome, record, verdict, window),
        not_judged=not_judged(scenario, record) if verdict != "infra" else [],
        judge_tokens=judge_tokens,
        judge_cost=_price_of(judge_tokens, judge_price),
    )


def _lead_fields(scenario: Scenario, outcome: Outcome) -> tuple[int, int]:
    """How many of the expected fields are right, of how many."""
    wanted = scenario.expect.lead
    right = sum(matches_any(outcome.lead.get(name), values) for name, values in wanted.items())
    return right, len(wanted)


def _cost(outcome: Outcome, price: Price | None) -> float | None:
    """None too for answers without token counts: they were not free."""
    tokens = outcome.input_tokens, outcome.output_tokens
    if price is None or (outcome.latencies and not any(tokens)):
        return None
    return price.of(*tokens, outcome.cached_tokens)


def _price_of(tokens: Tokens, price: Price | None) -> float | None:
    if price is None or not tokens.input + tokens.output:
        return None
    return price.of(tokens.input, tokens.output, tokens.cached)


def _turn(turn: TurnOutcome) -> TurnReport:
    asked_to_end = [control for control in turn.controls if control.should_end_call]
    control = asked_to_end[0] if asked_to_end else turn.controls[-1] if turn.controls else None
    shown: dict[str, object] = {}
    if control is not None:
        shown = {
            "should_end_call": control.should_end_call,
            "end_reason": control.end_reason,
            "lead_status": control.lead_status,
            "missing_fields": list(control.missing_fields),
            "notes": control.notes,
        }
    return TurnReport(
        n=turn.n,
        caller=turn.caller,
        bot=" ".join(turn.bot),
        control=shown,
        guard=turn.guard,
        broken=turn.broken,
        answer=turn.answer,
    )
