"""Scores endings that were observed on real calls: no model is asked, and nothing has to move here.

A call that its bot ended is a request to end in reply to the caller turn before it; the verdicts are
those of an evaluation. A call that its caller left before the bot could answer the true last turn says
nothing about the bot: ``off_script``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from callbot import __version__
from callbot.ending import NO_RESPONSE
from callbot.errors import InvalidInput, Problem
from callbot.evals.gate import Threshold, conditions, with_rules
from callbot.evals.judging import run_report
from callbot.evals.report import GateRule, Interval, ObservedEnds, Report, RunHeader, ScenarioReport
from callbot.evals.scenario import Scenario
from callbot.evals.statistics import wilson
from callbot.evals.summary import scenario_report, summarise
from callbot.evals.transcript_scenarios import Source, expectation, scenarios_of
from callbot.evals.transcripts import Transcript
from callbot.record import Record, header
from callbot.rules import Rules, speech_seconds


def observed_scenarios(path: Path, within: int = 0) -> list[Scenario]:
    """One scenario for each call of a file, labelled and with its observed end. Raises InvalidInput."""
    found = list(scenarios_of(Source(path, path.stem, within=within), any_business=[""]))
    unseen = [scenario for scenario in found if scenario.transcript and scenario.transcript.observed is None]
    if unseen:
        message = (
            f"is missing: how the call ended is not written, here and in {len(unseen)} of {len(found)} calls; "
            'import it with --map observed=PATH, or write {"end_turn": INDEX, "reason": NAME, "by": "bot"}'
        )
        raise InvalidInput([Problem(path, unseen[0].line, "observed", message)])
    return [_judged_as_observed(scenario, within) for scenario in found]


def _judged_as_observed(scenario: Scenario, within: int) -> Scenario:
    """Without reasons in the oracle where none was observed: what nobody wrote down is not wrong."""
    call = scenario.transcript
    assert call is not None and call.observed is not None  # noqa: PT018  # both were checked
    if call.observed.by != "silence" and call.observed.reason is None:
        call = call.model_copy(update={"end_reason": []})
    return replace(scenario, expect=expectation(call, within))


def observed_record(call: Transcript) -> Record:
    """The Record of a call that was held elsewhere: what was said, and how it ended."""
    record = Record(header(call_id=call.id, rules=Rules(greeting=""), line="transcript"))
    now = 0.0
    for index, turn in enumerate(call.turns):
        if turn.speaker == "caller":
            number = call.number_of(index)
            record.note(now, "caller_turn", n=number, entry=number, text=turn.text)
        else:
            record.note(now, "bot_turn", text=turn.text)
        now += speech_seconds(turn.text)
    for kind, data in _ending(call):
        record.note(now, kind, **data)
    return record


def _ending(call: Transcript) -> Iterator[tuple[str, dict[str, object]]]:
    observed = call.observed
    if observed is None or observed.end_turn is None:
        return
    number = call.number_of(observed.end_turn)
    if observed.by in ("bot", "silence"):
        reason = observed.reason or (NO_RESPONSE if observed.by == "silence" else None)
        yield "observed_end", {"turn": number, "reason": reason, "by": observed.by}
    elif observed.by == "caller" and call.end_turn is not None and not _was_answered(call, call.end_turn):
        yield "off_script", {"n": call.number_of(call.end_turn), "cue": "bot's answer"}


def _was_answered(call: Transcript, index: int) -> bool:
    """Whether the bot said anything after a turn, before the caller left."""
    return any(turn.speaker == "bot" for turn in call.turns[index + 1 :])


# --- the report ---------------------------------------------------------------------------------
def observed_report(
    scenarios: Sequence[Scenario], folder: Path, started_at: dt.datetime, thresholds: Sequence[Threshold]
) -> Report:
    """Judge every call, write its Record below ``folder``, and add up.

    The gate is the thresholds alone: of real calls some always end wrongly.
    """
    (folder / "records").mkdir(exist_ok=True)
    rows = [_row(scenario, number, folder) for number, scenario in enumerate(scenarios, 1)]
    summary = summarise(rows)
    run = RunHeader(
        id=folder.name,
        started_at=started_at.isoformat(timespec="seconds"),
        model="observed",
        callbot=__version__,
    )
    rules = conditions(summary, rows, thresholds) or [
        GateRule(name="no condition was set", passed=True, detail="--fail-under 'recall>=0.9' sets one")
    ]
    return Report(
        run=run, summary=summary, gate=with_rules(rules), scenarios=rows, observed=observed_ends(rows)
    )


def _row(scenario: Scenario, number: int, folder: Path) -> ScenarioReport:
    call = scenario.transcript
    assert call is not None, "observed_scenarios makes no others"
    record, path = observed_record(call), Path("records") / f"{number}.jsonl"
    record.write(folder / path)
    run = run_report(scenario, 1, record, path)
    run = run.model_copy(update={"call_verdict": run.verdict})  # what was observed is what the call did
    return scenario_report(scenario, [run], language=language_of([call]), offline=False)


# --- adding up ------------------------------------------------------------------------------------
def observed_ends(calls: Sequence[ScenarioReport]) -> ObservedEnds:
    """Rates over the calls that say something, each with its Wilson interval, and how late is late."""
    runs = [(call, run) for call in calls for run in call.runs if run.verdict != "off_script"]
    verdicts = [run.verdict for _, run in runs]
    right, premature = verdicts.count("on_time"), verdicts.count("premature")
    wrong, late, never = (verdicts.count(name) for name in ("wrong_reason", "late", "never"))
    due = (
        right
        + wrong
        + late
        + never
        + sum(run.verdict == "premature" and call.end.turns is not None for call, run in runs)
    )
    overdue = [
        run.wanted_end - call.end.turns[1]
        for call, run in runs
        if run.verdict == "late" and run.wanted_end is not None and call.end.turns is not None
    ]
    counts = {
        "precision": (right, right + premature + wrong),
        "recall": (right, right + wrong + late + never),
        "premature": (premature, len(runs)),
        "late": (late, due),
        "never": (never, due),
        "wrong_reason": (wrong, due),
    }
    return ObservedEnds(
        rates={name: _rate(part, whole) for name, (part, whole) in counts.items() if whole},
        counts={name: pair for name, pair in counts.items() if pair[1]},
        turns_late=sum(overdue) / len(overdue) if overdue else None,
    )


def _rate(part: int, whole: int) -> Interval:
    low, high = wilson(part / whole, whole)
    return Interval(value=part / whole, low=low, high=high)


def language_of(calls: Iterable[Transcript]) -> str:
    """``he`` or ``en``, by most letters: for the direction in which calls are shown."""
    letters = [char for call in calls for turn in call.turns for char in turn.text if char.isalpha()]
    hebrew = sum("א" <= char <= "ת" for char in letters)
    return "he" if 2 * hebrew > len(letters) else "en"
