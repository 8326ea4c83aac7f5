"""``callbot init`` and ``callbot schema``: what a new user starts from."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from cli import REPOSITORY, callbot

STARTER = REPOSITORY / "callbot/cli/starter"


@pytest.mark.parametrize("language", ["he", "en"])
def test_the_starter_project_passes_as_it_is(tmp_path: Path, language: str) -> None:
    """Business, prompt, scenarios and CI file: the first eval is green, and every planted fault is caught."""
    made = callbot("init", "project", "--language", language, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    project = tmp_path / "project"
    assert (project / ".github/workflows/callbot.yml").is_file()
    assert (project / ".gitignore").is_file()
    ran = callbot("eval", "scenarios/", "--model", "offline", cwd=project)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "PASS" in ran.stdout
    suite = callbot("mutate-suite", "scenarios/", cwd=project)
    assert suite.returncode == 0, suite.stdout + suite.stderr


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder that holds anything is refused, and stays as it was."""
    (tmp_path / "mine.txt").write_text("mine")
    done = callbot("init", cwd=tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_starter_prompt_is_the_shipped_one() -> None:
    """One prompt, in two places for packaging's sake."""
    assert (STARTER / "common/prompts/_base.yaml").read_text() == (
        REPOSITORY / "prompts/_base.yaml"
    ).read_text()


def test_the_starter_workflow_is_yaml_that_names_its_model() -> None:
    """A lost secret must not pass on the offline model unnoticed."""
    workflow = yaml.safe_load((STARTER / "common/github/callbot.yml").read_text())
    runs = [step.get("run", "") for step in workflow["jobs"]["eval"]["steps"]]
    assert any("callbot eval" in run and "--model" in run for run in runs)


@pytest.mark.parametrize("name", ["scenario", "business", "report", "record"])
def test_every_schema_is_a_schema(tmp_path: Path, name: str) -> None:
    """callbot schema prints valid JSON Schema, draft 2020-12."""
    done = callbot("schema", name, cwd=tmp_path)
    jsonschema.Draft202012Validator.check_schema(json.loads(done.stdout))


def test_shipped_files_fit_their_schemas(tmp_path: Path) -> None:
    """What an editor checks against the schema is what callbot reads."""
    scenario = json.loads(callbot("schema", "scenario", cwd=tmp_path).stdout)
    validator = jsonschema.Draft202012Validator(scenario)
    for path in sorted((REPOSITORY / "scenarios").rglob("*.yaml")):
        data = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
        assert not [error.message for error in validator.iter_errors(data)], path
    business = json.loads(callbot("schema", "business", cwd=tmp_path).stdout)
    for path in sorted((REPOSITORY / "prompts").glob("[!_]*.yaml")):
        data = yaml.safe_load(path.read_text())
        assert not [error.message for error in jsonschema.Draft202012Validator(business).iter_errors(data)], (
            path
        )


def test_the_reply_contract_is_a_business_s_own(tmp_path: Path) -> None:
    """schema reply needs a business and holds its declared reasons."""
    refused = callbot("schema", "reply", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--business" in refused.stderr
    done = callbot(
        "schema",
        "reply",
        "--business",
        "ruti-cleaning",
        "--prompts-dir",
        REPOSITORY / "prompts",
        cwd=tmp_path,
    )
    control = json.loads(done.stdout)["properties"]["control"]
    assert "wrong_number" in control["properties"]["end_reason"]["enum"]
