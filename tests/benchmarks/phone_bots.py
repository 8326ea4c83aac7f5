"""The two bots of the phone benchmark, each in a process of its own, of the same duty and the same words."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import subprocess
import sys
import time
import urllib.request
import wave
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "server"))
sys.path.insert(0, str(Path(__file__).parent.parent / "speech"))

from cli import Started
from hearing import RATE, said
from serving import Bot, Caller, Rest, free_port, reply

from callbot import events as ev
from callbot.store.database import open_store

GREETING = "Hello, you have reached the cleaning service. How can we help you today?"
ASKS = (
    "What kind of cleaning would you like us to do for you?",
    "Is it a house, a flat or an office, and how large is it?",
    "On which day, and at what hour, would it suit you best?",
    "Would you tell me the street and the number of the house, please?",
)
ANSWERS = [f"{one} {other}" for one, other in zip(ASKS, (*ASKS[1:], ASKS[0]), strict=True)]
BUSINESS = f"""\
id: clinic
name: Cleaning
language: en
phone_numbers: ["+16175550100"]
greeting: {{text: "{GREETING}", mode: stream}}
fields:
{"".join(f'  - {{name: f{i}, required: true, ask: "{ask}"}}' + chr(10) for i, ask in enumerate(ASKS))}
prompt: Answer.
"""


class Running(Protocol):
    """A bot under test."""

    port: int
    process: subprocess.Popen[bytes] | Started

    async def ring(self) -> tuple[str, str, str]:
        """Place a call: CallSid, nonce, the stream's URL."""
        ...

    def decisions(self, calls: list[str]) -> dict[str, list[tuple[str, float]]]:
        """When its detector was sure, in monotonic seconds: ``began`` and ``ended``, by call."""
        ...


class Callbot:
    """``callbot serve`` in a folder."""

    def __init__(self, folder: Path, rest: Rest) -> None:
        fields = {f"f{i}": None for i in range(len(ASKS))}
        replies = [{**reply(words), "lead": fields} for words in ANSWERS * 20]
        self._bot = Bot(folder, rest.url, replies=replies, business=BUSINESS, fresh=True).start()
        self.port, self.process = self._bot.port, self._bot.process

    async def ring(self) -> tuple[str, str, str]:
        """Post the webhook."""
        caller = Caller(self._bot)
        document = await caller.ring()
        return caller.call_sid, document.nonce or "", document.stream_url

    def decisions(self, calls: list[str]) -> dict[str, list[tuple[str, float]]]:
        """From the Records in its store."""
        since = time.time() - time.monotonic()
        store = open_store(self._bot.database_url)
        found: dict[str, list[tuple[str, float]]] = {}
        for call in calls:
            record = store.calls.load_record(call)
            origin = dt.datetime.fromisoformat(record.header["started_at"]).timestamp() - since
            began = [("began", origin + t) for t, _ in record.of(ev.SpeechStarted)]
            found[call] = began + [("ended", origin + t) for t, _ in record.of(ev.UserSpoke)]
        store.close()
        return found


class Pipecat:
    """``pipecat_phone.py``."""

    def __init__(self, folder: Path, rest: Rest) -> None:
        for number, words in enumerate([GREETING, *ASKS]):
            with wave.open(str(folder / f"{number}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE)
                file.writeframes(said(words, voice="espeak").astype("<i2").tobytes())
        self.port, self._number = free_port(), 0
        log = (folder / "log").open("wb")
        command = [
            sys.executable,
            str(Path(__file__).with_name("pipecat_phone.py")),
            str(self.port),
            str(folder),
        ]
        self.process = subprocess.Popen(command, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                self._books()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"pipecat does not serve: {(folder / 'log').read_text()}")
            time.sleep(0.1)

    async def ring(self) -> tuple[str, str, str]:
        """It has no webhook."""
        self._number += 1
        return f"CA{self._number:032}", "", f"ws://127.0.0.1:{self.port}/media"

    def decisions(self, calls: list[str]) -> dict[str, list[tuple[str, float]]]:
        """From its own books."""
        found: dict[str, list[tuple[str, float]]] = {call: [] for call in calls}
        for call, what, at in self._books():
            if call in found:
                found[call].append((what, at))
        return found

    def _books(self) -> list[tuple[str, str, float]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/books", timeout=60) as answer:
            books: list[tuple[str, str, float]] = json.load(answer)
        return books


BOTS: dict[str, type[Callbot | Pipecat]] = {"callbot": Callbot, "pipecat": Pipecat}
