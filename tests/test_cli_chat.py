"""``callbot chat`` as a user types it: the real command, fed line by line."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from cli import REPOSITORY, callbot

from callbot import events
from callbot.record import read_record, replayed


def reply(words: str, *, ends: str | None = None, missing: list[str], **lead: str) -> dict[str, object]:
    """A reply object of the little business below."""
    status = "declined" if ends == "customer_declined" else "in_progress" if missing else "complete"
    control = {
        "should_end_call": ends is not None,
        "end_reason": ends,
        "lead_status": status,
        "missing_fields": missing,
        "notes": "",
    }
    return {"spoken_reply": words, "control": control, "lead": {"name": None, "phone": None, **lead}}


BUSINESS = """
id: shop
name: The Shop
language: en
greeting: {text: "Hello, this is the shop.", mode: MODE}
fields:
  - {name: name, required: true}
  - {name: phone, type: phone, required: true}
silence: {after: 8, warnings: 1, warn: "Are you there?", close: "I will hang up now."}
prompt: "You answer the phone."
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with one business whose greeting the carrier plays."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/shop.yaml").write_text(BUSINESS.replace("MODE", "play"))
    return tmp_path


def script(folder: Path, *replies: object) -> str:
    """Write replies for the scripted model; returns its name."""
    (folder / "replies.jsonl").write_text("\n".join(json.dumps(item) for item in replies))
    return "scripted:replies.jsonl"


def record_of(folder: Path) -> Path:
    """The only Record that was saved."""
    (path,) = folder.glob("recordings/calls/*/record.jsonl")
    return path


def test_a_call_ends_when_the_model_decides_and_everything_is_saved(shop: Path) -> None:
    """Greeting first, control and lead as they change, the end with its reason; Record, call and lead kept."""
    model = script(
        shop,
        reply("Hi. Who is this?", missing=["name", "phone"]),
        reply("And your number?", missing=["phone"], name="Dana"),
        reply("Thank you, goodbye.", ends="lead_complete", missing=[], phone="+12125550143"),
    )
    done = callbot("chat", "shop", "--model", model, cwd=shop, stdin="hello\nDana\n212 555 0143\n")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1] == "bot> Hello, this is the shop."
    assert "bot> Hi." in lines
    assert any("lead in_progress: name: Dana" in line for line in lines)
    assert any("control: ENDS lead_complete" in line for line in lines)
    assert any("call ended by model: lead_complete" in line for line in lines)
    record = read_record(record_of(shop))
    commands = [entry.what for entry in record.entries if entry.kind == "command"]
    again = [entry.what for entry in replayed(record) if entry.kind == "command"]
    assert [type(command) for command in again] == [type(command) for command in commands]
    with sqlite3.connect(shop / "callbot.db") as database:
        assert database.execute("select ended_by, end_reason from calls").fetchall() == [
            ("model", "lead_complete")
        ]
        (fields,) = database.execute("select fields from leads").fetchone()
    assert json.loads(fields) == {"name": "Dana", "phone": "+12125550143"}


def test_quiet_shows_only_what_is_said(shop: Path) -> None:
    """--quiet hides control, guard and lead."""
    model = script(
        shop, reply("Bye.", ends="lead_complete", missing=[]), reply("Go on.", missing=["name", "phone"])
    )
    done = callbot("chat", "shop", "--model", model, "--quiet", cwd=shop, stdin="hello\n/hangup\n")
    assert "control" not in done.stdout
    assert "guard" not in done.stdout
    assert "bot> Bye." in done.stdout
    assert "call ended by caller" in done.stdout


def test_the_guard_is_shown_and_its_second_answer_follows(shop: Path) -> None:
    """A request to end without the details is refused, said so, and asked again."""
    model = script(
        shop,
        reply("Goodbye then.", ends="lead_complete", missing=[]),
        reply("But first, your name?", missing=["name", "phone"]),
    )
    done = callbot("chat", "shop", "--model", model, cwd=shop, stdin="hello\n")
    shown = done.stdout
    assert "guard refused the end: lead_complete needs name, phone" in shown
    assert shown.index("Goodbye then.") < shown.index("But first, your name?")


def test_time_passes_only_by_silence(shop: Path) -> None:
    """/silence lets warnings and the closing sentence come, in order, and ends the call."""
    model = script(shop, reply("Who is this?", missing=["name", "phone"]))
    done = callbot(
        "chat", "shop", "--model", model, cwd=shop, stdin="hello\n/silence 7\n/silence 2\n/silence 30\n"
    )
    shown = done.stdout.splitlines()
    warned = shown.index("bot (warning)> Are you there?")
    assert shown.index("you> /silence 2") < warned < shown.index("you> /silence 30")
    assert (
        shown[shown.index("bot (closing)> I will hang up now.") + 1]
        .strip()
        .startswith("call ended by silence")
    )
    assert "mark was lost" not in done.stdout


def test_interrupting_cuts_after_the_first_sentence_and_a_cough_brings_it_back(shop: Path) -> None:
    """/interrupt: the second sentence is not heard; an empty line is a cough, and it is said again."""
    model = script(
        shop,
        reply("One moment. Here is a long list.", missing=["name", "phone"]),
        reply("Yes? I listen.", missing=["name", "phone"]),
    )
    typed = "/interrupt\nhello\n\n/interrupt\nhello again\nstop\n"
    done = callbot("chat", "shop", "--model", model, "--quiet", cwd=shop, stdin=typed)
    said = [line for line in done.stdout.splitlines() if line.startswith(("bot>", "you>"))]
    assert said == [
        "bot> Hello, this is the shop.",
        "you> /interrupt",
        "you> hello",
        "bot> One moment.",
        "you> ",
        "bot> Here is a long list.",
        "you> /interrupt",
        "you> hello again",
        "bot> Yes?",
        "you> stop",
        "bot> Yes?",
        "bot> I listen.",
    ]


def test_keys_reach_the_model_as_keys(shop: Path) -> None:
    """/press is no speech; what was pressed together arrives together."""
    model = script(shop, reply("Thanks.", missing=["name"], phone="2125550143"))
    callbot("chat", "shop", "--model", model, cwd=shop, stdin="/press 2125550143\n")
    record = read_record(record_of(shop))
    pressed = "".join(event.key for _, event in record.of(events.KeyPressed))
    assert pressed == "2125550143"
    (asked,) = [command for _, command in record.of(events.AskModel)]
    assert asked.turn == 1


def test_a_streamed_greeting_is_spoken_by_the_call(shop: Path) -> None:
    """With mode: stream the greeting is the call's own first utterance, once."""
    (shop / "prompts/shop.yaml").write_text(BUSINESS.replace("MODE", "stream"))
    done = callbot(
        "chat", "--quiet", "--model", script(shop, reply("Yes?", missing=["name"])), cwd=shop, stdin="hi\n"
    )
    assert done.stdout.count("Hello, this is the shop.") == 1
    assert done.stdout.startswith("bot> Hello, this is the shop.\nyou> hi\nbot> Yes?\n")


def test_a_failing_model_is_said_and_the_call_is_kept(shop: Path) -> None:
    """Two turns that nobody can answer end the call after an apology; the Record stays."""
    model = script(shop, {"error": "503 from upstream"})
    done = callbot("chat", "shop", "--model", model, cwd=shop, stdin="hello\nhello?\n")
    assert done.stdout.count("the model failed: 503 from upstream") == 2
    assert "bot (apology)>" in done.stdout
    assert "call ended by failure" in done.stdout
    assert record_of(shop).stat().st_size > 0


def test_the_embedded_model_talks_hebrew_from_the_shipped_files(tmp_path: Path) -> None:
    """Without a key and without options the offline model answers, and says that it does."""
    done = callbot(
        "chat",
        "ruti-cleaning",
        "--prompts-dir",
        REPOSITORY / "prompts",
        cwd=tmp_path,
        stdin="שלום\n/hangup\n",
    )
    assert done.returncode == 0, done.stderr
    assert "model offline (embedded; no --model named, no OPENAI_API_KEY set)" in done.stdout
    assert done.stdout.count("bot> ") >= 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], 'unknown business "nobody": known in prompts/ and in the database: shop'),
        (["shop", "--model", "gpt"], 'unknown model "gpt"'),
        (["shop", "--model", "openai"], "OPENAI_API_KEY"),
        (["shop", "--model", "scripted:none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_what_cannot_start_says_why_and_saves_nothing(shop: Path, arguments: list[str], said: str) -> None:
    """Exit code 2, one clear sentence, no files."""
    done = callbot("chat", *arguments, cwd=shop)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (shop / "recordings").exists()
    assert not (shop / "callbot.db").exists()


def test_a_folder_that_takes_no_call_is_told_before_one_is_held(shop: Path) -> None:
    """Not when it is over."""
    (shop / "recordings").write_text("something else")
    done = callbot("chat", "shop", "--model", script(shop, reply("Hm?", missing=["name"])), cwd=shop)
    assert (done.returncode, done.stdout) == (2, "")
    assert "record.jsonl cannot be written: nothing can be written in" in done.stderr


def test_a_database_that_fails_loses_no_call(shop: Path) -> None:
    """The Record is written first; the error says where it is."""
    (shop / "callbot.db").write_text("this is no database")
    done = callbot(
        "chat", "shop", "--model", script(shop, reply("Hm?", missing=["name"])), cwd=shop, stdin="hello\n"
    )
    assert done.returncode == 2
    assert "the call is kept in recordings" in done.stderr
    assert record_of(shop).stat().st_size > 0
