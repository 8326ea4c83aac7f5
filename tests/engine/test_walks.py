"""The engine against everything, by dice: no shrinking, but thousands of calls in seconds."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hostile import CONTROLS, ENDING, LATE, LEADS, PAUSES, WORDS, Hostile, make_rules

from callbot import events as ev
from callbot.call import Phase

WALKS = 1000
STEPS = 60


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
        after_the_end = 0
        try:
            if dice.random() < 0.9:
                it.begin()
            for _ in range(STEPS):
                step(it, dice)
                if dice.random() < 0.005:
                    it.crash(dice.choice((0.0, 7.0)), *dice.choice(((), (ev.SpeechStarted(),))))
                if dice.random() < 0.003:
                    it.feed(ev.CallerHungUp())
                after_the_end += it.call.phase is Phase.OVER
                if after_the_end > 4:
                    break
            it.check_the_whole_call()
        except AssertionError as broken:
            broken.add_note(f"walk {seed}")
            raise
