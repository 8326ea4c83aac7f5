"""Calls held aloud in one process (``eval --audio``): both ends of the phone, on virtual time."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from caller_stage import COMPLETE, play, record_of, reply, said, shop
from cli import REPOSITORY

from callbot import events as ev
from callbot.driver import Arrival
from callbot.evals.callers import Callers
from callbot.evals.report import RunReport
from callbot.rehearsal.studio import Sound, Studio
from callbot.rehearsal.virtualtime import VirtualClock, VirtualLoop
from callbot.sound import AudioFormat
from callbot.speech.audio import convert_samples, wav_bytes

sys.path.insert(0, str(REPOSITORY / "tests" / "speech"))
from recognition_server import Answer, RecognitionServer
from speech_server import Audio, SpeechServer

QUESTION = reply("Who am I talking to?")
LONG = reply("We clean carpets and sofas of every kind, at your home, on any day of the week but Saturday.")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where sentences are kept for all tests of the file."""
    return tmp_path_factory.mktemp("clips")


def aloud(
    folder: Path,
    clips: Path,
    caller: str,
    expect: str,
    model: Any,
    *,
    tts: str = "espeak",
    stt: str = "oracle",
    **more: Any,
) -> list[RunReport]:
    """The reports of attempts at a call that is held aloud."""
    studio = Studio(Sound(tts, stt, clips, folder), threads=1)
    return play(folder, caller, expect, model, stage=studio, **more)


def checks(run: RunReport) -> dict[str, str]:
    """What the audio checks say: ``ok``, or what is wrong."""
    return {
        check.name.removeprefix("audio_"): "ok" if check.passed else check.detail
        for check in run.checks
        if check.name.startswith("audio_")
    }


@pytest.mark.parametrize("mode", ["play", "stream"])
def test_a_good_call_is_heard_from_greeting_to_farewell(tmp_path: Path, clips: Path, mode: str) -> None:
    """Every audio check holds, whoever plays the greeting, and the recording holds both sides."""
    business = shop(greeting={"text": "Hello, this is the shop, how can I help?", "mode": mode})
    script = "{turns: [{say: I need a rug cleaned}, {say: my name is Dana Levi}]}"
    [run] = aloud(tmp_path, clips, script, "end: {turns: [2, 2]}", [QUESTION, COMPLETE], business=business)
    assert run.passed, (run.detail, run.checks)
    heard = checks(run)
    assert set(heard.values()) == {"ok"}
    assert {"greeting_whole", "greeting_once", "farewell_whole", "farewell_heard", "no_gaps"} <= set(heard)
    assert run.audio is not None
    samples, rate = soundfile.read(tmp_path / run.audio)
    record = record_of(tmp_path, run)
    assert len(samples) / rate == pytest.approx(record.entries[-1].t, abs=0.1)
    assert abs(samples[:rate, 1]).max() > 0.05, "the bot greets, on the right"
    assert abs(samples[:rate, 0]).max() == 0, "while the caller listens, on the left"
    assert abs(samples[:, 0]).max() > 0.05


def test_the_same_call_is_the_same_again(tmp_path: Path, clips: Path) -> None:
    """To the microsecond, in another process's place and after other calls."""
    caller = "{facts: {full_name: Dana Levi, phone: 054-111-2233}, temper: hesitant}"
    records = []
    for name, attempts in (("a", 1), ("b", 2)):
        folder = tmp_path / name
        folder.mkdir()
        runs = aloud(
            folder, clips, caller, "end: open", [QUESTION] * 30, attempts=attempts, callers=Callers(seed=3)
        )
        records.append(record_of(folder, runs[0]))
    assert records[0].entries == records[1].entries
    assert len(records[0].entries) > 30


def test_a_caller_who_interrupts_silences_the_bot(tmp_path: Path, clips: Path) -> None:
    """The reply is cut where the caller's voice was noticed, and the history says so."""
    script = "{turns: [{say: what do you clean}, {say: I see thank you, barge_in: 1.5}]}"
    [run] = aloud(tmp_path, clips, script, "end: open", [LONG, QUESTION])
    assert run.passed, run.checks
    assert checks(run)["stops"] == "ok"
    record = record_of(tmp_path, run)
    [(cut, _)] = record.of(ev.ClearAudio)
    [_, (spoke, _)] = [(t, data) for t, data in record.notes("caller_turn")]
    assert 0.2 < cut - spoke < 1.0


def test_silence_ends_the_call_after_warnings_in_no_time(tmp_path: Path, clips: Path) -> None:
    """Half a minute of silence is heard out, and the closing sentence is heard whole."""
    began = time.process_time()
    [run] = aloud(
        tmp_path,
        clips,
        "{turns: [{say: hello there}, {silence: 60}]}",
        "end: {turns: [2, 2], reason: no_response}",
        [QUESTION],
    )
    assert time.process_time() - began < 25, "not lived through"
    assert (run.verdict, run.ended_by) == ("on_time", "silence")
    assert run.passed, run.checks
    assert checks(run)["farewell_heard"] == "ok"
    assert record_of(tmp_path, run).entries[-1].t > 30


def test_a_caller_who_leaves_is_gone_at_once(tmp_path: Path, clips: Path) -> None:
    """During the greeting, which then need not be whole; and in the middle of a call."""
    [run] = aloud(tmp_path, clips, "{turns: [{hang_up: true}]}", "end: open", [QUESTION])
    assert (run.verdict, run.ended_by, run.passed) == ("open", "caller", True), run.checks
    [run] = aloud(
        tmp_path,
        clips,
        "{turns: [{say: hello}, {press: '12'}, {hang_up: true}]}",
        "end: open",
        [QUESTION, QUESTION],
    )
    assert said(run) == ["hello", "[presses 12]", "[hangs up]"]
    assert (run.ended_by, run.ended_turn, run.passed) == ("caller", 3, True), run.checks


async def _ticks(deadlines: list[float]) -> list[tuple[float, float]]:
    clock, nothing = VirtualClock(), asyncio.Queue[Arrival]()
    came = []
    for deadline in deadlines:
        arrival = await clock.next(nothing, deadline, thinking=False)
        assert arrival == ev.Tick()
        came.append((deadline, clock.now()))
    return came


def test_a_deadline_has_come_when_its_tick_does() -> None:
    """Else it would be fed again and again at the same moment, for time does not pass by itself."""
    deadlines = [step * 0.02 + 8 for step in range(2000)]
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        came = runner.run(_ticks(deadlines))
    assert all(deadline <= now < deadline + 1e-5 for deadline, now in came)


def test_noise_is_no_voice(tmp_path: Path, clips: Path) -> None:
    """A second of hiss over the reply does not cut it, as it would if nobody listened to the sound."""
    script = "{turns: [{say: what do you clean}, {noise: 1, barge_in: 1}, {say: thank you}]}"
    [run] = aloud(tmp_path, clips, script, "end: open", [LONG, QUESTION])
    assert run.passed, run.checks
    assert not list(record_of(tmp_path, run).of(ev.ClearAudio))


async def test_a_voice_that_breaks_its_sentences_fails_the_scenario(tmp_path: Path, clips: Path) -> None:
    """The conversation is right and the verdict on time; what a caller hears is not."""
    (tmp_path / "hello.wav").write_bytes(wav_bytes(_hiss(2, seed=1), SERVED))
    business = shop(greeting={"text": "Hello.", "audio": "hello.wav"})
    sentence = _hiss(1.2, seed=2)
    half = len(sentence) // 2
    runs = []
    async with SpeechServer() as server:
        for answer in (Audio(sentence, chunk=half), Audio(sentence, chunk=half, gap=0.9)):
            server.will(answer)
            [run] = await asyncio.to_thread(
                aloud,
                tmp_path,
                clips,
                "{turns: [{say: what do you clean}, {say: my name is Dana Levi}]}",
                "end: {turns: [2, 2]}",
                [reply("And what is your name?"), COMPLETE],
                tts=f"openai:tts/alloy@{server.url}/v1",
                business=business,
            )
            runs.append(run)
    good, broken = runs
    assert good.passed, good.checks
    assert (broken.verdict, broken.passed) == ("on_time", False)
    assert "ms at" in checks(broken)["no_gaps"]


async def test_a_recogniser_on_a_server_hears_callers_in_its_own_time(tmp_path: Path, clips: Path) -> None:
    """It is sent the caller's audio, and its words come after as long as it took."""
    async with RecognitionServer() as server:
        server.will(Answer({"text": "I need a couch cleaned"}, latency=0.4))
        [run] = await asyncio.to_thread(
            aloud,
            tmp_path,
            clips,
            "{turns: [{say: I need a rug cleaned}]}",
            "end: open",
            [reply("And what is your name?")],
            stt=f"openai:m@{server.url}/v1",
        )
    assert run.passed, run.checks
    record = record_of(tmp_path, run)
    [(_, heard)] = record.of(ev.UserSpoke)
    assert heard.text == "I need a couch cleaned"
    [(_, note)] = record.notes("recognised")
    assert note["seconds"] >= 0.4
    assert server.requests[0].wav[1] == pytest.approx(note["audio_seconds"], abs=0.1)


SERVED = AudioFormat("pcm16", 24000)
"""What the server's voice sends."""


def _hiss(seconds: float, *, seed: int) -> bytes:
    """Sound that is loud to its very end, and like no other but that of its seed."""
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * SERVED.rate))
    return convert_samples(samples.astype(np.float32), SERVED.rate, SERVED)
