"""Assertions over a call beyond its end: small functions of a Record's outcome, each giving a Check.

A check that does not apply to a scenario gives None.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from callbot import events as ev
from callbot.evals.outcome import Outcome
from callbot.evals.report import Check
from callbot.evals.scenario import Scenario
from callbot.fields import folded
from callbot.record import Record

CheckFunction = Callable[[Scenario, Outcome, Record], Check | None]


def run_checks(scenario: Scenario, outcome: Outcome, record: Record) -> list[Check]:
    """Every check that applies. One that crashes is a failed check, never a lost run."""
    checks = []
    for function in CHECKS:
        try:
            check = function(scenario, outcome, record)
        except Exception as error:  # noqa: BLE001 - a broken check must not pass and must not stop the run
            check = Check(name=function.__name__, passed=False, detail=f"the check crashed: {error!r}")
        if check is not None:
            checks.append(check)
    return checks


def stays_open(scenario: Scenario, outcome: Outcome, record: Record) -> Check | None:
    """No request to end in reply to a turn that says ``expect: {open: true}``."""
    entries = {entry for entry, turn in enumerate(scenario.turns, 1) if turn.expect.open}
    if not entries:
        return None
    guarded = {turn.n for turn in outcome.turns if turn.entry in entries}
    broken = sorted({request.turn for request in outcome.requests} & guarded)
    detail = f"asked to end in turn {', '.join(map(str, broken))}" if broken else ""
    return Check(name="stays_open", passed=not broken, detail=detail)


def lead(scenario: Scenario, outcome: Outcome, record: Record) -> Check | None:
    """Every expected field holds one of its alternatives."""
    if not scenario.expect.lead:
        return None
    wrong = [
        f"{name} is {outcome.lead.get(name) or 'not captured'}, expected {' or '.join(wanted) or 'nothing'}"
        for name, wanted in scenario.expect.lead.items()
        if not matches_any(outcome.lead.get(name), wanted)
    ]
    return Check(name="lead", passed=not wrong, detail="; ".join(wrong))


def lead_status(scenario: Scenario, outcome: Outcome, record: Record) -> Check | None:
    """The computed status of the lead at the end."""
    wanted = scenario.expect.lead_status
    if wanted is None:
        return None
    found = outcome.lead_status
    detail = "" if found == wanted else f"is {found}, expected {wanted}"
    return Check(name="lead_status", passed=found == wanted, detail=detail)


def never_says(scenario: Scenario, outcome: Outcome, record: Record) -> Check | None:
    """No utterance of the bot holds a forbidden text (``~``: matches a regular expression)."""
    if not scenario.expect.never_says:
        return None
    broken: list[str] = []
    for turn in outcome.turns:
        for bad in scenario.expect.never_says:  # in one utterance, or where two meet
            said = [text for text in turn.bot if _found_in(text, bad)]
            if not said and _found_in(" ".join(turn.bot), bad):
                said = [" ".join(turn.bot)]
            broken.extend(f'said "{text}" in turn {turn.n}' for text in said)
    return Check(name="never_says", passed=not broken, detail="; ".join(broken))


def ended_by(scenario: Scenario, outcome: Outcome, record: Record) -> Check | None:
    """One of those who may end the call did."""
    wanted = scenario.expect.ended_by
    if not wanted:
        return None
    passed = outcome.ended_by in wanted
    detail = "" if passed else f"ended by {outcome.ended_by or 'nobody'}, expected {' or '.join(wanted)}"
    return Check(name="ended_by", passed=passed, detail=detail)


def greeting_once(scenario: Scenario, outcome: Outcome, record: Record) -> Check | None:
    """The greeting was played once: by the carrier, or by one Speak of the call."""
    if scenario.transcript is not None:
        return None  # what was said on it is not the engine's doing
    streamed = record.header["rules"]["greeting_streamed"]
    spoken = sum(1 for _, speak in record.of(ev.Speak) if speak.speech == ev.SpeechKind.GREETING)
    wanted = 1 if streamed else 0
    detail = "" if spoken == wanted else f"the call played it {spoken} times, expected {wanted}"
    return Check(name="greeting_once", passed=spoken == wanted, detail=detail)


def farewell_heard(scenario: Scenario, outcome: Outcome, record: Record) -> Check | None:
    """Nothing was on the air when the call hung up, and its last utterance had not been cut."""
    hang_up = next(record.of(ev.HangUp), None)
    if hang_up is None:
        return None
    on_air: set[int] = set()
    last_was_cut = False
    for _, what in record.of(ev.Speak, ev.Played, ev.ClearAudio, ev.VoiceFailed, ev.Note):
        if isinstance(what, ev.Speak):
            on_air.add(what.mark)
            last_was_cut = False
        elif isinstance(what, ev.ClearAudio):
            last_was_cut = last_was_cut or bool(on_air)
            on_air.clear()
        elif isinstance(what, ev.VoiceFailed):
            on_air.discard(what.mark)
        elif isinstance(what, ev.Played) or what.type == "mark_lost":  # its time has passed: heard
            heard = what.mark if isinstance(what, ev.Played) else what.data["mark"]
            on_air = {mark for mark in on_air if mark > heard}
    cut_short = bool(on_air) or last_was_cut
    detail = "hung up before its last words were heard" if cut_short else ""
    return Check(name="farewell_heard", passed=not cut_short, detail=detail)


CHECKS: tuple[CheckFunction, ...] = (
    stays_open,
    lead,
    lead_status,
    never_says,
    ended_by,
    greeting_once,
    farewell_heard,
)


def matches_any(value: str | None, wanted: list[str]) -> bool:
    """Whether a lead value is one of the alternatives; no alternatives means that there is no value."""
    if value is None or not wanted:
        return value is None and not wanted
    return any(_matches(value, alternative) for alternative in wanted)


def _matches(value: str, alternative: str) -> bool:
    if alternative.startswith("~"):
        return re.search(alternative[1:], value, re.IGNORECASE) is not None
    return _plain(value) == _plain(alternative)


def _found_in(text: str, bad: str) -> bool:
    if bad.startswith("~"):
        return re.search(bad[1:], text, re.IGNORECASE) is not None
    return folded(bad) in folded(text)


def _plain(text: str) -> str:
    return folded(text).strip(" .,!?")
