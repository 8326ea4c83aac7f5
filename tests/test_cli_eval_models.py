"""What ``callbot eval`` says of models that do not do their part: no verdict, broken replies."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cli import REPOSITORY, callbot
from openai_server import OpenAIServer, Refuse

SHIPPED = ("--prompts-dir", REPOSITORY / "prompts", "-k", "no-thanks-then-yes")


def test_replies_that_are_no_json_are_shown_where_they_came(tmp_path: Path) -> None:
    """A model that chats instead of answering by the contract is not mistaken for a bad prompt."""
    (tmp_path / "replies.yaml").write_text("- Sure, how can I help you today?\n")
    done = callbot(
        "eval", REPOSITORY / "scenarios", *SHIPPED, "--model", "scripted:replies.yaml", cwd=tmp_path
    )
    assert done.returncode == 1
    assert "broken  the reply is not a JSON object" in done.stdout
    assert "unusable replies" in done.stdout
    (path,) = tmp_path.glob("reports/*/report.json")
    report = json.loads(path.read_text())
    assert report["summary"]["broken_replies"] == sum(
        len(turn["broken"]) for turn in report["scenarios"][0]["runs"][0]["turns"]
    )
    page = (path.parent / "report.html").read_text()
    assert "the reply is not a JSON object" in page


def test_nothing_is_called_a_pass_when_the_provider_is_not_there(tmp_path: Path) -> None:
    """A gate that holds because nothing was tested is no verdict."""
    done = callbot(
        "eval", REPOSITORY / "scenarios", *SHIPPED, "--model", "openai:x@http://127.0.0.1:9/v1",
        "--markdown", "summary.md", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 3
    assert "NO VERDICT" in done.stdout
    assert "PASS" not in done.stdout
    assert "PASS" not in (tmp_path / "summary.md").read_text()


def test_a_wrong_key_reaches_junit_and_markdown(tmp_path: Path, openai_server: OpenAIServer) -> None:
    """What stopped the run is an error in every report, not an empty success."""
    openai_server.will(*[Refuse(401) for _ in range(20)])
    done = callbot(
        "eval", REPOSITORY / "scenarios", *SHIPPED, "--model", f"openai:x@{openai_server.base_url}",
        "--markdown", "summary.md", "--junit", "junit.xml", cwd=tmp_path, env={"OPENAI_API_KEY": "sk-wrong"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "NO VERDICT" in (tmp_path / "summary.md").read_text()
    (error,) = ET.parse(tmp_path / "junit.xml").getroot().iter("error")
    assert error.get("message")


@pytest.mark.parametrize("command", [["eval", ".", "--list"], ["chat", "ruti-cleaning", "--quiet"]])
def test_small_encodings_and_odd_bytes_end_no_command(tmp_path: Path, command: list[str]) -> None:
    """Hebrew on an ASCII terminal is escaped, not a traceback."""
    (tmp_path / "s.yaml").write_text(
        "name: s\nbusiness: ruti-cleaning\ncaller: {turns: [{say: שלום}]}\nexpect: {end: open}\n"
    )
    done = callbot(
        *command, "--prompts-dir", REPOSITORY / "prompts", cwd=tmp_path, stdin="שלום\n/hangup\n",
        env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
