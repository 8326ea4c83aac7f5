"""``callbot doctor`` and the sound card: there, not there, and without the library that finds it."""

from __future__ import annotations

import json

from cli import callbot
from sound_server import SoundServer
from talking_project import Project, reply, without_portaudio

NOWHERE = {"XDG_RUNTIME_DIR": "/nonexistent", "PULSE_SERVER": "unix:/nonexistent/native"}


def diagnosis(project, env):
    """Exit code and findings by name."""
    done = callbot("doctor", "--json", cwd=project.folder, env={"HF_HOME": str(project.folder), **env})
    assert done.stderr == ""
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_a_sound_server_has_what_talk_needs(tmp_path):
    """PortAudio's version, and the devices that talk would open; nothing in the way of a talk."""
    project = Project(tmp_path, reply("Hello"))
    with SoundServer() as room:
        code, found = diagnosis(project, room.env)
    assert code == 0
    assert found["modes"]["detail"] == "set up here: eval, chat, talk; not serve"
    assert found["portaudio"]["detail"].startswith("PortAudio V19")
    for name in ("microphone", "loudspeaker"):
        assert found[name]["status"] == "ok"
        assert "ALSA" in found[name]["detail"]


def test_without_any_device_talk_is_broken_and_a_typed_turn_needs_no_microphone(tmp_path):
    """A loudspeaker is needed; a microphone where there is a recogniser to hear it."""
    project = Project(tmp_path, reply("Hello"))
    code, found = diagnosis(project, NOWHERE)
    assert code == 1
    assert (found["loudspeaker"]["status"], found["microphone"]["status"]) == ("fail", "warn")
    _, found = diagnosis(project, {**NOWHERE, "CALLBOT_STT": "openai:ears@http://127.0.0.1:9/v1"})
    assert found["microphone"]["status"] == "fail"


def test_without_portaudio_it_says_how_to_install_it_here(tmp_path):
    """Fails where talk is set up; on a machine that serves it is a warning."""
    project = Project(tmp_path, reply("Hello"))
    env = without_portaudio(tmp_path)
    code, found = diagnosis(project, env)
    assert (code, found["portaudio"]["status"]) == (1, "fail")
    assert found["portaudio"]["detail"] == "the library PortAudio is missing"
    assert "install" in found["portaudio"]["remedy"]
    _, found = diagnosis(project, {**env, "TWILIO_AUTH_TOKEN": "a-token-of-mine"})
    assert found["portaudio"]["status"] == "warn"
