"""Runs repeated attempts round by round, and leaves out those that decide nothing (``repeats.py``).

In rounds, so that what is run depends on outcomes alone and not on which run was faster.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from callbot.evals.repeats import certain_attempts, decided
from callbot.evals.report import RunReport
from callbot.evals.runner import Attempt, Results
from callbot.evals.scenario import CRITICAL


async def run_until_decided(
    attempts: Sequence[Attempt], repeat: int, run: Callable[[Sequence[Attempt]], Coroutine[Any, Any, Results]]
) -> Results:
    """Run the attempts round by round, leaving out those that decide nothing.

    Scenarios tagged ``critical`` make every attempt: there any premature one counts.
    """
    results = Results()
    last_of_round = certain_attempts(repeat)
    waiting = list(attempts)
    while waiting and not results.interrupted and results.stopped_by is None:
        wanted = [
            attempt
            for attempt in waiting
            if attempt.number <= last_of_round and _open(attempt, results, repeat)
        ]
        waiting = [attempt for attempt in waiting if attempt.number > last_of_round]
        if wanted:
            _add(results, await run(wanted))
        last_of_round += 1
    return results


def _open(attempt: Attempt, results: Results, repeat: int) -> bool:
    if CRITICAL in attempt.scenario.tags:
        return True
    runs = results.runs.get(attempt.scenario.name, [])
    passes, fails = _counted(runs)
    return not decided(passes, fails, repeat - len(runs))


def _counted(runs: Sequence[RunReport]) -> tuple[int, int]:
    answered = [run.passed for run in runs if run.verdict != "infra"]
    return sum(answered), len(answered) - sum(answered)


def _add(results: Results, more: Results) -> None:
    for name, runs in more.runs.items():
        results.runs.setdefault(name, []).extend(runs)
    results.interrupted, results.stopped_by = more.interrupted, more.stopped_by
