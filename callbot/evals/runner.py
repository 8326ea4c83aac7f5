"""Runs scenarios through the engine on virtual time, several at once, and writes down what happened."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from callbot.business import Business, rules_of
from callbot.call import Call
from callbot.driver import Dialogue
from callbot.errors import CallbotError
from callbot.evals.callers import ScriptedCaller
from callbot.evals.checks import run_checks
from callbot.evals.outcome import TurnOutcome, outcome_of
from callbot.evals.report import PASSING, RunReport, Tokens, TurnReport
from callbot.evals.scenario import CallerTurn, Scenario
from callbot.evals.verdict import call_verdict_of, verdict_of
from callbot.models.base import Delta, Finished, Model, Request
from callbot.record import Record, header
from callbot.replay import ProviderFailed, VirtualDriver
from callbot.rules import Rules


class RequestsExhausted(CallbotError):
    """``--max-requests`` was reached."""


@dataclass(slots=True)
class Budget:
    """Counts requests to the model. ``limit`` None: no limit."""

    limit: int | None = None
    used: int = 0

    def spend(self) -> None:
        """Count one request. Raises RequestsExhausted."""
        if self.limit is not None and self.used >= self.limit:
            raise RequestsExhausted(f"--max-requests {self.limit} was reached; what ran is kept")
        self.used += 1


class Counted:
    """A model whose every request is counted, second ones for answers that could not be used too."""

    def __init__(self, model: Model, budget: Budget) -> None:
        self._model, self._budget = model, budget
        self.name, self.latency, self.uses_prompt = model.name, model.latency, model.uses_prompt

    def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """Ask. Raises RequestsExhausted, and what the model raises."""
        self._budget.spend()
        return self._model.stream(request)

    async def close(self) -> None:
        """Close the model itself."""
        await self._model.close()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run to do."""

    scenario: Scenario
    business: Business
    number: int


@dataclass(slots=True)
class Results:
    """What has run so far, by scenario name."""

    runs: dict[str, list[RunReport]] = field(default_factory=dict, repr=False)  # asyncio.run makes a repr
    interrupted: bool = False
    stopped_by: CallbotError | None = None
    """The error that made it pointless to go on."""


def planned_requests(scenarios: Sequence[Scenario], businesses: Mapping[str, Business], repeat: int) -> int:
    """How many requests the scenarios will make: one for each turn that gives the model something to answer.

    Second requests (the guard's, the reader's) and interrupted turns come on top or off.
    """
    return repeat * sum(
        sum(_is_asked(turn, businesses[scenario.business]) for turn in scenario.turns)
        for scenario in scenarios
    )


def _is_asked(turn: CallerTurn, business: Business) -> bool:
    if turn.silence is not None:
        return business.silence.by == "model" and turn.silence >= business.silence.after
    return turn.say is not None or turn.press is not None


class Runner:
    """Runs attempts; every finished one is on disk before the next is counted."""

    def __init__(
        self,
        model: Model,
        folder: Path,
        *,
        budget: Budget,
        on_finished: Callable[[Scenario, RunReport], None],
        reply_deadline: float = 10.0,
    ) -> None:
        self._model, self._folder = Counted(model, budget), folder
        self._on_finished = on_finished
        self._reply_deadline = reply_deadline
        self._rules: dict[str, Rules] = {}

    async def run(self, attempts: Sequence[Attempt], concurrency: int) -> Results:
        """Run everything, ``concurrency`` at a time. Cancelling it keeps what has finished."""
        results = Results()
        waiting = iter(attempts)
        (self._folder / "records").mkdir(parents=True, exist_ok=True)
        with (self._folder / "runs.jsonl").open("a", encoding="utf-8") as log:

            async def work() -> None:
                for attempt in waiting:
                    report = await self.attempt(attempt)
                    log.write(
                        f'{{"scenario": "{attempt.scenario.name}", "run": {report.model_dump_json()}}}\n'
                    )
                    log.flush()
                    results.runs.setdefault(attempt.scenario.name, []).append(report)
                    self._on_finished(attempt.scenario, report)
                    if self._model.latency is not None:
                        await asyncio.sleep(0)  # lets a Ctrl-C through between runs that never wait

            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(concurrency, len(attempts))):
                        group.create_task(work())
            except* CallbotError as errors:
                results.stopped_by = _first(errors)
            except* asyncio.CancelledError:
                results.interrupted = True
        return results

    async def attempt(self, attempt: Attempt) -> RunReport:
        """Run one attempt and write its Record."""
        scenario, business = attempt.scenario, attempt.business
        rules = self._rules.setdefault(business.id, rules_of(business, reply_deadline=self._reply_deadline))
        path = Path("records") / f"{_slug(scenario.name)}.{attempt.number}.jsonl"
        record = Record(self._header(attempt, rules))
        caller = ScriptedCaller(scenario.turns)
        dialogue = Dialogue(
            business, self._model, None, scenario.caller_number, wall_clock=lambda: scenario.now
        )
        driver = VirtualDriver(Call(rules), caller, dialogue.ask, record)
        try:
            await driver.run()
        except ProviderFailed:
            pass  # the Record tells; the verdict is infra
        finally:
            record.write(self._folder / path)
        return _report(attempt, record, path)

    def _header(self, attempt: Attempt, rules: Rules) -> dict[str, object]:
        scenario = attempt.scenario
        return header(
            call_id=f"{scenario.name}.{attempt.number}",
            rules=rules,
            business=attempt.business.id,
            model=self._model.name,
            line="simulated",
            scenario=scenario.name,
            attempt=attempt.number,
            now=scenario.now.isoformat(),
            started_at=dt.datetime.now(dt.UTC).isoformat(),
        )


def _first(errors: BaseExceptionGroup[CallbotError]) -> CallbotError:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._@-]", "_", name)


def _report(attempt: Attempt, record: Record, path: Path) -> RunReport:
    scenario = attempt.scenario
    outcome = outcome_of(record)
    verdict, detail = verdict_of(outcome, scenario.expect)
    checks = run_checks(scenario, outcome, record)
    request = outcome.first_request
    return RunReport(
        attempt=attempt.number,
        verdict=verdict,
        passed=verdict in PASSING and all(check.passed for check in checks),
        wanted_end=request.turn if request else None,
        wanted_reason=request.reason if request else None,
        end_reason=outcome.end_reason,
        ended_turn=outcome.ended_turn,
        ended_by=outcome.ended_by,
        lead=dict(outcome.lead),
        record=path.as_posix(),
        turns=[_turn(turn) for turn in outcome.turns if turn.n or turn.bot],
        checks=checks,
        detail=detail,
        tokens=Tokens(input=outcome.input_tokens, output=outcome.output_tokens),
        latencies_ms=[seconds * 1000 for seconds in outcome.latencies],
        call_verdict=call_verdict_of(outcome, scenario.expect),
    )


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
    )
