"""Bots that a simulated carrier calls: one does everything right, and each fault is planted by name."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soundfile
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from twilio.request_validator import RequestValidator
from twilio.rest import Client

ACCOUNT = "AC" + "0" * 32
TOKEN = "12345"
RATE = 8000
QUIET_FRAMES = 12
XML = "text/xml"


def tune(seconds: float, seed: int) -> np.ndarray:
    """Something like speech: voiced syllables of changing pitch that die away, never the same twice."""
    rng = np.random.default_rng(seed)
    parts = []
    while sum(map(len, parts)) < seconds * RATE:
        n = int(rng.integers(900, 1800))
        t = np.arange(n) / RATE
        pitch, formant = rng.uniform(90, 250), rng.uniform(400, 1800)
        sound = np.sin(2 * np.pi * pitch * t) + 0.6 * np.sin(2 * np.pi * formant * t + rng.uniform(0, 6))
        parts.append(sound * np.minimum(1, np.minimum(t, t[::-1]) * 60) * rng.uniform(0.4, 1.0))
    whole = np.concatenate(parts)[: int(seconds * RATE)]
    whole[-800:] *= np.linspace(1, 0, 800) ** 2
    return (whole * 7000).astype(np.int16)


def mulaw(samples: np.ndarray) -> bytes:
    """By libsndfile, so that the carrier's codec has no part in its own tests."""
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="RAW", subtype="ULAW")
    return file.getvalue()


GREETING, FAREWELL = tune(1.0, 1), tune(0.8, 2)
REPLIES = [tune(0.9, 10 + n) for n in range(4)]


@dataclass
class Bot:
    """A bot on Twilio's protocol. ``faults``: what it does wrong."""

    faults: frozenset[str] = frozenset()
    greets: str = "play"
    replies: int = 1
    """Turns it answers; to the one after them it says goodbye."""
    reply_seconds: float = 0.9
    rest: str = ""
    """Base URL of Twilio's REST API."""
    public: str = ""
    """What the world calls this bot; its own address if empty."""
    documents: dict[str, str] = field(default_factory=dict)
    base: str = ""
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    started: set[str] = field(default_factory=set)
    """Calls whose stream was opened."""
    odd: list[str | bytes | None] = field(default_factory=list)
    """Frames that are no JSON."""
    etag_hits: int = 0

    def app(self) -> Starlette:
        """The web application."""
        return Starlette(
            routes=[
                Route("/incoming", self.incoming, methods=["POST"]),
                Route("/status", self.status, methods=["POST"]),
                Route("/greeting.wav", self.greeting),
                Route("/document/{name}", self.document, methods=["POST"]),
                WebSocketRoute("/media", self.media),
            ]
        )

    @property
    def url(self) -> str:
        """The base of its URLs, as Twilio knows it."""
        return self.public or self.base

    async def form(self, request: Request) -> dict[str, str] | None:
        """The fields of a signed request; None for a forged one. Judged by the SDK's own validator."""
        async with request.form() as data:
            fields = {name: str(value) for name, value in data.items()}
        signature = request.headers.get("x-twilio-signature", "")
        url = self.url + request.url.path
        return fields if RequestValidator(TOKEN).validate(url, fields, signature) else None

    async def incoming(self, request: Request) -> Response:
        """The webhook."""
        fields = await self.form(request)
        if fields is None and "takes-forged" not in self.faults:
            return Response("forged", 403)
        self.seen.append(("incoming", fields or {}))
        play = f"<Play>{self.url}/greeting.wav</Play>" if self.greets == "play" else ""
        if "greets-late" in self.faults:
            play = '<Pause length="2"/>' + play
        socket_url = self.url.replace("http", "ws", 1) + "/media"
        stream = (
            f'<Connect><Stream url="{socket_url}" statusCallback="{self.url}/status">'
            '<Parameter name="nonce" value="n&amp;1"/></Stream></Connect>'
        )
        return Response(f"<Response>{play}{stream}<Hangup/></Response>", media_type=XML)

    async def document(self, request: Request) -> Response:
        """Any TwiML."""
        self.seen.append((request.path_params["name"], await self.form(request) or {}))
        return Response(self.documents[request.path_params["name"]], media_type=XML)

    async def status(self, request: Request) -> Response:
        """Status callbacks."""
        fields = await self.form(request)
        self.seen.append(("status", fields if fields is not None else {"forged": "yes"}))
        return Response(status_code=204)

    async def greeting(self, request: Request) -> Response:
        """The file that is played."""
        if request.headers.get("if-none-match") == '"g1"':
            self.etag_hits += 1
            return Response(status_code=304)
        file = io.BytesIO()
        soundfile.write(file, GREETING, RATE, format="WAV", subtype="PCM_16")
        return Response(file.getvalue(), media_type="audio/wav", headers={"ETag": '"g1"'})

    async def media(self, ws: WebSocket) -> None:
        """The stream."""
        signature = ws.headers.get("x-twilio-signature", "")
        url = self.url.replace("http", "ws", 1) + "/media"
        if "takes-anyone" not in self.faults and not RequestValidator(TOKEN).validate(url, {}, signature):
            await ws.close(1008)
            return
        await ws.accept()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await Talk(self, ws).run()


def read(text: str | None) -> dict[str, Any] | None:
    """A message, or None for what is none."""
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def mulaw_of(message: dict[str, Any]) -> bytes:
    """The audio of a message; none if it is broken."""
    try:
        return base64.b64decode(message["media"]["payload"], validate=True)
    except ValueError:
        return b""


class Talk:
    """One stream of a bot's: listens by energy, answers each turn, says goodbye, hangs up."""

    def __init__(self, bot: Bot, ws: WebSocket) -> None:
        self.bot, self.ws, self.faults = bot, ws, bot.faults
        self.sid = self.call = ""
        self.turns = self.loud = self.quiet = 0
        self.marks: asyncio.Queue[str] = asyncio.Queue()
        self.tasks: list[asyncio.Task[None]] = []
        self.speaking = False

    async def run(self) -> None:
        """Until the carrier stops."""
        while True:
            frame = await self.ws.receive()
            if frame["type"] == "websocket.disconnect":
                return
            if (message := read(frame.get("text"))) is None:
                self.bot.odd.append(frame.get("text") or frame.get("bytes"))
                continue
            if message["event"] == "start" and self.is_second(message["start"]["callSid"]):
                await self.ws.close(1008)
                return
            self.bot.events.append(message)
            event = message["event"]
            if event == "start":
                self.sid, self.call = message["streamSid"], message["start"]["callSid"]
                self.begin(self.greet())
            elif event == "media" and (audio := mulaw_of(message)):
                self.hear(audio)
            elif event == "mark":
                self.marks.put_nowait(message["mark"]["name"])
                self.speaking = self.speaking and message["mark"]["name"] != "said"
            elif event == "stop":
                return

    def is_second(self, call: str) -> bool:
        known = call in self.bot.started
        self.bot.started.add(call)
        return known and self.sid == "" and "takes-anyone" not in self.bot.faults

    def begin(self, what: Any) -> None:
        self.tasks.append(asyncio.create_task(what))

    def hear(self, audio: bytes) -> None:
        file = io.BytesIO(audio)
        samples, _ = soundfile.read(
            file, samplerate=RATE, channels=1, format="RAW", subtype="ULAW", dtype="int16"
        )
        if np.abs(samples.astype(int)).max() > 800:
            self.loud, self.quiet = self.loud + 1, 0
            if self.loud == 5:
                self.begin(self.interrupted())
        else:
            self.quiet += 1
            if self.loud >= 5 and self.quiet == QUIET_FRAMES:
                self.loud = 0
                self.turns += 1
                self.begin(self.answer(self.turns))

    async def interrupted(self) -> None:
        if self.speaking and "ignores-barge-in" not in self.faults:
            await self.send("clear")
        if "talks-over" in self.faults:
            await self.say(REPLIES[3])

    async def greet(self) -> None:
        if self.bot.greets == "stream":
            await self.say(GREETING[: RATE // 2] if "cuts-greeting" in self.faults else GREETING)
        if "greets-twice" in self.faults:
            await self.say(GREETING)

    async def answer(self, turn: int) -> None:
        if turn > self.bot.replies and "never-hangs-up" not in self.faults:
            await self.leave()
            return
        reply = REPLIES[turn % 3] if self.bot.reply_seconds == 0.9 else tune(self.bot.reply_seconds, turn)
        if "gap" in self.faults:
            syllable = int(np.argmax(np.abs(reply[3000:4000].astype(int)))) + 3000
            await self.say(reply[:syllable])
            await asyncio.sleep(syllable / RATE + 0.15)
            await self.say(reply[syllable:])
        else:
            await self.say(reply)

    async def leave(self) -> None:
        await self.say(FAREWELL)
        if "cuts-farewell" not in self.faults:
            await asyncio.wait_for(self.heard(), 5)
            await asyncio.sleep(0.1)
        for _ in range(2 if "hangs-up-twice" in self.faults else 1):
            await asyncio.to_thread(self.hang_up)

    def hang_up(self) -> None:
        """The way a bot does it on Twilio, but for the base URL."""
        client = Client(ACCOUNT, TOKEN)
        client.api.base_url = self.bot.rest
        with contextlib.suppress(Exception):
            client.calls(self.call).update(status="completed")

    async def heard(self) -> None:
        while await self.marks.get() != "said":
            pass

    async def say(self, samples: np.ndarray) -> None:
        while not self.marks.empty():
            self.marks.get_nowait()
        self.speaking = True
        await self.send("media", media={"payload": base64.b64encode(mulaw(samples)).decode()})
        await self.send("mark", mark={"name": "said"})

    async def send(self, event: str, **body: Any) -> None:
        await self.ws.send_text(json.dumps({"event": event, "streamSid": self.sid, **body}))


class _Quiet(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


@contextlib.asynccontextmanager
async def running(bot: Bot) -> AsyncIterator[Bot]:
    """Serve a bot on a free port of this machine."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    bot.base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(bot.app(), log_config=None, lifespan="off", ws="websockets-sansio")
    server = _Quiet(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    try:
        yield bot
    finally:
        server.should_exit = True
        await task
