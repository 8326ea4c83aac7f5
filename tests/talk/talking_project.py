"""A folder with one business, a scripted model, a recogniser that is told what it hears, and ``callbot talk`` in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import wave
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import numpy as np
from cli import _OURS
from sound_server import RATE

from callbot.record import Record, read_record
from callbot.sound import AudioFormat
from callbot.speech.audio import convert
from callbot.speech.cache import ClipFolder
from callbot.speech.speakable import speakable

GREETING = "Hello, you have reached the corner shop."
LONG = "Please tell me your full name, then the street where you live, and then the day on which we may come and see you."
SHORT = "And for which day is that, please?"
GOODBYE = "Thank you very much for calling us, goodbye."
BUSINESS = f"""
id: shop
name: The Shop
language: en
greeting: {{text: "{GREETING}", mode: MODE}}
fields:
  - {{name: name, required: true, ask: "{LONG}"}}
sentences: {{goodbye: "{GOODBYE}", resume: "{SHORT}"}}
ending: {{linger: 0.3}}
prompt: "You answer the phone."
"""
WIDE = AudioFormat("pcm16", RATE)
_SPEAK = """
import asyncio, sys
from callbot.speech.tts.registry import make_voice

async def speak(text):
    return b"".join([piece async for piece in make_voice("espeak:f2").synthesise(text, "en")])

sys.stdout.buffer.write(asyncio.run(speak(sys.argv[1])))
"""
_NO_PORTAUDIO = """
import ctypes.util
find = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if name == "portaudio" else find(name)
"""


def without_portaudio(folder: Path) -> dict[str, str]:
    """An environment in which the system's answer is that there is no PortAudio."""
    (folder / "site").mkdir()
    (folder / "site/sitecustomize.py").write_text(_NO_PORTAUDIO)
    return {"PYTHONPATH": str(folder / "site")}


def reply(words: str, *, ends: str | None = None, **lead: str) -> dict[str, Any]:
    """A reply of the scripted model."""
    control = {
        "should_end_call": ends is not None,
        "end_reason": ends,
        "lead_status": "complete" if ends else "in_progress",
        "missing_fields": [] if ends else ["name"],
        "notes": "",
    }
    return {"spoken_reply": words, "control": control, "lead": {"name": None, **lead}}


class Project:
    """Where a talk is held."""

    def __init__(self, folder: Path, *replies: object, mode: str = "play", more: str = "") -> None:
        self.folder = folder
        (folder / "prompts").mkdir()
        (folder / "prompts/shop.yaml").write_text(BUSINESS.replace("MODE", mode) + more)
        (folder / "replies.jsonl").write_text("\n".join(json.dumps(item) for item in replies))

    def command(self, *arguments: str | Path) -> list[str]:
        """The command line of a talk with a robot's voice."""
        talk = ["talk", "shop", "--model", "scripted:replies.jsonl", "--tts", "espeak", *map(str, arguments)]
        return [sys.executable, "-m", "callbot", *talk]

    def start(self, env: Mapping[str, str], *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a talk whose output is a pipe."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env={**clean, "PYTHONUTF8": "1", **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def record(self) -> Record:
        """Of the only talk."""
        (path,) = self.folder.glob("recordings/calls/*.jsonl")
        return read_record(path)

    def tape(self) -> tuple[np.ndarray, np.ndarray]:
        """You and the bot, of the only talk."""
        (path,) = self.folder.glob("recordings/calls/*.wav")
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getframerate()) == (2, RATE)
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
        return samples[::2], samples[1::2]

    def clip(self, text: str) -> np.ndarray:
        """A fixed sentence as it was rendered, without the silence around it."""
        kept = ClipFolder(self.folder / "recordings/clips")
        audio = kept.get(kept.path("espeak", speakable(text, "en", None), "en", WIDE))
        assert audio is not None, text
        return trimmed(np.frombuffer(audio, "<i2").astype(float))


@cache
def spoken(text: str) -> np.ndarray:
    """A caller's sentence, at a microphone's level: -21 dB of full scale."""
    command = [sys.executable, "-c", _SPEAK, text]
    audio = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    samples = trimmed(np.frombuffer(convert(audio, AudioFormat("pcm16", 22050), WIDE), "<i2").astype(float))
    return samples * 2900 / np.sqrt(np.mean(samples**2))


def trimmed(samples: np.ndarray) -> np.ndarray:
    """Without the silence around it."""
    loud = np.flatnonzero(np.abs(samples) > 100)
    return samples[loud[0] : loud[-1] + 1]


class ToldRecogniser:
    """An OpenAI-compatible recogniser that answers what it is told to; ``name`` is for ``--stt``."""

    def __init__(self, *words: str) -> None:
        said = list(words)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        self.rfile.read(size + 2)
                    self.rfile.readline()
                else:
                    self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = json.dumps({"text": said.pop(0) if said else ""}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *anything: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"openai:whisper-1@http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
