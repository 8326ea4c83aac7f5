"""Sound cards that are not one good one: apart, of another rate, gone, refused; and a room with an echo.

PortAudio, ALSA and PulseAudio are the real ones. What no machine without hardware can be brought to do
(a card that another program holds) is refused in their name by a ``sounddevice`` in front of the real one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import wave

import pytest
from cli import callbot
from sound_server import RATE, SoundServer, found, traced
from talking_project import GOODBYE, GREETING, LONG, Project, ToldRecogniser, reply, spoken

from callbot import events as ev
from callbot.certificate import CARRIER_PLAYED

IN_FRONT = """
import os, sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
_here = os.path.dirname(__file__)
_spec = PathFinder.find_spec("sounddevice", [path for path in sys.path if path != _here])
_real = module_from_spec(_spec)
_spec.loader.exec_module(_real)
globals().update({name: value for name, value in vars(_real).items() if not name.startswith("__")})

def _refused(*everything, **options):
    raise _real.PortAudioError("Error opening a stream", CODE)

for _name in NAMES:
    globals()[_name] = _refused
"""
FIXED_RATE = """
</usr/share/alsa/alsa.conf>
pcm.receiver { type a52 slavepcm "pulse" rate 48000 channels 2 }
"""
"""A surround receiver: ALSA's encoder for it takes 48 kHz and nothing else."""
OPENED_LATE = """
import sys
from callbot.errors import CallbotError
from callbot.lines import soundcard
print("listed", len(soundcard.devices()), flush=True)
sys.stdin.readline()
try:
    soundcard.open_card(None, None, 16000, hears=True)
except CallbotError as error:
    print(error)
"""


@pytest.fixture
def room():
    """A room of one's own: tests may unplug it."""
    with SoundServer() as server:
        yield server


def refusing(folder, code, *names):
    """An environment in which sounddevice refuses these streams with one of PortAudio's codes."""
    (folder / "site").mkdir(exist_ok=True)
    source = IN_FRONT.replace("CODE", str(code)).replace("NAMES", repr(names))
    (folder / "site/sounddevice.py").write_text(source)
    return {"PYTHONPATH": str(folder / "site")}


def test_a_microphone_and_a_loudspeaker_that_are_two_devices_hold_a_call(room, tmp_path):
    """What two systems cannot open as one (paBadIODeviceCombination) is opened as two, and the screen says so."""
    project = Project(tmp_path, reply(GOODBYE, ends="lead_complete", name="Dana"))
    env = {**room.env, **refusing(tmp_path, -9993, "RawStream")}
    caller = spoken("hello there, this is Dana, and that is all I wanted to say to you")
    with ToldRecogniser("this is Dana") as recogniser:
        talk = project.start(env, "--headset", "--stt", recogniser.name)
        room.await_silence(room.await_sound(0), 0.6)
        room.say(caller)
        out, _ = talk.communicate(timeout=60)
    assert talk.returncode == 0, out
    assert "microphone and loudspeaker are two devices: the recording is aligned to 80 ms" in out
    assert "call ended by model: lead_complete" in out
    you, bot = project.tape()
    assert traced(caller, you).share > 0.5
    for sentence in (GREETING, GOODBYE):
        ((_, likeness),) = found(project.clip(sentence), bot)
        assert likeness > 0.999
        assert traced(project.clip(sentence), room.heard()).share > 0.6
    assert [event.text for _, event in project.record.of(ev.UserSpoke)] == ["this is Dana"]


def test_a_process_that_was_stopped_for_a_moment_goes_on_with_its_call(room, tmp_path):
    """Longer than the card's buffers last: the caller is understood afterwards, and the farewell is whole."""
    project = Project(tmp_path, reply(GOODBYE, ends="lead_complete", name="Dana"))
    with ToldRecogniser("this is Dana") as recogniser:
        talk = project.start(room.env, "--headset", "--stt", recogniser.name)
        over = room.await_silence(room.await_sound(0), 0.6)
        talk.send_signal(signal.SIGSTOP)
        room.await_sample(over + 2 * RATE)
        talk.send_signal(signal.SIGCONT)
        room.await_sample(over + 5 * RATE)
        room.say(spoken("hello there, this is Dana, and that is all I wanted to say to you"))
        out, _ = talk.communicate(timeout=60)
    assert talk.returncode == 0, out
    assert "call ended by model: lead_complete" in out
    assert [event.text for _, event in project.record.of(ev.UserSpoke)] == ["this is Dana"]
    assert traced(project.clip(GOODBYE), room.heard()).share > 0.6


def test_a_card_of_another_rate_is_used_at_its_own(room, tmp_path):
    """PortAudio says paInvalidSampleRate; greeting and answer are converted, and recorded as they were played."""
    (tmp_path / "asound.conf").write_text(FIXED_RATE)
    project = Project(tmp_path, reply(GOODBYE, ends="lead_complete", name="Dana"))
    env = {**room.env, "ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")}
    talk = project.start(env, "--type", "--output-device", "receiver")
    out, _ = talk.communicate("I am Dana\n", timeout=60)
    assert talk.returncode == 0, out
    assert "the sound card runs at 48000 Hz and is converted" in out
    assert "call ended by model: lead_complete" in out
    with wave.open(str(next(tmp_path.glob("recordings/calls/*.wav")))) as tape:
        assert tape.getframerate() == 48_000
    ((_, note),) = project.record.notes(CARRIER_PLAYED)
    assert note["elapsed"] == pytest.approx(note["seconds"], abs=0.2)


def test_a_sound_server_that_refuses_what_it_has_listed_is_told_in_plain_words(room):
    """It was there when devices were looked for, and is gone, or lets nobody in, when they are opened."""
    child = subprocess.Popen(
        [sys.executable, "-c", OPENED_LATE],
        env={**os.environ, **room.env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout.readline().startswith("listed")
    room.unplug()
    out, _ = child.communicate("\n", timeout=60)
    assert "cannot be opened" in out
    assert "this program may not be allowed to use it" in out
    assert "callbot doctor" in out


def test_what_portaudio_refuses_is_said_with_a_remedy_and_saves_no_call(room, tmp_path):
    """Busy, of no common rate, without channels, denied: exit code 2, no file, no row."""
    project = Project(tmp_path, reply(LONG))
    for code, said in {
        -9985: "cannot be had: another program may hold it, or it was unplugged",
        -9997: "takes neither the call's sample rate nor its own",
        -9998: "cannot carry one channel",
        -9999: "this program may not be allowed to use it",
    }.items():
        env = {**room.env, **refusing(tmp_path, code, "RawStream", "RawInputStream", "RawOutputStream")}
        done = callbot(*project.command("--stt", "openai:w@http://127.0.0.1:9/v1")[3:], cwd=tmp_path, env=env)
        assert done.returncode == 2, done.stdout
        assert said in done.stderr
        assert '"default"' in done.stderr or '"pulse"' in done.stderr
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("recordings/calls/*"))
    assert not (tmp_path / "callbot.db").exists()


def test_on_loudspeakers_the_bot_does_not_answer_its_own_echo_and_a_caller_interrupts_it(room, tmp_path):
    """What it plays comes back into the microphone, ten decibels weaker; a caller is louder than that."""
    room.echo(-10)
    project = Project(tmp_path, reply(LONG), reply(GOODBYE, ends="lead_complete", name="Dana"), mode="stream")
    with ToldRecogniser("hello there", "I am Dana, that is all") as recogniser:
        talk = project.start(room.env, "--speakers", "--stt", recogniser.name)
        over = room.await_silence(room.await_sound(0), 0.6)
        assert talk.poll() is None
        room.say(spoken("hello there, good morning"))
        room.await_sample(room.await_sound(over) + 4 * RATE)
        room.say(spoken("I am Dana, and that is all I wanted to say to you") * 2.5)
        out, _ = talk.communicate(timeout=60)
    assert talk.returncode == 0, out
    assert "only a voice louder than its echo interrupts" in out
    record = project.record
    assert [event.text for _, event in record.of(ev.UserSpoke)] == ["hello there", "I am Dana, that is all"]
    assert len(list(record.of(ev.ClearAudio))) == 1, "the question was cut, by nobody but the caller"
    assert not found(project.clip(LONG)[-RATE:], project.tape()[1])
