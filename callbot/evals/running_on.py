"""Runs a call on after a premature request to end, to show what hanging up there would have lost.

The request is taken back before the engine sees it; the Record says so, and it counts as a request
all the same.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

from callbot import events as ev
from callbot.evals.oracle import Expect
from callbot.evals.outcome import TAKEN_BACK, outcome_of
from callbot.evals.verdict import window_of
from callbot.record import Record
from callbot.replay import Ask
from callbot.respond import Answer


def running_on(ask: Ask, expect: Expect, record: Record) -> Ask:
    """``ask``, with every request to end that comes too early taken back."""

    async def asked(question: ev.AskModel) -> AsyncGenerator[tuple[float, Answer], None]:
        async for seconds, answer in ask(question):
            if _ends(answer) and is_too_early(expect, record):
                assert isinstance(answer, ev.ReplyDone)
                yield seconds, ev.Note(TAKEN_BACK, {"turn": answer.turn, "reason": answer.control.end_reason})
                control = replace(answer.control, should_end_call=False, end_reason=None)
                yield seconds, replace(answer, control=control)
            else:
                yield seconds, answer

    return asked


def is_too_early(expect: Expect, record: Record) -> bool:
    """Whether an end in the caller's current turn would be premature."""
    outcome = outcome_of(record)
    window = window_of(outcome, expect)
    return window is None or outcome.turns[-1].n < window[0]


def _ends(answer: Answer) -> bool:
    return isinstance(answer, ev.ReplyDone) and answer.control.should_end_call
