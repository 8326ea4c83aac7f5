"""Every number of the audio report, on tapes whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from bot import FAREWELL, GREETING, mulaw, tune
from hypothesis import given, settings
from hypothesis import strategies as st

from callbot.carrier import measure
from callbot.carrier.g711 import FRAME, SILENCE
from callbot.carrier.report import Percentiles
from callbot.carrier.tape import CallerAct, Tape

LONG = tune(3.0, 50)


def silence(seconds: float) -> bytes:
    return bytes([SILENCE]) * int(seconds * 8000)


def signal(*parts: bytes) -> np.ndarray:
    return measure.signal_of(b"".join(parts))


def heard(*parts: bytes, reference: np.ndarray = GREETING) -> measure.Match:
    return measure.match(signal(*parts), signal(mulaw(reference)))


def test_a_greeting_is_found_where_it_is():
    """Whole and once, at its sample."""
    found = heard(silence(0.7), mulaw(GREETING), silence(1), mulaw(FAREWELL))
    assert (found.share, found.times) == (1.0, 1)
    assert found.start == pytest.approx(5600, abs=200)


def test_a_greeting_that_was_not_played_is_not_found():
    """Other speech is not like it."""
    assert heard(silence(0.5), mulaw(FAREWELL), mulaw(LONG)).share == 0.0
    assert heard(silence(2)).times == 0
    assert heard().times == 0


@pytest.mark.parametrize("cut", [0.2, 0.5, 1.5, 2.8])
def test_a_cut_greeting_is_heard_in_part(cut):
    """Its share is what was played, to a piece."""
    found = heard(silence(0.3), mulaw(LONG[: int(cut * 8000)]), silence(4), reference=LONG)
    assert found.share < 1.0
    assert found.share == pytest.approx(cut / 3, abs=0.2)


def test_a_greeting_whose_beginning_is_missing_is_not_whole():
    """A cut at the front counts as one at the back."""
    assert heard(mulaw(LONG[2000:]), silence(1), reference=LONG).share < 1.0


def test_a_greeting_with_a_gap_is_whole():
    """The gap is another fault, with its own number."""
    found = heard(mulaw(LONG[:12800]), silence(0.3), mulaw(LONG[12800:]), reference=LONG)
    assert (found.share, found.times) == (1.0, 1)


@pytest.mark.parametrize("again", [LONG, LONG[:9000], LONG[-9000:]])
def test_a_greeting_begun_again_is_heard_twice(again):
    """Even if only its beginning or its end comes again."""
    assert heard(mulaw(LONG), silence(0.5), mulaw(again), silence(1), reference=LONG).times == 2


def test_a_reference_longer_than_the_call():
    """Is heard in part."""
    found = heard(mulaw(LONG[:8000]), reference=LONG)
    assert 0 < found.share < 0.5


@settings(deadline=None, max_examples=25)
@given(st.floats(0.05, 1.0), st.integers(0, 3))
def test_quieter_and_noisier_is_still_the_greeting(volume, noise):
    """Likeness is normalised, and telephone noise does not hide it."""
    rng = np.random.default_rng(1)
    samples = (GREETING * max(volume, 0.1) + rng.normal(0, noise * 10, len(GREETING))).astype(np.int16)
    found = heard(silence(0.5), mulaw(samples), silence(0.5))
    assert (found.share, found.times) == (1.0, 1)


def tape(*parts: bytes | float, source: int = 1) -> Tape:
    """Bytes are played; a number is so many seconds without anything to play."""
    made = Tape()
    for part in parts:
        whole = silence(part) if isinstance(part, float) else part
        for at in range(0, len(whole), FRAME):
            made.add(silence(0.02), b"" if isinstance(part, float) else whole[at : at + FRAME], source)
    return made


def gaps(made: Tape) -> list[int]:
    return [end - start for start, end in measure.gaps(made, measure.signal_of(made.bot))]


MIDDLE = int(np.argmax(np.abs(LONG[8000:9000].astype(int)))) // FRAME * FRAME + 8000
FIRST, SECOND = mulaw(LONG[:MIDDLE]), mulaw(LONG[MIDDLE:])


def test_a_gap_in_a_sentence_is_measured():
    """Its length is how long there was nothing to play."""
    assert gaps(tape(FIRST, 0.14, SECOND)) == [1120]


def test_what_is_no_gap():
    """A pause after a sentence, a silence that the bot sent, more than a second, a clear, an answer."""
    assert gaps(tape(mulaw(LONG), 0.14, mulaw(GREETING))) == []
    assert gaps(tape(FIRST + silence(0.14) + SECOND)) == []
    assert gaps(tape(FIRST, 1.2, SECOND)) == []
    assert gaps(tape(FIRST, 0.14)) == []
    cleared = tape(FIRST, 0.14, SECOND)
    cleared.cleared.append(len(FIRST))
    assert gaps(cleared) == []
    answered = tape(FIRST, 0.14, SECOND)
    answered.acts.append(CallerAct(1, "say", "hm", len(FIRST) + 100, len(FIRST) + 500))
    assert gaps(answered) == []


def test_the_longest_silence_leaves_out_what_was_scripted():
    """Nobody sounds from 1 to 3 and from 4 to 9; the caller meant to be silent from 4 to 8."""
    bot, caller = [(0, 8000)], [(24000, 32000)]
    assert measure.longest_silence(caller, bot, 72000, []) == (32000, 72000)
    assert measure.longest_silence(caller, bot, 72000, [(32000, 64000)]) == (8000, 24000)


def say(turn: int, start: int, end: int, over: str | None = None, kind: str = "say") -> CallerAct:
    return CallerAct(turn, kind, "", start, end, over)


def test_answers_are_timed_from_the_end_of_the_words():
    """A turn without an answer has no time, and an answer is not counted twice."""
    acts = [
        say(1, 0, 100),
        say(2, 1000, 1100),
        say(3, 1500, 1500, kind="silence"),
        say(4, 3000, 3100, kind="press"),
    ]
    assert measure.answer_times(acts, [(500, 900), (2000, 2500), (3500, 3600)]) == [400, 400]
    assert measure.answer_times([], [(1, 2)]) == []


def test_interruptions_are_timed_to_the_bots_silence():
    """Only words, and only where the bot was speaking."""
    acts = [say(1, 500, 700, "barge_in"), say(2, 2000, 2100, "barge_in"), say(3, 3000, 3100)]
    stops = list(measure.barge_ins(acts, [(100, 1100), (2900, 3500)]))
    assert stops == [measure.BargeIn(1, 600)]


def test_talking_over_is_beginning_while_the_caller_speaks():
    """Not going on speaking when the caller begins, and not over a caller who meant to interrupt."""
    acts = [say(1, 1000, 2000), say(2, 5000, 6000, "barge_in")]
    assert measure.talk_over(acts, [(500, 1500), (1800, 2500), (5500, 5900)]) == 200
    assert measure.overlap([(1000, 2000)], [(500, 1500), (1800, 2500)]) == [(1000, 1500), (1800, 2000)]


def test_stretches_bridge_short_pauses():
    """Up to 200 ms."""
    part = mulaw(tune(0.4, 60))
    assert len(measure.stretches(signal(part, silence(0.1), part))) == 1
    assert len(measure.stretches(signal(part, silence(0.5), part))) == 2


@given(st.lists(st.integers(0, 10_000), min_size=1))
def test_percentiles_are_values_of_the_sample(values):
    """Nearest rank: at least the share is no greater."""
    found = Percentiles.of(values)
    assert found.max == max(values)
    assert found.p50 in values
    assert sum(value <= found.p95 for value in values) >= 0.95 * len(values)
    assert sum(value <= found.p50 for value in values) >= 0.5 * len(values)
