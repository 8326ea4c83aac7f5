"""``callbot mutate-suite``: planted faults, and the scenarios that notice them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli import callbot

ROOT = Path(__file__).parent.parent

WEAK = """
name: weak
business: harborside-home
caller:
  turns:
    - say: "Hello, is anybody there?"
expect: {end: open}
"""


def suite(*arguments: str, cwd: Path) -> tuple[int, str, dict[str, list[str]]]:
    """Run the command: exit code, screen, and by fault the scenarios that caught it."""
    done = callbot(
        "mutate-suite", *arguments, "--prompts-dir", str(ROOT / "prompts"), "--json", "r.json", cwd=cwd
    )
    written = cwd / "r.json"
    data = json.loads(written.read_text()) if written.exists() else {"faults": []}
    return done.returncode, done.stdout + done.stderr, {f["fault"]: f["caught_by"] for f in data["faults"]}


def test_the_shipped_scenarios_catch_every_fault(tmp_path):
    code, screen, caught = suite(str(ROOT / "scenarios"), cwd=tmp_path)
    assert code == 0, screen
    assert len(caught) == 7
    assert all(caught.values())
    assert "no-thanks-then-yes" in caught["ends-at-first-no"]
    assert "PASS  all 7 faults caught" in screen
    assert "strikes in" in screen


def test_a_weak_suite_is_told_what_it_lacks(tmp_path):
    (tmp_path / "weak.yaml").write_text(WEAK, encoding="utf-8")
    code, screen, caught = suite("weak.yaml", "--fault", "never-ends", cwd=tmp_path)
    assert code == 1
    assert caught == {"never-ends": []}
    assert "NOT CAUGHT" in screen
    assert "FAIL  1 of 1 faults not caught: never-ends" in screen


def test_each_run_is_kept_beside_its_report(tmp_path):
    (tmp_path / "weak.yaml").write_text(WEAK, encoding="utf-8")
    suite("weak.yaml", "--fault", "never-ends", cwd=tmp_path)
    (folder,) = (tmp_path / "reports").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["good", "never-ends"]
    assert (folder / "never-ends/runs.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fault", "sleeps"], 'unknown fault "sleeps"; known: ends-at-first-no'),
        (["--max-requests", "1"], "over --max-requests 1"),
        (["--model", "nonsense"], 'unknown model "nonsense"'),
        (["-k", "no such name"], "no such name"),
    ],
)
def test_bad_usage(tmp_path, arguments, says):
    (tmp_path / "weak.yaml").write_text(WEAK, encoding="utf-8")
    code, screen, _ = suite("weak.yaml", *arguments, cwd=tmp_path)
    assert code == 2
    assert says in " ".join(screen.split())


def test_a_report_folder_that_cannot_be_made_is_told_before_anything_runs(tmp_path):
    """Something else stands where reports go: one sentence, no traceback."""
    (tmp_path / "weak.yaml").write_text(WEAK, encoding="utf-8")
    (tmp_path / "reports").write_text("", encoding="utf-8")
    code, screen, _ = suite("weak.yaml", cwd=tmp_path)
    assert code == 2
    assert "cannot be made: Not a directory" in " ".join(screen.split())
    assert "Traceback" not in screen


def test_a_mutant_is_a_model_like_any_other(tmp_path):
    (tmp_path / "weak.yaml").write_text(WEAK, encoding="utf-8")
    done = callbot(
        *("eval", "weak.yaml", "--model", "mutant:nothing", "--prompts-dir", str(ROOT / "prompts")),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert 'unknown fault "nothing"; known:' in done.stderr
