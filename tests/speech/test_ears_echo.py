"""The bot does not hear itself, and hears callers who speak over it."""

from __future__ import annotations

import numpy as np
import pytest
from hearing import RATE, Listening, cough, gain, mixed, mulaw, said, silence

from callbot.events import SpeechStarted

SENTENCE = "Hello, you have reached the office. How can I help you today? We are open from nine to five."


def bot():
    """What the bot says, six seconds."""
    return said(SENTENCE, voice="espeak")


def narrow(samples):
    """Through a bad telephone: 300 to 2600 Hz."""
    spectrum, pitch = np.fft.rfft(samples), np.fft.rfftfreq(len(samples), 1 / RATE)
    spectrum[(pitch < 300) | (pitch > 2600)] = 0
    return np.fft.irfft(spectrum, len(samples))


def room(samples):
    """In a room that rings for 50 ms, as loud as before."""
    ring = silence(0.05, 1.0, seed=5) * np.exp(-np.arange(RATE // 20) / 80)
    return np.convolve(samples, ring / np.sqrt((ring**2).sum()))[: len(samples)]


async def on_the_line(*tracks, plays=None):
    """A line on which the bot speaks from the start, and what is heard from its caller."""
    line = Listening()
    line.ears.bot_plays(mulaw(bot() if plays is None else plays))
    await line.hear(mulaw(mixed((0, silence(len(bot()) / RATE + 2, 10)), *tracks)))
    return line


@pytest.mark.parametrize("seconds", [0.02, 0.13, 0.3512, 0.6])
@pytest.mark.parametrize("decibels", [-10, -20, -30])
async def test_the_bots_own_echo_is_not_heard(seconds, decibels):
    """At any delay that a network adds, and louder than networks let through."""
    line = await on_the_line((seconds, gain(bot(), decibels)))
    assert line.events == []


@pytest.mark.parametrize("spoilt", [narrow, room])
async def test_an_echo_that_a_room_or_a_telephone_has_changed_is_not_heard(spoilt):
    """At -20 dB nothing depends on how alike it is."""
    line = await on_the_line((0.25, gain(spoilt(bot()), -20)))
    assert line.events == []


@pytest.mark.parametrize("voice", ["espeak:f2", "espeak:m3", "espeak"])
@pytest.mark.parametrize("decibels", [3, -6, -12])
async def test_a_caller_who_speaks_over_the_bot_is_heard_at_once(voice, decibels):
    """Through the echo at -20 dB, in another voice or the bot's own, louder or softer than the bot."""
    question = gain(said("no wait, I have a question", voice=voice), decibels)
    line = await on_the_line((0.2, gain(bot(), -20)), (2.5, question))
    [began] = line.times(SpeechStarted)
    assert 2.5 < began < 3.1


@pytest.mark.parametrize(("word", "language"), [("no", "en"), ("yes", "en"), ("לא", "he"), ("רגע", "he")])
async def test_one_word_cuts_the_bot(word, language):
    """A caller who is in a hurry says no more."""
    line = await on_the_line((0.2, gain(bot(), -20)), (2.5, said(word, language)))
    assert len(line.times(SpeechStarted)) == 1


@pytest.mark.parametrize("milliseconds", [150, 200])
@pytest.mark.parametrize("decibels", [-10, 0])
async def test_a_cough_over_the_bot_does_not_cut_it(milliseconds, decibels):
    """With its echo under it, which is a voice indeed: what a cough opens must not let that in."""
    for shift in range(3):
        coughs = [
            (0.5 + 0.7 * number + 0.13 * shift, gain(cough(milliseconds, 8 * shift + number), decibels))
            for number in range(7)
        ]
        line = await on_the_line((0.2, gain(bot(), -18)), *coughs)
        assert line.events == []


async def test_echo_of_what_was_dropped_is_not_waited_for():
    """After a clear the rest is not on the air: soft words are the caller's again."""
    line = Listening()
    line.ears.bot_plays(mulaw(bot()))
    await line.hear(mulaw(silence(1)))
    line.ears.bot_silenced()
    await line.hear(mulaw(silence(1)))
    await line.hear(mulaw(mixed((0, gain(said("I have a question"), -22)), (2.5, silence(0.5)))))
    assert len(line.times(SpeechStarted)) == 1


async def test_without_the_bots_schedule_its_echo_would_be_heard():
    """What these tests hear is speech indeed."""
    line = await on_the_line((0.2, gain(bot(), -20)), plays=silence(0.1))
    assert line.times(SpeechStarted)
