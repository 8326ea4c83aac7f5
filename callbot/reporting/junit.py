"""A run as JUnit XML, as GitLab, GitHub's actions (dorny/test-reporter, mikepenz) and Jenkins read it.

One suite a business, one case a scenario, with the place in its file that annotations point to. A
failure carries the failing attempt's transcript; infra is an error, an excused scenario is skipped:
neither may look like a pass. What readers show no place for stands in properties.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from callbot.evals.report import Report, RunReport, ScenarioReport
from callbot.files import write_whole
from callbot.reporting import view
from callbot.reporting.bidi import printable

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document may hold, not even escaped."""


def write_junit(report: Report, path: Path) -> None:
    """Write a run as JUnit XML."""
    write_whole(path, junit(report))


def junit(report: Report) -> str:
    """A run as JUnit XML."""
    root = ET.Element("testsuites", name=_clean(f"callbot eval {report.run.model}"))
    for business in sorted({scenario.business for scenario in report.scenarios}):
        scenarios = [scenario for scenario in report.scenarios if scenario.business == business]
        suite = ET.SubElement(root, "testsuite", name=_clean(business), timestamp=_utc(report.run.started_at))
        _properties(suite, _of_the_run(report))
        for scenario in scenarios:
            suite.append(_case(scenario))
        _count(suite, scenarios)
    _count(root, report.scenarios)
    if report.run.stopped_by:
        suite = ET.SubElement(root, "testsuite", name="callbot eval", tests="1", failures="0", errors="1")
        case = ET.SubElement(suite, "testcase", name="the whole run", classname="callbot eval")
        ET.SubElement(case, "error", message=_clean(report.run.stopped_by), type="stopped")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _count(element: ET.Element, scenarios: list[ScenarioReport]) -> None:
    outcomes = [view.outcome(scenario) for scenario in scenarios]
    element.set("tests", str(len(outcomes)))
    element.set("failures", str(outcomes.count("failed")))
    element.set("errors", str(outcomes.count("infra")))
    element.set("skipped", str(outcomes.count("excused")))
    element.set("time", f"{sum(map(_seconds, scenarios)):.3f}")


def _case(scenario: ScenarioReport) -> ET.Element:
    case = ET.Element(
        "testcase",
        name=_clean(scenario.name),
        classname=_clean(scenario.business),
        file=_clean(scenario.file),
        time=f"{_seconds(scenario):.3f}",
    )
    if scenario.line is not None:
        case.set("line", str(scenario.line))
    run = view.telling_run(scenario)
    _properties(case, _of_the_case(scenario, run))
    outcome = view.outcome(scenario)
    if outcome == "passed":
        return case
    tag = {"failed": "failure", "infra": "error", "excused": "skipped"}[outcome]
    told = ET.SubElement(case, tag, message=_clean(message(scenario, run)))
    if outcome == "excused":
        return case
    told.set("type", run.verdict if run else "infra")
    told.text = _clean(transcript(scenario, run)) if run else ""
    return case


def _properties(element: ET.Element, found: Iterable[tuple[str, str]]) -> None:
    properties = ET.SubElement(element, "properties")
    for name, value in found:
        ET.SubElement(properties, "property", name=name, value=_clean(printable(value)))


def _of_the_run(report: Report) -> Iterator[tuple[str, str]]:
    run = report.run
    yield "run", run.id
    yield "model", run.model
    if run.judge is not None:
        yield "judge", run.judge
    yield "seed", str(run.seed)
    yield "repeat", str(run.repeat)


def _of_the_case(scenario: ScenarioReport, run: RunReport | None) -> Iterator[tuple[str, str]]:
    yield "verdict", run.verdict if run else "did not run"
    if attempts := view.attempts(scenario):
        yield "attempts", attempts
    for tag in scenario.tags:
        yield "tag", tag
    for line in run.not_judged if run else ():
        yield "not judged", f"{line.line}: {line.why}"


def _utc(moment: str) -> str:
    """As the schema wants it: without a zone."""
    return f"{dt.datetime.fromisoformat(moment).astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S}"


def _seconds(scenario: ScenarioReport) -> float:
    """How long the model took to answer: a scenario's own time is virtual."""
    return sum(sum(run.latencies_ms) for run in scenario.runs) / 1000


def message(scenario: ScenarioReport, run: RunReport | None) -> str:
    """A scenario that did not pass, in one line."""
    if run is None:
        return "did not run"
    failed = "; ".join(view.failed_checks(run))
    parts = [view.verdict_of(scenario, run), view.why(run), failed, view.attempts(scenario)]
    if run.verdict != "infra":
        parts.insert(1, f"should: {view.should(scenario.end)}; did: {view.did(run)}")
    return printable(". ".join(part.rstrip(".") for part in parts if part))


def transcript(scenario: ScenarioReport, run: RunReport) -> str:
    """An attempt as plain lines in reading order, ``|`` before the turns in which it should end."""
    lines = [message(scenario, run), ""]
    for turn in view.turn_views(scenario, run):
        bar = "|" if turn.in_window else " "
        mark = ">>" if turn.asked_first else "  "
        number = f"{turn.n or '':>3}"
        if turn.caller or not turn.bot:
            lines.append(f"{number} {bar} caller: {printable(turn.caller)}")
        if turn.bot:
            lines.append(f"    {bar} bot:    {printable(turn.bot)}")
        if turn.wants:
            lines.append(f" {mark} {bar} wants:  {printable(turn.wants)}")
        if turn.guard:
            lines.append(f"    {bar} guard:  refused: {printable(turn.guard)}")
    if run.lead:
        lines += ["", "lead: " + ", ".join(f"{name}={printable(value)}" for name, value in run.lead.items())]
    return "\n".join(lines)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
