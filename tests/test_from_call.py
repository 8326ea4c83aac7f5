"""``callbot scenario from-call``: a call becomes a scenario that takes the same course, nobody named in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cli import REPOSITORY, callbot

from callbot import events as ev
from callbot.business import Business, read_business, rules_of
from callbot.errors import CallbotError
from callbot.evals.budget import Budget
from callbot.evals.from_call import scenario_text
from callbot.evals.report import RunReport
from callbot.evals.runner import Attempt, Runner
from callbot.evals.scenario import Scenario
from callbot.evals.scenario_files import read_scenarios
from callbot.models.offline.model import OfflineModel
from callbot.record import Record, header, read_record
from callbot.yamlfile import read_yaml

CHAT = """\
שלום, אני צריכה ניקוי ספות
קוראים לי דנה לוי
/silence 9
הטלפון שלי 052-123-4567
/interrupt
מחר בבוקר ברחוב הרצל 15
רגע, עוד שאלה, כמה זה עולה?
לא, זה הכל, תודה
"""


def business(name: str) -> Business:
    return read_business(REPOSITORY / f"prompts/{name}.yaml")


def ran(folder: Path, scenario: Scenario) -> tuple[RunReport, Record]:
    """A scenario run once on the embedded model, and its Record."""
    (folder / "records").mkdir(exist_ok=True)
    runner = Runner(OfflineModel(), folder, budget=Budget(), on_finished=lambda scenario, run: None)
    run = asyncio.run(runner.attempt(Attempt(scenario, business(scenario.business), 1)))
    return run, read_record(folder / run.record)


def test_a_chat_becomes_a_scenario_that_passes(tmp_path: Path) -> None:
    """By its id in the database: silences, interruptions, the lead and the end are those of the call."""
    (tmp_path / "prompts").symlink_to(REPOSITORY / "prompts")
    said = callbot("chat", "ruti-cleaning", "--from", "+972541112233", stdin=CHAT, cwd=tmp_path)
    assert "call ended by model: lead_complete" in said.stdout, said.stderr
    [recording] = (tmp_path / "recordings/calls").iterdir()
    (recording / "record.jsonl").rename(tmp_path / "elsewhere.jsonl")
    done = callbot("scenario", "from-call", recording.name[:18], "-o", "call.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "call.yaml").read_text(encoding="utf-8")
    for secret in ("דנה", "לוי", "1234567", "123-4567", "541112233", "הרצל"):
        assert secret not in text, secret
    assert "# REVIEW" in text
    [scenario] = read_scenarios([tmp_path / "call.yaml"])
    assert scenario.business == "ruti-cleaning"
    assert [turn.silence for turn in scenario.turns if turn.silence] == [9.0]
    assert [n for n, turn in enumerate(scenario.turns, 1) if turn.barge_in] == [6]
    assert scenario.expect.end is not None
    assert (scenario.expect.end.turns, scenario.expect.end.reason) == ([7, 7], ["lead_complete"])
    again = callbot("eval", "call.yaml", "--model", "offline", cwd=tmp_path)
    assert again.returncode == 0, again.stdout
    by_file = callbot("scenario", "from-call", "elsewhere.jsonl", cwd=tmp_path)
    assert by_file.stdout == text
    over = callbot("scenario", "from-call", "elsewhere.jsonl", "-o", "call.yaml", cwd=tmp_path)
    assert (over.returncode, "--overwrite" in over.stderr) == (2, True)


SAME = [
    scenario
    for scenario in read_scenarios([REPOSITORY / "scenarios"], any_business=["ruti-cleaning"])
    if scenario.caller is None
    and {"silence", "farewell", "greeting", "keys", "noise", "interruptions", "no-thanks", "correction"}
    & {*scenario.tags, scenario.file.parent.name}
]


def test_every_kind_of_call_takes_the_same_course(tmp_path: Path) -> None:
    """Shipped scenarios run, turned into scenarios and run again: the same end, for the same reason."""
    assert len(SAME) > 40
    kinds: set[str] = set()
    for scenario in SAME[::2]:
        first, record = ran(tmp_path, scenario)
        cuts = sum(1 for _ in record.of(ev.ClearAudio))
        path = tmp_path / "again.yaml"
        path.write_text(scenario_text(record, business(scenario.business)), encoding="utf-8")
        [made] = read_scenarios([path])
        second, record = ran(tmp_path, made)
        assert sum(1 for _ in record.of(ev.ClearAudio)) == cuts, "as many replies are cut"
        course = (first.wanted_reason, first.end_reason, first.ended_by, set(first.lead))
        again = (second.wanted_reason, second.end_reason, second.ended_by, set(second.lead))
        assert course == again, path.read_text(encoding="utf-8")
        for turn in made.turns:
            kinds.update(key for key in turn.model_fields_set if key != "expect")
    assert kinds >= {"say", "silence", "press", "noise", "hang_up", "barge_in", "during"}


def held(*entries: tuple[float, ev.Event]) -> Record:
    """A Record of these events at the cleaners'."""
    rules = rules_of(business("ruti-cleaning"))
    record = Record(header(call_id="live-1", rules=rules, business="ruti-cleaning", line="text"))
    for t, event in entries:
        record.event(t, event)
    return record


def turns(record: Record, folder: Path) -> list[str]:
    """The turns of the scenario of a Record, as transcripts show them."""
    path = folder / "call.yaml"
    path.write_text(scenario_text(record, business("ruti-cleaning")), encoding="utf-8")
    [scenario] = read_scenarios([path])
    return [str(turn) for turn in scenario.turns]


def test_words_before_an_answer_are_one_turn(tmp_path: Path) -> None:
    """A caller who goes on before anybody answered cannot be scripted as two who wait."""
    record = held(
        (0, ev.CallStarted()),
        (1, ev.SpeechStarted()),
        (2, ev.UserSpoke("hello")),
        (2.5, ev.SpeechStarted()),
        (3, ev.UserSpoke("is anybody there")),
        (4, ev.CallerHungUp()),
    )
    assert turns(record, tmp_path) == ["hello is anybody there", "[hangs up]"]


def test_keys_noise_and_pauses(tmp_path: Path) -> None:
    """Keys in one go are one turn; sound without words is noise; a long pause is a silence below the warning."""
    record = held(
        (0, ev.CallStarted()),
        (7.5, ev.KeyPressed("1")),
        (8, ev.KeyPressed("2")),
        (9, ev.SpeechStarted()),
        (10.5, ev.UserSpoke("")),
    )
    assert turns(record, tmp_path) == ["[silent for 6.5 s]", "[presses 12]", "[noise for 1.5 s]"]


def test_a_call_without_a_caller_is_refused(tmp_path: Path) -> None:
    """There is nothing to script; and an id that nobody knows says where to look."""
    with pytest.raises(CallbotError, match="nobody said anything on the call live-1"):
        turns(held((0, ev.CallStarted())), tmp_path)
    (tmp_path / "prompts").symlink_to(REPOSITORY / "prompts")
    callbot("db", "upgrade", cwd=tmp_path)
    done = callbot("scenario", "from-call", "nothing", cwd=tmp_path)
    assert done.returncode == 2
    assert 'unknown call "nothing"' in done.stderr


def test_odd_words_survive_the_file(tmp_path: Path) -> None:
    """Quotes, colons, a comment sign and a word that YAML knows are the caller's words still."""
    said = ["no", 'a: "b" # c', "{x}, [y]", "12:30"]
    entries: list[tuple[float, ev.Event]] = [(0, ev.CallStarted())]
    for n, text in enumerate(said):
        entries += [(n * 3 + 1, ev.SpeechStarted()), (n * 3 + 2, ev.UserSpoke(text))]
    assert turns(held(*entries), tmp_path) == [" ".join(said)]
    assert read_yaml(tmp_path / "call.yaml").data["caller"]["turns"][0]["say"] == " ".join(said)
