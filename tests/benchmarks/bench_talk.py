"""What ``callbot talk`` costs: the wait before an answer, an idle call's processor, and a soak for slips of the card.

    python tests/benchmarks/bench_talk.py [--answers 10] [--minutes 0.5]

Runs the real command on a PulseAudio without hardware (pulseaudio, pulseaudio-utils, libportaudio2). The
recogniser is a local server that answers at once, the model a script and the voice a rendered clip, so
that what is left is ours: from the end of speech, as the ears decide it, to the first sample in the card's
buffer. The card's own latency is printed beside it. ``--minutes`` is how long the idle call is listened to:
5 for a soak. Misses are those of the card; how often, is printed above them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "talk"))

from sound_server import RATE, SoundServer
from talking_project import SHORT, Project, ToldRecogniser, reply, spoken

from callbot import events as ev
from callbot.lines.soundcard import BLOCK_SECONDS, LATENCY_SECONDS
from callbot.record import Record

IDLE = "silence: {after: 100000}\nlimits: {seconds: 100000}\n"


def answers(count: int) -> Record:
    """A talk in which so many utterances are answered."""
    with tempfile.TemporaryDirectory() as folder, SoundServer() as room:
        project = Project(Path(folder), *[reply(SHORT)] * count, more=IDLE)
        with ToldRecogniser(*["hello there"] * count) as recogniser:
            talk = project.start(room.env, "--headset", "--stt", recogniser.name)
            over = room.await_silence(room.await_sound(0), 0.6)
            for _ in range(count):
                room.say(spoken("hello there, good morning"))
                over = room.await_silence(room.await_sound(over), 0.6)
            talk.send_signal(2)
            talk.communicate(timeout=30)
        return project.record


def waits(record: Record) -> tuple[list[float], list[float]]:
    """Of each answer, in seconds: from the end of speech to the first sample queued; without recogniser's time."""
    whole, ours = [], []
    recognised = spoke = 0.0
    waiting = False
    for entry in record.entries:
        if isinstance(entry.what, ev.UserSpoke):
            spoke, waiting = entry.t, True
        elif isinstance(entry.what, ev.Note) and entry.what.type == "recognised":
            recognised = float(entry.what.data["seconds"])  # type: ignore[arg-type]
        elif isinstance(entry.what, ev.Note) and entry.what.type == "voice_began" and waiting:
            waiting = False
            ours.append(entry.t - spoke)
            whole.append(entry.t - spoke + recognised)
    return whole, ours


def idle(minutes: float) -> tuple[float, Record]:
    """Share of a core that an open call uses while nobody speaks, and its Record."""
    with tempfile.TemporaryDirectory() as folder, SoundServer() as room:
        project = Project(Path(folder), reply(SHORT), more=IDLE)
        with ToldRecogniser() as recogniser:
            talk = project.start(room.env, "--headset", "--stt", recogniser.name)
            room.await_silence(room.await_sound(0), 1.0)
            before, begun = _used(talk.pid), time.monotonic()
            for _ in range(round(minutes * 6)):
                room.say(np.random.default_rng(0).normal(0, 20, 10 * RATE))
            used, passed = _used(talk.pid) - before, time.monotonic() - begun
            talk.send_signal(2)
            out, _ = talk.communicate(timeout=30)
        print(*(line.strip() for line in out.splitlines() if "the sound card" in line), sep="\n")
        return used / passed, project.record


def _used(pid: int) -> float:
    """Processor seconds of a process (proc(5): fields 14 and 15 of stat, in clock ticks)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=0.5)
    options = parser.parse_args()
    whole, ours = waits(answers(options.answers))
    for name, seconds in (("with a local recogniser", whole), ("providers excluded", ours)):
        milliseconds = 1000 * np.array(seconds)
        print(
            f"end of speech to first audio, {name}: median {np.median(milliseconds):.1f} ms, "
            f"most {milliseconds.max():.1f} ms, of {len(milliseconds)}"
        )
    print(
        f"on top of it: a block of {1000 * BLOCK_SECONDS:.0f} ms, a buffer of {1000 * LATENCY_SECONDS:.0f} ms"
    )
    share, record = idle(options.minutes)
    slips = ", ".join(sorted(str(note["what"]) for _, note in record.notes("device_slipped"))) or "none"
    ((_, waited),) = record.notes("sound_waited")
    print(f"an idle open call: {share:.1%} of a core")
    print(
        f"a soak of {options.minutes:g} min: callback misses: {slips}; a block waited "
        f"{1000 * float(waited['seconds']):.0f} ms at most"  # type: ignore[arg-type]
    )


if __name__ == "__main__":
    main()
