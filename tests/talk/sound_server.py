"""A private PulseAudio with no hardware: files become a microphone, and what is played is kept.

with SoundServer() as room:
    room.env                       # for the command that is to talk here
    room.say(samples)              # into the microphone, now
    room.heard()                   # samples of all that was played, from its beginning
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pytest

RATE = 16_000
_SINKS = ("spk", "micfeed")
_LOUD = 200
"""Root mean square of 20 ms from which they are no silence."""
_FRAME = RATE // 50


class SoundServer:
    """Loudspeaker ``spk`` and microphone ``mic`` are the defaults."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pa"))  # a socket's path is short
        self.env = {"XDG_RUNTIME_DIR": str(self._folder), "HOME": str(self._folder)}
        self._audio = bytearray()
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        if not all(map(shutil.which, ("pulseaudio", "pactl", "parec"))) or not find_library("portaudio"):
            self.__exit__()
            pytest.skip("needs PulseAudio and PortAudio; the README says how to install them")
        modules = [
            "module-native-protocol-unix",
            *(f"module-null-sink sink_name={sink} rate={RATE} channels=1" for sink in _SINKS),
            "module-remap-source master=micfeed.monitor source_name=mic",
        ]
        loads = [argument for module in modules for argument in ("-L", module)]
        self._server = self._start("pulseaudio", "-n", "--exit-idle-time=-1", "--disallow-exit", *loads)
        self._until(lambda: self._run("pactl", "info").returncode == 0)
        for command in (("set-default-sink", "spk"), ("set-default-source", "mic")):
            assert self._run("pactl", *command).returncode == 0
        # A null sink sleeps for two seconds at a time unless somebody listens more closely.
        self._start("parec", "--device=micfeed.monitor", "--latency-msec=10", "--raw", out=subprocess.DEVNULL)
        listener = self._start(
            "parec", "--device=spk.monitor", "--latency-msec=10", "--raw", "--format=s16le", "--channels=1",
            f"--rate={RATE}", out=subprocess.PIPE,
        )  # fmt: skip
        threading.Thread(target=self._listen, args=(listener,), daemon=True).start()
        self._until(lambda: len(self._audio) > 0)
        return self

    def __exit__(self, *error: object) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def unplug(self) -> None:
        """The whole sound server is gone."""
        self._server.kill()
        self._server.wait()

    def echo(self, decibels: float) -> None:
        """From now on the microphone hears what is played, so much weaker."""
        loaded = self._run("pactl", "load-module", "module-loopback", "source=spk.monitor", "sink=micfeed",
                           "latency_msec=60")  # fmt: skip
        assert loaded.returncode == 0
        inputs = self._run("pactl", "list", "short", "sink-inputs").stdout.decode().splitlines()
        (number,) = (line.split()[0] for line in inputs if "module-loopback" in line)
        assert self._run("pactl", "set-sink-input-volume", number, f"{decibels}dB").returncode == 0

    def say(self, samples: np.ndarray) -> None:
        """Speak into the microphone, and wait until it is said. A deep buffer, so that no load breaks it."""
        audio = np.clip(samples, -32768, 32767).astype("<i2").tobytes()
        command = ["pacat", "--playback", "--device=micfeed", "--raw", "--format=s16le", "--channels=1",
                   f"--rate={RATE}", "--latency-msec=200"]  # fmt: skip
        subprocess.run(command, input=audio, env={**os.environ, **self.env}, check=True, timeout=60)

    def heard(self) -> np.ndarray:
        """What was played since the beginning."""
        audio = bytes(self._audio)
        return np.frombuffer(audio[: len(audio) // 2 * 2], "<i2").astype(float)

    def await_sample(self, number: int, patience: float = 90.0) -> None:
        """Wait until so much was played."""
        self._until(lambda: len(self._audio) // 2 >= number, patience)

    def await_sound(self, since: int, patience: float = 90.0) -> int:
        """Wait for sound after sample ``since``; the sample where it begins."""
        found: list[int] = []

        def begun() -> bool:
            loud = np.flatnonzero(levels(self.heard()[since:]) > _LOUD)
            found[:] = [since + int(loud[0]) * _FRAME] if len(loud) else []
            return bool(found)

        self._until(begun, patience)
        return found[0]

    def await_silence(self, since: int, seconds: float, patience: float = 90.0) -> int:
        """Wait until nothing was played for so long, after sample ``since``; the sample where silence began."""
        found: list[int] = []
        needed = round(seconds * RATE / _FRAME)

        def over() -> bool:
            loud = np.flatnonzero(levels(self.heard()[since:]) > _LOUD)
            last = int(loud[-1]) + 1 if len(loud) else 0
            found[:] = [since + last * _FRAME]
            return len(self.heard()[found[0] :]) >= needed * _FRAME

        self._until(over, patience)
        return found[0]

    def _listen(self, listener: subprocess.Popen[bytes]) -> None:
        assert listener.stdout is not None
        with contextlib.suppress(ValueError):  # closed
            while piece := listener.stdout.read1(4096):
                self._audio += piece

    def _start(self, *command: str, out: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.DEVNULL, env={**os.environ, **self.env}
        )
        self._processes.append(process)
        return process

    def _run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command, env={**os.environ, **self.env}, capture_output=True, check=False, timeout=20
        )

    def _until(self, holds: object, patience: float = 90.0) -> None:
        assert callable(holds)
        late = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < late, "nothing happened"
            time.sleep(0.02)


def levels(samples: np.ndarray) -> np.ndarray:
    """Root mean square of each whole 20 ms."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    return np.sqrt(np.mean(frames**2, axis=1)) if len(frames) else np.zeros(0)


def found(piece: np.ndarray, where: np.ndarray) -> list[tuple[int, float]]:
    """Places of a piece in a recording, with their normalised correlation, from 0.8 on, the best of each second."""
    size = 1 << int(np.ceil(np.log2(len(where) + len(piece))))
    products = np.fft.irfft(np.fft.rfft(where, size) * np.conj(np.fft.rfft(piece, size)), size)
    places = len(where) - len(piece) + 1
    if places < 1:
        return []
    energy = np.concatenate(([0.0], np.cumsum(where**2)))
    energies = energy[len(piece) :] - energy[: -len(piece)]
    own = float(piece @ piece)
    likeness = products[:places] / np.sqrt(np.maximum(energies * own, own))
    out: list[tuple[int, float]] = []
    while likeness.max() >= 0.8:
        at = int(likeness.argmax())
        out.append((at, float(likeness[at])))
        likeness[max(0, at - RATE) : at + RATE] = 0
    return sorted(out)


@dataclass(frozen=True, slots=True)
class Heard:
    """Where a sentence is in a recording; ``share`` of its quarters of a second that are there, in order."""

    begins: int
    ends: int
    share: float


def traced(sentence: np.ndarray, where: np.ndarray) -> Heard:
    """A sentence in what a loaded machine played: an underrun of the sound server breaks a piece, not the whole.

    Raises AssertionError for a piece that was played twice, or before one that comes before it.
    """
    step = RATE // 4
    places = []
    for begin in range(0, len(sentence) - step + 1, step):
        at = [place for place, _ in found(sentence[begin : begin + step], where)]
        assert len(at) < 2, f"the piece at {begin / RATE:.2f} s was played {len(at)} times"
        places += [(begin, place) for place in at]
    assert places == sorted(places, key=lambda both: both[1]), "it was not played in order"
    assert places, "it was not played"
    (first, begins), (last, ends) = places[0], places[-1]
    return Heard(begins - first, ends + len(sentence) - last, len(places) / (len(sentence) // step))
