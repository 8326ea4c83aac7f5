"""How long the page of a run takes to write and to open, and how large it is.

    python tests/benchmarks/bench_report.py

The page of 500 calls has to stay under 5 MB and to open in Chromium in under a second: first paint, all
scripts run, and one filter picked. Beside it, three times as much: every call failed, in each of three
attempts. The best of five openings, for other work slows the others.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
import report_samples as samples
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from callbot.evals.report import Report
from callbot.reporting.html import write_html

CALLS, OPENINGS = 500, 5

MEASURE = """
const done = arguments[0];
const [loading] = performance.getEntriesByType("navigation");
const paint = performance.getEntriesByName("first-contentful-paint")[0];
const start = performance.now();
document.querySelector("[name=verdict]").value = "premature";
document.querySelector("#filter").dispatchEvent(new Event("change"));
requestAnimationFrame(() => setTimeout(() => done(
    [paint ? paint.startTime : NaN, loading.loadEventEnd, performance.now() - start])));
"""


def as_runs_are() -> Report:
    """One attempt at each call; a tenth ended too early."""
    return samples.large(CALLS)


def everything_failed() -> Report:
    """Three attempts at each call, all of which failed."""
    report = samples.large(CALLS)
    early = next(row for row in report.scenarios if not row.passed).runs[0]
    for row in report.scenarios:
        row.passed = False
        turns = row.runs[0].turns
        row.runs = [early.model_copy(update={"attempt": n, "turns": turns}) for n in (1, 2, 3)]
    return report


def opened(browser: Any, page: Path) -> list[float]:
    """Milliseconds to first paint, to everything loaded and run, and for one filter: the best of each."""
    times = []
    for _ in range(OPENINGS):
        browser.get("about:blank")
        browser.get(page.as_uri())
        times.append(browser.execute_async_script(MEASURE))
    return [min(each) for each in zip(*times, strict=True)]


def main() -> None:
    """Measure, and print one line a shape."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory() as folder:
        for flag in ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"):
            options.add_argument(flag)
        with webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"))) as browser:
            for name, report in (("as runs are", as_runs_are()), ("all failed x 3", everything_failed())):
                page = Path(folder) / "report.html"
                start = time.process_time()
                write_html(report, page)
                writing = time.process_time() - start
                paint, loaded, filtered = opened(browser, page)
                print(
                    f"{CALLS} calls, {name}: written in {writing:.2f} s, {page.stat().st_size / 1e6:.2f} MB, "
                    f"first paint {paint:.0f} ms, open {loaded:.0f} ms, filter {filtered:.0f} ms"
                )


if __name__ == "__main__":
    main()
