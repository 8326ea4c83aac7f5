"""The simulated caller knows the bot by ear alone, and waits as people do. Frame by frame, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from callbot.carrier.caller import FRAMES_A_SECOND, Caller, Does, Manners, Prepared
from callbot.carrier.g711 import FRAME
from callbot.evals.scenario import CallerTurn

LOUD, QUIET = b"\x10" * FRAME, b""
MANNERS = Manners(pause=0.8, patience=4.0, stay=3.0, leave=2.0)


def caller(*turns: dict[str, Any], awaits_end: bool = True) -> Caller:
    """Speaks for half a second each time."""
    script = [CallerTurn(**turn) for turn in turns]
    sound = LOUD * 25
    prepared = [Prepared(t, sound if t.say or t.noise else b"") for t in script]
    return Caller(iter(prepared), awaits_end=awaits_end, manners=MANNERS)


def listen(who: Caller, sounds: str, *, more: bool = False) -> list[Does]:
    """``B``: a tenth of a second of the bot; ``.``: one of silence."""
    return [
        who.tick(LOUD if sound == "B" else QUIET, more=more)
        for sound in sounds
        for _ in range(FRAMES_A_SECOND // 10)
    ]


def test_the_first_turn_waits_until_the_greeting_is_over():
    """Pauses in it are no end; its end and a moment of quiet are."""
    who = caller({"say": "hello"})
    listen(who, "..BBB......BBB.......")
    assert who.turn == 0
    listen(who, "..")
    assert who.turn == 1


def test_nothing_is_said_while_the_carrier_has_more_to_play():
    """A long pause in what the bot has already sent is not the caller's turn."""
    who = caller({"say": "hello"})
    listen(who, "BB")
    listen(who, "." * 20, more=True)
    assert who.turn == 0


def test_a_reply_is_awaited_and_then_given_up():
    """And counted; the next turn comes all the same."""
    who = caller({"say": "hello"}, {"say": "hello?"})
    listen(who, "BB" + "." * 9)
    listen(who, "." * 40)
    assert (who.turn, who.unanswered) == (1, 0)
    listen(who, "." * 10)
    assert (who.turn, who.unanswered) == (2, 1)


def test_sound_that_the_caller_spoke_over_is_no_reply():
    """The greeting goes on after the caller has spoken into it; the reply is what begins after it."""
    who = caller({"say": "wait", "during": "greeting"}, {"say": "hello"})
    listen(who, "BBBBBBBBBBBBBBBB")
    assert who.turn == 1
    listen(who, "." * 12)
    assert who.turn == 1, "the greeting's rest was no reply"
    listen(who, "BBB" + "." * 10)
    assert who.turn == 2


def test_an_interruption_comes_into_the_reply():
    """Seconds after its first sound; or after a reply that was shorter."""
    who = caller({"say": "hello"}, {"say": "wait", "barge_in": 0.5})
    listen(who, "BB" + "." * 14 + "BBBB")
    assert who.turn == 1
    listen(who, "BBB")
    assert who.turn == 2
    assert who.acts[1].over == "barge_in"
    short = caller({"say": "hello"}, {"say": "wait", "barge_in": 3})
    listen(short, "BB" + "." * 14 + "BB" + "." * 10)
    assert short.turn == 2


def test_the_linger_is_the_moment_after_the_reply():
    """Sooner than an ordinary turn would come."""
    who = caller({"say": "hello"}, {"say": "oh, one more thing", "during": "linger"})
    listen(who, "BB" + "." * 14 + "BBB....")
    assert who.turn == 2
    assert who.acts[1].over == "linger"


def test_a_cue_that_never_comes_is_off_script():
    """The caller then leaves, and says nothing more."""
    who = caller({"say": "wait", "during": "greeting"}, {"say": "hello"})
    done = listen(who, "." * 65)
    assert who.off_script is not None
    assert "greeting" in who.off_script
    assert who.turn == 0
    assert done[-1].hung_up


@pytest.mark.parametrize(("awaits_end", "leaves_after"), [(True, 3.0), (False, 2.0)])
def test_after_the_last_turn_the_caller_stays_for_the_bot_to_hang_up(awaits_end, leaves_after):
    """Longer if it should."""
    who = caller({"say": "bye"}, awaits_end=awaits_end)
    listen(who, "BB" + "." * 14 + "BBB")
    quiet = listen(who, "." * 40)
    left = next(n for n, does in enumerate(quiet) if does.hung_up)
    assert left == pytest.approx(leaves_after * FRAMES_A_SECOND, abs=2)


def test_words_are_told_when_their_sound_ends_and_keys_one_by_one():
    """What recognition makes of them; nothing for noise."""
    who = caller({"say": "sofas", "heard": "sofers"}, {"noise": 0.5}, {"press": "12"})
    done = listen(who, "BB" + "." * 13)
    begin = next(n for n, does in enumerate(done) if does.frame == LOUD)
    assert [(n - begin, does.said) for n, does in enumerate(done) if does.said is not None] == [
        (24, "sofers")
    ]
    more = listen(who, "BB" + "." * 20 + "BB" + "." * 20)
    assert [does.said for does in more if does.said is not None] == [""]
    keys = [(n, does.keys) for n, does in enumerate(more) if does.keys]
    assert [key for _, key in keys] == ["1", "2"]
    assert keys[1][0] - keys[0][0] == 15
