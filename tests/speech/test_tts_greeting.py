"""``callbot greeting render``: the greeting as a file, from the voice or from the business's recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli import callbot

from callbot.errors import CallbotError
from callbot.sound import PHONE
from callbot.speech.recording import read_recording

BUSINESS = """\
id: corner-shop
name: Corner Shop
language: en
greeting: {text: "Corner Shop, how can I help?"%s}
fields: [{name: full_name, ask: "What is your name?"}]
prompt: Be kind.
"""


@pytest.fixture
def shop(tmp_path):
    """Writes the business, with or without a recording; runs the command beside it."""

    def make(audio=None):
        (tmp_path / "prompts").mkdir(exist_ok=True)
        extra = f", audio: {audio}" if audio else ""
        (tmp_path / "prompts" / "corner-shop.yaml").write_text(BUSINESS % extra)
        return lambda *arguments: callbot("greeting", "render", "corner-shop", *arguments, cwd=tmp_path)

    return make


def recording(folder: Path, samples, rate=16000) -> None:
    """A recording of the business's."""
    (folder / "prompts").mkdir(exist_ok=True)
    soundfile.write(folder / "prompts" / "hello.flac", samples, rate)


def speech(seconds=2.0, rate=16000, level=0.5):
    """Something loud."""
    return level * np.sin(2 * np.pi * 300 * np.arange(int(seconds * rate)) / rate)


def test_a_greeting_is_rendered_for_the_phone(shop, tmp_path):
    """8 kHz, one channel, as long as the sentence; the other fixed sentences are kept for serve."""
    done = shop()("--tts", "espeak")
    assert done.returncode == 0, done.stderr
    file = soundfile.info(tmp_path / "corner-shop-greeting.wav")
    assert (file.samplerate, file.channels, file.subtype) == (8000, 1, "PCM_16")
    assert 1 < file.duration < 4
    assert f"{file.duration:.1f} s, espeak" in done.stdout
    assert len(list((tmp_path / "recordings/clips").iterdir())) > 10


def test_bare_samples_are_written_when_asked_for(shop, tmp_path):
    """One byte a sample."""
    run = shop()
    assert run("--tts", "espeak").returncode == 0
    assert run("--tts", "espeak", "-o", "g.ulaw").returncode == 0
    seconds = soundfile.info(tmp_path / "corner-shop-greeting.wav").duration
    assert (tmp_path / "g.ulaw").stat().st_size / 8000 == pytest.approx(seconds)


def test_a_recording_takes_the_voices_place(shop, tmp_path):
    """Converted to what the phone plays; its path is from the folder of business files."""
    recording(tmp_path, speech(2.5))
    done = shop("hello.flac")("--tts", "espeak")
    assert done.returncode == 0, done.stderr
    assert "2.5 s, hello.flac" in done.stdout
    assert soundfile.info(tmp_path / "corner-shop-greeting.wav").duration == pytest.approx(2.5, abs=0.01)
    assert done.stderr == ""


def test_a_poor_recording_is_used_with_a_warning(shop, tmp_path):
    """It is the business's choice."""
    recording(tmp_path, np.clip(speech(level=3.0), -1, 1))
    done = shop("hello.flac")("--tts", "espeak")
    assert done.returncode == 0
    assert "of its samples are clipped; record it with less gain" in done.stderr
    recording(tmp_path, np.concatenate([np.zeros(32000), speech()]))
    late = read_recording(tmp_path / "prompts" / "hello.flac", PHONE)
    assert late.warnings == ("it begins with 2.0 s of silence; cut them",)


def test_a_recording_nobody_could_play_is_refused(shop, tmp_path):
    """With its business, key and file."""
    recording(tmp_path, np.zeros(16000))
    done = shop("hello.flac")("--tts", "espeak")
    assert done.returncode == 2
    assert "corner-shop: greeting.audio: prompts/hello.flac is silent" in done.stderr
    assert not (tmp_path / "corner-shop-greeting.wav").exists()


@pytest.mark.parametrize(
    ("samples", "rate", "why"),
    [
        (speech(0.1), 16000, "lasts 0.1 s"),
        (speech(70, 8000), 8000, "lasts 70.0 s"),
        (speech(1, 4000), 4000, "4000 samples a second"),
    ],
)
def test_lengths_and_rates_of_no_greeting_are_refused(tmp_path, samples, rate, why):
    """A caller would hear a click, a lecture or a mumble."""
    recording(tmp_path, samples, rate)
    with pytest.raises(CallbotError, match=why):
        read_recording(tmp_path / "prompts" / "hello.flac", PHONE)


def test_a_recording_that_is_missing_or_none_is_said_to_be(shop, tmp_path):
    """Before a caller hears noise."""
    run = shop("hello.flac")
    done = run("--tts", "espeak")
    assert (done.returncode, "there is no file prompts/hello.flac" in done.stderr) == (2, True)
    (tmp_path / "prompts" / "hello.flac").write_text("<html>not found</html>")
    done = run("--tts", "espeak")
    assert (done.returncode, "no audio that can be read" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "corner-shop has no voice: set voice.tts"),
        (("--tts", "espaek"), 'did you mean "espeak"'),
        (("--tts", "espeak", "-o", "x.mp3"), "write .wav, or .ulaw"),
        (("--tts", "openai:m/v@http://127.0.0.1:9/v1"), "the greeting could not be rendered"),
    ],
)
def test_what_cannot_be_rendered_says_why(shop, arguments, why):
    """In one line, with the way out."""
    done = shop()(*arguments)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr
