"""How long it takes to add up a run and to compare two, with every interval and test.

    python tests/benchmarks/bench_statistics.py

Both have to stay under a second for 1,000 stored runs, as one attempt at each of 1,000 scenarios (the
harder shape for the tests) and as three at 334. Seconds of CPU, so that other work does not count.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
import report_samples as samples

from callbot.evals.compare import compare
from callbot.evals.report import Report
from callbot.evals.report_files import read_report
from callbot.evals.summary import summarise


def a_run(scenarios: int, attempts: int, *, seed: int, passing: float) -> Report:
    """A run in which so large a share of attempts passes; scenarios differ in how hard they are."""
    draw = random.Random(seed)
    good = samples.hebrew_call()
    early = [*good[:2], samples.turn(2, "לא צריך", "להתראות!", "customer_declined")]
    rows = []
    for n in range(scenarios):
        p = min(1.0, max(0.0, draw.gauss(passing, 0.2)))
        runs = [
            samples.run("on_time", good, attempt=k)
            if draw.random() < p
            else samples.run("premature", early, attempt=k)
            for k in range(1, attempts + 1)
        ]
        rows.append(
            samples.scenario(f"s{n}", runs, window=(6, 6)).model_copy(
                update={"lead_fields": (draw.randint(0, 4), 4)}
            )
        )
    return samples.report(rows, repeat=attempts)


def main() -> None:
    """Measure, and print one line a shape."""
    for scenarios, attempts in ((1000, 1), (334, 3)):
        a, b = (a_run(scenarios, attempts, seed=seed, passing=p) for seed, p in ((1, 0.9), (2, 0.88)))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "report.json"
            file.write_text(a.model_dump_json(by_alias=True), encoding="utf-8")
            start = time.process_time()
            read_report(file)
            reading = time.process_time() - start
        start = time.process_time()
        summarise(a.scenarios)
        adding = time.process_time() - start
        start = time.process_time()
        found = compare(a, b)
        comparing = time.process_time() - start
        print(
            f"{scenarios} scenarios x {attempts}: read {reading:.2f} s, add up {adding:.2f} s, "
            f"compare {comparing:.2f} s ({found.verdict}, p = {found.tests.p:.3f})"
        )


if __name__ == "__main__":
    main()
