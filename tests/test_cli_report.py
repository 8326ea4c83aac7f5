"""``callbot report``: a stored run again, whole or cut off."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from cli import callbot
from eval_project import EvalProject, evals

from callbot.files import claim

__all__ = ["evals"]

CALL = """\
name: order
business: shop
tags: [critical]
caller: {turns: [{say: hello}, {say: my name is Dan Levi}, {say: "no, that is all, bye"}]}
expect: {end: {turns: [3, 3], reason: lead_complete}, lead: {full_name: Dan Levi}}
"""


@pytest.fixture
def stored(evals: EvalProject) -> Path:
    """The folder of a run of three calls on the embedded model; its gate is lost."""
    evals.write("scenarios/order.yaml", CALL)
    assert evals.eval("mutant:never-ends", "--fail-under", "f1>=0.5").returncode == 1
    return evals.reports()[-1]


def test_a_run_is_told_again_in_every_form(evals: EvalProject, stored: Path) -> None:
    """Its page is the same to the byte, its exit code too; nothing is asked, and its Records may be gone."""
    page = (stored / "report.html").read_text(encoding="utf-8")
    (stored / "report.html").unlink()
    shutil.rmtree(stored / "records")
    forms = "--json", "r.json", "--junit", "j.xml", "--markdown", "m.md", "--html", "elsewhere/page.html"
    done = callbot("report", stored.name, *forms, cwd=evals.folder)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1].startswith("FAIL  the gate does not hold")
    assert (stored / "report.html").read_text(encoding="utf-8") == page
    assert json.loads((evals.folder / "r.json").read_text(encoding="utf-8")) == evals.report(stored)
    assert len(list(ET.parse(evals.folder / "j.xml").getroot().iter("testcase"))) == 3
    assert (evals.folder / "m.md").read_text(encoding="utf-8").startswith("❌ **FAIL**")
    assert stored.name in (evals.folder / "elsewhere/page.html").read_text(encoding="utf-8")
    alone = callbot("report", "r.json", cwd=evals.folder)
    assert (alone.returncode, alone.stdout.splitlines()[-1]) == (1, done.stdout.splitlines()[-1])


def test_a_run_that_was_cut_off_is_told_by_its_results_so_far(evals: EvalProject, stored: Path) -> None:
    """From the plan and whole lines alone: what a report says of a scenario needs no scenario file."""
    before = evals.report(stored)
    (stored / "report.json").unlink()
    shutil.rmtree(evals.folder / "scenarios")
    log = stored / "runs.jsonl"
    last = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])["scenario"]
    log.write_text(log.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    done = callbot("report", stored, "--json", "r.json", cwd=evals.folder)
    assert done.returncode == 130, done.stderr
    assert "was cut off before it had a report" in done.stdout
    found = json.loads((evals.folder / "r.json").read_text(encoding="utf-8"))
    assert found["scenarios"] == [row for row in before["scenarios"] if row["name"] != last]
    assert (found["run"]["prompts"], found["run"]["interrupted"]) == (before["run"]["prompts"], True)
    assert "f1>=0.5" in {rule["name"] for rule in found["gate"]["rules"]}
    assert not (stored / "report.json").exists(), "going on with it is left open"
    assert callbot("eval", "--resume", stored.name, cwd=evals.folder).returncode == 2  # its files are gone
    with log.open() as held:
        claim(held)
        assert "is still running" in callbot("report", stored, cwd=evals.folder).stdout


def test_what_was_gone_on_with_and_cut_off_again_counts(evals: EvalProject, stored: Path) -> None:
    """Results that an older report does not hold yet are told, under its time."""
    before = evals.report(stored)
    del before["scenarios"][0]
    (stored / "report.json").write_text(json.dumps(before), encoding="utf-8")
    done = callbot("report", stored, "--json", "r.json", cwd=evals.folder)
    assert done.returncode == 130
    found = json.loads((evals.folder / "r.json").read_text(encoding="utf-8"))
    assert (len(found["scenarios"]), found["run"]["seconds"]) == (3, before["run"]["seconds"])


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (None, "Error: there is no run r, here or in reports"),
        ({}, "r: is no run that can be reported: it holds neither report.json nor runs.jsonl"),
        ({"report.json": '{"schema": "callbot.report/2"}'}, "r/report.json: is callbot.report/2, and this"),
        ({"plan.json": "{"}, "r/plan.json: is no plan of a run: Invalid JSON"),
        ({"runs.jsonl": "{}\n"}, "r/runs.jsonl:1: is no result of a run"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, files: dict[str, str] | None, said: str) -> None:
    """With the file, what is wrong with it, and exit code 2."""
    if files is not None:
        (tmp_path / "r").mkdir()
        for name, text in files.items():
            (tmp_path / "r" / name).write_text(text, encoding="utf-8")
    done = callbot("report", "r", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
