"""``callbot talk`` without a sound card: recorded callers, keys, pipes, and everything that may be missing."""

from __future__ import annotations

import os
import sys
import wave
from pathlib import Path

import numpy as np
import pexpect
import pytest
from cli import REPOSITORY, callbot
from sound_server import RATE, found
from talking_project import (
    GOODBYE,
    GREETING,
    LONG,
    SHORT,
    Project,
    ToldRecogniser,
    reply,
    spoken,
    without_portaudio,
)

from callbot import events as ev
from callbot.certificate import CARRIER_PLAYED

NULL = ("--output-device", "null")
NOWHERE = {"XDG_RUNTIME_DIR": "/nonexistent", "PULSE_SERVER": "unix:/nonexistent/native"}


def talk(project: Project, *arguments, stdin="", env=None):
    """Run a talk to its end."""
    return callbot(*project.command(*arguments)[3:], cwd=project.folder, stdin=stdin, env=env)


def write_wav(path: Path, *channels: np.ndarray) -> Path:
    """A file of one channel or several."""
    length = max(map(len, channels))
    frames = np.stack([np.pad(one, (0, length - len(one))) for one in channels], axis=1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(frames.astype("<i2").tobytes())
    return path


def test_typed_turns_are_answered_aloud_and_saved(tmp_path):
    """A pipe: each line once it is the caller's turn; greeting and answers on the tape; call and lead kept."""
    project = Project(tmp_path, reply("Who is it?"), reply(GOODBYE, ends="lead_complete", name="Dana"))
    done = talk(project, *NULL, "--type", stdin="hello\nDana\n")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith(("bot>", "you>"))]
    assert said == [
        f"bot> {GREETING}",
        "you> hello",
        "bot> Who is it?",
        "you> Dana",
        f"bot> {GOODBYE}",
    ]
    assert "you type, the bot speaks" in done.stdout
    assert "call ended by model: lead_complete" in done.stdout
    assert "greeting: pass (play)" in done.stdout
    _, bot = project.tape()
    ((greeted, likeness),) = found(project.clip(GREETING), bot)
    assert likeness > 0.999
    ((farewell, likeness),) = found(project.clip(GOODBYE), bot)
    assert likeness > 0.999
    assert farewell > greeted
    ((_, note),) = project.record.notes(CARRIER_PLAYED)
    assert note["elapsed"] == pytest.approx(note["seconds"], abs=0.1)
    (path,) = tmp_path.glob("recordings/calls/*.txt")
    assert GOODBYE in path.read_text()
    assert path.with_suffix(".wav").stat().st_mode & 0o077 == 0, "only who talked may hear it"
    made = callbot("scenario", "from-call", path.stem, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "say:" in made.stdout


def test_a_recorded_caller_is_heard_once_the_greeting_is_over(tmp_path):
    """--from FILE: the words come from the file's sound; all of it through 8 kHz mu-law."""
    project = Project(tmp_path, reply(GOODBYE, ends="lead_complete", name="Dana"))
    file = write_wav(tmp_path / "caller.wav", spoken("hello there, this is Dana Levi speaking"))
    with ToldRecogniser("this is Dana") as recogniser:
        done = talk(project, *NULL, "--phone", "--stt", recogniser.name, "--from", file)
    assert done.returncode == 0, done.stderr
    assert "you> this is Dana" in done.stdout
    assert "answered: recognition" in done.stdout
    with wave.open(str(next(tmp_path.glob("recordings/calls/*.wav")))) as tape:
        assert tape.getframerate() == 8000, "as on the telephone"
    assert [event.text for _, event in project.record.of(ev.UserSpoke)] == ["this is Dana"]


def test_a_stereo_recording_begins_where_it_began_and_its_greeting_is_spoken_over_in_vain(tmp_path):
    """Rule 1: what is said while the line plays the greeting reaches nobody."""
    project = Project(tmp_path, reply(LONG), more="silence: {after: 2, warn: [Are you there?]}\n")
    caller = spoken("hello there, this is Dana")
    file = write_wav(tmp_path / "call.wav", caller, np.ones(10))
    with ToldRecogniser("never asked for") as recogniser:
        child = project.start({}, *NULL, "--stt", recogniser.name, "--from", file)
        for line in child.stdout:
            if line.startswith("bot> Are"):  # the first warning: nobody has said a word
                break
        child.send_signal(2)
        child.communicate(timeout=60)
    you, _ = project.tape()
    ((at, _),) = found(caller, you)
    assert at < RATE, "it was on the line from its opening"
    assert list(project.record.of(ev.UserSpoke, ev.SpeechStarted)) == []


class Terminal:
    """A talk on a terminal."""

    def __init__(self, project: Project, *arguments, columns=100):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBOT_", "CI"))}
        self.child = pexpect.spawn(
            sys.executable,
            project.command(*NULL, *arguments)[1:],
            cwd=str(project.folder),
            env={**env, "TERM": "xterm", "PYTHONUTF8": "1"},
            encoding="utf-8",
            dimensions=(24, columns),
            timeout=40,
        )


def test_keys_mute_and_hang_up_politely_and_the_terminal_is_given_back(tmp_path):
    """A narrow one. Space, then q while the bot speaks: its sentence is heard to its end, then the caller has hung up."""
    project = Project(tmp_path, reply(SHORT))
    file = write_wav(tmp_path / "caller.wav", spoken("hello there, good morning"))
    with ToldRecogniser("hello there") as recogniser:
        terminal = Terminal(project, "--stt", recogniser.name, "--from", file, columns=30)
        child = terminal.child
        child.expect("for which")
        child.send(" ")
        child.expect("MUTED")
        child.send("q")
        child.expect("call ended by caller")
        child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    record = project.record
    assert list(record.notes("muted"))
    (spoke,) = [what.mark for _, what in record.of(ev.Speak)]
    assert [what.mark for _, what in record.of(ev.Played)] == [spoke], "the sentence was heard to its end"
    ((_, likeness),) = found(project.clip(SHORT), project.tape()[1])
    assert likeness > 0.999


def test_ctrl_c_twice_leaves_at_once_and_everything_is_saved(tmp_path):
    """In the middle of the greeting; a greeting that nobody heard to its end is no fault of the bot."""
    project = Project(tmp_path, reply(LONG))
    terminal = Terminal(project, "--type")
    terminal.child.expect("the bot greets")
    terminal.child.send("\x03\x03")
    terminal.child.expect("greeting: caller_left")
    terminal.child.expect("saved as")
    terminal.child.expect(pexpect.EOF)
    terminal.child.close()
    assert terminal.child.exitstatus == 0
    assert list(project.record.of(ev.CallerHungUp))


def test_what_is_typed_on_a_terminal_is_shown_edited_and_answered(tmp_path):
    """With backspace, on the same screen that shows the call; /hangup leaves."""
    project = Project(tmp_path, reply("Who is it?"))
    child = Terminal(project, "--type").child
    child.expect("your turn")
    child.send("hellp\x7fo\r")
    child.expect(r"you>[^\n]*hello")
    child.expect("Who is it")
    child.send("/hangup\r")
    child.expect("call ended by caller")
    child.expect(pexpect.EOF)
    assert [event.text for _, event in project.record.of(ev.UserSpoke)] == ["hello"]


def test_without_any_key_it_talks_and_says_what_it_uses(tmp_path):
    """The shipped business names voices that want keys: a robot speaks, and the caller types."""
    done = callbot(
        "talk",
        "harborside-home",
        "--prompts-dir",
        REPOSITORY / "prompts",
        *NULL,
        cwd=tmp_path,
        stdin="Hello\n",
        env={"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "model offline (embedded; no --model named, no OPENAI_API_KEY set)" in done.stdout
    assert "azure:en-US-JennyNeural cannot be used" in done.stdout
    assert "the robot espeak speaks" in done.stdout
    assert "no Whisper model is on this machine: you type, the bot speaks" in done.stdout
    assert "you> Hello" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--type",), "this machine has no loudspeaker that may be used"),
        (("--stt", "openai:w@http://127.0.0.1:9/v1"), "this machine has no loudspeaker"),
        (
            (*NULL, "--from", "none.wav", "--stt", "openai:w@http://127.0.0.1:9/v1"),
            "there is no file none.wav",
        ),
        (
            (*NULL, "--from", "replies.jsonl", "--stt", "openai:w@http://127.0.0.1:9/v1"),
            "replies.jsonl holds no audio that can be read",
        ),
        ((*NULL, "--stt", "whisperer"), 'unknown recogniser "whisperer"'),
        ((*NULL, "--stt", "oracle"), "talk is for people"),
        ((*NULL, "--tts", "azure:he-IL-HilaNeural"), "AZURE_SPEECH_KEY"),
        ((*NULL, "--type", "--from", "x.wav"), "leave out --stt and --from"),
        ((*NULL, "--caller", "12"), "12"),
    ],
)
def test_what_cannot_start_says_why_and_saves_no_call(tmp_path, arguments, said):
    """Exit code 2 and one clear sentence; PortAudio's own names appear nowhere."""
    project = Project(tmp_path, reply(LONG))
    done = talk(project, *arguments, env=NOWHERE)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("recordings/calls/*"))
    assert not (tmp_path / "callbot.db").exists()


def test_a_missing_portaudio_says_how_to_install_it(tmp_path):
    """``talk`` and ``devices`` where the real sounddevice finds no library."""
    project = Project(tmp_path, reply(LONG))
    env = without_portaudio(tmp_path)
    for done in (talk(project, "--type", env=env), callbot("devices", cwd=tmp_path, env=env)):
        assert done.returncode == 2
        assert "the library PortAudio is missing: " in done.stderr
        assert "install" in done.stderr


def test_devices_of_a_machine_without_any(tmp_path):
    """It says what may be missing."""
    done = callbot("devices", cwd=tmp_path, env=NOWHERE)
    assert done.returncode == 2
    assert "this machine has no sound device; start its sound server" in done.stderr
