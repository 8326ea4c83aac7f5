"""How much faster than speech calls are held aloud: seconds of call per processor second.

    python tests/benchmarks/bench_rehearsal.py [-k no-thanks-then-yes] [--repeat 3]

Holds shipped scenarios with the offline model and espeak, as ``callbot eval --audio`` does, after one round
that renders and keeps their sentences. Judging the sound and saving it count.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import soundfile

from callbot.cli.sources import business_lookup
from callbot.config import load_settings
from callbot.evals.budget import Budget
from callbot.evals.callers import Callers
from callbot.evals.runner import Attempt, Results, Runner
from callbot.evals.selection import Selection, select
from callbot.models.registry import make_model
from callbot.rehearsal.studio import Sound, Studio

SCENARIOS = Path(__file__).parents[2] / "scenarios"


async def held(selection: Selection, folder: Path, repeat: int) -> tuple[Results, float]:
    """All attempts, and the processor seconds that they took."""
    studio = Studio(Sound("espeak", "oracle", folder / "clips", SCENARIOS.parent / "prompts"), threads=1)
    runner = Runner(
        make_model("offline"),
        folder / str(repeat),
        budget=Budget(),
        on_finished=lambda scenario, run: None,
        callers=Callers(),
        stage=studio,
    )
    began = time.process_time()
    try:
        attempts = [
            Attempt(each, selection.businesses[each.business], number)
            for each in selection.scenarios
            for number in range(1, repeat + 1)
        ]
        return await runner.run(attempts, 1), time.process_time() - began
    finally:
        await studio.close()


def main() -> None:
    """Print one row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", default="no-thanks-then-yes")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    selection = select(
        [SCENARIOS],
        business_lookup(load_settings(), [SCENARIOS], active=False),
        names=[options.k],
        tags=[],
        businesses=[],
        prompts=[],
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(held(selection, folder, 1))
        results, seconds = asyncio.run(held(selection, folder, 1 + options.repeat))
        where = folder / str(1 + options.repeat)
        runs = [run for runs in results.runs.values() for run in runs]
        spoken = sum(soundfile.info(where / run.audio).duration for run in runs if run.audio)
    print(
        f"{len(runs)} calls, {spoken:.0f} s of call in {seconds:.1f} processor seconds: {spoken / seconds:.0f} times"
    )


if __name__ == "__main__":
    main()
