"""Runs scenarios through the engine on virtual time, several at once, and writes down what happened."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from callbot.business import Business, rules_of
from callbot.driver import Dialogue
from callbot.errors import CallbotError
from callbot.evals.budget import Budget, Counted
from callbot.evals.callers import Callers
from callbot.evals.judging import run_report
from callbot.evals.opinions import Judge
from callbot.evals.prefixes import put_prefixes
from callbot.evals.report import RunReport
from callbot.evals.resume import RUNS, run_line
from callbot.evals.running_on import running_on
from callbot.evals.scenario import Scenario
from callbot.evals.stage import Held, InText, Sounded, Stage
from callbot.files import claim
from callbot.models.base import Model
from callbot.models.cassette import Cassette
from callbot.record import Record, header
from callbot.replay import ProviderFailed
from callbot.rules import Rules

_ALLOCATIONS = 50_000
"""Between two collections of garbage; Python's own 700 cost a twentieth of a run's time."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run to do."""

    scenario: Scenario
    business: Business
    number: int

    @property
    def place(self) -> tuple[str, int]:
        """Which run of an evaluation it is: its scenario's name and its number."""
        return self.scenario.name, self.number


@dataclass(slots=True)
class Results:
    """What has run so far, by scenario name."""

    runs: dict[str, list[RunReport]] = field(default_factory=dict, repr=False)  # asyncio.run makes a repr
    interrupted: bool = False
    stopped_by: CallbotError | None = None
    """The error that made it pointless to go on."""


OnFinished = Callable[[Scenario, RunReport], None]
"""Told of every attempt that is over."""
Play = Callable[[Attempt], Awaitable[RunReport]]
"""Plays one attempt, and leaves its Record (and whatever else there is of it) in the run's folder."""


class Runs(Protocol):
    """Runs attempts, here or elsewhere."""

    async def run(self, attempts: Sequence[Attempt], concurrency: int) -> Results:
        """Run everything, ``concurrency`` at a time. Cancelling it keeps what has finished."""
        ...


class Runner:
    """Runs attempts in this process."""

    def __init__(
        self,
        model: Model,
        folder: Path,
        *,
        budget: Budget,
        on_finished: OnFinished,
        reply_deadline: float = 10.0,
        cassette: Cassette | None = None,
        callers: Callers | None = None,
        run_on: bool = False,
        judge: Judge | None = None,
        stage: Stage | None = None,
    ) -> None:
        self._model, self._folder = Counted(model, budget), folder
        self._price, self._cassette = budget.price, cassette
        self._on_finished = on_finished
        self._reply_deadline = reply_deadline
        self._callers = callers or Callers()
        self._run_on, self._judge = run_on, judge
        self._stage = stage or InText()
        self._rules: dict[str, Rules] = {}

    async def run(self, attempts: Sequence[Attempt], concurrency: int) -> Results:
        """Run everything, ``concurrency`` at a time. Cancelling it keeps what has finished."""
        return await run_all(attempts, self.attempt, self._folder, concurrency, self._finished)

    def _finished(self, scenario: Scenario, run: RunReport) -> None:
        self._on_finished(scenario, run)
        if self._judge is not None and self._judge.stopped_by is not None:
            raise self._judge.stopped_by

    async def attempt(self, attempt: Attempt) -> RunReport:
        """Run one attempt and write its Record."""
        scenario, business = attempt.scenario, attempt.business
        rules = self._rules_of(business)
        path = record_path(attempt)
        record = Record(record_header(attempt, rules, self._model.name, self._stage.line))
        caller = self._callers.caller(scenario, business, attempt.number)
        dialogue = Dialogue(
            business, self._model_of(attempt), None, scenario.caller_number, wall_clock=lambda: scenario.now
        )
        ask = running_on(dialogue.ask, scenario.expect, record) if self._run_on else dialogue.ask
        sounded = Sounded()
        try:
            if scenario.transcript is not None:
                await put_prefixes(scenario.transcript, dialogue, rules, record)
            else:
                held = Held(scenario, attempt.number, business, rules, caller, ask, record)
                sounded = await self._stage.hold(held, self._folder / "audio" / path.stem)
        except ProviderFailed:
            pass  # the Record tells; the verdict is infra
        finally:
            record.write(self._folder / path)
        judge = self._judge
        if judge is not None and scenario.expect.judge:
            await judge.hear(scenario, business, attempt.number, record)
            record.write(self._folder / path)
        judge_price = judge.price if judge is not None else None
        report = run_report(scenario, attempt.number, record, path, self._price, judge_price, sounded.checks)
        if sounded.recording is None:
            return report
        audio = sounded.recording.relative_to(self._folder).as_posix()
        return report.model_copy(update={"audio": audio})

    def _rules_of(self, business: Business) -> Rules:
        rules = self._rules.get(business.id)
        if rules is None:
            rules = self._rules[business.id] = rules_of(business, reply_deadline=self._reply_deadline)
        return rules

    def _model_of(self, attempt: Attempt) -> Model:
        """The model as this attempt asks it; what a cassette answers costs no request."""
        if self._cassette is None:
            return self._model
        return self._cassette.model(self._model, attempt.scenario.name, attempt.number)


async def run_all(
    attempts: Sequence[Attempt], play: Play, folder: Path, concurrency: int, on_finished: OnFinished
) -> Results:
    """Play everything, ``concurrency`` at a time; each that is over is on disk before the next is counted.

    Cancelling it keeps what has finished. Raises CallbotError if another run writes into the folder.
    """
    results = Results()
    waiting = iter(attempts)
    (folder / "records").mkdir(parents=True, exist_ok=True)
    with (folder / RUNS).open("a", encoding="utf-8") as log:
        if not claim(log):
            raise CallbotError(f"{folder} is being written by another run")

        async def work() -> None:
            for attempt in waiting:
                report = await play(attempt)
                log.write(run_line(attempt.scenario.name, report))
                log.flush()
                results.runs.setdefault(attempt.scenario.name, []).append(report)
                on_finished(attempt.scenario, report)
                await asyncio.sleep(0)  # lets a Ctrl-C through between runs that never wait

        try:
            with _few_collections():
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(concurrency, len(attempts))):
                        group.create_task(work())
        except* CallbotError as errors:
            results.stopped_by = _first(errors)
        except* asyncio.CancelledError:
            results.interrupted = True
    return results


def record_path(attempt: Attempt) -> Path:
    """Where the Record of an attempt is, in the run's folder."""
    return Path("records") / f"{_slug(attempt.scenario.name)}.{attempt.number}.jsonl"


def record_header(attempt: Attempt, rules: Rules, model: str, line: str = InText.line) -> dict[str, object]:
    """What the Record of an attempt begins with."""
    scenario = attempt.scenario
    return header(
        call_id=f"{scenario.name}.{attempt.number}",
        rules=rules,
        business=attempt.business.id,
        model=model,
        line="transcript" if scenario.transcript else line,
        caller_number=scenario.caller_number,
        scenario=scenario.name,
        attempt=attempt.number,
        now=scenario.now.isoformat(),
        started_at=dt.datetime.now(dt.UTC).isoformat(),
    )


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Collect garbage less often: a run makes thousands of small objects, hardly any of them in cycles."""
    thresholds = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def _first(errors: BaseExceptionGroup[CallbotError]) -> CallbotError:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _slug(name: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9._@-]", "_", name)[:80]
    return slug if slug == name else f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
