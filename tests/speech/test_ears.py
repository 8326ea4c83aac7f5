"""Ears keep the driver's contract: what they make of a caller's audio, whatever the recogniser does."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hearing import PCM, RATE, Listening, cough, kept_contract, mixed, mulaw, said, silence
from hypothesis import given, settings
from hypothesis import strategies as st

from callbot.events import SpeechContinues, SpeechStarted, UserSpoke
from callbot.sound import SpeechFailed


async def test_a_sentence_opens_speech_and_closes_with_its_words():
    """SpeechStarted while it is spoken, UserSpoke once after it, with the text told at its end."""
    sentence = said("hello, I would like to have my sofa cleaned, please")
    line = Listening()
    await line.hear(mulaw(mixed((1.0, sentence))))
    line.ears.oracle("hello, I would like to have my sofa cleaned, please")
    await line.hear(mulaw(silence(2)))
    assert kept_contract(line.events)
    [began], [ended] = line.times(SpeechStarted), line.times(UserSpoke)
    length = len(sentence) / 8000
    assert 1.15 < began < 1.5
    assert 1 + length + 0.4 < ended < 1 + length + 1.3
    assert line.words == ["hello, I would like to have my sofa cleaned, please"]
    assert line.times(SpeechContinues)


async def test_words_told_before_their_audio_are_heard_with_it():
    """A simulator may send them a moment early."""
    line = Listening()
    line.ears.oracle("yes please")
    await line.hear(mulaw(mixed((0.5, said("yes please, do that")), (3.0, silence(1)))))
    assert line.words == ["yes please"]


async def test_words_that_no_voice_carried_are_lost_and_noted():
    """What a call would not have heard, a simulated one does not either."""
    line = Listening()
    line.ears.oracle("are you there")
    await line.hear(mulaw(mixed((0.5, cough(150)), (5.0, silence(0.1)))))
    await line.hear(mulaw(mixed((0.5, said("hello, good morning")), (3.0, silence(1)))))
    assert line.words == [""]
    assert (line.notes[0].type, line.notes[0].data) == ("oracle_unheard", {"text": "are you there"})


async def test_frames_of_any_length_give_the_same_events():
    """Twilio documents no length; the same audio means the same."""
    audio = mulaw(mixed((0.7, said("I need a plumber")), (3.4, said("today")), (5.5, silence(0.5))))
    heard = []
    for frame in (160, 37, 1000, 4000):
        line = Listening()
        await line.hear(audio, frame)
        await line.answers()
        heard.append([type(event) for _, event in line.events if not isinstance(event, SpeechContinues)])
    assert heard == [heard[0]] * 4
    assert len(heard[0]) == 4


async def test_a_line_of_other_samples_is_heard_as_well():
    """A microphone at 16 kHz."""
    from callbot.sound import AudioFormat
    from callbot.speech.audio import convert

    wide = AudioFormat("pcm16", 16000)
    samples = mixed((0.7, said("I need a plumber")), (3.4, silence(0.5)))
    line = Listening(format=wide)
    await line.hear(convert(samples.astype("<i2").tobytes(), PCM, wide), 640)
    assert kept_contract(line.events)
    assert len(line.words) == 1


class Moody:
    """A recogniser that answers, fails, hangs or breaks, by what it is told for each utterance."""

    name = "moody"
    format = PCM

    def __init__(self, moods):
        self.moods = list(moods)
        self.fed = []

    def listen(self, language, expecting=""):
        mood = self.moods.pop(0) if self.moods else "answer"
        if mood == "deaf":
            raise RuntimeError("no ears today")
        self.fed.append(0)
        return MoodyHearing(self, mood, len(self.fed) - 1)

    async def warm(self):
        pass

    async def close(self):
        pass


class MoodyHearing:
    def __init__(self, owner, mood, number):
        self.owner, self.mood, self.number = owner, mood, number

    def feed(self, audio):
        self.owner.fed[self.number] += len(audio)
        if self.mood == "break":
            raise OSError("broken pipe")

    async def text(self):
        if self.mood == "fail":
            raise SpeechFailed("no words")
        if self.mood == "hang":
            await asyncio.sleep(3600)
        if self.mood == "slow":
            await asyncio.sleep(0.2)
        return f" word{self.number} "

    def abandon(self):
        pass


MOODS = ("answer", "fail", "slow", "hang", "break", "deaf")


@pytest.mark.parametrize("mood", MOODS)
async def test_speech_closes_whatever_the_recogniser_does(mood):
    """With its words or with none; what went wrong is noted; the next speech is heard again."""
    line = Listening(Moody([mood, "answer"]), patience=1.0 if mood == "slow" else 0.05)
    for _ in range(2):
        await line.hear(mulaw(mixed((0.3, said("I need a plumber")), (3.4, silence(0.1)))))
        await line.answers()
    assert kept_contract(line.events)
    first, second = line.words
    assert bool(first) is (mood in ("answer", "slow"))
    assert second.startswith("word")
    assert [note.type for note in line.notes] == [
        "recognised" if first else "recogniser_failed",
        "recognised",
    ]


async def test_a_caller_who_goes_on_before_the_words_come_says_one_thing():
    """Two utterances, one speech."""
    recogniser = Moody(["slow", "answer"])
    line = Listening(recogniser)
    sentence = said("I need a plumber")
    await line.hear(
        mulaw(mixed((0.3, sentence), (0.3 + len(sentence) / RATE + 0.8, sentence), (5, silence(0.1))))
    )
    await line.answers()
    assert kept_contract(line.events)
    assert line.words == ["word0 word1"]


@pytest.mark.parametrize("mood", ["answer", "slow"])
async def test_a_caller_without_a_pause_is_recognised_in_parts(mood):
    """No recogniser takes minutes at once; nothing is lost between the parts, and each is one speech."""
    sentence = said("I would like to have my sofa cleaned tomorrow and the carpet as well")
    recogniser = Moody([mood])
    line = Listening(recogniser)
    await line.hear(mulaw(mixed((0.3, np.tile(sentence, 8)), (44, silence(0.1)))))
    await line.answers()
    assert kept_contract(line.events)
    talked = len(sentence) * 8 / RATE
    assert line.words == ["word0", "word1"]
    assert sum(recogniser.fed) / 2 / RATE > talked
    assert max(recogniser.fed) / 2 / RATE < 27


async def test_the_first_consonant_is_not_lost():
    """What was said before speech was certain is recognised as well, and not the silence after it."""
    sentence = said("shall we say tomorrow")
    recogniser = Moody([])
    line = Listening(recogniser)
    await line.hear(mulaw(mixed((2.0, sentence), (6.0, silence(1)))))
    [fed] = recogniser.fed
    length = len(sentence) / RATE
    assert length + 0.5 < fed / 2 / RATE < length + 1.0


PIECES = {
    "sentence": lambda: said("I need a plumber"),
    "word": lambda: said("yes"),
    "cough": lambda: cough(180),
    "breath": lambda: silence(0.3),
    "pause": lambda: silence(0.9),
    "silence": lambda: silence(2.5),
    "hiss": lambda: silence(1, 400),
}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(PIECES)), min_size=1, max_size=8),
    st.lists(st.sampled_from(MOODS), max_size=8),
    st.sampled_from(["", "phone", "choice"]),
    st.integers(50, 700),
)
def test_every_speech_that_starts_ends_once(pieces, moods, asked, frame):
    """Whatever is on the line, whatever the recogniser does, in frames of any length."""

    async def call():
        line = Listening(Moody(moods), patience=0.02)
        line.ears.expect(asked)
        await line.hear(mulaw(np.concatenate([PIECES[piece]() for piece in pieces])), frame)
        await line.hear(mulaw(silence(3)), frame)
        if line.times(SpeechStarted):
            await line.answers()
        await line.ears.close()
        return line

    line = asyncio.run(call())
    assert kept_contract(line.events)
    if not {"sentence", "word"} & set(pieces):
        assert line.events == []
    if "sentence" in pieces:
        assert line.words
