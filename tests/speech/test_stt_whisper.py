"""Real speech, really recognised: a neural voice through mu-law, the ears and Whisper's smallest useful model.

The voice and the model come from packages (see ``recognition.py``). Hebrew is not tested: this model does not understand it.
"""

from __future__ import annotations

import pytest
from hearing import Listening, kept_contract, mulaw, silence
from recognition import VOICE

from callbot.fields import phone_e164
from callbot.sound import PHONE
from callbot.speech.audio import convert
from callbot.speech.stt.registry import make_recogniser


async def test_a_callers_speech_becomes_their_words_and_noise_none(neural_voice, whisper):
    """A name and a wish, a number dictated in groups, and hiss loud enough for Whisper to invent on."""
    recogniser = make_recogniser(f"faster-whisper:{whisper}")
    await recogniser.warm()
    line = Listening(recogniser, patience=120)
    for asked, sentence in (
        ("", "Hello, my name is Mary Miller and I need a plumber tomorrow."),
        ("phone", "My number is zero five two, one two three, four five six seven."),
    ):
        line.ears.expect(asked)
        spoken = convert(neural_voice(sentence), VOICE, PHONE)
        await line.hear(mulaw(silence(0.5, 20)) + spoken + mulaw(silence(3, 20)))
        await line.answers()
    assert kept_contract(line.events)
    assert [note.type for note in line.notes] == ["recognised", "recognised"]
    wish, number = line.words
    assert "mary miller" in wish.lower()
    assert "plumber tomorrow" in wish.lower()
    assert phone_e164("".join(filter(str.isdigit, number)), "IL") == "+972521234567"
    hearing = recogniser.listen("en")
    hearing.feed(silence(4, 500).astype("<i2").tobytes())
    assert await hearing.text() == ""
    await recogniser.close()


async def test_a_folder_without_a_model_is_refused(whisper, tmp_path):
    """Before any call."""
    from callbot.errors import CallbotError

    with pytest.raises(CallbotError, match=r"no model\.bin"):
        make_recogniser(f"faster-whisper:{tmp_path}")
