"""What a caller heard, as checks of an evaluation: the audio report of the carrier, and the recording."""

from __future__ import annotations

from collections.abc import Iterator

from callbot import events as ev
from callbot.carrier.report import AudioReport, Expected, audio_report
from callbot.evals.report import Check
from callbot.evals.stage import Held
from callbot.rehearsal.call import Rehearsed

PREFIX = "audio_"
_JUDGED_ELSEWHERE = frozenset({"script", "stays", "hangs_up", "answered", "no_error"})
"""Whether and when the call should have ended is the verdict's, on what the model wanted; no network fails."""


def audio_checks(held: Held, call: Rehearsed) -> Iterator[Check]:
    """Judge a finished call by its sound."""
    for check in _report(held, call).checks:
        if check.name not in _JUDGED_ELSEWHERE:
            yield Check(name=PREFIX + check.name, passed=check.passed, detail=check.detail)


def _report(held: Held, call: Rehearsed) -> AudioReport:
    expected = Expected(end=None, greeting=_greeting(held, call), farewell=_farewell(held, call))
    return audio_report(held.scenario.name, held.attempt, call.outcome, call.tape, call.actor, expected)


def _greeting(held: Held, call: Rehearsed) -> bytes | None:
    """How the greeting sounds, unless the caller was free to cut it short, and did."""
    left = any(act.kind == "hang_up" and act.start < len(call.greeting) for act in call.actor.acts)
    cut = held.rules.greeting_barge_in and any(act.over == "greeting" for act in call.actor.acts)
    return None if left or cut else call.greeting


def _farewell(held: Held, call: Rehearsed) -> bytes | None:
    """How the bot's last words sound, if it hung up after them."""
    if next(held.record.of(ev.HangUp), None) is None:
        return None
    *_, (_, last) = held.record.of(ev.Speak)
    return call.said.get(last.text)
