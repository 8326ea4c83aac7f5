"""The hazard curve: each prefix of a call is put to the model many times; how often does it want to end?

The prefixes of a transcript are its own. Those of any other scenario come from one call of the model
with the scenario's caller, on which requests to end that come too early are taken back, so that every
turn up to the right end is reached.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from callbot import events as ev
from callbot.business import Business
from callbot.evals.report import HazardCurve, HazardPoint, Interval, RunReport
from callbot.evals.runner import Attempt, Runner
from callbot.evals.scenario import Scenario
from callbot.evals.statistics import wilson
from callbot.models.base import Delta, Finished, Model, Request
from callbot.record import Record, read_record
from callbot.respond import respond


@dataclass(frozen=True, slots=True)
class Prefix:
    """A call up to and with one turn of the caller's, as the model is asked about it."""

    turn: int
    caller: str
    request: Request


class Listening:
    """A model that keeps every request that is put to it, by the number of its question."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.name, self.latency, self.uses_prompt = model.name, model.latency, model.uses_prompt
        self.requests: dict[int, Request] = {}

    def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """Ask."""
        self.requests.setdefault(request.turn, request)
        return self._model.stream(request)

    async def close(self) -> None:
        """Close the model itself."""
        await self._model.close()


MakeRunner = Callable[[Model, Path], Runner]
"""Makes the runner of a reference call (on which premature ends are taken back) in a folder."""


async def prefixes_of(
    scenario: Scenario, business: Business, model: Model, folder: Path, make_runner: MakeRunner
) -> tuple[RunReport, list[Prefix]]:
    """The reference call's report, and its prefixes: one for each turn at which the model was asked."""
    listening = Listening(model)
    (folder / "records").mkdir(parents=True, exist_ok=True)
    report = await make_runner(listening, folder).attempt(Attempt(scenario, business, 1))
    asked = _first_questions(read_record(folder / report.record))
    return report, [
        Prefix(turn, caller, listening.requests[question])
        for turn, (caller, question) in asked.items()
        if question in listening.requests
    ]


def _first_questions(record: Record) -> dict[int, tuple[str, int]]:
    """The first question of each caller turn: by turn, what the caller did and the question's number."""
    asked: dict[int, tuple[str, int]] = {}
    turn, caller = 0, ""
    for _, what in record.of(ev.Note, ev.AskModel):
        if isinstance(what, ev.AskModel):
            asked.setdefault(turn, (caller, what.turn))
        elif what.type == "caller_turn":
            turn, caller = int(str(what.data["n"])), str(what.data["text"])
    asked.pop(0, None)
    return asked


async def sample(
    scenario: Scenario,
    window: tuple[int, int] | None,
    prefixes: Sequence[Prefix],
    models: Sequence[Model],
    concurrency: int,
    on_answered: Callable[[], None],
) -> HazardCurve:
    """Put each prefix to each of the models (the same one, seeded differently). Raises Misconfigured."""
    gate = asyncio.Semaphore(concurrency)

    async def ask(model: Model, prefix: Prefix) -> ev.Control | None:
        async with gate:
            control = None
            async for _, answer in respond(model, prefix.request, prefix.request.turn):
                if isinstance(answer, ev.ReplyDone):
                    control = answer.control
            on_answered()
            return control

    points = []
    for prefix in prefixes:
        controls = await asyncio.gather(*(ask(model, prefix) for model in models))
        points.append(_point(prefix, [control for control in controls if control is not None]))
    return HazardCurve(
        scenario=scenario.name,
        business=scenario.business,
        model=models[0].name,
        samples=len(models),
        window=window,
        points=points,
    )


def _point(prefix: Prefix, controls: Sequence[ev.Control]) -> HazardPoint:
    reasons = Counter(c.end_reason or "no reason" for c in controls if c.should_end_call)
    wanted = reasons.total()
    rate = wanted / len(controls) if controls else 0.0
    low, high = wilson(rate, len(controls))
    return HazardPoint(
        turn=prefix.turn,
        caller=prefix.caller,
        answered=len(controls),
        wanted=wanted,
        rate=Interval(value=rate, low=low, high=high),
        reasons=dict(reasons.most_common()),
    )


def onset(curve: HazardCurve) -> HazardPoint | None:
    """The first turn, before the end is due, at which any answer asked to end; None if there is none."""
    first = curve.window[0] if curve.window else None
    early = (point for point in curve.points if first is None or point.turn < first)
    return next((point for point in early if point.wanted), None)
