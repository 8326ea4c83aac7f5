"""The detector finds the shortest words, on a bad line too, and takes no noise for a voice."""

from __future__ import annotations

import numpy as np
import pytest
from hearing import RATE, cough, gain, mulaw, said, silence

from callbot.speech.audio import decode_mulaw
from callbot.speech.endpointing import CAREFUL_ONSET_MS, ONSET_MS, Edge, Endpointer
from callbot.speech.vad import FRAME_BYTES, Detector, Gate

WORDS = [("yes", "en"), ("no", "en"), ("two", "en"), ("כן", "he"), ("לא", "he"), ("בסדר", "he")]


def decisions(samples):
    """The detector's word on every frame of a line."""
    pcm, detector = decode_mulaw(mulaw(samples)), Detector()
    ends = range(FRAME_BYTES, len(pcm) + 1, FRAME_BYTES)
    return [detector.hear(pcm[end - FRAME_BYTES : end]) for end in ends]


def edges(samples, *, careful=False):
    """When (seconds) speech began and ended on a line."""
    endpointer = Endpointer()
    found = [endpointer.hear(voiced, careful=careful) for voiced in decisions(samples)]
    return [(index * 0.02, edge) for index, edge in enumerate(found, 1) if edge]


def on_a_line(sound, hiss=0.0, before=0.5, after=2.0):
    """A sound between silences, under hiss."""
    line = np.concatenate([silence(before), sound, silence(after)])
    return line + silence(len(line) / RATE, hiss, seed=7)


@pytest.mark.parametrize(("word", "language"), WORDS)
@pytest.mark.parametrize("voice", ["espeak:f2", "espeak:m3"])
def test_the_shortest_words_open_speech(word, language, voice):
    """At a telephone's level, 15 dB below it, and 15 dB over hiss; at once, and once."""
    sound = said(word, language, voice)
    for line in (on_a_line(sound), on_a_line(gain(sound, -15), 50), on_a_line(sound, 400)):
        (began, _), (ended, _) = edges(line)
        assert began + 0.1 >= 0.5 + ONSET_MS / 1000
        assert began < 0.5 + 0.45
        assert ended > 0.5 + len(sound) / RATE + 0.3


@pytest.mark.parametrize("milliseconds", [100, 150, 200, 300])
def test_coughs_are_no_speech(milliseconds):
    """However loud."""
    for seed in range(4):
        assert edges(on_a_line(cough(milliseconds, seed))) == []
        assert edges(on_a_line(gain(cough(milliseconds, seed), 6), 100)) == []


def test_clicks_tones_and_keys_are_no_speech():
    """A receiver put down, a beep, the tones of a pressed key."""
    beat = np.arange(RATE // 5) / RATE
    key = (np.sin(2 * np.pi * 770 * beat) + np.sin(2 * np.pi * 1336 * beat)) * 6000
    click = np.sign(silence(0.01, 1.0, seed=2)) * 20000
    for sound in (
        click,
        np.sin(2 * np.pi * 440 * beat) * 8000,
        key,
        np.tile(np.append(key, silence(0.1)), 5),
    ):
        assert edges(on_a_line(sound)) == []


def test_a_grunt_does_not_cut_the_bot():
    """150 ms of a voice are too little where the bot would be cut."""
    vowel = said("aaaaaah", voice="espeak:m3")[500 : 500 + RATE * 150 // 1000]
    assert edges(on_a_line(vowel), careful=True) == []
    assert edges(on_a_line(said("wait", voice="espeak:m3")), careful=True)


def test_steady_noise_is_no_speech_and_hides_none():
    """A fan, a car; a caller over it is heard."""
    for level in (50, 300, 1500):
        assert not any(decisions(silence(6, level)))
    sentence = said("hello, I need somebody to fix the tap")
    line = on_a_line(gain(sentence, 3), 300, before=4)
    [(began, first), (ended, last)] = edges(line)
    assert (first, last) == (Edge.BEGAN, Edge.ENDED)
    assert 4 < began < 4.6
    assert ended > 4 + len(sentence) / RATE


def test_steady_noise_does_not_pass_the_gate():
    """Hiss and a machine's hum; else every noisy line would pay for the network all the time."""
    beat = 2 * np.pi * np.arange(4 * RATE) / RATE
    hum = sum(np.sin(beat * 120 * harmonic) / harmonic for harmonic in range(1, 20))
    for noise in (silence(4, 300), hum * 300 + silence(4, 30), hum * 600):
        pcm, gate = decode_mulaw(mulaw(noise)), Gate()
        passed = [
            gate.lets_through(pcm[end - FRAME_BYTES : end])
            for end in range(FRAME_BYTES, len(pcm) + 1, FRAME_BYTES)
        ]
        assert sum(passed[20:]) < 5


def test_voice_is_found_where_it_is():
    """Nearly all of a sentence, and nearly nothing beside it."""
    sentence = said("good morning, my name is Dana Levi and I am calling about the flat")
    found = np.array(decisions(on_a_line(sentence, 30)))
    frames = len(sentence) // 160
    assert found[25 : 25 + frames].mean() > 0.8
    assert found[:25].mean() == 0
    assert found[25 + frames + 10 :].mean() == 0


def test_onsets_are_ordered():
    """More voice is asked for where a mistake would cut the bot."""
    assert CAREFUL_ONSET_MS > ONSET_MS
