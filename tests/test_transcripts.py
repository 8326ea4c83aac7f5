"""Transcripts of real calls: their format, and a model asked at every turn of their callers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cli import callbot
from hypothesis import given
from hypothesis import strategies as st
from openai_server import OpenAIServer, Refuse, Reply, reply_json
from transcript_samples import TURNS, call, shop, write_calls

from callbot.business import read_business
from callbot.errors import InvalidInput
from callbot.evals.budget import Budget
from callbot.evals.report import RunReport
from callbot.evals.runner import Attempt, Runner
from callbot.evals.scenario_files import read_scenarios
from callbot.evals.selection import Found, select
from callbot.evals.transcripts import Transcript, parse_transcript, read_transcripts, transcript_line
from callbot.models.scripted import ScriptedModel
from callbot.record import read_record
from callbot.schemas import scenario_schema, transcript_schema

GO_ON = json.loads(reply_json("Go on.", missing=["full_name", "phone"]))
NAMED = json.loads(reply_json("Thanks.", missing=["phone"], lead={"full_name": "Dana Levi"}))
ENDS = json.loads(reply_json("Bye!", end="customer_declined", status="declined"))


def evaluate(folder: Path, *replies: Any, extra: tuple[str, ...] = ()) -> tuple[int, dict[str, Any], str]:
    """Run ``calls.yaml`` on a scripted model: exit code, report, what was printed."""
    (folder / "replies.yaml").write_text(json.dumps(list(replies)), encoding="utf-8")
    done = callbot(
        "eval", "calls.yaml", "--model", "scripted:replies.yaml", "--json", "r.json", *extra, cwd=folder
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads((folder / "r.json").read_text(encoding="utf-8")), done.stdout


def attempt(folder: Path, *replies: Any) -> RunReport:
    """The first call of ``calls.yaml`` put to a scripted model once."""
    (folder / "replies.yaml").write_text(json.dumps(list(replies)), encoding="utf-8")
    (folder / "records").mkdir(exist_ok=True)
    model = ScriptedModel(folder / "replies.yaml")
    runner = Runner(model, folder, budget=Budget(), on_finished=lambda scenario, run: None)
    business = read_business(folder / "prompts/shop.yaml")
    [scenario] = read_scenarios([folder / "calls.yaml"])
    return asyncio.run(runner.attempt(Attempt(scenario, business, 1)))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "calls.yaml").write_text(
        "name: march\nbusiness: shop\ntags: [real]\ntranscripts: calls.jsonl\n", encoding="utf-8"
    )
    return shop(tmp_path)


# --- scoring --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("keys", "replies", "verdict", "wanted"),
    [
        ({"end_turn": 5, "end_reason": "customer_declined"}, [GO_ON, GO_ON, ENDS], "on_time", 3),
        ({"end_turn": 5}, [GO_ON, ENDS, GO_ON], "premature", 2),
        ({"end_turn": 5, "end_reason": "wrong_number"}, [GO_ON, GO_ON, ENDS], "wrong_reason", 3),
        ({"end_turn": 3}, [GO_ON, GO_ON, ENDS], "late", 3),
        ({"end_turn": 5}, [GO_ON], "never", None),
        ({"end_turn": None}, [GO_ON], "open", None),
        ({"end_turn": None}, [GO_ON, ENDS], "premature", 2),
    ],
)
def test_the_first_request_is_judged_by_the_true_end(
    project: Path, keys: dict[str, Any], replies: list[Any], verdict: str, wanted: int | None
) -> None:
    """The verdicts of an evaluation, on the model's raw request; no guard refuses an incomplete lead."""
    write_calls(project / "calls.jsonl", call(**keys))
    run = attempt(project, *replies)
    assert (run.verdict, run.wanted_end) == (verdict, wanted)
    assert run.passed == (verdict in ("on_time", "open"))
    assert run.call_verdict is None
    assert [turn.n for turn in run.turns] == [0, 1, 2, 3], "every turn is asked, also after a request"
    assert all(turn.control for turn in run.turns[1:])
    assert run.measures.drifts == 0 if replies == [GO_ON] else run.measures.drifts > 0


def test_within_allows_a_request_in_the_turns_after(project: Path) -> None:
    """``within`` widens the window behind the true end, not before it."""
    write_calls(project / "calls.jsonl", call(end_turn=3))
    with (project / "calls.yaml").open("a", encoding="utf-8") as file:
        file.write("within: 1\n")
    assert attempt(project, GO_ON, GO_ON, ENDS).verdict == "on_time"
    assert attempt(project, ENDS).verdict == "premature"


def test_repeats_and_several_calls_run_side_by_side(project: Path) -> None:
    """Attempts, concurrency and names are those of any scenario; odd ids are kept apart."""
    write_calls(project / "calls.jsonl", *(call(name, end_turn=5) for name in ("x/1", "x_1", 'א "ב"')))
    _, report, _ = evaluate(project, GO_ON, GO_ON, ENDS, extra=("--repeat", "2", "--concurrency", "3"))
    assert [s["name"] for s in report["scenarios"]] == ["march/x/1", "march/x_1", 'march/א "ב"']
    records = {run["record"] for s in report["scenarios"] for run in s["runs"]}
    assert len(records) == 6
    [folder] = {path.parent.parent for path in project.glob("reports/*/records/*")}
    assert all(read_record(folder / record).header["line"] == "transcript" for record in records)
    for line in (folder / "runs.jsonl").read_text(encoding="utf-8").splitlines():
        assert json.loads(line)["scenario"].startswith("march/")


def test_what_the_model_is_told(project: Path, openai_server: OpenAIServer) -> None:
    """Both sides as they were, the bot's turns in the shape of the contract, with the lead so far."""
    write_calls(project / "calls.jsonl", call(end_turn=5))
    openai_server.will(*(Reply(json.dumps(reply)) for reply in (GO_ON, NAMED, ENDS)))
    done = callbot(
        *("eval", "calls.yaml", "--model", f"openai:x@{openai_server.base_url}"),
        cwd=project,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second, third = (request.body["messages"] for request in openai_server.requests)
    assert [m["role"] for m in first if m["role"] != "system"][-1] == "user"
    said = [m["content"] for m in third if m["role"] == "user"]
    assert [text for text in said if not text.startswith("<backend>")] == [
        text for speaker, text in TURNS if speaker == "caller"
    ]
    spoken = [json.loads(m["content"]) for m in third if m["role"] == "assistant"]
    assert [reply["spoken_reply"] for reply in spoken] == [
        text for speaker, text in TURNS if speaker == "bot"
    ], "what was really said, never what the model would have said"
    assert spoken[-1]["lead"] == {"full_name": "Dana Levi", "phone": None}
    assert spoken[-1]["control"]["missing_fields"] == ["phone"]
    assert "Dana Levi" not in json.dumps(first), "no question knows what comes later"
    assert len(second) < len(third)


def test_what_the_model_would_have_said_is_shown(project: Path) -> None:
    """The transcript's words stand where they were; the model's own stand beside its request."""
    write_calls(project / "calls.jsonl", call(end_turn=5))
    _, report, printed = evaluate(project, GO_ON, ENDS)
    turns = report["scenarios"][0]["runs"][0]["turns"]
    assert (turns[2]["bot"], turns[2]["answer"]) == ("Anything else?", "Bye!")
    assert "Anything else?" in printed
    assert "saying  Bye!" in printed
    assert "the call went on" not in printed


def test_a_provider_that_fails_is_infra(project: Path, openai_server: OpenAIServer) -> None:
    """Neither pass nor fail, and the Record holds the turns up to it."""
    write_calls(project / "calls.jsonl", call(end_turn=5))
    openai_server.will(Reply(json.dumps(GO_ON)), *[Refuse(400) for _ in range(9)])
    done = callbot(
        *("eval", "calls.yaml", "--model", f"openai:x@{openai_server.base_url}", "--json", "r.json"),
        cwd=project,
    )
    [run] = json.loads((project / "r.json").read_text())["scenarios"][0]["runs"]
    assert (run["verdict"], done.returncode) == ("infra", 3)
    assert [turn["caller"] for turn in run["turns"] if turn["n"]] == [TURNS[1][1], TURNS[3][1]]


def test_a_file_of_calls_can_be_named_itself(project: Path) -> None:
    """``callbot eval calls.jsonl``: the business stands in each call, or is named by --business."""
    write_calls(project / "calls.jsonl", call(end_turn=5, business="shop"), call("b", end_turn=5))
    done = callbot("eval", "calls.jsonl", "--list", cwd=project)
    assert done.returncode == 2
    assert "calls.jsonl:2: business: is missing" in done.stderr
    done = callbot("eval", "calls.jsonl", "--list", "--business", "shop", cwd=project)
    assert "calls/a  shop  calls.jsonl:1" in done.stdout, done.stderr
    assert "calls/b  shop  calls.jsonl:2" in done.stdout


def test_the_bot_of_the_transcript_is_not_the_model(project: Path) -> None:
    """Its goodbye is no fault of the model's; the model's own is."""
    said = [("caller", "that's all"), ("bot", "Bye, have a nice day"), ("caller", "wait")]
    write_calls(project / "calls.jsonl", call("a", said, end_turn=None))
    assert attempt(project, GO_ON).measures.broken_invariants == []
    parting = json.loads(reply_json("Goodbye!", missing=["full_name", "phone"]))
    [fault, _] = attempt(project, parting).measures.broken_invariants
    assert fault == "says goodbye in turn 1 without asking to end"


# --- faults ---------------------------------------------------------------------------------------
FAULTS = {
    "not JSON": ("{", "1: not JSON"),
    "another kind of file": ("name: x\nturns:\n  - y", "holds no JSON lines, one call each"),
    "a list": ("[1]", "1: must be one call"),
    "no turns": ('{"id": "a"}', "1: turns: is missing"),
    "nobody called": (
        '{"id": "a", "turns": [{"speaker": "bot", "text": "hi"}]}',
        "1: turns: must hold at least one turn of the caller",
    ),
    "another speaker": (
        '{"id": "a", "turns": [{"speaker": "user", "text": "hi"}]}',
        "1: turns.0.speaker: must be 'caller' or 'bot'; found \"user\"",
    ),
    "a key misspelt": (
        '{"id": "a", "end": 1, "turns": [{"speaker": "caller", "text": "hi", "txt": ""}]}',
        'did you mean "text"?',
    ),
    "an end of the bot's": (
        json.dumps(call(end_turn=4)),
        "1: end_turn: 4 is a turn of the bot's; it must be one of the caller's; the caller turn before it is 3",
    ),
    "an end behind the call": (json.dumps(call(end_turn=6)), "1: end_turn: 6 lies behind the last turn, 5"),
    "a reason without an end": (json.dumps(call(end_turn=None, end_reason="x")), "1: end_reason: goes with"),
    "the same id twice": (
        "\n".join([json.dumps(call(end_turn=5))] * 2),
        '2: id: "a" is also the id of line 1',
    ),
    "no label": (json.dumps(call()), "1: end_turn: is missing"),
    "nothing": ("\n", "holds no transcripts"),
    "an unknown reason": (
        json.dumps(call(end_turn=5, end_reason="wrong_numbr")),
        '1: expect.end.reason: "wrong_numbr" is not an end reason of shop; did you mean "wrong_number"?',
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_line(project: Path, name: str) -> None:
    """The line, the key, and how to mend it."""
    text, expected = FAULTS[name]
    (project / "calls.jsonl").write_text(text, encoding="utf-8")
    business = read_business(project / "prompts/shop.yaml")
    with pytest.raises(InvalidInput) as raised:
        select([project / "calls.yaml"], lambda business_id: Found(business))
    assert expected in str(raised.value)


def test_a_call_without_an_end_runs_nothing(project: Path) -> None:
    """Exit code 2, and the command that mends it."""
    write_calls(project / "calls.jsonl", call())
    done = callbot("eval", "calls.yaml", "--model", "offline", cwd=project)
    assert (done.returncode, done.stdout) == (2, "")
    assert "mark it with: callbot label calls.jsonl" in done.stderr
    assert not (project / "reports").exists()


def test_a_file_that_is_not_there(project: Path) -> None:
    """The line of the key, and from where the path counts."""
    done = callbot("eval", "calls.yaml", "--list", cwd=project)
    assert "calls.yaml:4: transcripts: there is no file calls.jsonl; the path counts from" in done.stderr


# --- the format -----------------------------------------------------------------------------------
texts = st.text(min_size=1).filter(lambda text: text.strip() and text.isprintable())
turns = st.lists(
    st.fixed_dictionaries({"speaker": st.sampled_from(["caller", "bot"]), "text": texts}), min_size=1
).filter(lambda said: any(turn["speaker"] == "caller" for turn in said))


@given(turns, st.data())
def test_a_call_is_read_as_it_was_written(said: list[dict[str, str]], data: st.DataObject) -> None:
    """Whatever was said and wherever it ends: written, read, and valid by the published schema."""
    callers = [index for index, turn in enumerate(said) if turn["speaker"] == "caller"]
    keys: dict[str, Any] = {"id": "a", "turns": said}
    if data.draw(st.booleans()):
        keys["end_turn"] = data.draw(st.sampled_from([None, *callers]))
        if keys["end_turn"] is not None:
            keys["end_reason"] = data.draw(st.sampled_from([[], ["x"], ["x", "y"]]))
    written = Transcript.model_validate(keys)
    line = transcript_line(written)
    read = parse_transcript(line, Path("calls.jsonl"), 1)
    assert (read.turns, read.end_turn, read.end_reason) == (
        written.turns,
        written.end_turn,
        written.end_reason,
    )
    assert read.is_labelled == written.is_labelled
    jsonschema.Draft202012Validator(transcript_schema()).validate(json.loads(line))


def test_a_byte_order_mark_and_blank_lines_are_no_matter(tmp_path: Path) -> None:
    """Editors leave both."""
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b"\xef\xbb\xbf\r\n" + json.dumps(call()).encode() + b"\r\n\r\n")
    [line] = read_transcripts(path)
    assert (line.number, line.call.id) == (2, "a")
    path.write_bytes(json.dumps(call("é"), ensure_ascii=False).encode("latin-1"))
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_transcripts(path)


def test_scenario_files_of_transcripts_fit_the_schema() -> None:
    """Editors that check scenario files accept them, alone and in a list."""
    validator = jsonschema.Draft202012Validator(scenario_schema())
    one = {"name": "march", "business": "shop", "transcripts": "calls.jsonl", "within": 1}
    validator.validate(one)
    validator.validate({"scenarios": [one]})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"name": "march"})
