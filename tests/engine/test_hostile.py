"""The engine against everything: hypothesis state machines, and a long random walk for depth."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from hostile import CONTROLS, ENDING, LEADS, WORDS, Hostile

from callbot import events as ev
from callbot.call import Phase
from callbot.events import EndedBy
from callbot.record import entry_to_json, read_record, replayed
from callbot.rules import Rules

SETTINGS = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
WALKS = 1500
STEPS = 60

PAUSES = (0.0, 0.1, 0.5, 1.0, 2.0, 3.0, 8.0, 30.0)
LATE = (0.0, 0.0, 0.0, 0.25, 4.0, 40.0)


def make_rules(pick: Callable[[tuple], object]) -> Rules:
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


class HostileCalls(RuleBasedStateMachine):
    """A driver that keeps none of its promises; what must hold is checked after every event."""

    never_ends = False

    @initialize(
        rules=st.builds(lambda seed: make_rules(random.Random(seed).choice), st.integers(0, 10_000)),
        echo=st.sampled_from(["at once", "later"]),
        begun=st.booleans(),
    )
    def ring(self, rules: Rules, echo: str, begun: bool) -> None:
        self.it = Hostile(rules, echo=echo, never_ends=self.never_ends)
        if begun:
            self.it.begin()

    @rule(seconds=st.sampled_from(PAUSES))
    def time_passes_unnoticed(self, seconds):
        self.it.wait(seconds)

    @rule(late=st.sampled_from(LATE))
    def deadline_comes(self, late):
        self.it.tick(late)

    @rule()
    def tick_out_of_turn(self):
        self.it.feed(ev.Tick())

    @rule()
    def call_starts(self):
        self.it.feed(ev.CallStarted())

    @rule()
    def running_call_is_resumed(self):
        if self.it.call.phase is not Phase.IDLE:  # on a call that never began it would break the contract
            self.it.feed(ev.CallResumed())

    @rule()
    def speech_starts(self):
        self.it.feed(ev.SpeechStarted())

    @rule()
    def speech_continues(self):
        self.it.feed(ev.SpeechContinues())

    @rule(words=st.sampled_from(["", "  ", *WORDS]))
    def speech_ends(self, words):
        self.it.user_spoke(words)

    @rule(words=st.sampled_from(["", *WORDS]), seconds=st.sampled_from([0.25, 2.75]))
    def caller_says(self, words, seconds):
        self.it.says(words, seconds)

    @rule(key=st.sampled_from("0#*"))
    def key(self, key):
        self.it.feed(ev.KeyPressed(key))

    @rule(which=st.integers(0, 3), seconds=st.sampled_from([0.1, 2.0, 20.0]))
    def length_known(self, which, seconds):
        self.it.sized(which, seconds)

    @rule(which=st.sampled_from([0, 0, 0, 1, -1]))
    def mark_returns(self, which):
        self.it.played(which)

    @rule()
    def all_marks_return(self):
        self.it.all_played()

    @rule(which=st.integers(0, 50))
    def stale_mark_returns(self, which):
        self.it.stale_mark(which)

    @rule(which=st.integers(0, 2))
    def voice_fails(self, which):
        self.it.voice_failed(which)

    @rule(turn=st.sampled_from([0, 0, 0, -1, -2, 1]))
    def sentence(self, turn):
        self.it.sentence(turn)

    @rule(
        turn=st.sampled_from([0, 0, 0, -1, -2, 1]),
        control=st.sampled_from(CONTROLS),
        lead=st.sampled_from(LEADS),
    )
    def rest_of_reply(self, turn, control, lead):
        self.it.done(control, lead, turn)

    @rule(turn=st.sampled_from([0, 0, -1, 1]))
    def provider_fails(self, turn):
        self.it.failed(turn)

    @precondition(lambda self: self.it.books.asking)
    @rule(sentences=st.integers(0, 3), control=st.sampled_from(CONTROLS), lead=st.sampled_from(LEADS))
    def whole_reply(self, sentences, control, lead):
        self.it.reply(sentences, control, lead)

    @rule(sentences=st.integers(0, 2), control=st.sampled_from(ENDING))
    def model_says_goodbye(self, sentences, control):
        self.it.ends_well(sentences, control)

    @rule(words=st.sampled_from(["", *WORDS]))
    def caller_speaks_over_the_farewell(self, words):
        self.it.over_the_farewell(words)

    @rule(intervals=st.integers(1, 4))
    def nobody_speaks(self, intervals):
        self.it.silence(intervals)

    @precondition(lambda self: self.it.said > 3)
    @rule(
        downtime=st.sampled_from([0.0, 7.0]), first=st.sampled_from([(), (ev.SpeechStarted(),), (ev.Tick(),)])
    )
    def server_dies(self, downtime, first):
        self.it.crash(downtime, *first)

    @precondition(lambda self: self.it.said > 6)
    @rule()
    def caller_hangs_up(self):
        self.it.feed(ev.CallerHungUp())

    def teardown(self) -> None:
        if not hasattr(self, "it"):
            return
        self.it.check_never_stuck()
        self.it.check_replay()
        check_file(self.it)


class CallsWithAModelThatNeverEnds(HostileCalls):
    """Whatever anybody says, words end nothing: only silence, limits, failure and the caller do."""

    never_ends = True

    def teardown(self) -> None:
        super().teardown()
        check_not_ended_by_model(self.it)


def check_file(it: Hostile) -> None:
    """A Record that went through a file replays to the same commands."""
    if it.record is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "call.jsonl"
        it.record.write(path)
        read = read_record(path)
        assert [e for e in read.entries if e.kind == "event"] == [
            e for e in it.record.entries if e.kind == "event"
        ]
        again = [entry_to_json(entry) for entry in replayed(read)]
    recorded = [entry_to_json(entry) for entry in it.record.entries if entry.kind != "event"]
    assert again == recorded


def check_not_ended_by_model(it: Hostile) -> None:
    """The call goes on, or ended by one of the four ways that need no model."""
    assert it.call.ending is None or it.call.ending.by is not EndedBy.MODEL


TestHostileCalls = HostileCalls.TestCase
TestHostileCalls.settings = SETTINGS
TestCallsWithAModelThatNeverEnds = CallsWithAModelThatNeverEnds.TestCase
TestCallsWithAModelThatNeverEnds.settings = settings(SETTINGS, max_examples=60)


# --- the same, without hypothesis: no shrinking, but a hundred times as many events a second ---------
def step(it: Hostile, dice: random.Random) -> None:
    """Something happens; what happens often on calls happens often here."""
    asking = it.books.asking
    chances: list[tuple[int, Callable[[], object]]] = [
        (4, lambda: it.wait(dice.choice(PAUSES))),
        (8, lambda: it.tick(dice.choice(LATE))),
        (2, lambda: it.feed(ev.Tick())),
        (1, lambda: it.feed(ev.CallStarted())),
        (4, lambda: it.feed(ev.SpeechStarted())),
        (2, lambda: it.feed(ev.SpeechContinues())),
        (4, lambda: it.user_spoke(dice.choice(("", *WORDS)))),
        (6, lambda: it.says(dice.choice(("", *WORDS)), dice.choice((0.25, 2.75)))),
        (1, lambda: it.feed(ev.KeyPressed(dice.choice("0#*")))),
        (2, lambda: it.sized(dice.randrange(4), dice.choice((0.1, 2.0, 20.0)))),
        (6, lambda: it.played(dice.choice((0, 0, 0, 1, -1)))),
        (6, it.all_played),
        (2, lambda: it.stale_mark(dice.randrange(50))),
        (1, lambda: it.voice_failed(dice.randrange(3))),
        (8 if asking else 1, lambda: it.sentence(dice.choice((0, 0, 0, 0, -1, 1)))),
        (
            6 if asking else 1,
            lambda: it.done(dice.choice(CONTROLS), dice.choice(LEADS), dice.choice((0, 0, 0, -1, 1))),
        ),
        (2, lambda: it.failed(dice.choice((0, 0, -1, 1)))),
        (6 if asking else 0, lambda: it.reply(dice.randrange(4), dice.choice(CONTROLS), dice.choice(LEADS))),
        (1, lambda: it.ends_well(dice.randrange(3), dice.choice(ENDING))),
        (2, lambda: it.over_the_farewell(dice.choice(("", *WORDS)))),
        (3, lambda: it.silence(dice.randrange(1, 5))),
    ]
    weights = [weight for weight, _ in chances]
    dice.choices([act for _, act in chances], weights)[0]()


@pytest.mark.parametrize("part", range(4))
def test_random_walks(part):
    """Thousands of calls on which anything may happen at any time keep every rule."""
    for seed in range(part * WALKS, (part + 1) * WALKS):
        dice = random.Random(seed)
        it = Hostile(
            make_rules(dice.choice), echo=dice.choice(["at once", "later"]), never_ends=seed % 5 == 0
        )
        try:
            if dice.random() < 0.9:
                it.begin()
            for _ in range(STEPS):
                step(it, dice)
                if dice.random() < 0.005:
                    it.crash(dice.choice((0.0, 7.0)), *dice.choice(((), (ev.SpeechStarted(),))))
                if dice.random() < 0.003:
                    it.feed(ev.CallerHungUp())
                if it.call.phase is Phase.OVER:
                    break
            it.check_never_stuck()
            it.check_replay()
            if it.never_ends:
                check_not_ended_by_model(it)
        except AssertionError as broken:
            broken.add_note(f"walk {seed}")
            raise
