"""Utterances end after the caller's own pauses, sooner or later by what was asked, and always."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callbot.speech.endpointing import (
    FRAME_MS,
    LONGEST_MS,
    ONSET_MS,
    PATIENCE,
    RESUMED_WITHIN_MS,
    Edge,
    Endpointer,
    Pauses,
)

FIELDS = sorted(PATIENCE)
BURSTS = st.lists(st.tuples(st.integers(1, 150), st.integers(1, 200)), max_size=12)
"""Frames of voice and of silence by turns."""


def timeline(*spans):
    """Frames from milliseconds: positive for voice, negative for silence."""
    return [length > 0 for length in spans for _ in range(abs(length) // FRAME_MS)]


def cut(endpointer, frames):
    """Edges by the millisecond at which they were certain."""
    return [
        (edge, index * FRAME_MS)
        for index, voiced in enumerate(frames, 1)
        if (edge := endpointer.hear(voiced)) is not None
    ]


def test_a_sentence_ends_after_the_first_wait():
    """650 ms for a caller of whom nothing is known."""
    assert cut(Endpointer(), timeline(-500, 1000, -2000)) == [
        (Edge.BEGAN, 500 + ONSET_MS),
        (Edge.ENDED, 1500 + 660),  # frames are 20 ms
    ]


def test_a_number_is_waited_for_between_its_groups():
    """Groups of digits with pauses of a second are one phone number, but several texts."""
    dictated = timeline(-300, 900, -1000, 900, -1000, 1200, -3000)
    number = Endpointer()
    number.expect("phone")
    assert [edge for edge, _ in cut(number, dictated)] == [Edge.BEGAN, Edge.ENDED]
    assert [edge for edge, _ in cut(Endpointer(), dictated)].count(Edge.ENDED) > 1


def test_a_choice_is_answered_fast():
    """One word, and the bot may speak."""
    choice = Endpointer()
    choice.expect("choice")
    (_, (_, ended)) = cut(choice, timeline(-300, 400, -2000))
    assert ended <= 700 + 500


def test_a_hesitant_caller_is_waited_for_longer_each_time():
    """Pauses of half a second become known; a brisk caller's wait goes down instead."""
    hesitant, brisk = Endpointer(), Endpointer()
    cut(hesitant, timeline(*[600, -500] * 8, 600, -2000))
    cut(brisk, timeline(*[600, -120] * 8, 600, -2000))
    assert hesitant.wait > 700
    assert brisk.wait < 600


def test_the_wait_has_bounds_whatever_is_learnt():
    """Nobody is cut off in a breath, and nobody waits for ever."""
    hurried, slow = Pauses(), Pauses()
    for _ in range(100):
        hurried.learn(100)
        slow.learn(10_000)
    for patience in PATIENCE.values():
        assert hurried.wait(patience) == patience.least
        assert slow.wait(patience) == patience.most


def test_being_cut_off_teaches_patience():
    """Who speaks on after a supposed end had not finished: the pause counts."""
    endpointer = Endpointer()
    before = endpointer.wait
    cut(endpointer, timeline(800, -900, 800))
    assert endpointer.wait > before
    late = Endpointer()
    cut(late, timeline(800, -900 - RESUMED_WITHIN_MS - 1000, 800))
    assert late.wait == before


def test_pauses_of_a_dictated_number_do_not_slow_the_rest():
    """They count by what is usual for numbers."""
    endpointer = Endpointer()
    endpointer.expect("phone")
    cut(endpointer, timeline(*[900, -500] * 6, 900, -4000))
    endpointer.expect("")
    assert endpointer.wait <= 800


def test_speech_without_end_is_cut_for_the_recogniser():
    """A radio, a crowd."""
    edges = cut(Endpointer(), timeline(2 * LONGEST_MS))
    assert [edge for edge, _ in edges] == [Edge.BEGAN, Edge.ENDED, Edge.BEGAN]
    assert edges[1][1] - edges[0][1] == LONGEST_MS


@given(BURSTS, st.sampled_from(FIELDS))
def test_every_utterance_ends_and_never_in_less_than_the_least_silence(bursts, field):
    """Begin and end alternate; an end comes with silence between the field's bounds, or by length."""
    endpointer = Endpointer()
    endpointer.expect(field)
    frames = []
    for voice, quiet in bursts:
        frames += [True] * voice + [False] * quiet
    frames += [False] * (PATIENCE[field].most // FRAME_MS + 1)
    began, quiet, open_for = False, 0, 0
    for voiced in frames:
        edge = endpointer.hear(voiced)
        quiet, open_for = 0 if voiced else quiet + FRAME_MS, open_for + FRAME_MS
        if edge is Edge.BEGAN:
            assert not began
            assert voiced
            began, open_for = True, 0
        elif edge is Edge.ENDED:
            assert began
            assert quiet >= PATIENCE[field].least or open_for == LONGEST_MS
            began = False
        assert not began or quiet <= PATIENCE[field].most
        assert endpointer.open is began
    assert not began


@given(st.lists(st.integers(100, 5000), max_size=30))
def test_a_number_is_waited_for_longest_and_a_choice_least(pauses):
    """Whatever was learnt of the caller, and always within the bounds of each."""
    learnt = Pauses()
    for pause in pauses:
        learnt.learn(pause)
    waits = {field: learnt.wait(patience) for field, patience in PATIENCE.items()}
    assert waits["phone"] > waits["text"] >= waits["choice"]
    for field, patience in PATIENCE.items():
        assert patience.least <= waits[field] <= patience.most
