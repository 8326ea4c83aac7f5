"""``callbot compare``, ``--baseline``, ``--vs`` and ``--stop-early`` as their users start them."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import report_samples as samples
import yaml
from cli import REPOSITORY, callbot
from openai_server import OpenAIServer, Refuse, Reply, reply_json

from callbot.cli.app import main

SHOP = """\
id: shop
name: Shop
language: en
region: IL
greeting: {text: "Hello, this is the shop."}
fields: [{name: full_name, required: true}]
prompt: You answer the phone of {{ business.name }}.
"""
SCENARIO = """\
  - name: {name}
    business: shop
    tags: [{tags}]
    caller: {{turns: [{{say: "שלום, כאן 052-123-4567"}}, {{say: "{words}"}}, {{say: "לא, תודה"}}]}}
    expect: {{end: {{turns: [3, 3], reason: customer_declined}}}}
"""
GO_ON = json.loads(reply_json("כן, המספר 052-123-4567 נרשם. מה השם?"))
DECLINED = json.loads(reply_json("בסדר, להתראות.", end="customer_declined", status="declined"))


Command = Callable[..., tuple[int, str, str]]
"""Runs a command in a folder: exit code, output, errors."""
OURS = ("CALLBOT_", "OPENAI_", "CI", "VTE_", "COLUMNS", "FORCE_COLOR")


class Project:
    """A folder with one business, a number of scenarios, and scripted models good and bad."""

    def __init__(
        self, folder: Path, command: Command, scenarios: int = 8, critical: Sequence[int] = ()
    ) -> None:
        self.folder, self.command = folder, command
        (folder / "prompts").mkdir()
        (folder / "prompts/shop.yaml").write_text(SHOP, encoding="utf-8")
        self.scenarios(scenarios, critical)
        for name, replies in (("good", [GO_ON, GO_ON, DECLINED]), ("hasty", [GO_ON, DECLINED, GO_ON])):
            text = yaml.safe_dump(replies, allow_unicode=True)
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    def scenarios(self, number: int, critical: Sequence[int] = (), words: str = "ומה השעות?") -> None:
        blocks = [
            SCENARIO.format(name=f"s{n}", tags="critical" if n in critical else "plain", words=words)
            for n in range(number)
        ]
        (self.folder / "scenarios.yaml").write_text("scenarios:\n" + "".join(blocks), encoding="utf-8")

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        return self.command(self.folder, *arguments, **env)

    def evaluated(self, model: str, *options: str) -> Path:
        """The report of a run with a scripted model."""
        file = self.folder / f"{model}{len(list(self.folder.glob('*.json')))}.json"
        code, _, errors = self.run(
            "eval", "scenarios.yaml", "--model", f"scripted:{model}.yaml", "--json", file.name, *options
        )
        assert code in (0, 1), errors
        return file


@pytest.fixture
def project(tmp_path: Path, command: Command) -> Project:
    return Project(tmp_path, command)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, entered where the ``callbot`` script enters it, in this process: no start-up to wait for."""

    def run(folder: Path, *arguments: str | Path, **env: str) -> tuple[int, str, str]:
        with monkeypatch.context() as here:
            for name in [name for name in os.environ if name.startswith(OURS)]:
                here.delenv(name)
            for name, value in {"COLUMNS": "200", **env}.items():
                here.setenv(name, value)
            here.chdir(folder)
            here.setattr(sys, "argv", ["callbot", *map(str, arguments)])
            capsys.readouterr()
            with pytest.raises(SystemExit) as left:
                main()
        out, errors = capsys.readouterr()
        return int(left.value.code or 0), out, errors

    return run


# --- compare ---------------------------------------------------------------------------------------
def test_a_run_that_is_worse_is_exit_code_1_with_both_transcripts_side_by_side(project: Project) -> None:
    before, after = project.evaluated("good"), project.evaluated("hasty")
    code, out, errors = project.run(
        "compare", before.name, after.name, "--json", "c.json", "--markdown", "c.md"
    )
    assert (code, errors) == (1, "")
    assert out.rstrip().splitlines()[-1] == (
        "WORSE  B passes less than A: -100.0 points passed (95%: -100.0 to -42.8), p = 0.008"
    )
    assert "Lost: passed in A, fails in B (8)" in out
    [line] = [line for line in out.splitlines() if line.startswith("  verdict") and " | " in line][:1]
    assert re.fullmatch(r"  verdict +on time; 1 of 1 passed +\| premature; 0 of 1 passed", line)
    told = out[out.index("  s0  shop") : out.index("  s1  shop")]
    assert told.count("שלום, כאן 052-123-4567") == 1, "what both sides share is printed once"
    assert re.search(r"wants +keeps open +\| ENDS customer_declined", told)
    assert re.search(r"McNemar, exact +p = 0.008 on majority verdicts: 8 lost, 0 gained", out)

    comparison = json.loads((project.folder / "c.json").read_text(encoding="utf-8"))
    schema = json.loads(project.run("schema", "comparison")[1])
    jsonschema.Draft202012Validator(schema).validate(comparison)
    assert comparison["schema"] == "callbot.comparison/1"
    assert (comparison["verdict"], comparison["scenarios"]) == ("worse", 8)
    assert [flip["name"] for flip in comparison["lost"]] == [f"s{n}" for n in range(8)]
    assert comparison["tests"]["p"] == 2 / 2**8
    rates = {
        metric["name"]: (metric["a"], metric["b"], metric["difference"]) for metric in comparison["metrics"]
    }
    assert rates["pass_rate"] == (1.0, 0.0, -1.0)
    assert rates["premature_rate"] == (0.0, 1.0, 1.0)

    comment = (project.folder / "c.md").read_text(encoding="utf-8")
    assert comment.startswith("❌ **WORSE**")
    assert comment.index("### Lost") < comment.index("| pass\\_rate |"), "flips come first"
    assert "ENDS customer_declined" in comment


def test_the_other_way_round_it_is_better_and_exit_code_0(project: Project) -> None:
    before, after = project.evaluated("hasty"), project.evaluated("good")
    code, out, _ = project.run("compare", before.name, after.name)
    assert code == 0
    assert "\nBETTER  B passes more than A: +100.0 points" in out
    assert "Gained: failed in A, passes in B (8)" in out


def test_folders_of_runs_do_as_well_as_files(project: Project) -> None:
    project.evaluated("good")
    project.evaluated("good")
    first, second = sorted(path.name for path in (project.folder / "reports").iterdir())
    code, out, _ = project.run("compare", f"reports/{first}", f"reports/{second}/")
    assert code == 0
    assert f"A  {first}" in out
    assert f"B  {second}" in out


def test_too_few_scenarios_are_inconclusive_and_it_says_how_many_would_do(
    tmp_path: Path, command: Command
) -> None:
    """Four of four lost is not significant: fewer than six flips never are."""
    project = Project(tmp_path, command, scenarios=4)
    before, after = project.evaluated("good"), project.evaluated("hasty")
    code, out, _ = project.run("compare", before.name, after.name)
    assert code == 0, "nothing is proven"
    assert "\nINCONCLUSIVE  n too small to say: -100.0 points" in out
    assert re.search(
        r"could find +4 scenarios: even if all are lost, that is not significant; 6 are the few", out
    )
    assert re.search(r"would settle it +about 6 scenarios if the difference is as large as seen", out)


def test_a_change_that_every_scenario_shares_lies_within_its_interval(project: Project) -> None:
    """Rates that fall from all to none have no spread to resample, and are no less sure of themselves."""
    before, after = project.evaluated("good"), project.evaluated("hasty")
    project.run("compare", before.name, after.name, "--json", "c.json")
    rows = json.loads((project.folder / "c.json").read_text(encoding="utf-8"))["metrics"]
    changed = {row["name"]: row for row in rows if row["difference"] is not None}
    assert changed["precision"]["difference"] == -1.0
    for row in changed.values():
        assert row["low"] <= row["difference"] <= row["high"], row


def test_no_difference_is_said_only_of_enough_scenarios(tmp_path: Path, command: Command) -> None:
    """The same run twice: 8 scenarios leave room for a difference of 10 points, 40 do not."""
    project = Project(tmp_path, command, scenarios=8)
    code, out, _ = project.run("compare", project.evaluated("good").name, project.evaluated("good").name)
    assert code == 0
    assert "\nINCONCLUSIVE  n too small to say: +0.0 points passed (95%: -27.7 to +27.7), p = 1.000" in out
    assert "about 26 scenarios if there is none" in out
    project.scenarios(26)
    code, out, _ = project.run("compare", project.evaluated("good").name, project.evaluated("good").name)
    assert code == 0
    assert "\nNO DIFFERENCE  no difference detectable: +0.0 points" in out


def test_a_critical_scenario_lost_is_exit_code_1_however_few(tmp_path: Path, command: Command) -> None:
    project = Project(tmp_path, command, scenarios=3, critical=[1])
    before, after = project.evaluated("good"), project.evaluated("hasty")
    code, out, _ = project.run("compare", before.name, after.name)
    assert code == 1
    assert "Lost, and critical (1)" in out
    assert "\nCRITICAL LOSS  1 critical scenario that held in A fails in B; n too small to say" in out
    code, out, _ = project.run("compare", after.name, before.name)
    assert code == 0, "gained is not lost"


def test_one_premature_attempt_at_a_critical_scenario_is_a_loss_though_the_majority_passes(
    tmp_path: Path, command: Command
) -> None:
    rows = [samples.scenario("careful", three(2), window=(6, 6), tags=["critical"])]
    better = [samples.scenario("careful", three(3), window=(6, 6), tags=["critical"])]
    a, b = written(tmp_path, a=samples.report(better, repeat=3), b=samples.report(rows, repeat=3))
    code, out, _ = command(tmp_path, "compare", a, b)
    assert code == 1
    assert "Lost, and critical (1)" in out
    assert "0 lost, 0 gained" in out, "no majority changed"


def three(passed: int) -> list[Any]:
    """Three attempts, so many of which passed, the rest premature."""
    early = [*samples.hebrew_call()[:2], samples.turn(2, "לא צריך", "להתראות!", "customer_declined")]
    good = samples.hebrew_call()
    return [
        samples.run("on_time", good, attempt=n) if n <= passed else samples.run("premature", early, attempt=n)
        for n in (1, 2, 3)
    ]


def written(folder: Path, **reports: Any) -> list[Path]:
    """Reports as files."""
    paths = []
    for name, report in reports.items():
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(report.model_dump_json(by_alias=True), encoding="utf-8")
    return paths


def test_repeats_are_compared_by_their_shares(tmp_path: Path, command: Command) -> None:
    """Ten scenarios that each lose one attempt of three flip no majority, and are a loss all the same."""
    a = samples.report([samples.scenario(f"s{n}", three(3), window=(6, 6)) for n in range(10)], repeat=3)
    b = samples.report([samples.scenario(f"s{n}", three(2), window=(6, 6)) for n in range(10)], repeat=3)
    before, after = written(tmp_path, a=a, b=b)
    code, out, _ = command(tmp_path, "compare", before, after)
    assert code == 1
    assert "sign flips, exact         p = 0.002 on shares of attempts; decides" in out
    assert "p = 1.000 on majority verdicts: 0 lost, 0 gained" in out
    assert "\nWORSE  B passes less than A: -33.3 points" in out


def test_what_the_provider_never_answered_is_not_compared(tmp_path: Path, command: Command) -> None:
    there = [samples.scenario(f"s{n}", three(3), window=(6, 6)) for n in range(2)]
    gone = [there[0], samples.scenario("s1", [samples.run("infra", [])], window=(6, 6))]
    a, b = written(tmp_path, a=samples.report(there, repeat=3), b=samples.report(gone, repeat=3))
    code, out, _ = command(tmp_path, "compare", a, b, "--json", "c.json")
    assert code == 0
    assert re.search(r"not compared +s1: the provider answered no attempt on one side", out)
    assert json.loads((tmp_path / "c.json").read_text())["not_answered"] == ["s1"]
    assert json.loads((tmp_path / "c.json").read_text())["scenarios"] == 1


def test_a_narrow_terminal_gets_one_side_under_the_other(project: Project) -> None:
    before, after = project.evaluated("good"), project.evaluated("hasty")
    code, out, _ = project.run("compare", before.name, after.name, COLUMNS="70")
    assert code == 1
    assert " | " not in out
    told = out[out.index("  s0  shop") : out.index("  s1  shop")]
    assert re.search(r"^  A +on time", told, flags=re.MULTILINE)
    assert told.index("ENDS customer_declined") < told.index("  B ")


def test_the_page_needs_no_network_and_runs_nothing(tmp_path: Path, command: Command) -> None:
    """Every flip is there, Hebrew from the right, hostile words escaped, scripts forbidden."""
    good = [
        samples.scenario(
            row.name,
            [samples.run("on_time" if row.end.turns else "open", samples.hebrew_call())],
            window=row.end.turns,
            tags=row.tags,
        )
        for row in samples.every_outcome()
    ]
    a, b = written(tmp_path, a=samples.report(good), b=samples.full())
    code, _out, _ = command(tmp_path, "compare", a, b, "--html", "deep/c.html")
    assert code == 1
    page = (tmp_path / "deep/c.html").read_text(encoding="utf-8")
    assert page.count('<details class="call"') == 9
    assert "<script" not in page
    assert re.search(r"default-src 'none'; img-src data:; style-src 'sha256-", page.replace("&#39;", "'"))
    assert "http" not in re.sub(r"http-equiv|HTTP 503", "", page)
    assert '<p dir="rtl">לא צריך</p>' in page
    assert '<bdi dir="ltr">052-123-4567</bdi>' in page
    assert page.index("Lost, and critical") < page.index("Lost: passed in A")


# --- what cannot be compared -----------------------------------------------------------------------
def test_runs_of_different_scenarios_are_refused_with_their_names(project: Project) -> None:
    before = project.evaluated("good")
    project.scenarios(9)
    after = project.evaluated("good")
    code, out, errors = project.run("compare", before.name, after.name)
    assert (code, out) == (2, "")
    assert errors.startswith("Error: good0.json and good1.json are not of the same scenarios")
    assert "only in good1.json: s8." in errors


def test_runs_of_an_edited_scenario_are_refused_and_of_reworded_tags_are_not(project: Project) -> None:
    before = project.evaluated("good")
    project.scenarios(8, critical=[3])
    assert project.run("compare", before.name, project.evaluated("good").name)[0] == 0
    project.scenarios(8, words="ומה המחיר?")
    code, _, errors = project.run("compare", before.name, project.evaluated("good").name)
    assert code == 2
    assert "edited in between: s0, s1, s2, s3, s4 ..." in errors


def test_reports_without_fingerprints_are_compared_by_name_and_it_says_so(project: Project) -> None:
    files = [project.evaluated("good"), project.evaluated("good")]
    data = json.loads(files[0].read_text(encoding="utf-8"))
    for row in data["scenarios"]:
        del row["sha256"], row["lead_fields"]
    del data["summary"]["intervals"], data["run"]["stop_early"]
    files[0].write_text(json.dumps(data), encoding="utf-8")
    code, out, _ = project.run("compare", files[0].name, files[1].name)
    assert code == 0
    assert "they are matched by name alone" in out


BAD: dict[str, tuple[str, str]] = {
    # name: what the file holds, what is said
    "not there": ("", "x.json: cannot be read: No such file or directory"),
    "no JSON": ("{", "x.json: is not a report of callbot eval: no valid JSON"),
    "another schema version": (
        '{"schema": "callbot.report/2"}',
        "x.json: is callbot.report/2, and this callbot reads callbot.report/1",
    ),
    "something else": (
        '{"schema": "callbot.record/1"}',
        'its schema is "callbot.record/1", expected callbot.rep',
    ),
    "no schema": ("[1]", "x.json: is not a report of callbot eval: it names no schema"),
    "half a report": ('{"schema": "callbot.report/1", "run": {}}', "x.json: run.id: field required"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_report_is_exit_code_2(case: str, tmp_path: Path, command: Command) -> None:
    text, message = BAD[case]
    if text:
        (tmp_path / "x.json").write_text(text, encoding="utf-8")
    [good] = written(tmp_path, good=samples.passing())
    for pair in ((good.name, "x.json"), ("x.json", good.name)):
        code, out, errors = command(tmp_path, "compare", *pair)
        assert (code, out) == (2, "")
        assert message in errors


def test_a_folder_without_a_report_and_a_file_that_cannot_be_written(
    tmp_path: Path, command: Command
) -> None:
    [good] = written(tmp_path, good=samples.passing())
    (tmp_path / "empty").mkdir()
    code, _, errors = command(tmp_path, "compare", good, "empty")
    assert code == 2
    assert "name a run's folder or its report.json" in errors
    code, _, errors = command(tmp_path, "compare", good, good, "--html", "empty")
    assert code == 2
    assert "empty cannot be written: it is a folder" in errors


# --- a baseline --------------------------------------------------------------------------------------
def test_a_run_that_loses_against_its_baseline_fails_the_gate(project: Project) -> None:
    baseline = project.evaluated("good").name
    command = ("eval", "scenarios.yaml", "--baseline", baseline, "--model")
    code, out, _ = project.run(*command, "scripted:hasty.yaml")
    assert code == 1
    assert "gate fails          no significant loss against good0.json (-100.0 points, p = 0.008)" in out
    assert "Lost: passed in A, fails in B (8)" in out
    newest = max((project.folder / "reports").iterdir(), key=lambda folder: folder.stat().st_mtime)
    assert (newest / "comparison.html").exists()
    code, out, _ = project.run(*command, "scripted:good.yaml")
    assert code == 0
    assert "gate holds          no critical scenario that passed in good0.json fails" in out
    assert out.rstrip().splitlines()[-1].startswith("PASS")


def test_a_baseline_of_other_scenarios_is_refused_before_anything_runs(project: Project) -> None:
    baseline = project.evaluated("good").name
    before = sorted(project.folder.rglob("*"))
    code, out, errors = project.run(
        *("eval", "scenarios.yaml", "-k", "s1", "--baseline", baseline, "--model", "scripted:good.yaml")
    )
    assert (code, out) == (2, "")
    assert "the baseline good0.json and this selection are not of the same scenarios" in errors
    assert "only in the baseline good0.json: s0, s2, s3, s4, s5 ..." in errors
    assert sorted(project.folder.rglob("*")) == before


def test_a_provider_that_is_gone_does_not_pass_a_baseline_and_loses_nothing(project: Project) -> None:
    baseline = project.evaluated("good").name
    (project.folder / "down.yaml").write_text("[{error: gone}]", encoding="utf-8")
    code, out, _ = project.run(
        *(
            "eval",
            "scenarios.yaml",
            "--baseline",
            baseline,
            "--model",
            "scripted:down.yaml",
            "--json",
            "out.json",
        )
    )
    assert code == 1
    assert "no scenario was answered in both" in out
    assert json.loads((project.folder / "out.json").read_text())["summary"]["infra"] == 8


# --- two prompts in one run ---------------------------------------------------------------------------
def by_prompt(body: dict[str, Any]) -> Reply:
    """A model that hangs up in turn 2 if its prompt is hasty, and when the caller declines otherwise."""
    said = [message["content"] for message in body["messages"] if message["role"] == "user"]
    hasty = "hasty" in body["messages"][0]["content"]
    end = "customer_declined" if "לא, תודה" in said[-1] or (hasty and len(said) == 2) else None
    return Reply(reply_json("כן.", end=end, status="declined" if end else "in_progress"))


def test_two_prompts_run_side_by_side_and_are_compared(project: Project) -> None:
    (project.folder / "hasty.txt").write_text("Be hasty.", encoding="utf-8")
    (project.folder / "patient.txt").write_text("Be patient.", encoding="utf-8")
    with OpenAIServer(key="secret", respond=by_prompt) as server:
        command = ("eval", "scenarios.yaml", "--model", f"openai:m@{server.base_url}")
        code, out, errors = project.run(
            *command,
            *("--prompt", "patient.txt", "--vs", "shop=hasty.txt", "--json", "c.json", "--concurrency", "4"),
            OPENAI_API_KEY="secret",
        )
        assert (code, errors) == (1, "")
        asked = [
            "hasty" if "hasty" in r.body["messages"][0]["content"] else "patient" for r in server.requests
        ]
        assert project.run(*command, "--vs", "patient.txt", OPENAI_API_KEY="secret")[0] == 0, (
            "against the disk's"
        )
    assert "\nWORSE  B passes less than A: -100.0 points" in out
    first, last = asked[: len(asked) // 2], asked[len(asked) // 2 :]
    for half in (first, last):
        assert min(half.count("hasty"), half.count("patient")) >= len(half) // 4, "the sides take turns"
    comparison = json.loads((project.folder / "c.json").read_text(encoding="utf-8"))
    sides = [comparison["a"], comparison["b"]]
    assert sides[0]["prompts"][0]["sha256"] != sides[1]["prompts"][0]["sha256"]
    for side, kind in zip(sides, ("patient", "hasty"), strict=True):
        text = (project.folder / "reports" / side["id"] / "report.json").read_text(encoding="utf-8")
        assert json.loads(text)["run"]["requests"] == asked.count(kind) > 0
    assert (project.folder / "reports" / sides[1]["id"] / "comparison.html").exists()


def test_two_prompts_share_the_limit_of_requests(project: Project) -> None:
    (project.folder / "p.txt").write_text("Hi.", encoding="utf-8")
    with OpenAIServer(key="secret", respond=by_prompt) as server:
        command = ("eval", "scenarios.yaml", "--model", f"openai:m@{server.base_url}", "--vs", "p.txt")
        code, _, errors = project.run(*command, "--max-requests", "47", OPENAI_API_KEY="secret")
        assert code == 2
        assert "this would make about 48 requests, over --max-requests 47" in errors
        assert server.requests == []
    with OpenAIServer(key="other", respond=by_prompt) as server:
        command = ("eval", "scenarios.yaml", "--model", f"openai:m@{server.base_url}", "--vs", "p.txt")
        code, _, errors = project.run(*command, OPENAI_API_KEY="secret")
        assert code == 2
        assert "key" in errors


def test_a_limit_that_two_prompts_reach_stops_both_and_keeps_what_ran(project: Project) -> None:
    """Every answer is unusable and asked for again, which no forecast knows."""
    (project.folder / "p.txt").write_text("Hi.", encoding="utf-8")
    with OpenAIServer(key="secret", respond=lambda body: Reply("no JSON")) as server:
        code, out, errors = project.run(
            *("eval", "scenarios.yaml", "--model", f"openai:m@{server.base_url}", "--vs", "p.txt"),
            *("--max-requests", "50"),
            OPENAI_API_KEY="secret",
        )
    assert code == 2
    assert "--max-requests 50 was reached; what ran is kept" in errors
    assert len(server.requests) == 50
    assert len(list((project.folder / "reports").glob("*/report.json"))) == 2, out


def test_a_provider_that_fails_under_two_prompts_is_exit_code_3(project: Project) -> None:
    (project.folder / "p.txt").write_text("Hi.", encoding="utf-8")
    turns = count()

    def respond(body: dict[str, Any]) -> Reply | Refuse:
        fails = next(turns) >= 30
        return Refuse(400, "no", "bad_request") if fails else by_prompt(body)

    with OpenAIServer(key="secret", respond=respond) as server:
        code, out, _ = project.run(
            *("eval", "scenarios.yaml", "--model", f"openai:m@{server.base_url}", "--vs", "p.txt"),
            OPENAI_API_KEY="secret",
        )
    assert code == 3, out
    assert "the provider failed in" in out


def test_a_provider_that_is_gone_under_two_prompts_is_no_verdict(project: Project) -> None:
    (project.folder / "p.txt").write_text("Hi.", encoding="utf-8")
    with OpenAIServer(key="secret", respond=lambda body: Refuse(400, "no", "bad_request")) as server:
        code, out, _ = project.run(
            *("eval", "scenarios.yaml", "--model", f"openai:m@{server.base_url}", "--vs", "p.txt"),
            OPENAI_API_KEY="secret",
        )
    assert code == 3
    assert "NO VERDICT  no scenario was answered in both A and B" in out
    assert len(list((project.folder / "reports").glob("*/report.json"))) == 2, "nothing is lost"


UNFIT = {
    "a model without a prompt": (["--model", "offline"], "offline does not read them"),
    "a gate": (["--model", "scripted:good.yaml", "--fail-under", "f1>=0.5"], "--fail-under is about one run"),
    "JUnit": (["--model", "scripted:good.yaml", "--junit", "j.xml"], "--junit is about one run"),
    "a baseline": (["--model", "scripted:good.yaml", "--baseline", "b.json"], "--baseline is about one run"),
    "a prompt that is not there": (["--model", "offline", "--vs", "x.txt"], "x.txt cannot be read"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_does_not_go_with_two_prompts_is_refused(case: str, project: Project) -> None:
    (project.folder / "p.txt").write_text("Hi.", encoding="utf-8")
    options, message = UNFIT[case]
    code, _, errors = project.run("eval", "scenarios.yaml", "--vs", "p.txt", *options)
    assert code == 2
    assert message in errors
    assert not (project.folder / "reports").exists()


# --- attempts that decide nothing ----------------------------------------------------------------------
def test_attempts_that_decide_nothing_are_spared_except_at_critical_scenarios(
    tmp_path: Path, command: Command
) -> None:
    project = Project(tmp_path, command, scenarios=2, critical=[1])
    code, out, _ = project.run(
        *("eval", "scenarios.yaml", "--model", "scripted:good.yaml", "--repeat", "5", "--stop-early"),
        *("--json", "r.json", "--fail-under", "pass^3>=1"),
    )
    assert code == 0
    assert "up to 10 runs" in out
    report = json.loads((tmp_path / "r.json").read_text())
    assert {row["name"]: [run["attempt"] for run in row["runs"]] for row in report["scenarios"]} == {
        "s0": [1, 2, 3],
        "s1": [1, 2, 3, 4, 5],
    }
    assert report["run"]["stop_early"] is True
    assert list(report["summary"]["pass_hat_k"]) == ["1", "2", "3"]


def test_an_undecided_scenario_goes_on(tmp_path: Path, command: Command) -> None:
    """Good, bad, good: after two attempts nothing is decided, after three it is."""
    project = Project(tmp_path, command, scenarios=1)
    attempts = count(1)
    seen: list[int] = []

    def respond(body: dict[str, Any]) -> Reply:
        said = [message for message in body["messages"] if message["role"] == "user"]
        if len(said) == 1:
            seen.append(next(attempts))
        end = "customer_declined" if len(said) == 3 and seen[-1] != 2 else None
        return Reply(reply_json("כן.", end=end, status="declined" if end else "in_progress"))

    with OpenAIServer(key="secret", respond=respond) as server:
        code, _, errors = project.run(
            *("eval", "scenarios.yaml", "--model", f"openai:m@{server.base_url}", "--concurrency", "1"),
            *("--repeat", "3", "--stop-early", "--json", "r.json"),
            OPENAI_API_KEY="secret",
        )
    assert (code, errors) == (0, "")
    [row] = json.loads((tmp_path / "r.json").read_text())["scenarios"]
    assert [run["passed"] for run in row["runs"]] == [True, False, True]


def test_stopping_early_needs_something_to_stop(project: Project) -> None:
    command = ("eval", "scenarios.yaml", "--model", "scripted:good.yaml", "--stop-early")
    assert "--stop-early needs --repeat 2 or more" in project.run(*command)[2]
    code, _, errors = project.run(*command, "--repeat", "3", "--fail-under", "pass^3>=0.5")
    assert code == 2
    assert "with --stop-early 2 of 3 are certain: leave it out, or use --repeat 5" in errors


# --- gates -------------------------------------------------------------------------------------------
def test_gates_on_tags_businesses_and_ends_of_intervals(tmp_path: Path, command: Command) -> None:
    project = Project(tmp_path, command, scenarios=8, critical=[0, 1])
    gates = ("tag:critical=all", "tag:plain>=95%", "business:shop>=0.9", "f1.low>=0.6", "pass_rate.low>=0.6")
    options = [word for gate in gates for word in ("--fail-under", gate)]
    code, out, _ = project.run("eval", "scenarios.yaml", "--model", "scripted:good.yaml", *options)
    assert code == 0
    assert "gate holds          tag:critical=all (2 of 2 passed)" in out
    assert "gate holds          tag:plain>=0.95 (6 of 6 passed)" in out
    assert "gate holds          f1.low>=0.6 (f1.low is 0.676)" in out
    assert "model wants to end  precision 1.000, recall 1.000, f1 1.000 (95%: 0.676 to 1.000)" in out
    code, out, _ = project.run("eval", "scenarios.yaml", "--model", "scripted:hasty.yaml", *options)
    assert code == 1
    assert "gate fails          tag:critical=all (0 of 2 passed; failed: s0, s1)" in out
    assert "gate fails          business:shop>=0.9 (0 of 8 passed; failed: s0, s1, s2, s3, s4 ...)" in out


REFUSED_GATES = {
    "tag:critcal=all": 'no selected scenario has tag "critcal"; did you mean "critical"?',
    "business:bakery>=0.9": 'no selected scenario has business "bakery"; known: shop',
    "tag:plain<=0.9": "for tag:plain is better the higher it is; write tag:plain>=0.9",
    "tag:plain>=90": "every metric is a rate; write 0.9 or 90%, not 90",
    "pass_rate.low>=0.9": "cannot be reached with 8 scenarios even if everything is right; it needs at least 35",
    "f1.low>=0.9": "cannot be reached with 8 scenarios that expect an end even if everything is right; it needs",
    "f1.low>=1": "it needs infinitely many",
    "f1.high>=0.9": "the end of the interval that can be vouched for is f1.low",
}


@pytest.mark.parametrize("gate", REFUSED_GATES)
def test_gates_that_cannot_be_meant_or_reached_are_refused(
    gate: str, tmp_path: Path, command: Command
) -> None:
    project = Project(tmp_path, command, critical=[0])
    code, _, errors = project.run(
        "eval", "scenarios.yaml", "--model", "scripted:good.yaml", "--fail-under", gate
    )
    assert code == 2
    assert REFUSED_GATES[gate] in errors
    assert not (tmp_path / "reports").exists()


def test_the_same_run_of_the_shipped_scenarios_is_no_different(tmp_path: Path) -> None:
    """Two runs of the embedded model with one seed are the same, scenario by scenario; as a process."""
    options = ("--tag", "no-thanks", "--model", "offline", "--prompts-dir", REPOSITORY / "prompts")
    for name in ("a.json", "b.json"):
        done = callbot("eval", REPOSITORY / "scenarios", *options, "--json", name, cwd=tmp_path)
        assert done.returncode == 0
    done = callbot("compare", "a.json", "b.json", cwd=tmp_path)
    assert done.returncode == 0
    assert "\nNO DIFFERENCE  no difference detectable: +0.0 points" in done.stdout
