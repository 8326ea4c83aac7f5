"""``callbot eval --audio`` as its user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from cli import REPOSITORY, callbot
from eval_project import EvalProject, polite
from openai_server import OpenAIServer, Refuse, Reply, reply_json

SHIPPED = (REPOSITORY / "scenarios", "--prompts-dir", REPOSITORY / "prompts", "--model", "offline", "--audio")


def test_shipped_calls_pass_aloud_and_can_be_listened_to(tmp_path: Path) -> None:
    """What passes in text passes aloud; each call leaves a recording beside its Record, and on the page."""
    done = callbot("eval", *SHIPPED, "-k", "english-not-interested", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = tmp_path.glob("reports/*/report.json")
    runs = [row["runs"][0] for row in json.loads(path.read_text())["scenarios"]]
    assert len(runs) == 2
    page = (path.parent / "report.html").read_text()
    for run in runs:
        info = soundfile.info(path.parent / run["audio"])
        assert (info.samplerate, info.channels) == (8000, 2)
        assert info.duration > 10
        assert run["audio"] in page
        assert any(check["name"] == "audio_farewell_heard" and check["passed"] for check in run["checks"])


def test_a_real_model_takes_its_time_on_the_virtual_clock(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    """What an answer took is heard as silence; the caller's voice and the bot's take none to make."""
    project = EvalProject(tmp_path)
    openai_server.will(Reply(reply_json("Yes, go on."), latency=0.7, chunk=1000))
    done = project.eval(openai_server, "--audio", "--tts", "espeak", "-k", "asks")
    assert done.returncode == 0, done.stdout + done.stderr
    [run] = project.report()["scenarios"][0]["runs"]
    entries = [json.loads(line) for line in (project.reports()[0] / run["record"]).read_text().splitlines()]
    at = {entry["type"]: entry["t"] for entry in reversed(entries) if "t" in entry}
    assert at["speak"] - at["ask_model"] == pytest.approx(run["latencies_ms"][0] / 1000, abs=0.05)
    assert at["speak"] - at["ask_model"] >= 0.7
    assert at["audio_queued"] == at["speak"]


def test_a_cassette_made_in_text_is_played_aloud(tmp_path: Path, openai_server: OpenAIServer) -> None:
    """The same questions are asked, so the same answers are found, and nobody is asked again."""
    project = EvalProject(tmp_path)
    openai_server.respond = polite
    assert project.eval(openai_server, "--cassette", "write:answers.jsonl").returncode == 0
    asked = len(openai_server.requests)
    done = project.eval(None, "--cassette", "read:answers.jsonl", "--audio")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(openai_server.requests) == asked
    assert all(row["runs"][0]["audio"] for row in project.report()["scenarios"])


def test_a_provider_that_fails_is_no_verdict(tmp_path: Path, openai_server: OpenAIServer) -> None:
    """As in text: infra, and what was said until then is kept."""
    project = EvalProject(tmp_path)
    openai_server.will(*[Refuse(500)] * 20)
    done = project.eval(openai_server, "--audio", "--tts", "espeak", "-k", "asks")
    assert done.returncode == 3, done.stdout + done.stderr
    [run] = project.report()["scenarios"][0]["runs"]
    assert run["verdict"] == "infra"
    assert soundfile.info(project.reports()[0] / run["audio"]).duration > 1


def test_a_run_aloud_is_gone_on_with_aloud(tmp_path: Path, openai_server: OpenAIServer) -> None:
    """What is missing is held as the rest was."""
    project = EvalProject(tmp_path)
    openai_server.respond = polite
    done = project.eval(openai_server, "--audio", "--tts", "espeak")
    assert done.returncode == 0, done.stdout + done.stderr
    [folder] = project.reports()
    kept, *_ = (folder / "runs.jsonl").read_text().splitlines(keepends=True)
    (folder / "runs.jsonl").write_text(kept)
    (folder / "report.json").unlink()
    done = project.eval(None, "--resume", folder, paths=None)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 runs are there, 1 left to run" in done.stdout
    assert all(row["runs"][0]["audio"] for row in project.report()["scenarios"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "offline", "--tts", "espeak"), "--tts goes with --audio"),
        (
            ("--model", "offline", "--audio", "--tts", "espeek"),
            'unknown voice "espeek"; did you mean "espeak"?',
        ),
        (("--model", "offline", "--audio", "--stt", "orakel"), 'unknown recogniser "orakel"'),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    """Before anything runs."""
    project = EvalProject(tmp_path)
    done = project.eval(None, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert not project.reports()


def test_a_transcript_cannot_be_held_aloud(tmp_path: Path) -> None:
    """Both of its sides are fixed."""
    project = EvalProject(tmp_path)
    turns = [{"speaker": "caller", "text": "hello"}]
    project.write(
        "calls.jsonl", json.dumps({"id": "one", "business": "shop", "turns": turns, "end_turn": None}) + "\n"
    )
    done = project.eval("offline", "--audio", paths="calls.jsonl")
    assert done.returncode == 2
    assert "is a transcript" in done.stderr


def test_a_missing_extra_says_how_to_install_it(tmp_path: Path) -> None:
    """As on the base install: an import that is blocked raises the same error."""
    project = EvalProject(tmp_path)
    code = (
        "import sys; sys.modules['websockets'] = None\n"
        "sys.argv = ['callbot', 'eval', 'scenarios', '--model', 'offline', '--audio']\n"
        "from callbot.cli.app import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=project.folder, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "--audio needs websockets" in done.stderr
    assert "pip install 'callbot[dial,speech]'" in done.stderr
