"""How fast ``callbot eval`` is, as ratios that hold on other machines too.

    python tests/benchmarks/bench_eval.py            # everything; exit code 1 if a target is missed
    python tests/benchmarks/bench_eval.py --profile  # where the time of offline runs goes

runs      six-turn calls of the offline model in a second of one core, Records written, against how
          often the same core makes and reads the JSON of a reply. Target: 500 a second where the
          JSON goes round 200,000 times a second.
latency   the share of the ideal time (requests x latency / concurrency) that a run of a model with
          a fixed latency takes. Target: 95%.
help      processor time of ``callbot --help`` against that of a Typer app of two commands.
          Target: 1.25.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from callbot.business import Business, read_business
from callbot.evals.budget import Budget
from callbot.evals.runner import Attempt, Results, Runner
from callbot.evals.scenario import Scenario
from callbot.evals.scenario_files import read_scenarios
from callbot.models.base import Delta, Finished, Model, Request
from callbot.models.offline.model import OfflineModel

ROOT = Path(__file__).parents[2]
RUNS, JSON_ROUNDS = 500, 200_000
RUNS_PER_JSON_ROUND = RUNS / JSON_ROUNDS
LATENCY, CONCURRENCY = 0.5, 16

SCENARIO = """\
name: six-turns
business: ruti-cleaning
caller:
  turns:
    - say: שלום, אפשר לשאול כמה עולה ביקור
    - say: אז אני רוצה להזמין ניקוי ספות
    - say: דנה לוי
    - say: 052-123-4567
    - say: מחר בבוקר
    - say: לא תודה, זה הכול
expect:
  end: {turns: [5, 6], reason: lead_complete}
  lead: {full_name: דנה לוי, phone: "+972521234567"}
"""
TWO_COMMANDS = """\
import typer

app = typer.Typer()


@app.command()
def one(name: str = "x") -> None:
    "Do one thing."


@app.command()
def two(name: str = "x") -> None:
    "Do another."


app()
"""
REPLY = {
    "spoken_reply": "Yes, go on.",
    "control": {
        "should_end_call": False,
        "end_reason": None,
        "lead_status": "in_progress",
        "missing_fields": [],
        "notes": "",
    },
    "lead": {},
}


class FixedLatency:
    """Answers the same after a fixed time."""

    name = "fixed"
    latency: float | None = None
    uses_prompt = True

    async def stream(self, request: Request) -> AsyncGenerator[Delta | Finished, None]:
        """One reply, all at once."""
        await asyncio.sleep(LATENCY)
        yield Delta(json.dumps(REPLY))
        yield Finished()

    async def close(self) -> None:
        """Nothing is held."""


def run(model: Model, scenario: Scenario, business: Business, runs: int, concurrency: int) -> Results:
    """``runs`` attempts as the command makes them, without its start and its report."""
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(model, Path(folder), budget=Budget(), on_finished=lambda scenario, run: None)
        attempts = [Attempt(scenario, business, number) for number in range(1, runs + 1)]
        return asyncio.run(runner.run(attempts, concurrency))


def per_second(*works: Callable[[], int]) -> list[float]:
    """How much of each a second of this core does: medians of turns taken, for others use the machine too."""
    found: list[list[float]] = [[] for _ in works]
    for _ in range(9):
        for work, rates in zip(works, found, strict=True):
            started = time.process_time()
            count = work()
            rates.append(count / (time.process_time() - started))
    return [statistics.median(rates) for rates in found]


def json_rounds() -> int:
    """A reply to JSON and back."""
    for _ in range(20_000):
        json.loads(json.dumps(REPLY))
    return 20_000


def bench_runs(scenario: Scenario, business: Business) -> bool:
    """Runs of the offline model."""
    count = 60

    def offline() -> int:
        run(OfflineModel(), scenario, business, count, 8)
        return count

    offline()  # compiles expressions, fills caches
    rounds, runs = per_second(json_rounds, offline)
    ratio = runs / rounds / RUNS_PER_JSON_ROUND
    print(f"runs     {runs:6.0f} a second; JSON {rounds:,.0f} rounds a second; {ratio:.2f} of the target")
    return ratio >= 1


def bench_latency(scenario: Scenario, business: Business) -> bool:
    """Efficiency at a fixed latency of the model."""
    runs = 4 * CONCURRENCY
    started = time.perf_counter()
    results = run(FixedLatency(), scenario, business, runs, CONCURRENCY)
    took = time.perf_counter() - started
    requests = sum(len(report.latencies_ms) for report in results.runs["six-turns"])
    ideal = requests * LATENCY / CONCURRENCY
    print(
        f"latency  {requests} requests of {LATENCY:g} s, {CONCURRENCY} at a time: "
        f"{took:.2f} s, {ideal / took:.1%} of the ideal; target 95%"
    )
    return ideal / took >= 0.95


def bench_help() -> bool:
    """Starting the command."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "two.py"
        small.write_text(TWO_COMMANDS, encoding="utf-8")
        callbot = [str(Path(sys.executable).with_name("callbot")), "--help"]
        reference = [sys.executable, str(small), "--help"]
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(12):
            for command, found in zip((callbot, reference), times, strict=True):
                found.append(processor_seconds(command))
    ours, theirs = (statistics.median(found[1:]) for found in times)  # the first may compile files
    print(f"help     {ours * 1000:.0f} ms against {theirs * 1000:.0f} ms: {ours / theirs:.2f}; target 1.25")
    return ours / theirs <= 1.25


def processor_seconds(command: list[str]) -> float:
    """User and system time of a process."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime


def profile(scenario: Scenario, business: Business) -> None:
    """The functions that offline runs spend their time in."""
    run(OfflineModel(), scenario, business, 20, 1)
    profiler = cProfile.Profile()
    profiler.runcall(run, OfflineModel(), scenario, business, 200, 1)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--profile", action="store_true", help="profile the offline runs instead")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "six.yaml"
        path.write_text(SCENARIO, encoding="utf-8")
        [scenario] = read_scenarios([path])
    business = read_business(ROOT / "prompts" / "ruti-cleaning.yaml")
    if options.parse_args().profile:
        profile(scenario, business)
        return 0
    reached = [bench_runs(scenario, business), bench_latency(scenario, business), bench_help()]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
