"""The composite GitHub Action: its own shell steps, run as the runner would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / ".github/actions/eval/action.yml").read_text(encoding="utf-8"))
EVALUATE = next(step for step in ACTION["runs"]["steps"] if step.get("id") == "eval")


def evaluate(folder: Path, **inputs: str) -> tuple[int, str, str]:
    """Run the Evaluate step in a folder: exit code, step summary, outputs."""
    named = {"model": "offline", **{name.replace("_", "-"): value for name, value in inputs.items()}}
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "CI": "true"}
    for variable, expression in EVALUATE["env"].items():
        name = expression.removeprefix("${{ inputs.").removesuffix(" }}")
        env[variable] = named.get(name, ACTION["inputs"][name].get("default", ""))
    for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        (folder / variable).touch()
        env[variable] = str(folder / variable)
    # GitHub's own way to start `shell: bash`.
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", EVALUATE["run"]]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    texts = [(folder / name).read_text() for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")]
    return done.returncode, texts[0], texts[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder as `callbot init` writes it."""
    subprocess.run(
        [sys.executable, "-m", "callbot", "init", str(tmp_path / "p")], check=True, capture_output=True
    )
    return tmp_path / "p"


def test_a_good_run_passes_and_leaves_its_summary(project):
    code, summary, outputs = evaluate(project, fail_under="f1>=0.5\npass_rate>=0.5\n", repeat="2")
    assert (code, outputs) == (0, "exit-code=0\n")
    assert "PASS" in summary
    assert (project / "reports/junit.xml").is_file()


def test_a_lost_gate_fails_the_step_and_still_leaves_its_summary(project):
    code, summary, outputs = evaluate(project, model="mutant:never-ends")
    assert (code, outputs) == (1, "exit-code=1\n")
    assert "FAIL" in summary


def test_bad_usage_is_told_from_a_lost_gate(project):
    assert evaluate(project, arguments="--no-such-option")[0] == 2
    assert evaluate(project, fail_under="nonsense")[0] == 2


def test_inputs_are_data_and_never_commands(project):
    evaluate(project, model="offline; touch owned", arguments="$(touch owned)\n`touch owned`")
    assert not (project / "owned").exists()
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)]


def test_the_readmes_step_is_one_that_the_action_takes():
    """Its inputs exist, the one that must be given is, and its key is a variable of the step."""
    [step] = [
        each for steps in EXAMPLES if isinstance(steps, list) for each in steps if "callbot" in each["uses"]
    ]
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert {name for name, given in ACTION["inputs"].items() if given.get("required")} <= set(step["with"])
    assert step["uses"].split("@")[0].endswith("callbot/.github/actions/eval")
    assert (ROOT / ".github/actions/eval/action.yml").exists()


def test_the_readmes_gitlab_job_leaves_what_it_promises(project):
    """Its script, run as GitLab does with a model that needs no key, writes the report that it names."""
    [job] = [each["callbot"] for each in EXAMPLES if isinstance(each, dict) and "callbot" in each]
    [command] = [line for line in job["script"] if line.startswith("callbot eval")]
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "CI": "true"}
    script = command.replace("openai:gpt-6-luna", "offline")
    assert script != command
    subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=project, env=env, check=True)
    junit = project / job["artifacts"]["reports"]["junit"]
    assert len(list(ET.parse(junit).getroot().iter("testcase"))) == 5
    assert any((project / path) in junit.parents for path in job["artifacts"]["paths"])
    assert job["artifacts"]["when"] == "always"
