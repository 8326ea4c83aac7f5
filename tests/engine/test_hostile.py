"""The engine against everything: hypothesis state machines, which shrink what they find to a story."""

from __future__ import annotations

import os
import random

from hostile import CONTROLS, ENDING, LATE, LEADS, PAUSES, WORDS, Hostile, make_rules
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from callbot import events as ev
from callbot.call import Phase
from callbot.rules import Rules

STAGES = (Stage.explicit, Stage.generate) if "PLANTED_BUG" in os.environ else tuple(Stage)
"""A planted bug has to be found; nobody wants to read about it."""
SETTINGS = settings(
    max_examples=300,
    stateful_step_count=40,
    deadline=None,
    phases=STAGES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
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
        if hasattr(self, "it"):
            self.it.check_the_whole_call()
            self.it.check_file()


class CallsWithAModelThatNeverEnds(HostileCalls):
    """Whatever anybody says, words end nothing: only silence, limits, failure and the caller do."""

    never_ends = True


TestHostileCalls = HostileCalls.TestCase
TestHostileCalls.settings = SETTINGS
TestCallsWithAModelThatNeverEnds = CallsWithAModelThatNeverEnds.TestCase
TestCallsWithAModelThatNeverEnds.settings = settings(SETTINGS, max_examples=120)
