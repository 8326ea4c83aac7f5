"""One contract for every line: the same calls, the same promises kept, the same conversation.

What a driver and its line owe the engine stands in the docstring of ``call.py``. A new line is one
more entry of ``LINES``.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import microphone_stage
import pytest
from twilio_stage import hold_call

from callbot import events as ev
from callbot.business import Business, rules_of
from callbot.call import Call
from callbot.driver import Dialogue, Driver, ManualClock
from callbot.evals.callers import ScriptedCaller
from callbot.evals.casting import CallerTurn
from callbot.events import BotSaid, CallerSaid, EndedBy
from callbot.lines.text import TextLine
from callbot.models.scripted import ScriptedModel
from callbot.record import Record, header, replayed, rules_from_json
from callbot.replay import VirtualDriver
from callbot.sound import PHONE

NOW = dt.datetime(2026, 11, 29, 10, 0, tzinfo=dt.UTC)


def clinic(**changes: Any) -> Business:
    """A tiny business."""
    document = {
        "id": "clinic",
        "name": "Clinic",
        "language": "en",
        "greeting": {"text": "Hello, this is the clinic."},
        "fields": [
            {"name": "name", "required": True},
            {"name": "phone", "type": "phone", "required": True},
        ],
        "end_reasons": [{"name": "transfer", "when": "the caller asks for a person"}],
        "prompt": "Answer.",
    }
    return Business.model_validate({**document, **changes})


def reply(words: str, *, end: str | None = None, status: str = "in_progress", **lead: str) -> dict[str, Any]:
    """A reply of the scripted model."""
    control = {
        "should_end_call": end is not None,
        "end_reason": end,
        "lead_status": status,
        "missing_fields": [],
        "notes": "",
    }
    return {
        "spoken_reply": words,
        "control": control,
        "lead": {"name": None, "phone": None, **lead},
    }


# --- the lines --------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Story:
    """A call: what the caller does, what the model answers, and what becomes of it."""

    turns: Sequence[dict[str, Any]]
    replies: Sequence[Any]
    conversation: Sequence[str]
    ending: tuple[EndedBy, str | None]
    business: Business = field(default_factory=clinic)


class Page:
    """A screen that only remembers."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def bot_said(self, text: str, speech: ev.SpeechKind) -> None:
        self.shown.append(text)

    def hint(self, text: str) -> None:
        pass


def make_call(story: Story, folder: Path, line: str) -> tuple[Call, Dialogue, Record]:
    """What every line needs for a story."""
    path = folder / "replies.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in story.replies), encoding="utf-8")
    rules = rules_of(story.business)
    dialogue = Dialogue(story.business, ScriptedModel(path), wall_clock=lambda: NOW)
    return Call(rules), dialogue, Record(header(call_id="story", rules=rules, line=line))


async def on_simulated_line(story: Story, folder: Path) -> Record:
    """The virtual-time driver with its simulated carrier."""
    call, dialogue, record = make_call(story, folder, "simulated")
    caller = ScriptedCaller([CallerTurn(**turn) for turn in story.turns])
    await VirtualDriver(call, caller, dialogue.ask, record).run()
    return record


async def on_text_line(story: Story, folder: Path) -> Record:
    """The asyncio driver on manual time; the caller types."""
    call, dialogue, record = make_call(story, folder, "text")
    clock, page, lines = ManualClock(), Page(), typed(story.turns)

    async def read() -> str | None:
        return next(lines, None)

    line = TextLine(call.rules, clock, page, read)
    driver = Driver(
        call, line, dialogue, record, clock=clock, observe=lambda t, what, call: line.follow(call)
    )
    await asyncio.wait_for(driver.run(), 10.0)
    heard = [entry.text for entry in call.history.entries if isinstance(entry, BotSaid)]
    assert " ".join(page.shown) == " ".join(text for text in heard if text), "what is printed counts as heard"
    return record


async def on_twilio_line(story: Story, folder: Path) -> Record:
    """The asyncio driver on manual time; the caller is on a Media Stream."""
    call, dialogue, record = make_call(story, folder, "twilio")
    carrier, hang_ups = await hold_call(call, dialogue, record, story.turns)
    assert hang_ups == [command for _, command in record.of(ev.HangUp)]
    assert carrier.closed_with == 1000
    queued = [event.seconds for _, event in record.of(ev.AudioQueued)]
    assert carrier.audio() == queued, "the carrier has what the call was told it has"
    assert carrier.returned_unheard.isdisjoint(played.mark for _, played in record.of(ev.Played))
    return record


async def on_microphone_line(story: Story, folder: Path) -> Record:
    """The asyncio driver on manual time; the caller sits at a sound card."""
    call, dialogue, record = make_call(story, folder, "microphone")
    greeting = b"\x00" * PHONE.rate  # a second of mu-law's loudest, to be told from silence
    card = await microphone_stage.hold_call(
        call, dialogue, record, story.turns, None if call.rules.greeting_streamed else greeting
    )
    assert card.closed
    if not call.rules.greeting_streamed:
        loud = bytes(card.played).strip(b"\0")
        assert len(loud) == 2 * PHONE.rate, "the greeting was played once and whole"
    return record


def typed(turns: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A caller's turns as somebody types them."""
    for turn, following in zip(turns, [*turns[1:], {}], strict=True):
        if "barge_in" in following:
            yield "/interrupt"
        match turn:
            case {"say": words}:
                yield words
            case {"noise": _}:
                yield ""
            case {"silence": seconds}:
                yield f"/silence {seconds}"
            case {"press": keys}:
                yield f"/press {keys}"
            case {"hang_up": True}:
                yield "/hangup"


LINES: dict[str, Callable[[Story, Path], Awaitable[Record]]] = {
    "simulated": on_simulated_line,
    "text": on_text_line,
    "twilio": on_twilio_line,
    "microphone": on_microphone_line,
}

# --- the stories ------------------------------------------------------------------------------------
STORIES = {
    "lead": Story(
        [{"say": "I'm Dana"}, {"say": "050 123 4567"}],
        [
            reply("Hi Dana. Your number?", name="Dana"),
            reply("Thank you. Goodbye.", end="lead_complete", status="complete", phone="+972501234567"),
        ],
        [
            "> Hello, this is the clinic.",
            "< I'm Dana",
            "> Hi Dana. Your number?",
            "< 050 123 4567",
            "> Thank you. Goodbye.",
        ],
        (EndedBy.MODEL, "lead_complete"),
    ),
    "refused": Story(
        [{"say": "I'm Dana"}, {"say": "no, leave it"}],
        [
            reply("Thanks, goodbye.", end="lead_complete", name="Dana"),
            reply("One more thing: your number?"),
            reply("All right, goodbye.", end="customer_declined", status="declined"),
        ],
        [
            "> Hello, this is the clinic.",
            "< I'm Dana",
            "> Thanks, goodbye.",
            "> One more thing: your number?",
            "< no, leave it",
            "> All right, goodbye.",
        ],
        (EndedBy.MODEL, "customer_declined"),
    ),
    "interrupted": Story(
        [{"say": "hello"}, {"say": "wait", "barge_in": 2.0}, {"say": "bye"}],
        [
            reply("We are open today. We are also open tomorrow morning."),
            reply("Yes?"),
            reply("Goodbye.", end="transfer"),
        ],
        [
            "> Hello, this is the clinic.",
            "< hello",
            "> We are open today./",
            "< wait",
            "> Yes?",
            "< bye",
            "> Goodbye.",
        ],
        (EndedBy.MODEL, "transfer"),
    ),
    "cough": Story(
        [{"say": "hello"}, {"noise": 0.5, "barge_in": 2.0}, {"say": "bye"}],
        [reply("We are open today. We are also open tomorrow morning."), reply("Goodbye.", end="transfer")],
        [
            "> Hello, this is the clinic.",
            "< hello",
            "> We are open today. We are also open tomorrow morning.",
            "< bye",
            "> Goodbye.",
        ],
        (EndedBy.MODEL, "transfer"),
    ),
    "silence": Story(
        [{"say": "hello"}, {"silence": 9}, {"press": "42"}, {"silence": 60}],
        [reply("Hello. What can I do for you?"), reply("I see.")],
        [
            "> Hello, this is the clinic.",
            "< hello",
            "> Hello. What can I do for you?",
            "> Hello?",
            "< 42",
            "> I see.",
            "> Hello?",
            "> Hello?",
            "> Goodbye then.",
        ],
        (EndedBy.SILENCE, "no_response"),
        clinic(silence={"warn": ["Hello?"], "close": "Goodbye then."}),
    ),
    "streamed": Story(
        [{"say": "hello"}, {"hang_up": True}],
        [reply("Hello. What can I do for you?")],
        ["> Good day.", "< hello", "> Hello. What can I do for you?"],
        (EndedBy.CALLER, None),
        clinic(greeting={"text": "Good day.", "mode": "stream"}),
    ),
    "broken model": Story(
        [{"say": "hello"}, {"say": "hello?"}],
        [{"error": "out of order"}],
        [
            "> Hello, this is the clinic.",
            "< hello",
            "> Sorry?",
            "< hello?",
            "> We are closed.",
        ],
        (EndedBy.FAILURE, None),
        clinic(sentences={"apology": "Sorry?", "failure": "We are closed."}),
    ),
}
CASES = [
    (line, story)
    for line in LINES
    for story in STORIES
    # evaluation stops at a provider's failure: a simulated call has no fallback and no apology
    if (line, story) != ("simulated", "broken model")
]


@pytest.mark.parametrize(("line", "story"), CASES)
async def test_line_keeps_the_contract(line: str, story: str, tmp_path: Path) -> None:
    """On every line the driver keeps its promises, and the caller hears the same conversation."""
    told = STORIES[story]
    record = await LINES[line](told, tmp_path)
    record.write(tmp_path / "call.jsonl")
    check_order(record)
    check_audio(record)
    check_questions(record)
    check_speech(record)
    call = check_replay(record)
    said = [_line(entry) for entry in call.history.entries]
    assert said == list(told.conversation)
    assert call.ending is not None
    assert (call.ending.by, call.ending.reason) == told.ending


def _line(entry: ev.Heard) -> str:
    if isinstance(entry, CallerSaid):
        return f"< {entry.text or entry.keys}"
    return f"> {entry.text}" + ("/" if entry.interrupted else "")


# --- the promises -----------------------------------------------------------------------------------
def check_order(record: Record) -> None:
    """Points 1, 3, 4 and 8: time, ticks, the first event and the last command."""
    times = [entry.t for entry in record.entries]
    assert times == sorted(times)
    events = [(t, event) for t, event in ((e.t, e.what) for e in record.entries if e.kind == "event")]
    assert isinstance(events[0][1], ev.CallStarted)
    commands = [entry.what for entry in record.entries if entry.kind == "command"]
    hang_ups = [command for command in commands if isinstance(command, ev.HangUp)]
    assert len(hang_ups) <= 1
    assert not hang_ups or commands[-1] is hang_ups[0]
    call = Call(rules_from_json(record.header["rules"]))
    for t, event in events:
        deadline = call.deadline
        if isinstance(event, ev.Tick):
            assert deadline is not None
            assert t == pytest.approx(deadline), "a Tick came when nobody waited for one"
        else:
            assert deadline is None or t <= deadline + 1e-6, "a deadline passed without a Tick"
        call.receive(event, t)  # type: ignore[arg-type]


def check_audio(record: Record) -> None:
    """Point 5: every utterance is answered, in order, unless it was cleared or the call was over."""
    waiting: list[int] = []
    cleared: set[int] = set()
    for entry in record.entries:
        match entry.what:
            case ev.Speak(mark):
                waiting.append(mark)
            case ev.ClearAudio():
                cleared.update(waiting)
                waiting.clear()
            case ev.Played(mark) | ev.VoiceFailed(mark) if mark not in cleared:
                assert waiting, f"mark {mark} came back twice, or was never sent"
                assert mark == waiting.pop(0), "marks came back out of order"
            case ev.AudioQueued(mark):
                assert mark in waiting
                assert mark not in cleared
            case ev.CallerHungUp():
                return
    assert waiting == []


def check_questions(record: Record) -> None:
    """Point 7: every question has one answer, or was taken back, or the call was over."""
    waiting: set[int] = set()
    for entry in record.entries:
        match entry.what:
            case ev.AskModel(turn):
                waiting.add(turn)
            case ev.CancelModel(turn):
                waiting.remove(turn)
            case ev.SentenceReady(turn):
                assert turn in waiting
            case ev.ReplyDone(turn) | ev.ReplyFailed(turn):
                waiting.remove(turn)
    assert waiting == set()


def check_speech(record: Record) -> None:
    """Point 6: every speech is closed once, before the next one, and confirmed while it lasts."""
    sign: float | None = None
    for entry in record.entries:
        match entry.what:
            case ev.SpeechStarted():
                assert sign is None, "a speech began within a speech"
                sign = entry.t
            case ev.SpeechContinues():
                assert sign is not None
                assert entry.t - sign <= 2.0 + 1e-6
                sign = entry.t
            case ev.UserSpoke():
                assert sign is not None, "a speech ended that never began"
                assert entry.t - sign <= 2.0 + 1e-6
                sign = None
            case ev.CallerHungUp():
                return
    assert sign is None


def check_replay(record: Record) -> Call:
    """The Record's events give its commands and the engine's notes again; the call they make."""
    again = replayed(record)
    assert [e for e in again if e.kind == "command"] == [e for e in record.entries if e.kind == "command"]
    notes = [e for e in again if e.kind == "note"]
    kinds = {entry.what.type for entry in notes}  # type: ignore[union-attr]
    assert notes == [e for e in record.entries if isinstance(e.what, ev.Note) and e.what.type in kinds]
    call = Call(rules_from_json(record.header["rules"]))
    for entry in record.entries:
        if entry.kind == "event":
            call.receive(entry.what, entry.t)  # type: ignore[arg-type]
    return call
