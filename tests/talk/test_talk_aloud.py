"""``callbot talk`` on a sound server without hardware: what was really played, to the sample.

All times are those of the recordings; nothing is measured by a clock on the wall. How long an interruption
takes is measured on the tape, in samples that the card took and gave: what is heard comes a buffer later, and
on a loaded machine with gaps of the sound server's that are not the bot's. Such a machine also runs behind its
card: by how much, the line itself has measured, and that much is no fault of the bot's.
"""

from __future__ import annotations

import json
import sqlite3

import pytest
from cli import callbot
from sound_server import RATE, SoundServer, found, levels, traced
from talking_project import GOODBYE, GREETING, LONG, Project, ToldRecogniser, reply, spoken

from callbot import events as ev
from callbot.certificate import CARRIER_PLAYED, greeting_certificate
from callbot.lines.soundcard import LATENCY_SECONDS
from callbot.record import replayed

CERTAIN = 0.32 + 0.1
"""Seconds of voice after which speech is certain while the bot can be heard, Silero's smear included."""


@pytest.fixture
def room():
    """A room of one's own: tests may unplug it."""
    with SoundServer() as server:
        yield server


def greeted_undisturbed(folder):
    """A call that is interrupted, its project, what was heard of it, and its output.

    A loaded machine's card really runs dry, and the greeting's certificate then rightly fails: such a call
    is held again, three times at most.
    """
    for attempt in range(3):
        place = folder / str(attempt)
        place.mkdir()
        project = Project(place, reply(LONG), reply(GOODBYE, ends="lead_complete", name="Dana"))
        with SoundServer() as room, ToldRecogniser("hello there", "I am Dana, that is all") as recogniser:
            talk = project.start(room.env, "--headset", "--stt", recogniser.name)
            over = room.await_silence(room.await_sound(0), 0.6)
            room.say(spoken("hello there, good morning"))
            asked = room.await_sound(over)
            room.await_sample(asked + round(1.2 * RATE))
            room.say(spoken("I am Dana, and that is all I wanted to say to you"))
            out, _ = talk.communicate(timeout=60)
            heard = room.heard()
        assert talk.returncode == 0, out
        ((_, greeting),) = project.record.notes(CARRIER_PLAYED)
        if not greeting["underruns"]:
            return project, heard, out
        assert "greeting: fail (play): the sound card ran dry" in out
    raise AssertionError("the sound card ran dry in the greeting of every call")


def test_a_call_greets_once_yields_to_an_interruption_and_hangs_up_after_its_farewell(tmp_path):
    """Greeting found once and whole, nothing over it; barge-in; farewell whole before the end; all saved."""
    project, heard, out = greeted_undisturbed(tmp_path)
    you, bot = project.tape()

    greeting, farewell = traced(project.clip(GREETING), heard), traced(project.clip(GOODBYE), heard)
    assert greeting.share > 0.7
    assert farewell.share > 0.7
    ((_, likeness),) = found(project.clip(GREETING), bot)
    assert likeness > 0.999, "what the card was given has no gap, whatever became of it"
    ((_, likeness),) = found(project.clip(GOODBYE), bot)
    assert likeness > 0.999
    early = levels(heard[: max(0, greeting.begins - RATE // 25)])
    assert early.max(initial=0) < 200, "something was played before the greeting"

    question = traced(project.clip(LONG)[:RATE], heard)
    assert question.share > 0.7
    assert question.begins > greeting.ends, "the greeting and the question overlap"
    assert not found(project.clip(LONG)[-RATE:], heard), "the question was to be cut"

    record = project.record
    ((asked_at, _),) = found(project.clip(LONG)[:RATE], bot)
    ((thanked_at, _),) = found(project.clip(GOODBYE), bot)
    onset = first_sound(you, asked_at)
    stopped = last_sound(bot[: thanked_at - RATE // 25], asked_at)
    ((_, waited),) = record.notes("sound_waited")
    assert stopped - onset < (CERTAIN + 0.2 - LATENCY_SECONDS + waited["seconds"]) * RATE
    assert farewell.begins > question.begins

    assert str(greeting_certificate(record)) == "pass (play)"
    assert "greeting: pass (play)" in out
    assert "call ended by model: lead_complete" in out
    assert [event.text for _, event in record.of(ev.UserSpoke)] == ["hello there", "I am Dana, that is all"]
    commands = [type(entry.what) for entry in record.entries if entry.kind == "command"]
    assert [type(entry.what) for entry in replayed(record) if entry.kind == "command"] == commands
    with sqlite3.connect(project.folder / "callbot.db") as database:
        (fields,) = database.execute("select fields from leads").fetchone()
    assert json.loads(fields) == {"name": "Dana"}


def first_sound(samples, since):
    """The sample after ``since`` where sound begins."""
    return since + next(i for i, level in enumerate(levels(samples[since:])) if level > 200) * (RATE // 50)


def last_sound(samples, since):
    """The sample after ``since`` where the last sound ends."""
    loud = [i for i, level in enumerate(levels(samples[since:])) if level > 200]
    return since + (loud[-1] + 1) * (RATE // 50)


def test_a_streamed_greeting_is_said_once_and_what_is_said_over_it_is_answered_after_it(room, tmp_path):
    """The caller speaks over it; on loudspeakers their voice is let through only if it is loud."""
    project = Project(tmp_path, reply(GOODBYE, ends="customer_declined"), mode="stream")
    with ToldRecogniser("nothing, thanks") as recogniser:
        talk = project.start(room.env, "--phone", "--speakers", "--stt", recogniser.name)
        room.await_sound(0)
        room.say(spoken("I do not need anything, thanks") * 1.5)
        room.await_sound(room.await_silence(0, 0.3))
        talk.send_signal(2)
        out, _ = talk.communicate(timeout=60)
    assert talk.returncode == 0, out
    record = project.record
    assert next(speak.speech for _, speak in record.of(ev.Speak)) == ev.SpeechKind.GREETING
    assert str(greeting_certificate(record)) == "pass (stream)"
    assert [event.text for _, event in record.of(ev.UserSpoke)] == ["nothing, thanks"]
    (played, *_) = [t for t, _ in record.of(ev.Played)]
    assert all(t > played for t, speak in record.of(ev.Speak) if speak.speech != ev.SpeechKind.GREETING)


def test_a_sound_server_that_goes_away_ends_the_call_and_loses_nothing(room, tmp_path):
    """In mid-call: the caller is gone, Record and lead are kept, and the screen says why."""
    project = Project(tmp_path, reply(LONG, name="Dana"))
    talk = project.start(room.env, "--type")
    assert talk.stdin is not None
    talk.stdin.write("I am Dana\n")
    talk.stdin.flush()
    out = ""
    for line in talk.stdout:
        out += line
        if line == f"bot> {LONG}\n":
            break
    room.unplug()
    out += talk.communicate(timeout=60)[0]
    assert talk.returncode == 0, out
    assert "call ended by caller (the sound card has" in out
    assert [(ended.lead, ended.status) for _, ended in project.record.of(ev.SaveLead)]
    assert len(project.tape()[0]) > RATE


def test_devices_are_listed_and_others_refused(room, tmp_path):
    """A row each in a pipe, or a JSON object each; a name that none has is told which there are."""
    done = callbot("devices", cwd=tmp_path, env=room.env)
    assert done.returncode == 0, done.stderr
    head, *rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert head == ["number", "name", "system", "microphone channels", "loudspeaker channels", "rate"]
    as_json = callbot("devices", "--json", cwd=tmp_path, env=room.env).stdout.splitlines()
    assert [row[1] for row in rows] == [json.loads(line)["name"] for line in as_json]
    assert any("default" in row[3] for row in rows)
    project = Project(tmp_path, reply(LONG))
    refused = callbot(
        *project.command("--type", "--output-device", "no such thing")[3:], cwd=tmp_path, env=room.env
    )
    assert refused.returncode == 2
    assert '--output-device: "no such thing" is no loudspeaker' in refused.stderr
    assert rows[0][1] in refused.stderr
