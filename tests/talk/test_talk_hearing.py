"""One talk that is really recognised: a neural voice into the microphone, Whisper behind it."""

from __future__ import annotations

import numpy as np
from recognition import VOICE
from sound_server import RATE, SoundServer
from talking_project import GOODBYE, Project, reply

from callbot import events as ev
from callbot.sound import AudioFormat
from callbot.speech.audio import convert

WIDE = AudioFormat("pcm16", RATE)


def test_what_is_said_into_the_microphone_is_understood(tmp_path, whisper, neural_voice):
    """English, at the microphone's 16 kHz, on one core that also runs the call."""
    said = neural_voice("Hello, my name is Mary Miller and I need a plumber tomorrow.")
    audio = convert(said, VOICE, WIDE)
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
