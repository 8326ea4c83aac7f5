"""A hostile driver: every line, carrier, model and caller that a call may meet, at their worst.

``Hostile`` offers what can happen to a call, alone and in the bundles that lead to deep states, and
checks the engine after every event. Hypothesis (``test_hostile.py``) and a random walk choose.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from books import Books
from vows import Vows

from callbot import events as ev
from callbot.call import Call, Phase
from callbot.events import Control, EndedBy
from callbot.record import Record, entry_to_json, header, read_record, replayed
from callbot.rules import Rules

WORDS = ("yes", "no, wait", "goodbye, don't call me again", "להתראות")
CONTROLS = (
    Control(),
    Control(True, "customer_declined", "declined"),
    Control(True, "customer_declined", "in_progress"),
    Control(True, "lead_complete", "complete"),
    Control(True, "no_response"),
    Control(True, "transfer"),
    Control(True, "booked"),
    Control(True, "bored"),
    Control(True, None),
    Control(False, "customer_declined", "declined", ("name",)),
)
ENDING = (CONTROLS[1], CONTROLS[5])
"""Requests that the guard always accepts."""
LEADS: tuple[Mapping[str, str], ...] = ({}, {"name": "Dana"}, {"name": "Noa", "phone": "1"}, {"other": "x"})
PAUSES = (0.0, 0.1, 0.5, 1.0, 2.0, 3.0, 8.0, 30.0)
LATE = (0.0, 0.0, 0.0, 0.25, 4.0, 40.0)


def make_rules(pick: Callable[[tuple[Any, ...]], Any]) -> Rules:
    """Any business there may be, with limits small enough to be met."""
    streamed, barge_in = pick(((False, False), (True, False), (True, True)))
    return Rules(
        greeting="Shalom, this is the bot.",
        greeting_streamed=streamed,
        greeting_barge_in=barge_in,
        required=("name", "phone"),
        reasons={"transfer": (), "booked": ("name",)},
        silence_after=pick((2.5, 8.0)),
        silence_warnings=pick((0, 1, 2)),
        silence_by_model=pick((False, True)),
        warn=("Hello?", "Are you there?"),
        linger=pick((0.0, 1.0)),
        reprieves=pick((0, 1, 2)),
        limit_seconds=pick((20.0, 90.0, 600.0)),
        limit_turns=pick((1, 2, 4, 60)),
        has_fallback=pick((False, True)),
        reply_deadline=pick((1.5, 10.0)),
        filler=("One moment", "Let me see"),
    )


class Hostile:
    """One call, its checks, and everything that may happen to it."""

    def __init__(self, rules: Rules, *, echo: str = "later", never_ends: bool = False) -> None:
        self.rules, self.echo, self.never_ends = rules, echo, never_ends
        self.call, self.now = Call(rules), 0.0
        self.books, self.vows = Books(rules), Vows(rules)
        self.record: Record | None = Record(header(call_id="hostile", rules=rules))
        self.discarded: list[int] = []
        """Marks of audio that a clear threw away; the carrier may still return them."""
        self.said = 0
        self.sentences = 0

    # --- single events ----------------------------------------------------------------------------
    def feed(self, event: ev.Event) -> None:
        """Feed one event and check everything."""
        before = self.call.deadline
        on_air = [sentence.mark for sentence in self.books.air]
        early = isinstance(event, ev.Tick) and (before is None or self.now < before)
        out = self.call.receive(event, self.now)
        if self.record is not None:
            self.record.event(self.now, event)
            for command in out:
                self.record.command(self.now, command)
        self.vows.take(event, self.now, out)
        self.books.take(event, self.now, out, self.call)
        assert self.call.deadline == self.call.deadline, "reading the deadline changed it"
        if early and self.call.phase is not Phase.IDLE:
            assert out == [], "an early Tick did something"
            assert self.call.deadline == before
        if ev.ClearAudio() in out:
            self.discarded += on_air
            if self.echo == "at once":
                for mark in on_air:
                    self.feed(ev.Played(mark))

    def wait(self, seconds: float) -> None:
        """Time passes, and the driver is late with its Tick."""
        self.now += seconds

    def tick(self, late: float = 0.0) -> None:
        """The deadline comes, perhaps a little later than it should."""
        if self.call.deadline is not None:
            self.now = max(self.now, self.call.deadline) + late
        self.feed(ev.Tick())

    def user_spoke(self, words: str) -> None:
        """The open speech (if there is one) ends; every utterance is another."""
        if words.strip():
            self.said += 1
            words = f"{words} {self.said}"
        self.feed(ev.UserSpoke(words))

    def sentence(self, turn_offset: int = 0) -> None:
        """A sentence of the current, a past or a future turn."""
        self.sentences += 1
        turn = self.books.turn + turn_offset
        self.feed(ev.SentenceReady(turn, f"turn {turn} sentence {self.sentences} goodbye"))

    def done(self, control: Control, lead: Mapping[str, str], turn_offset: int = 0) -> None:
        """The rest of a reply."""
        if self.never_ends:
            control = Control(False, None, control.lead_status, control.missing_fields)
        self.feed(ev.ReplyDone(self.books.turn + turn_offset, control, lead))

    def failed(self, turn_offset: int = 0) -> None:
        """The provider fails."""
        self.feed(ev.ReplyFailed(self.books.turn + turn_offset, "boom"))

    def played(self, which: int) -> None:
        """A mark comes back: of the next sentence, or of a later one (marks before it were lost)."""
        if self.books.air:
            self.feed(ev.Played(self.books.air[which % len(self.books.air)].mark))

    def stale_mark(self, which: int) -> None:
        """A mark of discarded audio comes back."""
        if self.discarded:
            self.feed(ev.Played(self.discarded[which % len(self.discarded)]))

    def sized(self, which: int, seconds: float) -> None:
        """The line says how long an utterance is."""
        if self.books.air:
            self.feed(ev.AudioQueued(self.books.air[which % len(self.books.air)].mark, seconds))

    def voice_failed(self, which: int) -> None:
        """An utterance could not be synthesised."""
        if self.books.air:
            self.feed(ev.VoiceFailed(self.books.air[which % len(self.books.air)].mark, "no voice"))

    # --- bundles that lead somewhere ----------------------------------------------------------------
    def all_played(self) -> None:
        """Everything on the air is heard."""
        for sentence in list(self.books.air):
            self.feed(ev.Played(sentence.mark))

    def begin(self) -> None:
        """The call opens and its greeting is heard."""
        self.feed(ev.CallStarted())
        self.all_played()

    def says(self, words: str, seconds: float = 0.5) -> None:
        """The caller says something, or coughs."""
        self.feed(ev.SpeechStarted())
        self.now += seconds
        self.user_spoke(words)

    def reply(self, sentences: int, control: Control, lead: Mapping[str, str]) -> None:
        """A whole reply at once."""
        for _ in range(sentences):
            self.sentence()
        self.done(control, lead)

    def ends_well(self, sentences: int, control: Control) -> None:
        """The model is asked and its request to end is accepted."""
        if not self.books.asking:
            self.says("bye")
        self.reply(sentences, control, {})

    def over_the_farewell(self, words: str) -> None:
        """The caller speaks while the bot says goodbye, or just after."""
        if self.call.phase not in (Phase.FAREWELL, Phase.LINGER):
            self.ends_well(1, ENDING[0])
        self.says(words)
        self.all_played()

    def silence(self, intervals: int) -> None:
        """Nobody speaks; every wait runs out, marks come back."""
        for _ in range(intervals):
            self.all_played()
            self.tick()

    def crash(self, downtime: float, *first: ev.Event) -> None:
        """The server dies and another one goes on from the last snapshot; the caller may speak first."""
        if self.call.phase in (Phase.IDLE, Phase.OVER):
            return
        self.check_replay()
        self.record = None  # what follows is another engine's
        snapshot = json.loads(json.dumps(self.call.snapshot(self.now)))
        taken, self.now = self.now, self.now + downtime
        self.call = Call.restore(self.rules, snapshot, self.now)
        self.books.crashed(taken, self.now)
        self.vows.crashed(taken, self.now)
        self.discarded += range(1, self.vows.last_mark + 1)
        for event in first:
            self.feed(event)
        self.feed(ev.CallResumed())

    # --- what holds for the whole call --------------------------------------------------------------
    def check_the_whole_call(self) -> None:
        """What can only be seen from the end of a call, however far it came."""
        self.check_never_stuck()
        self.check_replay()
        if self.never_ends:  # then words ended nothing
            assert self.call.ending is None or self.call.ending.by is not EndedBy.MODEL

    def check_replay(self) -> None:
        """A Record's events give its commands again."""
        if self.record is not None:
            again = [entry for entry in self.record.entries if entry.kind != "event"]
            assert replayed(self.record) == again

    def check_never_stuck(self) -> None:
        """From here, a world that gives no sign of life ends the call in bounded steps and time."""
        if self.call.phase is Phase.IDLE:
            return
        call, now, steps = copy.deepcopy(self.call), self.now, 0
        while call.phase is not Phase.OVER:
            deadline = call.deadline
            assert deadline is not None, f"nobody will ever wake this call ({call.phase})"
            now = max(now, deadline)
            call.receive(ev.Tick(), now)
            steps += 1
            assert steps < 200, f"goes round and round ({call.phase}, deadline {deadline})"
        assert now <= self.now + self.rules.limit_seconds + 120.0

    def check_file(self) -> None:
        """A Record that went through a file gives its commands again."""
        if self.record is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "call.jsonl"
            self.record.write(path)
            read = read_record(path)
        assert [e for e in read.entries if e.kind == "event"] == [
            e for e in self.record.entries if e.kind == "event"
        ]
        recorded = [entry_to_json(entry) for entry in self.record.entries if entry.kind != "event"]
        assert [entry_to_json(entry) for entry in replayed(read)] == recorded
