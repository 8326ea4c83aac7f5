"""Callers made of espeak, lines made of frames, and ears that write down what they heard."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys

import numpy as np

from callbot.events import SpeechContinues, SpeechStarted, UserSpoke
from callbot.sound import PHONE, AudioFormat
from callbot.speech.audio import convert
from callbot.speech.ears import CallEars
from callbot.speech.stt.registry import make_recogniser
from callbot.speech.tts.registry import make_voice

PCM = AudioFormat("pcm16", 8000)
RATE = 8000
FRAME = 160


SPEAK = """
import asyncio, sys
from callbot.speech.tts.registry import make_voice

async def speak(voice, text, language):
    return b"".join([piece async for piece in make_voice(voice).synthesise(text, language)])

sys.stdout.buffer.write(asyncio.run(speak(*sys.argv[1:])))
"""


@functools.cache
def said(text, language="en", voice="espeak:f2"):
    """A sentence as samples at 8 kHz, at a telephone's level, without silence around it.

    Spoken in a process of its own: what espeak said before would change some samples.
    """
    command = [sys.executable, "-c", SPEAK, voice, text, language]
    audio = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    samples = np.frombuffer(convert(audio, make_voice(voice).format, PCM), "<i2").astype(float)
    loud = np.flatnonzero(np.abs(samples) > 300)
    samples = samples[loud[0] : loud[-1]]
    return samples * 2500 / np.sqrt(np.mean(samples**2))


def silence(seconds, noise=0.0, seed=0):
    """Nothing, or hiss of this root mean square."""
    return np.random.default_rng(seed).normal(0, 1, round(seconds * RATE)) * noise


def gain(samples, decibels):
    """Louder or softer."""
    return samples * 10 ** (decibels / 20)


def cough(milliseconds, seed=0):
    """A burst of shaped noise that dies away, as loud as a voice."""
    count = milliseconds * RATE // 1000
    burst = np.random.default_rng(seed).normal(0, 1, count)
    burst = np.convolve(burst, np.hanning(8), "same") * np.exp(-np.arange(count) / (count / 3))
    return burst / np.abs(burst).max() * 12000


def mulaw(samples):
    """As the line carries it."""
    return convert(np.clip(samples, -32768, 32767).astype("<i2").tobytes(), PCM, PHONE)


def mixed(*tracks):
    """(start in seconds, samples) on one line."""
    length = max(round(start * RATE) + len(samples) for start, samples in tracks)
    line = np.zeros(length)
    for start, samples in tracks:
        line[round(start * RATE) : round(start * RATE) + len(samples)] += samples
    return line


class Listening:
    """Ears on a line, and when (in seconds of audio) each event came: ``events``."""

    def __init__(self, recogniser=None, format=PHONE, language="en", **options):
        self.notes = []
        self.ears = CallEars(
            recogniser or make_recogniser("oracle"), format, language, note=self.notes.append, **options
        )
        self.format = format
        self.events = []
        self.seconds = 0.0
        self.ears.start(lambda event: self.events.append((round(self.seconds, 3), event)))

    async def hear(self, audio, frame=160):
        """Audio in the line's format, in frames of ``frame`` bytes; recognition may answer in between."""
        for at in range(0, len(audio), frame):
            piece = audio[at : at + frame]
            self.seconds += self.format.seconds(len(piece))
            self.ears.hear(piece)
            await asyncio.sleep(0)

    async def answers(self):
        """Let recognition finish."""
        for _ in range(10_000):
            if self.times(UserSpoke) and len(self.times(UserSpoke)) == len(self.times(SpeechStarted)):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(self.events)

    def times(self, kind):
        """When events of this kind came."""
        return [at for at, event in self.events if isinstance(event, kind)]

    @property
    def words(self):
        """The texts of all UserSpoke."""
        return [event.text for _, event in self.events if isinstance(event, UserSpoke)]


def kept_contract(events):
    """Whether one UserSpoke follows each SpeechStarted, with a sign at least every 2 s between them."""
    open_since = None
    for at, event in events:
        match event:
            case SpeechStarted():
                assert open_since is None, events
                open_since = at
            case SpeechContinues():
                assert open_since is not None, events
                assert at - open_since <= 2, events
                open_since = at
            case UserSpoke():
                assert open_since is not None, events
                open_since = None
    return open_since is None
