"""espeak speaks, stops when told to, and serves several at once with its one state."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from callbot.errors import CallbotError
from callbot.sound import SpeechFailed
from callbot.speech.tts.hebrew import phonemes
from callbot.speech.tts.registry import make_voice


async def spoken(voice, text, language="en"):
    """All audio of a sentence."""
    return b"".join([piece async for piece in voice.synthesise(text, language)])


def alike(one, other):
    """Whether two recordings are the same words: espeak repeats itself only nearly."""
    shorter = min(len(one), len(other)) // 2
    if abs(len(one) - len(other)) > 0.03 * len(one):
        return False
    loud = [
        np.abs(np.frombuffer(audio, "<i2")[:shorter].astype(float))[: shorter // 441 * 441].reshape(-1, 441)
        for audio in (one, other)
    ]
    return np.corrcoef(*(frames.mean(axis=1) for frames in loud))[0, 1] > 0.9


@pytest.mark.parametrize(("text", "language"), [("hello, who is speaking?", "en"), ("שלום, מי מדבר?", "he")])
async def test_a_sentence_becomes_audible_speech(text, language):
    """About as long as a person would take, and loud enough to hear."""
    voice = make_voice("espeak")
    audio = await spoken(voice, text, language)
    seconds = voice.format.seconds(len(audio))
    assert 0.8 < seconds < 4
    assert np.abs(np.frombuffer(audio, "<i2").astype(float)).max() > 5000


async def test_variant_and_speed_are_heard():
    """A variant sounds different, a slower voice takes longer."""
    plain, fast, other = (make_voice(name) for name in ("espeak", "espeak/300", "espeak:f2"))
    text = "the office is open until six"
    usual = await spoken(plain, text)
    assert len(await spoken(fast, text)) < 0.8 * len(usual)
    assert not alike(await spoken(other, text), usual)
    assert alike(await spoken(plain, text), usual)
    assert [voice.name for voice in (plain, fast, other)] == ["espeak", "espeak/300", "espeak:f2"]


async def test_closing_abandons_the_rest_and_the_next_sentence_is_whole():
    """A barge-in does not keep the next caller waiting for an hour of speech that nobody hears."""
    voice = make_voice("espeak")
    whole = await spoken(voice, "one moment please")
    async with aclosing(voice.synthesise("this goes on and on. " * 20_000, "en")) as pieces:
        assert await anext(pieces)
    async with asyncio.timeout(10):  # all of it would take a minute
        assert alike(await spoken(voice, "one moment please"), whole)


async def test_sentences_asked_for_at_once_do_not_mix():
    """Two calls speak at the same time; each hears its own language and words only."""
    voices = [make_voice("espeak:f2"), make_voice("espeak:m3/120")]
    texts = ["one moment please", "we are open until six", "thank you, goodbye"]
    alone = [await spoken(voice, text) for voice in voices for text in texts]
    together = await asyncio.gather(*(spoken(voice, text) for voice in voices for text in texts))
    for place, audio in enumerate(together):
        assert [alike(audio, other) for other in alone].index(True) == place


@pytest.mark.parametrize("text", ["", " ", "\0", "\n"])
async def test_nothing_to_say_is_a_failure_not_silence(text):
    """Whoever waits for audio learns that there will be none."""
    with pytest.raises(SpeechFailed, match="nothing to say"):
        await spoken(make_voice("espeak"), text)


async def test_a_language_without_a_voice_is_a_failure():
    """espeak's answer is not taken for speech."""
    with pytest.raises(SpeechFailed, match='no voice for "tlh"'):
        await spoken(make_voice("espeak"), "nuqneH", "tlh")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("espeak:nobody", 'no variant "nobody"'),
        ("espeak:f2/20", "80 to 450"),
        ("espeak:f2 fast", "is no voice"),
        ("espaek", 'did you mean "espeak"'),
        ("", "voices are named"),
    ],
)
def test_names_that_are_no_voice_say_what_is(name, why):
    """With the way to write it."""
    with pytest.raises(CallbotError, match=why):
        make_voice(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("שלום", "[[Sal'om]]."),
        ("לא צריך, תודה", "[[l'o]] [[tsaR'iX]], [[tod'a]]."),
        ("רגע אחד!", "[[Reg'a]] [[?eX'ad]]!"),
        ("אני, call me דנה?", "[[?an'i]], call me [[dan'a]]?"),
        ("hello [[x]]", "hello   x]]."),
    ],
)
def test_hebrew_is_given_its_vowels(text, said):
    """Word by word as phonemes; what is not Hebrew stays text, and cannot pass for phonemes."""
    assert phonemes(text) == said


async def test_vowels_are_heard():
    """The same sentence takes longer than its consonants; English is not touched."""
    plain, vocal = make_voice("espeak"), make_voice("espeak-hebrew")
    text = "תל אביב, שלום לכולם"
    assert len(await spoken(vocal, text, "he")) > 1.1 * len(await spoken(plain, text, "he"))
    assert alike(await spoken(vocal, "hello there"), await spoken(plain, "hello there"))
    assert make_voice("espeak-hebrew:f2/150").name == "espeak-hebrew:f2/150"
