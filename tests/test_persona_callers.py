"""Callers played by a model: a real server plays one, and what is no caller's turn makes a run infra."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from caller_stage import DECLINED, play, record_of, reply, said, scripted, shop
from cli import callbot
from openai_server import OpenAIServer, Refuse, Reply, reply_json

from callbot.cli.players import Bot, Players
from callbot.errors import CallbotError
from callbot.evals.budget import Budget, planned_requests
from callbot.evals.callers import Callers
from callbot.evals.report import RunReport
from callbot.evals.scenario_files import read_scenarios
from callbot.events import SpeechStarted
from callbot.models.openai import OpenAIModel

PERSONA = "{persona: 'Dana Levi, 40, a teacher', goal: 'have a rug cleaned', max_turns: 8}"
DECLINES = "end: {after: declined, within: 1, reason: customer_declined}"
GOODBYE = "end: {after: goodbye, within: 1}"


def turn(words: str = "", does: str = "speak", milestone: str | None = None) -> dict[str, Any]:
    """One answer of the model that plays the caller."""
    return {"does": does, "say": words, "milestone": milestone, "why": "because"}


HELLO, DROPS = turn("Hello, a rug please"), turn("No, I would rather not then", milestone="declined")
LEAVES = turn(does="hang_up")
ASKS = [reply("Who am I talking to?"), reply("And your phone number?"), reply("Would tomorrow suit you?")]


def staged(
    folder: Path, answers: list[Any], replies: list[Any] | None = None, expect: str = GOODBYE
) -> RunReport:
    """A run whose caller gives these answers, one a question."""
    player = scripted(folder, answers, "caller.yaml")
    callers = Callers(player=lambda scenario, attempt: player)
    [run] = play(folder, PERSONA, expect, replies or ASKS, callers=callers)
    return run


def test_a_model_plays_the_caller_and_its_milestones_open_the_window(tmp_path: Path) -> None:
    run = staged(tmp_path, [HELLO, DROPS], [ASKS[0], DECLINED], DECLINES)
    assert said(run) == ["Hello, a rug please", "No, I would rather not then"]
    assert (run.verdict, run.window) == ("on_time", (2, 3)), run.detail


def test_staying_silent_and_hanging_up_are_turns_too(tmp_path: Path) -> None:
    run = staged(tmp_path, [HELLO, turn(does="stay_silent"), DROPS, LEAVES], None, DECLINES)
    assert said(run)[1:] == ["[stays silent]", "No, I would rather not then", "[hangs up]"]
    assert (run.verdict, run.ended_by) == ("never", "caller")


def test_a_persona_hangs_up_in_its_last_turn(tmp_path: Path) -> None:
    answers = [turn(f"Well, thing number {n}") for n in range(10)]
    run = staged(tmp_path, answers)
    assert said(run)[-1] == "[hangs up]"
    assert len(said(run)) == 8


FAULTS = {
    "json": ([turn('{"does": "speak"}')], "spoke JSON"),
    "reveals": ([HELLO, turn("As an AI language model I have no rug")], 'broke character: said "as an ai"'),
    "serves": ([turn("Hi! How can I help you today?")], 'spoke as the bot: said "how can i help you"'),
    "repeats": ([turn("A rug please")] * 5, 'said the same again and again: "A rug please"'),
    "leaves": ([HELLO, LEAVES], "hung up for no reason: nothing told, nothing declined, no goodbye"),
    "silent": ([turn(does="stay_silent")] * 5, "never spoke in 3 turns"),
    "nonsense": (["Hello there"], "its answers could not be used: it is no JSON object of the agreed shape"),
    "shape": ([{"does": "dance", "say": "x"}], "its answers could not be used: does: Input should be"),
    "empty": ([turn(" ")], 'its answers could not be used: say is empty although does is "speak"'),
    "fails": ([{"error": "503 overloaded"}], "its model failed: 503 overloaded"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_caller_that_is_not_played_well_says_nothing_of_the_bot(tmp_path: Path, name: str) -> None:
    answers, fault = FAULTS[name]
    replies = [*ASKS, reply("Do you have stairs?"), reply("A large one?")]
    run = staged(tmp_path, answers, replies)
    assert run.verdict == "infra", (run.verdict, run.detail)
    assert run.detail.startswith(f"the caller was not played well: {fault}")
    assert not run.passed
    assert run.call_verdict == "infra"


def test_a_few_of_the_bots_words_are_no_echo(tmp_path: Path) -> None:
    answers = [HELLO, HELLO, turn("your phone number? why"), turn("tomorrow suits me"), DROPS, LEAVES]
    assert staged(tmp_path, answers, expect="end: open").verdict == "open"


def test_the_bots_own_words_said_back_are(tmp_path: Path) -> None:
    run = staged(tmp_path, [HELLO, turn("who am i talking to?")])
    assert run.detail.endswith("said the bot's own words back to it")


def test_saying_the_same_to_a_bot_that_does_is_no_fault_of_the_caller(tmp_path: Path) -> None:
    run = staged(tmp_path, [turn("My name is Dana")] * 6, [ASKS[0]])
    assert run.verdict == "never"


def test_a_wrong_end_before_the_caller_failed_stays_wrong(tmp_path: Path) -> None:
    ends = reply("All right, goodbye.", "lead_complete")
    run = staged(tmp_path, [HELLO, turn('{"a": 1}')], [ends, ASKS[0]])
    assert run.verdict == "premature"


def test_an_answer_that_cannot_be_used_is_asked_for_once_more(tmp_path: Path) -> None:
    run = staged(tmp_path, ["Hm?", HELLO, DROPS], [ASKS[0], DECLINED], DECLINES)
    assert run.verdict == "on_time", run.detail
    assert len(list(record_of(tmp_path, run).notes("caller_answered"))) == 3


def test_without_a_player_a_persona_cannot_call(tmp_path: Path) -> None:
    with pytest.raises(CallbotError, match="call needs a model to play its caller"):
        play(tmp_path, PERSONA, GOODBYE, ASKS)


# --- on a real server --------------------------------------------------------------------------------
def test_the_model_is_told_who_it_is_and_its_tokens_are_counted_apart(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    answers = [HELLO, DROPS]
    openai_server.will(*(Reply(json.dumps(answer), tokens=(500, 20), latency=0.2) for answer in answers))
    model = OpenAIModel("player", base_url=openai_server.base_url, api_key="sk-test-123456789")
    callers = Callers(player=lambda scenario, attempt: model)
    [run] = play(tmp_path, PERSONA, DECLINES, [ASKS[0], DECLINED], callers=callers)
    assert run.verdict == "on_time", run.detail
    assert (run.caller_tokens.input, run.caller_tokens.output) == (1000, 40)
    assert (run.tokens.input, run.latencies_ms) == (0, [0.0, 0.0])
    first, second = (request.body for request in openai_server.requests)
    assert "Dana Levi, 40, a teacher" in first["messages"][0]["content"]
    assert "Speak English" in first["messages"][0]["content"]
    assert first["response_format"]["json_schema"]["name"] == "caller"
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "user"]
    assert second["messages"][1]["content"] == "Hello, this is the shop, how can I help?"
    assert second["messages"][3]["content"] == "Who am I talking to?"
    record = record_of(tmp_path, run)
    times = [data["seconds"] for _, data in record.notes("caller_answered")]
    assert all(seconds >= 0.2 for seconds in times), "measured"
    asked = [t for t, _ in record.notes("caller_answered")]
    spoke = [t for t, _ in record.of(SpeechStarted)]
    waited = [begins - t for t, begins in zip(asked, spoke, strict=True)]
    assert waited == pytest.approx(times), "and taken on the call's clock"


def test_a_server_without_schemas_is_told_the_contract_in_words(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    openai_server.will(
        Refuse(400, "response_format json_schema is not supported", param="response_format"),
        Reply(json.dumps(HELLO)),
        Reply("```json\n" + json.dumps(DROPS) + "\n```"),
    )
    model = OpenAIModel("player", base_url=openai_server.base_url, api_key="sk-test-123456789")
    callers = Callers(player=lambda scenario, attempt: model)
    [run] = play(tmp_path, PERSONA, DECLINES, [ASKS[0], DECLINED], callers=callers)
    assert run.verdict == "on_time", run.detail
    assert '"stay_silent"' in openai_server.requests[-1].body["messages"][0]["content"]


# --- on the command line -------------------------------------------------------------------------------
BUSINESS = """\
id: shop
name: Shop
language: en
region: IL
greeting: {text: "Hello, this is the shop, how can I help?"}
fields: [{name: full_name, required: true}, {name: phone, type: phone, required: true}]
prompt: Answer.
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "shop.yaml").write_text(BUSINESS, encoding="utf-8")
    text = f"name: teacher\nbusiness: shop\ncaller: {PERSONA}\nexpect: {{{DECLINES}}}\n"
    (tmp_path / "call.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_offline_model_plays_no_caller(project: Path) -> None:
    done = callbot("eval", "call.yaml", "--model", "offline", cwd=project)
    assert done.returncode == 2
    assert "Error: offline cannot play a caller, and teacher needs one played" in done.stderr
    assert "--caller-model" in done.stderr
    assert not (project / "reports").exists()
    done = callbot("eval", "call.yaml", "--model", "offline", "--caller-model", "offline", cwd=project)
    assert done.returncode == 2


def test_another_model_plays_the_caller(project: Path, openai_server: OpenAIServer) -> None:
    openai_server.will(*(Reply(json.dumps(answer)) for answer in (HELLO, DROPS, LEAVES)))
    player = f"openai:player@{openai_server.base_url}"
    done = callbot(
        "eval", "call.yaml", "--model", "offline", "--caller-model", player, "--json", "r.json", cwd=project
    )
    report = json.loads((project / "r.json").read_text(encoding="utf-8"))
    [run] = report["scenarios"][0]["runs"]
    assert [t["caller"] for t in run["turns"] if t["n"]][:2] == [HELLO["say"], DROPS["say"]], done.stdout
    assert run["caller_tokens"]["input"] >= 240
    assert report["summary"]["tokens"]["input"] == 0, "what the caller used is counted with nobody's"
    assert report["scenarios"][0]["end"]["after"] == "declined"


def test_by_default_one_model_plays_both_sides(project: Path, openai_server: OpenAIServer) -> None:
    def respond(body: dict[str, Any]) -> Reply:
        if body["response_format"]["json_schema"]["name"] == "caller":
            spoken = sum(message["role"] == "assistant" for message in body["messages"])
            return Reply(json.dumps([HELLO, DROPS][min(spoken, 1)]))
        heard = " ".join(m["content"] for m in body["messages"] if m["role"] == "user")
        end = "customer_declined" if "rather not" in heard else None
        status = "declined" if end else "in_progress"
        return Reply(reply_json("Fine, goodbye." if end else "Your name?", end=end, status=status))

    openai_server.respond = respond
    model = f"openai:both@{openai_server.base_url}"
    done = callbot("eval", "call.yaml", "--model", model, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    tape = "--cassette", "fill:tape.jsonl"
    assert callbot("eval", "call.yaml", "--model", model, *tape, cwd=project).returncode == 0
    asked = len(openai_server.requests)
    again = callbot("eval", "call.yaml", "--model", model, "--cassette", "read:tape.jsonl", cwd=project)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(openai_server.requests) == asked, "the caller's answers are on the cassette too"


def players(name: str | None, folder: Path, budget: Budget) -> Players:
    """The players of a run of one persona scenario with a scripted bot."""
    path = folder / "call.yaml"
    path.write_text(
        f"name: call\nbusiness: shop\ncaller: {PERSONA}\nexpect: {{end: open}}\n", encoding="utf-8"
    )
    bot = scripted(folder, ASKS)
    return Players(name, Bot(bot, bot, budget), read_scenarios([path]), seed=0, concurrency=1, cassette=None)


def test_what_another_model_costs_as_the_caller_cannot_be_limited(tmp_path: Path) -> None:
    with pytest.raises(CallbotError, match="--max-cost cannot count what openai:other costs as the caller"):
        players("openai:other", tmp_path, Budget(max_cost=1.0))
    players(None, tmp_path, Budget(max_cost=1.0))


def test_the_callers_questions_are_requests_of_the_run_too(tmp_path: Path) -> None:
    budget = Budget(limit=5)
    scripted(tmp_path, [HELLO, DROPS, LEAVES], "caller.yaml")
    made = players(f"scripted:{tmp_path / 'caller.yaml'}", tmp_path, budget)
    [run] = play(tmp_path, PERSONA, DECLINES, [ASKS[0], ASKS[1]], callers=made.callers)
    assert (run.verdict, budget.used) == ("never", 3)
    [scenario] = read_scenarios([tmp_path / "call.yaml"])
    assert planned_requests([scenario], {"shop": shop()}, 2) == 16
