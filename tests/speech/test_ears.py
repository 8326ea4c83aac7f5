"""Ears keep the driver's contract: what they make of a caller's audio, whatever the recogniser does."""

from __future__ import annotations

from hearing import PCM, Listening, cough, kept_contract, mixed, mulaw, said, silence

from callbot.events import SpeechContinues, SpeechStarted, UserSpoke


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
