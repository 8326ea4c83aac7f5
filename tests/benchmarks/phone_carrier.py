"""Twilio's side of many calls, light enough to drive a hundred of them from one core.

Against ``callbot.carrier``, which ``callbot load`` uses, it gives up everything but time: frames are
encoded before the run, one task ticks all calls (a fiftieth of a second each, spread over it), audio
that comes is counted and not decoded, and the playback buffer is arithmetic. The WebSocket itself is
the ``websockets`` package's, without its tasks.

The caller of each call listens until the bot has finished, waits a moment, speaks, and so on; into
every third answer they speak while it is still played.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import time
from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import numpy as np
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

TICK = 0.02
FRAME = 160
RATE = 8000
SLOTS = 10
"""Groups of calls that are ticked one after another within a tick: every 2 ms."""
GAP = TICK
"""Seconds of nothing to play inside a sentence that are an underrun: a frame of the carrier's own clock."""
SETTLED = 0.25
"""Seconds after the last of the bot's audio before a caller counts it as finished."""
BARGE_AFTER = 1.5
"""Seconds of an answer that are heard before a caller speaks into it."""
BARGE_EVERY = 3
PATIENCE = 6.0
"""Seconds after which an unanswered caller speaks again."""
ORACLE = "callbot.oracle"


@dataclass(frozen=True, slots=True)
class Utterance:
    """What a caller says: base64 frames, of which the first and the last hold voice."""

    text: str
    frames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Voices:
    """What all callers share: what they say, and the hiss of their line between."""

    utterances: tuple[Utterance, ...]
    hiss: tuple[str, ...]


def encoded(mulaw: bytes) -> tuple[str, ...]:
    """Audio as the payloads of its frames."""
    whole = mulaw + b"\xff" * (-len(mulaw) % FRAME)
    return tuple(base64.b64encode(whole[i : i + FRAME]).decode() for i in range(0, len(whole), FRAME))


@dataclass(slots=True)
class Turn:
    """One utterance of a caller's and what the bot did about it, in monotonic seconds."""

    utterance: int
    barge: bool
    first: int
    """Frame of the call at which its voice begins."""
    last: int = -1
    cleared: float | None = None
    answered: float | None = None


@dataclass(slots=True)
class Books:
    """What was seen of one call."""

    sent: array[float] = field(default_factory=lambda: array("d"))
    """When each frame was sent."""
    turns: list[Turn] = field(default_factory=list)
    opened: float = 0.0
    greeted: float | None = None
    gaps: list[float] = field(default_factory=list)
    """Seconds of each underrun."""
    sentences: int = 0
    clears: int = 0
    unanswered: int = 0
    audio: float = 0.0
    """Seconds of the bot's audio."""
    pings: int = 0
    pongs: list[float] = field(default_factory=list)
    """Seconds from a ping to its pong: what the server's loop lets a socket wait."""
    broke: str = ""


class CallLine(asyncio.Protocol):
    """One call: its socket, its playback buffer and its caller."""

    def __init__(self, number: int, voices: Voices, ids: Mapping[str, str], nonce: str) -> None:
        self.books = Books()
        self._number, self._voices, self._ids, self._nonce = number, voices, ids, nonce
        self._socket: ClientProtocol | None = None
        self._transport: asyncio.Transport | None = None
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()
        # The playback buffer
        self._ends = 0.0
        """When all that the bot sent will have been played."""
        self._inside = False
        """Audio has come since the last mark."""
        self._began: float | None = None
        """When the answer being played began."""
        self._marks: deque[tuple[float, str]] = deque()
        # The caller
        self._saying: tuple[str, ...] = ()
        self._at = 0
        self._rests = 1.0 + 0.1 * (number % 7)
        self._turn: Turn | None = None
        """The one that is waiting for its answer."""
        self._talking = True
        self._pinged = 0.0
        self._left = False

    # --- the socket -------------------------------------------------------------------------------
    async def connect(self, url: str, port: int, headers: Mapping[str, str]) -> None:
        """Open the socket and start the stream."""
        uri = parse_uri(f"ws://127.0.0.1:{port}{urlsplit(url).path}")
        self._socket = ClientProtocol(uri, max_size=None)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, "127.0.0.1", port)
        request = self._socket.connect()
        request.headers.update(headers)
        self._socket.send_request(request)
        self._flush()
        await asyncio.wait_for(self.open, 20)
        self.books.opened = time.monotonic()
        self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {
            "accountSid": self._ids["account"],
            "streamSid": self._ids["stream"],
            "callSid": self._ids["call"],
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE, "channels": 1},
            "customParameters": {"nonce": self._nonce},
        }
        stream = self._ids["stream"]
        self._send({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": stream})

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if not self.open.done():
            self.open.set_exception(ConnectionError("the bot closed the socket"))
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        assert self._socket is not None
        now = time.monotonic()
        self._socket.receive_data(data)
        for event in self._socket.events_received():
            if not isinstance(event, Frame):
                self._answered(event)
            elif event.opcode is Opcode.TEXT:
                self._take(json.loads(event.data), now)
            elif event.opcode is Opcode.PONG:
                self.books.pongs.append(now - self._pinged)
            elif event.opcode is Opcode.CLOSE and not self._left:
                self.books.broke = f"closed by the bot: {bytes(event.data[2:])!r}"
        self._flush()

    def _answered(self, response: object) -> None:
        status = getattr(response, "status_code", None)
        if self._socket is not None and self._socket.handshake_exc is not None:
            self.open.set_exception(ConnectionError(f"the bot answered the handshake with {status}"))
        else:
            self.open.set_result(None)

    def _send(self, message: Mapping[str, object]) -> None:
        self._write(json.dumps(message))

    def _write(self, text: str) -> None:
        if self._socket is not None and self._socket.state is State.OPEN:
            self._socket.send_text(text.encode())
            self._flush()

    def _flush(self) -> None:
        assert self._socket is not None
        assert self._transport is not None
        for data in self._socket.data_to_send():
            if data:
                self._transport.write(data)

    def hang_up(self) -> None:
        """The caller leaves."""
        self._left = True
        stop = {"accountSid": self._ids["account"], "callSid": self._ids["call"]}
        self._send({"event": "stop", "sequenceNumber": "9", "streamSid": self._ids["stream"], "stop": stop})
        if self._socket is not None and self._socket.state is State.OPEN:
            self._socket.send_close()
            self._flush()

    # --- the playback buffer ----------------------------------------------------------------------
    def _take(self, message: Mapping[str, object], now: float) -> None:
        event = message["event"]
        if event == "media":
            media = message["media"]
            assert isinstance(media, dict)
            payload = media["payload"]
            self._play((3 * len(payload) // 4 - payload.count("=", -2)) / RATE, now)
        elif event == "mark":
            mark = message["mark"]
            assert isinstance(mark, dict)
            self._inside = False
            self.books.sentences += 1
            self._marks.append((max(self._ends, now), mark["name"]))
        elif event == "clear":
            self._clear(now)

    def _play(self, seconds: float, now: float) -> None:
        self.books.audio += seconds
        if now > self._ends:
            if self._inside and now - self._ends > GAP:
                self.books.gaps.append(now - self._ends)
            if now - self._ends > SETTLED:
                self._began = now
            self._ends = now
        self._ends += seconds
        self._inside = True
        if self.books.greeted is None:
            self.books.greeted = now
        if self._turn is not None and not self._saying and self._turn.answered is None:
            self._turn.answered = now
            self._turn = None

    def _clear(self, now: float) -> None:
        self.books.clears += 1
        for turn in self.books.turns[-1:]:
            if turn.barge and turn.cleared is None:
                turn.cleared = now
        self._ends, self._inside, self._began = now, False, None
        self._marks = deque((now, name) for _, name in self._marks)

    # --- the caller -------------------------------------------------------------------------------
    def tick(self, now: float) -> None:
        """Send the caller's next 20 ms, and the marks that playback has reached."""
        while self._marks and self._marks[0][0] <= now:
            name = self._marks.popleft()[1]
            self._send({"event": "mark", "streamSid": self._ids["stream"], "mark": {"name": name}})
        if not self._saying and self._talking:
            self._decide(now)
        number = len(self.books.sent)
        if self._saying:
            payload = self._saying[self._at]
            self._at += 1
            if self._at == len(self._saying):
                self._finish(number)
        else:
            payload = self._voices.hiss[number % len(self._voices.hiss)]
        self.books.sent.append(time.monotonic())
        self._write(
            f'{{"event":"media","sequenceNumber":"{number + 2}","media":{{"track":"inbound","chunk":'
            f'"{number + 1}","timestamp":"{20 * number}","payload":"{payload}"}},'
            f'"streamSid":"{self._ids["stream"]}"}}'
        )
        if number % 50 == self._number % 50:
            self.ping()

    def ping(self) -> None:
        """Ask the server whether it has read everything before."""
        if self._socket is not None and self._socket.state is State.OPEN:
            self._pinged = time.monotonic()
            self.books.pings += 1
            self._socket.send_ping(b"")
            self._flush()

    def _decide(self, now: float) -> None:
        """Speak, if it is time to."""
        books = self.books
        if self._turn is not None:  # an answer is awaited
            if now - books.sent[self._turn.last] > PATIENCE:
                books.unanswered += 1
                self._speak(barge=False)
            return
        playing = now < self._ends
        barge_now = len(books.turns) % BARGE_EVERY == BARGE_EVERY - 1
        if playing and barge_now and self._began is not None and now - self._began > BARGE_AFTER:
            self._speak(barge=True)
        elif books.greeted is not None and not self._inside and now > self._ends + SETTLED + self._rests:
            self._speak(barge=False)

    def _speak(self, *, barge: bool) -> None:
        chosen = (self._number + len(self.books.turns)) % len(self._voices.utterances)
        self._saying, self._at = self._voices.utterances[chosen].frames, 0
        self.books.turns.append(Turn(chosen, barge, len(self.books.sent)))
        self._turn = None

    def _finish(self, number: int) -> None:
        self._saying = ()
        self._turn = self.books.turns[-1]
        self._turn.last = number
        self._send({"event": ORACLE, "text": self._voices.utterances[self._turn.utterance].text})

    def fall_silent(self) -> None:
        """Begin no further turn."""
        self._talking = False


@dataclass(slots=True)
class Clock:
    """Ticks all calls. ``late``: seconds by which each slot was late, of the whole run."""

    lines: list[CallLine] = field(default_factory=list)
    late: array[float] = field(default_factory=lambda: array("d"))

    async def run(self) -> None:
        """Until it is cancelled."""
        gc.collect()
        gc.freeze()
        gc.disable()  # a collection of all frames sent so far would hold up the clock
        started, slot = time.monotonic(), 0
        try:
            while True:
                due = started + slot * TICK / SLOTS
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                now = time.monotonic()
                self.late.append(now - due)
                for line in self.lines[slot % SLOTS :: SLOTS]:
                    line.tick(now)
                slot += 1
        finally:
            gc.enable()


def percentile(values: Sequence[float], share: float) -> float:
    """By linear interpolation; not a number if there are none."""
    return float(np.percentile(values, share)) if len(values) else float("nan")
