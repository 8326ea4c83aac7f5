"""``callbot eval`` as its users start it: a process in a project's folder, its exit code and its files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from cli import callbot, start
from openai_server import OpenAIServer, Refuse, Reply, Stall, reply_json

from callbot.business import read_document
from callbot.record import Entry, entry_to_json, read_record, replayed
from callbot.store.database import open_store

CALLBOT = Path(sys.executable).with_name("callbot")

SHOP = """\
id: shop
name: Shop
language: en
region: IL
greeting: {text: "Hello, this is the shop."}
fields: [{name: full_name, required: true}]
prompt: You answer the phone of {{ business.name }}.
"""
CLINIC = SHOP.replace("id: shop", "id: clinic").replace("name: Shop", "name: Clinic")
SCENARIOS = """\
scenarios:
  - name: declines
    business: shop
    tags: [refusal, critical]
    caller: {turns: [{say: hello}, {say: "לא, תודה"}]}
    expect: {end: {turns: [2, 2], reason: customer_declined}}
  - name: asks
    business: clinic
    tags: [question]
    caller: {turns: [{say: are you open?}]}
    expect: {end: open}
"""
GO_ON = json.loads(reply_json("Yes, go on."))
DECLINED = json.loads(reply_json("בסדר, להתראות.", end="customer_declined", status="declined"))


class Project:
    """A folder with businesses and scenarios, and the command run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("prompts/shop.yaml", SHOP)
        self.write("prompts/clinic.yaml", CLINIC)
        self.write("scenarios/calls.yaml", SCENARIOS)
        self.replies(GO_ON, DECLINED)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def replies(self, *items: Any) -> None:
        self.write("replies.yaml", yaml.safe_dump(list(items), allow_unicode=True))

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = callbot(*arguments, cwd=self.folder, env={"COLUMNS": "80", **environment})
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def scripted(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("eval", "scenarios", "--model", "scripted:replies.yaml", *arguments, **environment)

    def reports(self) -> list[Path]:
        return sorted(self.folder.glob("reports/*"))

    def report(self) -> dict[str, Any]:
        [folder] = self.reports()
        found: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@cache
def schema(name: str) -> jsonschema.Draft202012Validator:
    """What ``callbot schema NAME`` prints."""
    done = subprocess.run([CALLBOT, "schema", name], capture_output=True, text=True, timeout=60, check=True)
    return jsonschema.Draft202012Validator(json.loads(done.stdout))


# --- a run that passes -----------------------------------------------------------------------------
def test_a_run_whose_gate_holds(project: Project) -> None:
    """Exit code 0; everything that was asked for is written, valid, and agrees."""
    done = project.scripted(
        *("--repeat", "2", "--seed", "7", "--fail-under", "f1>=1", "--fail-under", "pass^2>=1"),
        *("--json", "out/deep/report.json", "--junit", "junit.xml", "--markdown", "summary.md"),
        CI="true",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout, "no escape codes in a pipe"
    assert done.stdout.startswith("Model scripted:replies.yaml: 4 runs, about 6 requests\n")

    [folder] = project.reports()
    assert f"reports/{folder.name}" in done.stdout
    assert {path.name for path in folder.iterdir()} == {
        "plan.json",
        "report.json",
        "runs.jsonl",
        "report.html",
        "records",
    }
    report = project.report()
    schema("report").validate(report)
    assert json.loads((project.folder / "out/deep/report.json").read_text(encoding="utf-8")) == report
    assert report["run"] | {"repeat": 2, "seed": 7, "model": "scripted:replies.yaml"} == report["run"]
    assert [(used["business"], used["version"]) for used in report["run"]["prompts"]] == [
        ("shop", None),
        ("clinic", None),
    ]
    assert report["summary"] | {"scenarios": 2, "runs": 4, "passed": 2, "failed": 0} == report["summary"]
    assert report["gate"]["passed"] is True
    assert [rule["name"] for rule in report["gate"]["rules"]][2:] == ["f1>=1", "pass^2>=1"]

    lines = [json.loads(line) for line in (folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()]
    told = [{"scenario": row["name"], "run": run} for row in report["scenarios"] for run in row["runs"]]
    assert sorted(lines, key=str) == sorted(told, key=str), "one line a run, as the report has it"

    entry = schema("record")
    for row in report["scenarios"]:
        for run in row["runs"]:
            path = folder / run["record"]
            for line in path.read_text(encoding="utf-8").splitlines():
                entry.validate(json.loads(line))
            record = read_record(path)
            assert (record.header["scenario"], record.header["attempt"]) == (row["name"], run["attempt"])
            assert commands(replayed(record)) == commands(record.entries)

    cases = ET.parse(project.folder / "junit.xml").getroot().iter("testcase")
    assert len(list(cases)) == 2
    assert "declines" not in done.stdout.partition("FAIL")[2]
    assert (project.folder / "summary.md").read_text(encoding="utf-8").strip()


def commands(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """What the engine wanted, without the history that Records leave out."""
    found = [entry_to_json(entry) for entry in entries if entry.kind == "command"]
    return [{key: value for key, value in each.items() if key != "history"} for each in found]


def test_the_default_without_a_key_is_the_offline_model_and_says_so(project: Project) -> None:
    done = project.run("eval", "scenarios", "-k", "asks", OPENAI_API_KEY="")
    assert done.returncode in (0, 1)
    assert "Model offline (embedded; no --model named and no OPENAI_API_KEY set): 1 run" in done.stdout
    assert project.report()["run"]["model"] == "offline"


def test_listing_runs_nothing(project: Project) -> None:
    def listed(*options: str) -> list[str]:
        done = project.run("eval", "scenarios", "--list", *options, CI="1")
        assert (done.returncode, done.stderr) == (0, "")
        *rows, _ = done.stdout.splitlines()
        return [row.split()[0] for row in rows]

    whole = project.run("eval", "scenarios/calls.yaml", "--list").stdout
    assert whole.splitlines() == [
        "declines  shop  [refusal, critical]  scenarios/calls.yaml:2",
        "asks  clinic  [question]  scenarios/calls.yaml:7",
        "2 scenarios",
    ]
    project.write(
        "scenarios/any.yaml",
        "name: any-of-them\nbusiness: any\ncaller: {turns: [{say: hi}]}\nexpect: {end: open}\n",
    )
    assert listed("--business", "shop") == ["any-of-them", "declines"]
    assert listed("--business", "shop", "--business", "clinic", "-k", "ANY") == [
        "any-of-them@shop",
        "any-of-them@clinic",
    ]
    assert listed("--business", "clinic", "--tag", "question", "--tag", "critical") == ["asks"]
    assert project.reports() == []


# --- runs that do not -------------------------------------------------------------------------------
def test_a_run_whose_gate_does_not_hold_shows_the_call(project: Project) -> None:
    """Exit code 1, and the turns of the failing call, Hebrew in either order."""
    project.replies(DECLINED)
    done = project.scripted("--bidi", "logical")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "בסדר, להתראות." in done.stdout
    assert "premature" in done.stdout
    report = project.report()
    assert report["gate"]["passed"] is False
    assert [rule["passed"] for rule in report["gate"]["rules"]] == [False, False]
    visual = project.scripted("--bidi", "visual", "-k", "declines")
    assert visual.returncode == 1
    assert "תוארתהל" in visual.stdout
    assert len(project.reports()) == 2, "each run has its own folder"


def test_a_threshold_that_is_missed_is_exit_code_1(project: Project) -> None:
    project.replies(GO_ON)
    done = project.scripted("-k", "declines", "--fail-under", "recall>=50%")
    assert done.returncode == 1
    assert "recall>=0.5" in done.stdout


def test_a_failing_provider_is_exit_code_3_and_a_failing_gate_beats_it(project: Project) -> None:
    project.replies({"error": "503 the model is overloaded"})
    done = project.scripted()
    assert done.returncode == 3
    report = project.report()
    assert report["summary"] | {"infra": 2, "passed": 0, "failed": 0} == report["summary"]
    assert report["gate"]["passed"] is True
    project.replies(DECLINED, {"error": "503"})
    assert project.scripted().returncode == 1, "asks fails, declines is infra after its first turn"


def test_a_server_that_fails_is_infra_and_one_that_refuses_the_key_ends_the_run(project: Project) -> None:
    with OpenAIServer(key="right", respond=lambda _body: Refuse(500, "overloaded")) as server:
        model = f"openai:m@{server.base_url}"
        done = project.run("eval", "scenarios", "-k", "asks", "--model", model, OPENAI_API_KEY="right")
        assert done.returncode == 3
        assert project.report()["scenarios"][0]["runs"][0]["verdict"] == "infra"
        asked = len(server.requests)
        done = project.run(
            "eval", "scenarios", "--concurrency", "1", "--model", model, OPENAI_API_KEY="wrong"
        )
    assert done.returncode == 2
    assert "key" in done.stderr
    assert len(server.requests) == asked + 1, "no other request would go better"


def test_a_run_that_needs_more_requests_than_allowed_stops_and_keeps_what_ran(project: Project) -> None:
    """Each answer that cannot be read costs a second request, which nobody could plan."""
    project.replies("not JSON")
    done = project.scripted("--max-requests", "4", "--concurrency", "1", "--tag", "question", "--repeat", "3")
    assert done.returncode == 2
    assert done.stderr == "Error: --max-requests 4 was reached; what ran is kept\n"
    report = project.report()
    assert (report["run"]["requests"], report["summary"]["runs"]) == (4, 2)


def test_an_interrupted_run_keeps_what_ran(project: Project) -> None:
    """Ctrl-C while the second run waits for its model: exit code 130, and a report of the first."""
    waiting = threading.Event()

    def respond(body: dict[str, Any]) -> Reply | Stall:
        if len(server.requests) == 1:
            return Reply(reply_json("We are."))
        waiting.set()
        return Stall(60)

    with OpenAIServer(respond=respond) as server:
        arguments = ["--model", f"openai:m@{server.base_url}", "--concurrency", "1", "--business", "clinic"]
        process = start("eval", "scenarios", *arguments, "--repeat", "3", cwd=project.folder)
        assert waiting.wait(30)
        process.send_signal(signal.SIGINT)
        done = process.done()
    assert (done.returncode, done.stderr) == (130, "")
    report = project.report()
    schema("report").validate(report)
    assert report["run"]["interrupted"] is True
    assert [len(row["runs"]) for row in report["scenarios"]] == [1]
    [folder] = project.reports()
    assert len((folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    assert (folder / "report.html").exists()


# --- what cannot be run -----------------------------------------------------------------------------
REFUSED: dict[str, tuple[Sequence[str], Mapping[str, str], str]] = {
    # name: options, environment, what is said
    "an unknown model": (["--model", "ofline"], {}, 'unknown model "ofline"; did you mean "offline"?'),
    "a missing key": (["--model", "openai:gpt-5"], {}, '"openai:gpt-5" needs a key: set OPENAI_API_KEY'),
    "a missing replies file": (["--model", "scripted:x.yaml"], {}, "x.yaml: cannot be read: No such file"),
    "no model named in CI": ([], {"CI": "true"}, "CI is set and no --model is named"),
    "no such name": (["-k", "nobody"], {}, 'no name in scenarios holds "nobody"'),
    "no such tag": (["--tag", "refusl"], {}, 'has --tag "refusl"; did you mean "refusal"?'),
    "no such business": (["--business", "shp"], {}, 'has --business "shp"; did you mean "shop"?'),
    "filters that meet nowhere": (
        ["-k", "asks", "--business", "shop"],
        {},
        "none of 2 in scenarios passes all",
    ),
    "a path that is not there": (["nowhere"], {}, "nowhere: there is no such file or folder"),
    "a prompt for the offline model": (
        ["--model", "offline", "--prompt", "shop=prompts/shop.yaml"],
        {},
        "--prompt changes nothing with offline, which does not read prompts",
    ),
    "a prompt for no business in particular": (
        ["--prompt", "prompts/_p.txt"],
        {},
        "several businesses are selected; say ID=prompts/_p.txt, ID one of shop, clinic",
    ),
    "a prompt for a business that nobody calls": (
        ["--prompt", "bakery=prompts/_p.txt"],
        {},
        'no selected scenario calls "bakery"; they call shop, clinic',
    ),
    "a prompt that does not render": (
        ["--prompt", "shop=prompts/_broken.txt"],
        {},
        "prompts/_broken.txt:1: ",
    ),
    "an empty prompt": (["--prompt", "shop=prompts/_empty.txt"], {}, "prompts/_empty.txt: is empty"),
    "a prompt that is not there": (
        ["--prompt", "shop=x.txt"],
        {},
        "--prompt: x.txt cannot be read: No such file",
    ),
    "more requests than allowed": (
        ["--max-requests", "2"],
        {},
        "this would make about 3 requests, over --max-requests 2; select fewer scenarios",
    ),
    "a threshold that is none": (["--fail-under", "f1>0.9"], {}, '"f1>0.9" is not METRIC>=X or METRIC<=X'),
    "a threshold out of reach": (
        ["--fail-under", "pass^3>=0.9"],
        {},
        "pass^3>=0.9 needs --repeat 3 or more; it is 1",
    ),
    "a report that cannot be written": (
        ["--json", "prompts"],
        {},
        "prompts cannot be written: it is a folder",
    ),
    "a folder of reports that cannot be made": (
        [],
        {"CALLBOT_REPORTS_DIR": "prompts/shop.yaml"},
        "cannot be made: Not a directory",
    ),
    "an unknown variable": ([], {"CALLBOT_MODLE": "x"}, "CALLBOT_MODLE: unknown environment variable"),
    "no database": (["--active"], {}, "callbot.db: there is no such database yet"),
    "a database that is none": (
        ["--active", "--database", "sqlite:///prompts/shop.yaml"],
        {},
        "prompts/shop.yaml: ",
    ),
    "a folder of businesses that is not there": (["--prompts-dir", "x"], {}, "x: there is no such folder"),
    "an unknown option": (["--lits"], {}, "No such option: --lits"),
    "no attempts": (["--repeat", "0"], {}, "Invalid value for '--repeat'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_run_is_exit_code_2_and_leaves_nothing_behind(case: str, project: Project) -> None:
    options, environment, message = REFUSED[case]
    project.write("prompts/_p.txt", "Hi")
    project.write("prompts/_empty.txt", " \n")
    project.write("prompts/_broken.txt", "Hi {{ business.nam }} {% if %}")
    before = sorted(project.folder.rglob("*"))
    named = [] if "--model" in options or "CI" in environment else ["--model", "scripted:replies.yaml"]
    done = project.run("eval", "scenarios", *named, *options, **environment)
    assert done.returncode == 2, done.stdout
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert sorted(project.folder.rglob("*")) == before


def test_invalid_scenarios_are_exit_code_2_with_every_fault(project: Project) -> None:
    project.write("scenarios/calls.yaml", SCENARIOS.replace("business: shop", "business: shpo"))
    project.write(
        "scenarios/more.yaml", "name: more\nbusines: shop\ncaller: {turns: [{say: a # b\n}]}\nexpect: {}\n"
    )
    done = project.scripted()
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "Error: scenarios/more.yaml:1: business: is missing",
        'scenarios/more.yaml:2: busines: unknown key; did you mean "business"?',
        (
            'scenarios/more.yaml:3: caller.turns.0.say: the text is cut at " #", which starts a comment; '
            'quote the text: "a"'
        ),
        "scenarios/more.yaml:5: expect.end: is missing",
    ]
    (project.folder / "scenarios/more.yaml").unlink()
    done = project.scripted()
    assert done.returncode == 2
    assert done.stderr.startswith(
        'Error: scenarios/calls.yaml:3: business: unknown business "shpo": did you mean "shop"? known in prompts/'
    )
    assert done.stderr.rstrip().endswith("clinic, shop")
    project.write("prompts/shpo.yaml", SHOP.replace("id: shop", "id: shpo\nfeilds: 1"))
    assert 'prompts/shpo.yaml:2: feilds: unknown key; did you mean "fields"?' in project.scripted().stderr
    assert project.reports() == []


# --- models behind a server ---------------------------------------------------------------------------
def test_a_server_is_asked_with_the_prompt_that_is_on_trial(project: Project) -> None:
    def respond(body: dict[str, Any]) -> Reply:
        said = [message["content"] for message in body["messages"] if message["role"] == "user"]
        end = "customer_declined" if said[-1] == "לא, תודה" else None
        return Reply(reply_json("Yes.", end=end, status="declined" if end else "in_progress"))

    project.write("trial.txt", "You sell {{ business.name }} from a text file.")
    project.write("trial.yaml", CLINIC.replace("You answer", "From a business file you answer"))
    with OpenAIServer(key="secret", respond=respond) as server:
        done = project.run(
            *("eval", "scenarios", "--model", f"openai:gpt-test@{server.base_url}", "--seed", "5"),
            *("--prompt", "shop=trial.txt", "--prompt", "trial.yaml", "--max-requests", "3"),
            OPENAI_API_KEY="secret",
            CI="1",
        )
    assert (done.returncode, done.stderr) == (0, "")
    systems = sorted({request.body["messages"][0]["content"] for request in server.requests})
    assert [system[:40] for system in systems] == [
        "From a business file you answer the phon",
        "You sell Shop from a text file.",
    ]
    assert {(r.body["model"], r.body["seed"]) for r in server.requests} == {("gpt-test", 5)}
    report = project.report()
    assert report["run"]["requests"] == len(server.requests) == 3
    assert report["summary"]["tokens"] == {"input": 360, "output": 90, "cached": 0}
    assert "secret" not in "".join(
        path.read_text(encoding="utf-8") for path in project.folder.rglob("*") if path.is_file()
    )


def test_the_versions_that_are_active_in_the_database(project: Project) -> None:
    """``--active`` evaluates what answers the phone, whatever the files say by now."""
    with open_store(f"sqlite:///{project.folder / 'callbot.db'}") as store:
        shop = project.write("first.yaml", SHOP.replace("You answer", "Once, you answered"))
        store.businesses.import_version(read_document(shop))
        store.businesses.import_version(read_document(project.folder / "prompts/shop.yaml"))
        store.businesses.rollback("shop")
    missing = project.scripted("--active")
    assert missing.returncode == 2
    assert missing.stderr.startswith(
        'Error: scenarios/calls.yaml:8: business: no version of "clinic" is active in '
    )
    assert missing.stderr.rstrip().endswith("active there: shop")
    with OpenAIServer() as server:
        model = f"openai:m@{server.base_url}"
        done = project.run("eval", "scenarios", "--active", "--business", "shop", "--model", model)
    assert done.returncode == 1
    assert server.requests[0].body["messages"][0]["content"].startswith("Once, you answered")
    [used] = project.report()["run"]["prompts"]
    assert (used["business"], used["version"]) == ("shop", 1)
