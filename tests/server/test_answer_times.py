"""How long the stages of an answer take, from what happens on a call."""

from __future__ import annotations

import pytest

from callbot import events as ev
from callbot.events import Occasion, SpeechKind
from callbot.server.meters import AnswerTimes


def ask(turn: int, occasion: Occasion = Occasion.CALLER_SPOKE, *, fallback: bool = False) -> ev.AskModel:
    return ev.AskModel(turn, (), {}, (), occasion, fallback=fallback)


def recognised(seconds: float) -> ev.Note:
    return ev.Note("recognised", {"seconds": seconds})


def began(mark: int, seconds: float) -> ev.Note:
    return ev.Note("voice_began", {"mark": mark, "seconds": seconds})


SAID = [(10.0, recognised(0.4)), (10.0, ev.UserSpoke("hello")), (10.0, ask(1))]
READY = ev.SentenceReady(1, "Hi.")


@pytest.mark.parametrize(
    ("happenings", "answers", "stages"),
    [
        pytest.param(
            [*SAID, (10.5, READY), (10.5, ev.Speak(7, "Hi.")), (10.7, began(7, 0.2))],
            [1.1],
            {"words": 0.4, "sentence": 0.5, "voice": 0.2},
            id="from the end of the caller's speech",
        ),
        pytest.param(
            [
                *SAID,
                (12.0, ev.Speak(7, "One moment.", SpeechKind.FILLER)),
                (12.1, began(7, 0.1)),
                (13.0, READY),
                (13.0, ev.Speak(8, "Hi.")),
                (13.2, began(8, 0.2)),
                (13.3, ev.Speak(9, "How are you?")),
                (13.4, began(9, 0.1)),
            ],
            [3.6],
            {"words": 0.4, "sentence": 3.0, "voice": 0.2},
            id="a filler is no answer, and only the first sentence counts",
        ),
        pytest.param(
            [
                *SAID,
                (10.2, recognised(0.1)),
                (10.5, ask(2, Occasion.END_REFUSED)),
                (10.6, READY),
                (11.0, ask(3, fallback=True)),
                (11.5, ev.SentenceReady(3, "Hi.")),
                (11.5, ev.Speak(7, "Hi.")),
                (11.6, began(7, 0.1)),
            ],
            [2.0],
            {"words": 0.4, "sentence": 1.5, "voice": 0.1},
            id="a refusal, a fallback and a cough belong to the same wait",
        ),
        pytest.param(
            [
                *SAID,
                (10.5, READY),
                (10.5, ev.Speak(7, "Hi.")),
                (10.6, ev.ClearAudio()),
                (11.0, ev.Speak(8, "Hi.")),
                (11.1, began(8, 0.1)),
            ],
            [1.5],
            {"words": 0.4, "sentence": 0.5, "voice": 0.1},
            id="cut before it began, and said again",
        ),
        pytest.param(
            [
                (9.0, recognised(0.4)),
                (9.5, ev.KeyPressed("1")),
                (10.0, ask(1)),
                (10.5, READY),
                (10.5, ev.Speak(7, "Hi.")),
                (10.6, began(7, 0.1)),
            ],
            [0.6],
            {"sentence": 0.5, "voice": 0.1},
            id="keys need no recognition",
        ),
        pytest.param(
            [
                (10.0, ask(1, Occasion.SILENCE)),
                (10.5, READY),
                (10.5, ev.Speak(7, "Hi.")),
                (10.6, began(7, 0.1)),
            ],
            [],
            {},
            id="nobody waits for what the bot says of itself",
        ),
    ],
)
def test_an_answer_is_timed_once_by_what_its_caller_waited_for(happenings, answers, stages):
    """Stage by stage, and as a whole."""
    times = AnswerTimes()
    found = [seconds for t, what in happenings if (seconds := times.happened(t, what)) is not None]
    assert found == [pytest.approx(seconds) for seconds in answers]
    assert times.stages == {name: pytest.approx(seconds) for name, seconds in stages.items()}
