"""Going on with a run that was cut off, and finding what failed in the last one.

``plan.json`` beside a run's results says what was to be run and on what; ``runs.jsonl`` what has. Only
a run of the same model on the same texts is gone on with: a report of two prompts would mean nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from callbot.errors import CallbotError, InvalidInput, Problem
from callbot.evals.fingerprints import fingerprint
from callbot.evals.report import PromptUsed, Report, RunReport, ScenarioFacts
from callbot.evals.report_files import read_report
from callbot.evals.selection import Selection
from callbot.evals.summary import facts_of
from callbot.files import in_use, write_whole

PLAN, RUNS = "plan.json", "runs.jsonl"


class Plan(BaseModel):
    """What a run is (``callbot.plan/1``)."""

    model_config = ConfigDict(populate_by_name=True)

    schema_: Literal["callbot.plan/1"] = Field(default="callbot.plan/1", alias="schema")
    started_at: dt.datetime
    options: dict[str, Any]
    """What was given on the command line, by the name of the parameter."""
    model: str
    seed: int
    repeat: int
    businesses: dict[str, str]
    """Hash of each business, by id."""
    scenarios: dict[str, str]
    """Hash of each scenario, by name."""
    prompts: list[PromptUsed] = Field(default_factory=list)
    facts: list[ScenarioFacts] = Field(default_factory=list)
    """What a report says of the scenarios; empty in plans of earlier versions."""
    currency: str | None = None

    def changes(self, now: Plan) -> list[str]:
        """What is no longer as it was, in a reader's words."""
        found = []
        if now.model != self.model:
            found.append(f"the model was {self.model} and is {now.model}")
        if now.seed != self.seed:
            found.append(f"--seed was {self.seed} and is {now.seed}")
        if now.repeat < self.repeat:
            found.append(f"--repeat was {self.repeat} and is {now.repeat}")
        found += _changed("the scenario", self.scenarios, now.scenarios)
        # A business that only a vanished scenario called is no change of its own.
        called = {each: sha for each, sha in self.businesses.items() if each in now.businesses}
        return found + _changed("the business", called, now.businesses)

    def write(self, folder: Path) -> None:
        """Write it into a run's folder."""
        write_whole(folder / PLAN, self.model_dump_json(by_alias=True, indent=2) + "\n")


def _changed(what: str, before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    gone = [f"{what} {name} is gone" for name in before if name not in now]
    new = [f"{what} {name} was not in it" for name in now if name not in before]
    return gone + new + [f"{what} {n} has changed" for n in before if n in now and before[n] != now[n]]


def plan_of(
    selection: Selection,
    *,
    model: str,
    seed: int,
    repeat: int,
    options: Mapping[str, Any],
    started_at: dt.datetime,
    currency: str | None = None,
) -> Plan:
    """The plan of a run of these scenarios. ``currency``: of its costs, if they are known."""
    language = {business.id: business.language for business in selection.businesses.values()}
    return Plan(
        started_at=started_at,
        options=dict(options),
        model=model,
        seed=seed,
        repeat=repeat,
        businesses={used.business: used.sha256 for used in selection.prompts_used()},
        scenarios={scenario.name: fingerprint(scenario) for scenario in selection.scenarios},
        prompts=selection.prompts_used(),
        facts=[facts_of(scenario, language[scenario.business]) for scenario in selection.scenarios],
        currency=currency,
    )


def find_run(run: Path, reports_dir: Path) -> Path:
    """A run's folder, named by its path or by its name in the folder of reports. Raises CallbotError."""
    for folder in (run, reports_dir / run):
        if (folder / PLAN).is_file():
            return folder
    if not run.is_dir() and not (reports_dir / run).is_dir():
        raise CallbotError(f"--resume: there is no run {run}, here or in {reports_dir}")
    raise CallbotError(
        f"--resume: {run} holds no {PLAN}, which says what was to be run; run it again instead"
    )


def read_plan(folder: Path) -> Plan:
    """The plan of a run. Raises InvalidInput."""
    path = folder / PLAN
    try:
        return Plan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput([Problem(path, None, "", f"cannot be read: {error.strerror}")]) from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise InvalidInput([Problem(path, None, where, f"is no plan of a run: {fault['msg']}")]) from error


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is there of a run. ``runs``: by scenario and attempt; ``seconds`` and ``spent`` as reported."""

    folder: Path
    plan: Plan
    runs: Mapping[tuple[str, int], RunReport]
    seconds: float = 0.0
    spent: float = 0.0

    @property
    def done(self) -> dict[tuple[str, int], RunReport]:
        """Runs that need not be made again; the provider's failures do, as those that a judge left open."""
        return {
            place: run
            for place, run in self.runs.items()
            if run.verdict != "infra" and not any(line.failed for line in run.not_judged)
        }

    @property
    def requests(self) -> int:
        """Answers that these runs got."""
        return sum(len(run.latencies_ms) for run in self.runs.values())


def read_earlier(folder: Path) -> Earlier:
    """Read a run to go on with. Raises CallbotError: still running, or files that are not a run's."""
    plan = read_plan(folder)
    if in_use(folder / RUNS):
        raise CallbotError(f"--resume: {folder} is still running")
    runs = read_runs(folder / RUNS)
    if not (folder / "report.json").exists():
        return Earlier(folder, plan, runs)
    report = read_report(folder)
    return Earlier(folder, plan, runs, report.run.seconds, report.run.spent or 0.0)


def run_line(scenario: str, run: RunReport) -> str:
    """A run as a line of ``runs.jsonl``."""
    return f'{{"scenario": {json.dumps(scenario)}, "run": {run.model_dump_json()}}}\n'


def rewrite_runs(earlier: Earlier) -> None:
    """Leave each run once, the last, and whole lines only."""
    lines = [run_line(scenario, run) for (scenario, _), run in earlier.runs.items()]
    write_whole(earlier.folder / RUNS, "".join(lines))


def read_runs(path: Path) -> dict[tuple[str, int], RunReport]:
    """Runs by scenario and attempt, the last of each; a last line without its end was never finished."""
    if not path.exists():
        return {}
    *lines, _unfinished = path.read_text(encoding="utf-8", errors="replace").split("\n")
    runs: dict[tuple[str, int], RunReport] = {}
    for number, line in enumerate(lines, 1):
        try:
            data = json.loads(line)
            run = RunReport.model_validate(data["run"])
            runs[data["scenario"], run.attempt] = run
        except (ValueError, KeyError, TypeError) as error:
            message = "is no result of a run; take the line out, and the run is made again"
            raise InvalidInput([Problem(path, number, "", message)]) from error
    return runs


def last_failed(reports_dir: Path) -> tuple[Path, Sequence[str]]:
    """The newest run that has a report, and the scenarios that failed in it. Raises CallbotError.

    In a run that was cut off, those that it did not get to are among them: nobody knows that they pass.
    """
    folder, report = _newest(reports_dir)
    failed = [row.name for row in report.scenarios if row.passed is False and not row.excused]
    cut_off = report.run.interrupted or report.run.stopped_by is not None
    if not cut_off or not (folder / PLAN).exists():
        return folder, failed
    decided = {row.name for row in report.scenarios if row.passed is not None}
    return folder, failed + [name for name in read_plan(folder).scenarios if name not in decided]


def _newest(reports_dir: Path) -> tuple[Path, Report]:
    # By when it was written, for a run may have been gone on with long after it began.
    reports = sorted(reports_dir.glob("*/report.json"), key=lambda path: path.stat().st_mtime_ns)
    if not reports:
        raise CallbotError(f"--last-failed: there is no report in {reports_dir} yet; run without it first")
    return reports[-1].parent, read_report(reports[-1])
