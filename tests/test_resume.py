"""Going on with runs that were cut off, running what failed last, and running what a change concerns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli import start
from eval_project import KEY, EvalProject, evals, polite
from openai_server import OpenAIServer, Refuse, Reply, Stall, reply_json

__all__ = ["evals"]
RUDE = Reply(reply_json("Bye.", end="customer_declined", status="declined"))


def runs(evals: EvalProject, folder: Path) -> set[tuple[str, int, str]]:
    """Scenario, attempt and verdict of every run in a report."""
    rows = evals.report(folder)["scenarios"]
    return {(row["name"], run["attempt"], run["verdict"]) for row in rows for run in row["runs"]}


ALL = {("asks", 1, "open"), ("asks", 2, "open"), ("declines", 1, "on_time"), ("declines", 2, "on_time")}


def cut_off(evals: EvalProject, server: OpenAIServer, how: signal.Signals, *options: str) -> int:
    """Start a run of two attempts at each scenario and end it while its fourth request waits."""
    waiting = threading.Event()

    def respond(body: dict[str, Any]) -> Reply | Stall:
        if len(server.requests) < 4:
            return polite(body)
        waiting.set()
        return Stall(60)

    server.respond = respond
    model = ("--model", f"openai:m@{server.base_url}")
    process = start(
        *("eval", "scenarios", *model, "--repeat", "2", "--concurrency", "1", *options),
        cwd=evals.folder,
        env={"OPENAI_API_KEY": KEY},
    )
    assert waiting.wait(30)
    process.send_signal(how)
    done = process.done()
    server.respond = polite
    server.requests.clear()
    return done.returncode


def test_a_run_goes_on_where_it_was_interrupted(evals: EvalProject) -> None:
    """On its own options, in its own folder; what ran is not asked for again."""
    with OpenAIServer(key=KEY) as server:
        assert cut_off(evals, server, signal.SIGINT, "--seed", "7") == 130
        [folder] = evals.reports()
        assert runs(evals, folder) == {("declines", 1, "on_time")}
        done = evals.eval(None, "--resume", folder.name, paths=None)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Going on with reports/{folder.name}: 1 runs are there, 3 left to run" in done.stdout
        assert len(server.requests) == 4
        assert {request.body["seed"] for request in server.requests} == {7}
    assert evals.reports() == [folder]
    assert runs(evals, folder) == ALL
    report = evals.report(folder)
    assert report["run"]["interrupted"] is False
    assert report["run"]["requests"] == 6
    told = [{"scenario": row["name"], "run": run} for row in report["scenarios"] for run in row["runs"]]
    lines = [json.loads(line) for line in (folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(lines, key=str) == sorted(told, key=str)


def test_a_killed_run_loses_what_was_half_written_and_no_more(evals: EvalProject) -> None:
    with OpenAIServer() as server:
        assert cut_off(evals, server, signal.SIGKILL) == -signal.SIGKILL
        [folder] = evals.reports()
        assert not (folder / "report.json").exists()
        with (folder / "runs.jsonl").open("a", encoding="utf-8") as log:
            log.write('{"scenario": "asks", "run": {"attempt": 1, "verd')
        assert evals.eval(None, "--resume", folder, paths=None).returncode == 0
        assert len(server.requests) == 4
    assert runs(evals, folder) == ALL


def test_going_on_with_what_is_complete_costs_nothing(evals: EvalProject) -> None:
    """And the gate may be asked something else of it."""
    with OpenAIServer(respond=polite) as server:
        evals.eval(server, "--repeat", "2")
        [folder] = evals.reports()
        before = (folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()
        asked = len(server.requests)
        done = evals.eval(None, "--resume", folder.name, "--fail-under", "pass^2>=1", paths=None)
        assert (done.returncode, len(server.requests)) == (0, asked)
    assert "nothing is left to run" in done.stdout
    assert "pass^2>=1" in done.stdout
    assert sorted((folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()) == sorted(before)
    assert runs(evals, folder) == ALL


def test_what_failed_at_the_provider_runs_again_and_more_attempts_may_be_added(evals: EvalProject) -> None:
    with OpenAIServer(respond=polite) as server:
        server.respond = lambda body: Refuse(400, "no") if "open" in str(body) else polite(body)
        assert evals.eval(server).returncode == 3
        [folder] = evals.reports()
        server.respond = polite
        server.requests.clear()
        assert evals.eval(None, "--resume", folder.name, "--repeat", "2", paths=None).returncode == 0
        assert len(server.requests) == 4
    assert runs(evals, folder) == ALL


def test_an_interrupted_cassette_is_gone_on_with_too(evals: EvalProject) -> None:
    """``write`` does not start over in a run that goes on."""
    with OpenAIServer() as server:
        cut_off(evals, server, signal.SIGINT, "--cassette", "write:tape.jsonl")
        [folder] = evals.reports()
        assert evals.eval(None, "--resume", folder.name, paths=None).returncode == 0
        assert len(server.requests) == 3, "of the attempt that was cut off the first answer is on the tape"
    assert len((evals.folder / "tape.jsonl").read_text(encoding="utf-8").splitlines()) == 1 + 6


def test_a_run_that_is_still_going_is_left_alone(evals: EvalProject) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    def respond(body: dict[str, Any]) -> Reply:
        waiting.set()
        return Reply(polite(body).text, latency=0.0 if go_on.is_set() else 3.0)

    with OpenAIServer(respond=respond) as server:
        first = threading.Thread(target=evals.eval, args=(server,))
        first.start()
        assert waiting.wait(30)
        [folder] = evals.reports()
        done = evals.eval(None, "--resume", folder.name, paths=None)
        go_on.set()
        first.join(30)
    assert done.returncode == 2
    assert f"reports/{folder.name} is still running" in done.stderr


CHANGES: dict[str, tuple[Callable[[EvalProject], None], list[str], str]] = {
    # name: an edit, options, what is said
    "a prompt": (
        lambda evals: evals.edit("prompts/clinic.yaml", "You answer", "Kindly answer"),
        [],
        "is another run: the business clinic has changed.",
    ),
    "a scenario": (
        lambda evals: evals.edit("scenarios/calls.yaml", "are you open?", "are you closed?"),
        [],
        "is another run: the scenario asks has changed.",
    ),
    "a scenario's name": (
        lambda evals: evals.edit("scenarios/calls.yaml", "name: asks", "name: wonders"),
        [],
        "is another run: the scenario asks is gone.",
    ),
    "the model and the seed": (
        lambda evals: evals.write("replies.yaml", "- {spoken_reply: hi}"),
        ["--model", "scripted:replies.yaml", "--seed", "3"],
        "is another run: the model was offline and is scripted:replies.yaml; --seed was 0 and is 3.",
    ),
    "fewer attempts": (lambda evals: None, ["--repeat", "1"], "--repeat was 2 and is 1."),
    "another selection": (
        lambda evals: None,
        ["-k", "asks"],
        "goes on with what its run selected, the way it ran it; leave out -k",
    ),
    "paths": (lambda evals: None, ["scenarios"], "leave out PATHS"),
    "a broken line": (
        lambda evals: evals.edit(f"reports/{evals.reports()[0].name}/runs.jsonl", '{"scenario"', '{"scen'),
        [],
        "runs.jsonl:1: is no result of a run",
    ),
    "a broken plan": (
        lambda evals: evals.edit(f"reports/{evals.reports()[0].name}/plan.json", "plan/1", "plan/9"),
        [],
        "plan.json: schema: is no plan of a run: Input should be 'callbot.plan/1'",
    ),
    "no plan": (
        lambda evals: (evals.reports()[0] / "plan.json").unlink(),
        [],
        "holds no plan.json, which says what was to be run",
    ),
    "to watch": (lambda evals: None, ["--watch"], "leave out --resume and --list"),
}


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> EvalProject:
    """A run of the offline model that is over; to be copied."""
    evals = EvalProject(tmp_path_factory.mktemp("complete"))
    evals.eval("offline", "--repeat", "2")
    return evals


@pytest.mark.parametrize("case", CHANGES)
def test_another_run_is_refused_with_what_changed(
    case: str, complete: EvalProject, evals: EvalProject
) -> None:
    """Nothing is run, and the report stays as it was."""
    edit, options, said = CHANGES[case]
    [folder] = complete.reports()
    for path in folder.glob("*.json*"):
        evals.write(f"reports/{folder.name}/{path.name}", path.read_text(encoding="utf-8"))
    edit(evals)
    before = evals.report()
    done = evals.eval(None, "--resume", folder.name, *options, paths=None)
    assert done.returncode == 2, done.stdout
    assert said in " ".join(done.stderr.split())
    assert evals.report() == before


def test_a_run_that_is_not_there(evals: EvalProject) -> None:
    done = evals.eval(None, "--resume", "yesterday", paths=None)
    assert (done.returncode, done.stderr) == (
        2,
        "Error: --resume: there is no run yesterday, here or in reports\n",
    )


# --- what failed last ---------------------------------------------------------------------------------
def test_what_failed_last_runs_until_nothing_fails(evals: EvalProject) -> None:
    with OpenAIServer(respond=lambda body: RUDE if "open" in str(body) else polite(body)) as server:
        done = evals.eval(server, "--last-failed")
        assert done.returncode == 2
        assert "there is no report in reports yet" in done.stderr
        assert evals.eval(server, "--reports-dir", "elsewhere").returncode == 1
        assert evals.reports() == []
        server.respond = polite
        server.requests.clear()
        done = evals.eval(server, "--last-failed", "--reports-dir", "elsewhere")
        assert done.returncode == 0, done.stdout
        assert len(server.requests) == 1, "the one call that failed has one turn"
        newest = max((evals.folder / "elsewhere").iterdir())
        assert runs(evals, newest) == {("asks", 1, "open")}
        done = evals.eval(server, "--last-failed", "--reports-dir", "elsewhere")
        assert (done.returncode, done.stdout) == (0, f"No scenario failed in elsewhere/{newest.name}\n")


def test_what_a_stopped_run_did_not_get_to_still_counts_as_failed(evals: EvalProject) -> None:
    """A run of what failed, cut off before it could tell, does not make it pass."""
    with OpenAIServer(respond=lambda body: RUDE if "open" in str(body) else polite(body)) as server:
        evals.eval(server)
        server.respond = lambda body: Refuse(401, "no such key")
        assert evals.eval(server, "--last-failed").returncode == 2
        server.respond = polite
        server.requests.clear()
        assert evals.eval(server, "--last-failed").returncode == 0
        assert len(server.requests) == 1, "the one call that failed has one turn"


def test_what_failed_last_and_is_not_selected(evals: EvalProject) -> None:
    with OpenAIServer(respond=lambda body: RUDE if "open" in str(body) else polite(body)) as server:
        evals.eval(server)
        done = evals.eval(server, "--last-failed", "-k", "declines")
    assert done.returncode == 2
    assert f"none of the scenarios of reports/{evals.reports()[0].name} is selected here: asks" in done.stderr


# --- watching ----------------------------------------------------------------------------------------
class Watching:
    """A watching ``callbot eval`` and what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def settled(self) -> str:
        """Everything printed until it watches again."""
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            if line.startswith("Watching "):
                return said
            said += line
        raise AssertionError(f"it left: {said}")

    def leave(self) -> int:
        """Ctrl-C, and the exit code."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=30)
        assert "Traceback" not in errors, errors
        return self.process.returncode


@contextmanager
def watching(evals: EvalProject, server: OpenAIServer) -> Iterator[Watching]:
    process = subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "callbot",
                "eval",
                "scenarios",
                "--watch",
                "--fail-under",
                "pass_rate>=1",
            ),
            *("--model", f"openai:m@{server.base_url}"),
        ],
        cwd=evals.folder,
        env={**os.environ, "OPENAI_API_KEY": KEY, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield Watching(process)
    finally:
        process.kill()
        process.wait(10)


def test_watching_runs_what_a_change_concerns(evals: EvalProject) -> None:
    """A business's calls, a scenario; not what is as it was, and not a file in the middle of an edit."""
    with OpenAIServer(respond=polite) as server, watching(evals, server) as screen:
        assert "PASS  the gate holds: 2 passed" in screen.settled()

        server.respond = lambda body: RUDE if "open" in str(body) else polite(body)
        evals.edit("prompts/clinic.yaml", "You answer", "Kindly answer")
        said = screen.settled()
        assert "changed: clinic.yaml" in said
        assert "1 run, about 1 request" in said
        assert "FAILED  asks  premature" in said

        evals.write("prompts/notes.txt", "no business")
        assert "Model" not in screen.settled()

        evals.edit("scenarios/calls.yaml", "business: shop", "busines: shop")
        assert 'busines: unknown key; did you mean "business"?' in screen.settled()
        evals.edit("scenarios/calls.yaml", "busines: shop", "business: shop")
        assert "Model" not in screen.settled(), "it is again as it was when it ran"

        evals.edit("scenarios/calls.yaml", "say: hello", "say: good morning")
        assert "PASS  the gate holds: 1 passed" in screen.settled()
        evals.edit("scenarios/calls.yaml", "business: shop", "busines: shop")
        screen.settled()
        evals.edit("scenarios/calls.yaml", "busines: shop", "business: shop")
        screen.settled()
        assert screen.leave() == 0, "the exit code of the last run, for what was broken is mended"
    assert len(evals.reports()) == 3


def test_leaving_after_a_failure_says_so(evals: EvalProject) -> None:
    with OpenAIServer(respond=lambda _body: RUDE) as server, watching(evals, server) as screen:
        screen.settled()
        assert screen.leave() == 1
