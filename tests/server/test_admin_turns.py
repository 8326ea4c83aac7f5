"""A Record, read turn by turn: what was heard, what was decided, and what became of it."""

from __future__ import annotations

from callbot import events as ev
from callbot.record import Record, header
from callbot.rules import Rules
from callbot.server.admin.turns import Course, Decision, Remark, Said

ENDS = ev.Control(should_end_call=True, end_reason="lead_complete", lead_status="complete")


def course(*happenings: object, streamed: bool = False) -> Course:
    """The course of a call in which these things happened, a second apart."""
    rules = Rules(greeting="Hello", greeting_streamed=streamed)
    record = Record(header(call_id="c", rules=rules))
    for t, what in enumerate((ev.CallStarted(), *happenings)):
        if isinstance(what, ev.Note):
            record.note(float(t), what.type, **what.data)
        elif isinstance(what, (ev.Speak, ev.ClearAudio, ev.HangUp, ev.AskModel, ev.SaveLead, ev.CancelModel)):
            record.command(float(t), what)
        else:
            record.event(float(t), what)
    made = Course(record.header)
    for number, entry in enumerate(record.entries):
        made.take(number, entry)
    return made


def ask(
    turn: int, occasion: ev.Occasion = ev.Occasion.CALLER_SPOKE, *, fallback: bool = False
) -> ev.AskModel:
    return ev.AskModel(turn, (), {}, (), occasion, fallback=fallback)


def bot(made: Course) -> list[tuple[str, str]]:
    """What the bot said, and what became of it."""
    said = [item for turn in made.turns for item in turn.items if isinstance(item, Said)]
    return [(item.text, item.heard) for item in said if item.speaker == "bot"]


def guards(made: Course) -> list[str]:
    """What became of each answer's request to end."""
    return [decision.guard for turn in made.turns for decision in turn.decisions]


def test_what_was_heard_and_what_was_not() -> None:
    """Played to its end, cut in its middle, never begun, never said, and never confirmed."""
    made = course(
        *(ev.UserSpoke("hi"), ask(1), ev.Speak(1, "one"), ev.Speak(2, "two"), ev.Speak(3, "three")),
        *(ev.Played(1), ev.ClearAudio(), ev.Played(3)),
        *(ev.UserSpoke("and"), ask(2), ev.Speak(4, "four"), ev.VoiceFailed(4, "no voice")),
        *(ev.Speak(5, "five"), ev.Note("mark_lost", {"mark": 5}), ev.Speak(6, "six"), ev.Speak(7, "seven")),
    )
    assert bot(made) == [
        ("Hello", "heard"),
        *(("one", "heard"), ("two", "cut"), ("three", "unheard")),
        *(("four", "unheard"), ("five", "assumed"), ("six", "speaking"), ("seven", "waiting")),
    ]
    assert [turn.n for turn in made.turns] == [0, 1, 2]


def test_a_caller_who_hangs_up_hears_no_more() -> None:
    """What was on the air was cut, what waited behind it never began."""
    made = course(ev.UserSpoke("hi"), ask(1), ev.Speak(1, "one"), ev.Speak(2, "two"), ev.CallerHungUp())
    assert bot(made)[1:] == [("one", "cut"), ("two", "unheard")]


def test_what_became_of_requests_to_end() -> None:
    """Refused; accepted, and taken back by a caller who spoke during the farewell; dropped; accepted."""
    refused = ev.Note("end_refused", {"turn": 1, "reason": "lead_complete", "why": "no phone"})
    made = course(
        *(ev.UserSpoke("hi"), ask(1), ev.ReplyDone(1, ENDS), refused, ask(2, ev.Occasion.END_REFUSED)),
        ev.ReplyDone(2),
        *(ev.UserSpoke("0521234567"), ask(3), ev.ReplyDone(3, ENDS)),
        *(ev.UserSpoke("wait"), ask(4, ev.Occasion.AFTER_FAREWELL), ev.ReplyDone(4, ENDS)),
        *(ev.UserSpoke("no, wait"), ask(5), ev.ReplyDone(5, ENDS)),
    )
    assert guards(made) == ["refused", "", "accepted", "withdrawn", "asked"]
    assert made.turns[2].changed == made.turns[3].items[1].asked_at, "its turn is told again (entry = second)"
    assert made.turns[1].decisions[0].why == "no phone"
    made.take(99, made_entry(ev.HangUp(ev.EndedBy.MODEL, "lead_complete")))
    assert guards(made)[-1] == "accepted"
    assert [turn.n for turn in made.turns] == [0, 1, 2, 3, 4]


def made_entry(command: ev.Command) -> object:
    record = Record({})
    record.command(50.0, command)
    return record.entries[0]


def test_an_answer_that_the_caller_overtakes() -> None:
    """Its question is cancelled; a fallback's question is the same turn's."""
    made = course(
        *(ev.UserSpoke("hi"), ask(1), ev.UserSpoke("one more thing"), ev.CancelModel(1), ask(2)),
        *(ev.Note("reply_failed", {"turn": 2, "error": "down", "fallback": False}), ask(3, fallback=True)),
        *(ev.SentenceReady(3, "Yes."), ev.Speak(1, "Yes."), ev.AudioQueued(1, 1.0), ev.ReplyDone(3)),
    )
    first, second = made.turns[1:]
    assert [decision.cancelled for decision in first.decisions] == [True]
    assert [(d.fallback, d.control is None) for d in second.decisions] == [(False, True), (True, False)]
    assert second.n == 2
    assert str(second.decisions[1].stages) == "first sentence 1000 ms, first audio 1000 ms, together 2000 ms"
    assert [item.text for item in second.items if isinstance(item, Remark)] == ["the model failed: down"]


def test_the_lead_stands_as_it_stood_at_each_turn() -> None:
    """With what each turn has added."""
    made = course(
        *(ev.UserSpoke("Dana"), ask(1), ev.ReplyDone(1), ev.SaveLead({"name": "Dana"}, "in_progress")),
        *(
            ev.UserSpoke("052"),
            ask(2),
            ev.ReplyDone(2),
            ev.SaveLead({"name": "Dana", "phone": "052"}, "complete"),
        ),
    )
    assert [(dict(t.lead), sorted(t.new), t.lead_status) for t in made.turns[1:]] == [
        ({"name": "Dana"}, ["name"], "in_progress"),
        ({"name": "Dana", "phone": "052"}, ["phone"], "complete"),
    ]


def test_a_decision_is_read_behind_its_words() -> None:
    """It may come before they are spoken; a warning after it stays after it."""
    warning = ev.Speak(3, "Are you there?", ev.SpeechKind.WARNING)
    made = course(
        ev.UserSpoke("hi"), ask(1), ev.ReplyDone(1), ev.Speak(1, "one"), ev.Speak(2, "two"), warning
    )
    told = [item.text if isinstance(item, Said) else type(item) for item in made.turns[1].told]
    assert told == ["hi", "one", "two", Decision, "Are you there?"]


def test_a_line_that_was_lost_is_told() -> None:
    """What was on the air when it went is not heard."""
    made = course(ev.UserSpoke("hi"), ask(1), ev.Speak(1, "one"), ev.CallResumed(), ev.Speak(2, "again"))
    assert bot(made)[1:] == [("one", "cut"), ("again", "speaking")]
    assert made.lines_lost == 1


def test_claims_that_are_not_so_are_told_in_words() -> None:
    """As the model claimed, and as it was."""
    claims = {"missing_fields": {"claimed": [], "computed": ["phone"]}}
    made = course(ev.UserSpoke("hi"), ask(1), ev.ReplyDone(1), ev.Note("drift", {"turn": 1, **claims}))
    remarks = [item.text for item in made.turns[1].items if isinstance(item, Remark)]
    assert remarks == ["the model's claim is not so: missing fields none, in fact phone"]
