"""``callbot eval --cluster``: the same runs on a real Dask cluster, and what becomes of them when it breaks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from cli import REPOSITORY, Started, callbot, start
from dask_stage import Scheduler, dask_cluster, processing
from distributed import LocalCluster
from eval_project import KEY, EvalProject, evals, polite
from openai_server import Answer, OpenAIServer, Refuse, Reply, reply_json

__all__ = ["dask_cluster", "evals"]

CALLERS = ("no-thanks-then-yes", "adaptive-cleaning", "corrects-both-ends", "prompts-injection")
PERSONA = """
  - name: played
    business: shop
    caller: {persona: somebody in a hurry, goal: nothing at all}
    expect: {end: open}
"""
PRICES = """
[prices."openai:m@URL"]
input = 1.0
output = 1.0
"""


def told(folder: Path) -> tuple[Any, dict[str, list[Any]]]:
    """A run's report and Records without clocks."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    del report["run"], report["summary"]["latency_ms"]
    for row in report["scenarios"]:
        for run in row["runs"]:
            del run["latencies_ms"]
    records = {}
    for path in (folder / "records").iterdir():
        header, *entries = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        del header["started_at"]
        records[path.name] = [header, *entries]
    return report, records


def test_a_cluster_plays_the_same_runs_as_this_machine(dask_cluster: LocalCluster, tmp_path: Path) -> None:
    """Reports and Records agree to the last entry, and the run shows how far it is on the way."""
    (tmp_path / "calls.jsonl").write_text(
        '{"id": "c1", "business": "ruti-cleaning", "turns": [{"speaker": "bot", "text": "Hello"}, '
        '{"speaker": "caller", "text": "no thanks, bye"}], "end_turn": 1, "end_reason": "customer_declined"}\n'
    )
    options = ["eval", REPOSITORY / "scenarios", "calls.jsonl", "--prompts-dir", REPOSITORY / "prompts"]
    options += ["--model", "offline", "--repeat", "3", "--seed", "3", "--continue"]
    options += [part for name in (*CALLERS, "c1") for part in ("-k", name)]
    here = callbot(*options, "--reports-dir", "here", cwd=tmp_path)
    there = callbot(
        *options, "--reports-dir", "there", "--cluster", dask_cluster.scheduler_address, cwd=tmp_path
    )
    assert (there.returncode, there.stderr) == (here.returncode, "")
    [one], [other] = (list((tmp_path / name).iterdir()) for name in ("here", "there"))
    assert told(one) == told(other)
    assert len(told(one)[1]) >= 20
    progress = [line for line in there.stdout.splitlines() if " passed  " in line and " requests" in line]
    assert len(progress) == 4
    assert f"Cluster {dask_cluster.scheduler_address}: 2 workers, 2 threads" in there.stdout


def test_calls_are_held_aloud_there_and_their_sound_comes_home(
    dask_cluster: LocalCluster, tmp_path: Path
) -> None:
    """The recording and what was judged of it, beside a Record like that of any run."""
    done = callbot(
        *(
            "eval",
            REPOSITORY / "scenarios",
            "-k",
            "no-thanks-then-yes",
            "--prompts-dir",
            REPOSITORY / "prompts",
        ),
        *("--model", "offline", "--audio", "--tts", "espeak", "--cluster", dask_cluster.scheduler_address),
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    [folder] = (tmp_path / "reports").iterdir()
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    for row in report["scenarios"]:
        [run] = row["runs"]
        assert (folder / run["audio"]).read_bytes()[:4] == b"fLaC"
        assert "audio_greeting_whole" in {check["name"] for check in run["checks"]}
        assert (folder / run["record"]).exists()


def test_a_greeting_of_ones_own_is_found_from_another_folder(
    dask_cluster: LocalCluster, evals: EvalProject
) -> None:
    """Workers that were started elsewhere on the same disk play the business's file."""
    evals.edit("prompts/clinic.yaml", 'shop."}', 'shop.", mode: stream, audio: hello.wav}')
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000)
    soundfile.write(evals.folder / "prompts/hello.wav", noise, 8000)
    done = evals.eval("offline", "-k", "asks", "--audio", "--cluster", dask_cluster.scheduler_address)
    assert done.stderr == ""
    [run] = evals.report()["scenarios"][0]["runs"]
    checks = {check["name"]: check["passed"] for check in run["checks"]}
    assert checks["audio_greeting_whole"]


def test_what_cannot_be_held_aloud_here_cannot_there(dask_cluster: LocalCluster, evals: EvalProject) -> None:
    """A transcript is not put to the model in text because its run is on a cluster."""
    call = {
        "id": "one",
        "business": "shop",
        "turns": [{"speaker": "caller", "text": "hello"}],
        "end_turn": None,
    }
    evals.write("calls.jsonl", json.dumps(call) + "\n")
    options = "--audio", "--cluster", dask_cluster.scheduler_address
    done = evals.eval("offline", *options, paths="calls.jsonl")
    assert done.returncode == 2
    assert "one is a transcript" in done.stderr
    assert not evals.reports()


def test_workers_ask_by_their_own_key_and_the_run_counts_what_they_asked(
    dask_cluster: LocalCluster, evals: EvalProject
) -> None:
    """This machine needs no key; requests and costs are those that reached the server, the personas' too."""
    evals.write("scenarios/persona.yaml", f"scenarios:{PERSONA}")

    def respond(body: dict[str, Any]) -> Reply:
        if "caller" in json.dumps(body["response_format"])[:60]:
            line = '{"does": "hang_up", "say": "", "milestone": "goodbye", "why": ""}'
            return Reply(line, tokens=(100, 50))
        return polite(body)

    with OpenAIServer(key=KEY, respond=respond) as server:
        evals.write("callbot.toml", PRICES.replace("URL", server.base_url))
        done = callbot(
            *("eval", "scenarios", "--model", f"openai:m@{server.base_url}", "--repeat", "2"),
            *("--cluster", dask_cluster.scheduler_address),
            cwd=evals.folder,
        )
        assert (done.returncode, done.stderr) == (0, "")
        run = evals.report()["run"]
        assert run["requests"] == len(server.requests) == 8
        assert run["spent"] == pytest.approx((6 * 1200 + 2 * 150) / 1_000_000)


def test_a_judge_there_is_paid_apart_and_what_stops_it_loses_no_call(
    dask_cluster: LocalCluster, evals: EvalProject
) -> None:
    """The call that was paid for is there; once the judge's trouble is mended, the same workers go on."""
    evals.edit("scenarios/calls.yaml", "expect: {end: open}", "expect: {end: open, judge: [it is polite]}")
    opinion = Reply('{"statement_1": {"reason": "it is", "answer": "holds"}}', tokens=(500, 40))
    judged: list[Answer] = [Refuse(401, "not today")]

    def respond(body: dict[str, Any]) -> Answer:
        if body["model"] == "judge":
            return judged.pop() if judged else opinion
        return polite(body)

    with OpenAIServer(key=KEY, respond=respond) as server:
        tables = "".join(
            PRICES.replace("openai:m@URL", f"openai:{n}@{server.base_url}") for n in ("m", "judge")
        )
        evals.write("callbot.toml", tables)
        there = "--cluster", dask_cluster.scheduler_address
        options = "-k", "asks", "--judge-model", f"openai:judge@{server.base_url}", "--max-cost", "5"
        stopped = evals.eval(server, *options, *there)
        assert stopped.returncode == 2
        assert "a worker's judge: " in stopped.stderr
        [row] = evals.report()["scenarios"]
        assert [(run["verdict"], len(run["not_judged"])) for run in row["runs"]] == [("open", 1)]
        resumed = evals.eval(None, "--resume", evals.reports()[-1].name, *there, paths=None)
        assert (resumed.returncode, resumed.stderr) == (0, "")
        report = evals.report()
        assert report["summary"]["judged"]["held"] == 1
        assert report["summary"]["judged"]["cost"] == pytest.approx(540 / 1_000_000)
        assert report["run"]["spent"] == pytest.approx(2 * 1200 / 1_000_000), "the bot was asked twice"


def disturbed(
    evals: EvalProject, server: OpenAIServer, deed: Callable[[Started], None], *options: str, busy: int = 1
) -> subprocess.CompletedProcess[str]:
    """Three attempts at each scenario; something happens once ``busy`` workers wait, from the third request on."""
    waiting = threading.Event()

    def respond(body: dict[str, Any]) -> Reply:
        if len(server.requests) < 3:
            return polite(body)
        if len(server.requests) >= 2 + busy:
            waiting.set()
        return Reply(polite(body).text, latency=3.0)

    server.respond = respond
    model = ("--model", f"openai:m@{server.base_url}")
    process = start("eval", "scenarios", *model, "--repeat", "3", *options, cwd=evals.folder)
    assert waiting.wait(60)
    server.respond = polite
    deed(process)
    return process.done(timeout=90)


ALL = sorted((name, attempt) for name in ("asks", "declines") for attempt in (1, 2, 3))


def runs(evals: EvalProject) -> list[tuple[str, int]]:
    """Scenario and attempt of every run of the newest report that counts."""
    rows = evals.report()["scenarios"]
    return sorted((row["name"], r["attempt"]) for row in rows for r in row["runs"] if r["verdict"] != "infra")


def test_a_killed_worker_loses_nothing(dask_cluster: LocalCluster, evals: EvalProject) -> None:
    """What it was playing is played again elsewhere."""
    victim = dask_cluster.workers[0].pid
    with OpenAIServer(key=KEY) as server:
        done = disturbed(
            evals,
            server,
            lambda _: os.kill(victim, signal.SIGKILL),
            *("--cluster", dask_cluster.scheduler_address),
            busy=2,  # both: so whichever is killed has something to lose
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert runs(evals) == ALL
        assert len(server.requests) > 9, "what it had asked for is asked again"
    assert len(list(evals.reports()[-1].glob("records/*"))) == 6


def test_ctrl_c_takes_back_what_waits_and_keeps_what_ran(
    dask_cluster: LocalCluster, evals: EvalProject
) -> None:
    address = dask_cluster.scheduler_address
    with OpenAIServer(key=KEY) as server:
        done = disturbed(
            evals, server, lambda process: process.send_signal(signal.SIGINT), "--cluster", address
        )
        assert (done.returncode, done.stderr) == (130, "")
        assert set(runs(evals)) < set(ALL)
        assert processing(address) == 0
        folder = evals.reports()[-1].name
        done = callbot("eval", "--resume", folder, "--cluster", address, cwd=evals.folder)
        assert (done.returncode, done.stderr) == (0, "")
    assert runs(evals) == ALL


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Scheduler]:
    """A scheduler to be broken, on which no attempt may kill a worker and be tried again."""
    with Scheduler(tmp_path, allowed_failures=0) as started:
        yield started


def test_what_kills_its_worker_again_and_again_is_infra(scheduler: Scheduler, evals: EvalProject) -> None:
    """And is made again when the run is gone on with, here or there."""
    worker = scheduler.worker("--no-nanny")
    scheduler.worker("--no-nanny")
    with OpenAIServer(key=KEY) as server:
        done = disturbed(evals, server, lambda _: worker.kill(), "--cluster", scheduler.address)
        assert (done.returncode, done.stderr) == (3, "")
        made = [run for row in evals.report()["scenarios"] for run in row["runs"]]
        lost = {run["detail"] for run in made if run["verdict"] == "infra"}
        assert lost == {"every worker that played it died"}
        assert len(made) == 6
        done = evals.eval(None, "--resume", evals.reports()[-1].name, paths=None)
        assert (done.returncode, done.stderr) == (0, "")
    assert runs(evals) == ALL


def test_a_cluster_without_workers_or_with_another_callbot_plays_nothing(
    scheduler: Scheduler, evals: EvalProject, tmp_path: Path
) -> None:
    """It says so before anything runs."""
    done = evals.eval("offline", "--cluster", scheduler.address)
    assert done.returncode == 2
    assert f"the cluster at {scheduler.address} has no worker; start one with: dask worker" in done.stderr
    shutil.copytree(REPOSITORY / "callbot", tmp_path / "older/callbot")
    (tmp_path / "older/callbot/__init__.py").write_text('__version__ = "0.0.1"\n')
    scheduler.worker("--no-nanny", environment={"PYTHONPATH": str(tmp_path / "older")})
    done = evals.eval("offline", "--cluster", scheduler.address)
    assert done.returncode == 2
    assert "runs callbot 0.0.1 (" in done.stderr
    assert evals.reports() == []


def test_a_cluster_that_goes_away_keeps_what_ran_and_the_run_goes_on_without_it(
    scheduler: Scheduler, evals: EvalProject
) -> None:
    scheduler.worker("--no-nanny")
    with OpenAIServer(key=KEY) as server:
        done = disturbed(evals, server, lambda _: scheduler.process.kill(), "--cluster", scheduler.address)
        folder = evals.reports()[-1].name
        assert done.returncode == 2
        assert done.stderr.startswith(
            f"Error: the cluster at {scheduler.address} went away; what ran is kept"
        )
        assert f"--resume {folder}" in done.stderr
        assert set(runs(evals)) < set(ALL)
        done = evals.eval(None, "--resume", folder, paths=None)
        assert (done.returncode, done.stderr) == (0, "")
    assert runs(evals) == ALL


NOT_THERE = {
    "nobody": (["--cluster", "127.0.0.1:1"], "no Dask scheduler answers at 127.0.0.1:1"),
    "no address": (["--cluster", "nonsense"], "missing port number in address 'nonsense'; write the address"),
    "a cassette": (["--cluster", "h:1", "--cassette", "fill:x"], "leave out --cassette or --cluster"),
}


@pytest.mark.parametrize("case", NOT_THERE)
def test_a_cluster_that_cannot_be_is_said_within_seconds(case: str, evals: EvalProject) -> None:
    """And leaves nothing behind."""
    options, said = NOT_THERE[case]
    done = evals.eval("offline", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert evals.reports() == []


def test_a_model_of_this_machine_alone_is_refused(dask_cluster: LocalCluster, evals: EvalProject) -> None:
    evals.write("scenarios/persona.yaml", f"scenarios:{PERSONA}")
    evals.write("replies.yaml", "[hello]")
    address = dask_cluster.scheduler_address
    done = evals.eval("offline", "--caller-model", "scripted:replies.yaml", "--cluster", address)
    assert done.returncode == 2
    assert "scripted:replies.yaml is a file of this machine" in done.stderr


def test_a_limit_is_kept_between_attempts(dask_cluster: LocalCluster, evals: EvalProject) -> None:
    """Once it was reached no further attempt goes out."""
    with OpenAIServer(key=KEY, respond=polite) as server:
        evals.write("callbot.toml", PRICES.replace("URL", server.base_url))
        options = ("--repeat", "20", "--max-cost", "0.01", "--cluster", dask_cluster.scheduler_address)
        done = evals.eval(server, *options)
        assert done.returncode == 2
        assert "--max-cost 0.01 was reached" in done.stderr
        run = evals.report()["run"]
        assert 0.01 <= run["spent"] < 0.02
        assert run["requests"] <= len(server.requests) < 25


def test_two_prompts_run_side_by_side_on_a_cluster(dask_cluster: LocalCluster, evals: EvalProject) -> None:
    """Each with the attempts that it needs, and what they asked counted for its own run."""
    evals.write("rude.md", "RUDE {{ business.name }}")

    def respond(body: dict[str, Any]) -> Reply:
        rude = "RUDE" in body["messages"][0]["content"]
        return Reply(reply_json("Bye.", end="customer_declined", status="declined")) if rude else polite(body)

    with OpenAIServer(key=KEY, respond=respond) as server:
        options = ("--vs", "shop=rude.md", "--repeat", "3", "--stop-early")
        done = evals.eval(server, *options, "--cluster", dask_cluster.scheduler_address)
        assert (done.returncode, done.stderr) == (0, "")
        assert "INCONCLUSIVE" in done.stdout
        made = [evals.report(folder)["run"]["requests"] for folder in evals.reports()]
        assert made == [2 * 2 + 2, 2 + 2], "two attempts decide a majority of three"
        assert sum(made) == len(server.requests)
