"""Many simulated calls at once, and the percentiles of what their callers heard."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from callbot.carrier.caller import Caller, Manners, Prepared
from callbot.carrier.dialling import Carrier
from callbot.carrier.measure import answer_times, gaps, signal_of, stretches
from callbot.carrier.outcome import Outcome
from callbot.carrier.report import Percentiles
from callbot.carrier.tape import Tape, milliseconds
from callbot.evals.scenario import CallerTurn


@dataclass(frozen=True, slots=True)
class Plan:
    """How many calls are placed."""

    calls: int
    rate: float
    """Calls begun in a second."""
    duration: float
    """Seconds after which a caller says nothing new, and hangs up."""
    sentences: tuple[str, ...]
    """What callers say, over and over."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of one call. Milliseconds."""

    reached: bool
    good: bool
    """The bot answered, was heard, and broke no sentence; and nothing went wrong on the way."""
    trouble: str
    """Why it is not good."""
    webhook: int | None
    first_audio: int | None
    answers: tuple[int, ...]
    unanswered: int
    underruns: int
    marks: int
    ended_by: str
    clock_late: int


class LoadReport(BaseModel):
    """A run (``callbot.load/1``). Times in milliseconds, measured at the callers' ears."""

    model_config = ConfigDict(frozen=True)

    schema_: str = Field(default="callbot.load/1", alias="schema")
    calls: int
    good: int
    seconds: float
    webhook: Percentiles
    """From posting the webhook to its answer."""
    first_audio: Percentiles
    """From the answer to the bot's first sound."""
    answer: Percentiles
    """From the end of the caller's words to the bot's first sound after them, over all turns."""
    answers: int
    unanswered: int
    underruns: int
    marks: int
    """Marks returned to the bot."""
    ended_by: dict[str, int]
    troubles: dict[str, int]
    """Why calls were not good, and how many each."""
    clock_late: Percentiles
    """The worst lateness of each call's clock: above 100 ms the machine was too busy to judge."""


async def place_load(carrier: Carrier, plan: Plan, on_finished: Callable[[Figures], None]) -> list[Figures]:
    """Place every call of a plan; each call's figures, in the order in which the calls were begun."""
    prepared = await carrier.prepared(CallerTurn(say=sentence) for sentence in plan.sentences)

    async def one(index: int) -> Figures:
        await asyncio.sleep(index / plan.rate)
        script = _talk(prepared, index, time.monotonic() + plan.duration)
        caller = Caller(script, awaits_end=False, manners=Manners(leave=0.5))
        call = carrier.phone_call(caller)
        outcome = await call.run()
        figures = await asyncio.to_thread(_figures, outcome, call.tape, caller)
        on_finished(figures)
        return figures

    return await asyncio.gather(*(one(index) for index in range(plan.calls)))


def _talk(prepared: Sequence[Prepared], start: int, until: float) -> Iterator[Prepared]:
    """Callers begin with different sentences, so that they do not speak in chorus."""
    for turn in itertools.islice(itertools.cycle(prepared), start % len(prepared), None):
        if time.monotonic() >= until:
            return
        yield turn


def _figures(outcome: Outcome, tape: Tape, caller: Caller) -> Figures:
    signal = signal_of(tape.bot)
    bot = stretches(signal)
    underruns = len(gaps(tape, signal))
    errors = [each for each in tape.happened if each.what in ("error", "warning", "stream_broke")]
    trouble = ""
    if outcome.error is not None:
        trouble = str(outcome.error)
    elif errors:
        trouble = f"{errors[0].code}: {errors[0].detail}"
    elif not bot:
        trouble = "nothing was heard"
    elif underruns:
        trouble = "gaps in sentences"
    return Figures(
        reached=outcome.reached,
        good=not trouble,
        trouble=trouble,
        webhook=None if outcome.webhook_seconds is None else round(outcome.webhook_seconds * 1000),
        first_audio=milliseconds(bot[0][0]) if bot else None,
        answers=tuple(milliseconds(each) for each in answer_times(caller.acts, bot)),
        unanswered=caller.unanswered,
        underruns=underruns,
        marks=tape.count("mark"),
        ended_by=outcome.ended_by,
        clock_late=round(outcome.clock_late * 1000),
    )


def load_report(figures: Sequence[Figures], seconds: float) -> LoadReport:
    """Sum up a run that took so long."""
    answers = [answer for each in figures for answer in each.answers]
    return LoadReport(
        calls=len(figures),
        good=sum(each.good for each in figures),
        seconds=round(seconds, 1),
        webhook=Percentiles.of([each.webhook for each in figures if each.webhook is not None]),
        first_audio=Percentiles.of([each.first_audio for each in figures if each.first_audio is not None]),
        answer=Percentiles.of(answers),
        answers=len(answers),
        unanswered=sum(each.unanswered for each in figures),
        underruns=sum(each.underruns for each in figures),
        marks=sum(each.marks for each in figures),
        ended_by=dict(Counter(each.ended_by for each in figures)),
        troubles=dict(Counter(each.trouble for each in figures if each.trouble)),
        clock_late=Percentiles.of([each.clock_late for each in figures]),
    )
