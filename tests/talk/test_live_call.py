"""What the screen of a talk shows, at any width, and what the deck and the tape keep."""

from __future__ import annotations

import io
import wave

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from callbot import events as ev
from callbot.call import Call
from callbot.events import Control
from callbot.lines.deck import Deck
from callbot.lines.tape import Tape
from callbot.reporting.live_call import LiveCall
from callbot.reporting.live_call_screen import LiveScreen
from callbot.rules import Rules

HEBREW = "שלום, הגעתם לניקיון של רותי. המספר שלנו 03-555-0100, איך אפשר לעזור?"


def played(call: Call, live: LiveCall, t: float, *happened: ev.Event) -> float:
    """Let the engine live through events as a driver would, the screen watching."""
    for event in happened:
        commands = call.receive(event, t)
        live.happened(t, event, call)
        for command in commands:
            live.happened(t, command, call)
    return t


def a_call() -> tuple[Call, LiveCall]:
    """Greeted, answered once, and refused an end."""
    call, live = Call(Rules(greeting=HEBREW, required=("full_name",))), LiveCall.greeting(HEBREW)
    played(call, live, 3.0, ev.CallStarted())
    played(call, live, 4.0, ev.SpeechStarted())
    live.noted(5.9, ev.Note("recognised", {"seconds": 0.4, "audio_seconds": 1.0}))
    played(call, live, 6.0, ev.UserSpoke("קוראים לי דנה"))
    played(call, live, 6.5, ev.SentenceReady(1, "תודה דנה."))
    live.noted(6.6, ev.Note("voice_began", {"mark": 1, "seconds": 0.1}))
    ends = Control(should_end_call=True, end_reason="lead_complete")
    played(call, live, 7.0, ev.ReplyDone(1, ends, {"city": "חיפה"}))
    return call, live


def test_the_stages_of_an_answer_are_told_and_added_up():
    """From the end of speech to the first sound."""
    _, live = a_call()
    assert (
        str(live.stages) == "recognition 400 ms, first sentence 500 ms, first audio 100 ms, together 1000 ms"
    )


def test_the_floor_follows_the_call_and_the_silence_is_counted_down():
    """Thinking, speaking, your turn; a countdown only where the silence clock runs."""
    call, live = a_call()
    assert live.floor == "bot"
    assert live.guard
    assert live.silence_at is None
    played(call, live, 8.0, ev.ReplyDone(2, Control(), {}))
    played(call, live, 9.0, ev.Played(1))
    while live.floor == "bot":
        mark = max(what for what in live._on_air)
        played(call, live, 9.5, ev.Played(mark))
    assert live.floor == "nobody"
    assert live.silence_at == pytest.approx(9.5 + call.rules.silence_after, abs=1.0)
    played(call, live, 10.0, ev.SpeechStarted())
    assert live.floor == "you"
    assert live.silence_at is None
    played(call, live, 11.0, ev.CallerHungUp())
    assert live.floor == "over"


def test_what_was_cut_is_shown_as_cut():
    """And what was heard as heard."""
    call, live = a_call()
    played(call, live, 8.0, ev.SpeechStarted())
    assert next(line.state for line in live.said if line.text == "תודה דנה.") == "cut"
    assert live.said[0].state == "heard"


@pytest.mark.parametrize("width", [16, 30, 80, 200])
def test_every_width_and_height_shows_the_floor_the_lead_and_the_last_words(width):
    """No line is wider than the terminal, no picture higher; Hebrew is turned for a terminal that does not."""
    _call, live = a_call()
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, width=width, height=14, highlight=False, color_system=None
    )
    screen = LiveScreen(live, "visual", "q: hang up", console)
    picture = console.render_lines(screen._picture(), pad=False)
    rows = ["".join(segment.text for segment in row).rstrip() for row in picture]
    screen.close()
    assert len(rows) <= 14
    assert all(cell_len(row) <= width for row in rows)
    assert rows[0].startswith("the bot speaks")
    whole = " ".join(rows)
    assert "הנד" in whole
    assert "הדות" in whole
    assert "q: hang up" in whole
    assert "הפיח" in whole, "the lead, as far as it is known"


@pytest.mark.parametrize("width", [40, 80])
def test_the_screen_tells_what_was_decided_and_what_is_waited_for(width):
    """Control, guard, lead and the stages of the answer while the bot speaks; then the countdown; then the leave."""
    call, live = a_call()
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=40, color_system=None)
    screen = LiveScreen(live, "visual", "q: hang up", console)

    def drawn(now: float) -> str:
        screen.refresh(now)
        picture = console.render_lines(screen._picture(), pad=False)
        return " ".join(" ".join("".join(segment.text for segment in row) for row in picture).split())

    speaking = drawn(7.0)
    assert speaking.startswith("the bot speaks bot>")
    for told in ("control: ENDS lead_complete", f"guard: {live.guard}", "lead in_progress", str(live.stages)):
        assert told in speaking
    played(call, live, 8.0, ev.ReplyDone(2, Control(), {}), ev.Played(1))
    while live.floor == "bot":
        played(call, live, 9.5, ev.Played(max(live._on_air)))
    assert live.silence_at is not None
    live.leaving = live.muted = True
    waiting = drawn(live.silence_at - 3)
    assert waiting.startswith("your turn; silence is broken in 3 s MUTED hanging up after this sentence bot>")
    screen.close()


@pytest.mark.parametrize("height", [8, 10, 14, 40])
def test_what_is_left_in_print_is_the_talk_alone(height):
    """However low the terminal: nothing of the screen's head and foot, and each line of the talk once."""
    _call, live = a_call()
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=30, height=height, color_system=None)
    screen = LiveScreen(live, "visual", "q: hang up after the bot's sentence", console)
    screen.refresh(1.0)
    screen.close()
    terminal = pyte.HistoryScreen(30, height, history=100)
    pyte.Stream(terminal).feed(out.getvalue().replace("\n", "\r\n"))
    above = ["".join(row[column].data for column in range(30)) for row in terminal.history.top]
    shown = [row.rstrip() for row in (*above, *terminal.display) if row.strip()]
    assert shown[0].startswith("bot>")
    assert [row.split(">")[0] for row in shown if ">" in row] == [line.speaker for line in live.said]
    assert not any("q: hang" in row for row in shown)


# --- the deck and the tape ----------------------------------------------------------------------------
@given(st.lists(st.one_of(st.binary(max_size=50), st.integers(1, 40), st.just("clear"))))
def test_a_deck_plays_everything_once_in_order_but_what_was_cleared(steps):
    """And what it has taken and what is queued always tell where it is."""
    deck = Deck()
    waiting, queued, taken = b"", 0, 0
    for step in steps:
        if isinstance(step, bytes):
            deck.put(step)
            waiting, queued = waiting + step, queued + len(step)
        elif step == "clear":
            deck.clear()
            waiting, taken = b"", queued
        else:
            piece, now = deck.take(step)
            taken += min(step, len(waiting))
            assert piece == waiting[:step].ljust(step, b"\0")
            assert now == taken
            waiting = waiting[step:]
        assert deck.queued == queued


def test_a_tape_is_whole_after_every_second_of_it(tmp_path):
    """Left and right in their places; a process that is killed leaves a file that can be read."""
    tape = Tape(tmp_path / "calls/one.wav", 8000)
    for _ in range(200):
        tape.write(b"\x01\x00" * 160, b"\x02\x00" * 160)
    with wave.open(str(tape.path)) as file:
        assert file.getnframes() >= 24_000
        assert file.readframes(2) == b"\x01\x00\x02\x00" * 2
    tape.close()
    tape.close()
    with wave.open(str(tape.path)) as file:
        assert (file.getnchannels(), file.getnframes()) == (2, 32_000)
