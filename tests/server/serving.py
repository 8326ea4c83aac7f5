"""A ``callbot serve`` of its own, the REST API that ends its calls, and a carrier's side to call it with.

The carrier's side returns marks at once and sends a caller's audio faster than it would sound: the
bot's ears go by the audio's own time.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import http.server
import itertools
import json
import socket
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from cli import Started, start
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from callbot.sound import PHONE
from callbot.speech.audio import convert
from callbot.speech.tts.espeak import EspeakVoice

SID, TOKEN = "AC" + "0" * 32, "a-token"
NUMBER, CALLER = "+16175550100", "+16175550123"
FRAME = 160
SILENCE = b"\xff" * FRAME
_numbers = itertools.count(1)

CLINIC = f"""\
id: clinic
name: Clinic
language: en
phone_numbers: ["{NUMBER}"]
greeting: {{text: "Hello, this is the clinic."}}
fields:
  - {{name: name, required: true}}
  - {{name: phone, type: phone, required: true}}
end_reasons: [{{name: human, when: wants a person, then: {{dial: "+16175550199", timeout: 15}}}}]
ending: {{linger: 0}}
prompt: Answer.
"""


def reply(words: str, *, end: str | None = None, status: str = "in_progress", **lead: str) -> dict[str, Any]:
    """A reply of the scripted model."""
    control = {
        "should_end_call": end is not None,
        "end_reason": end,
        "lead_status": status,
        "missing_fields": [],
        "notes": "",
    }
    return {"spoken_reply": words, "control": control, "lead": {"name": None, "phone": None, **lead}}


LEAD = [
    reply("Hi Dana. Your number?", name="Dana"),
    reply("Thank you. Goodbye.", end="lead_complete", status="complete", phone="+16175550177"),
]


# --- the server -------------------------------------------------------------------------------------
def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Bot:
    """A running ``callbot serve``. ``port`` is where it listens, ``url`` what it is called by."""

    folder: Path
    rest_url: str
    replies: Sequence[Any] = ()
    business: str = CLINIC
    database: str | None = None
    port: int = field(default_factory=free_port)
    url: str = ""
    more: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    """In a Python of its own, whose memory and start are those of a server and nothing else."""
    process: Started = field(init=False)

    def start(self) -> Bot:
        """Start it and wait until it is ready."""
        self.url = self.url or f"http://127.0.0.1:{self.port}"
        prompts = self.folder / "prompts"
        prompts.mkdir(exist_ok=True, parents=True)
        (prompts / "clinic.yaml").write_text(self.business, encoding="utf-8")
        model = "offline"
        if self.replies:
            script = self.folder / "replies.jsonl"
            script.write_text("".join(json.dumps(item) + "\n" for item in self.replies), encoding="utf-8")
            model = f"scripted:{script}"
        self.process = start(
            *("serve", "--public-url", self.url, "--port", str(self.port)),
            *("--tts", "espeak", "--allow-espeak", "--stt", "oracle", "--simulated-callers-only"),
            *("--twilio-api-url", self.rest_url, "--model", model, "--database", self.database_url),
            *self.more,
            cwd=self.folder,
            env={"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": TOKEN, **self.environment},
            fresh=self.fresh,
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                if self.get("/readyz")[0] == 200:
                    return self
            time.sleep(0.05)
        raise AssertionError(f"it does not serve: {self.log_text()}")

    @property
    def database_url(self) -> str:
        """Its store."""
        return self.database or f"sqlite:///{self.folder}/callbot.db"

    def stop(self) -> int:
        """SIGTERM, and wait for its exit code."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for its exit code."""
        return self.process.wait(30)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.wait()

    def log_text(self) -> str:
        """Everything that it has logged."""
        return self.process.printed()

    def logs(self, message: str) -> list[dict[str, Any]]:
        """Log lines with this message."""
        lines = [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == message]

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """GET: status, headers in lower case, body."""
        return self.request("GET", path, b"", headers)

    def request(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """One request, to where it listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()


@contextlib.contextmanager
def serving(folder: Path, rest: Rest, **settings: Any) -> Iterator[Bot]:
    """A bot, stopped in the end however it went."""
    bot = Bot(folder, rest.url, **settings).start()
    try:
        yield bot
    finally:
        if bot.process.poll() is None:
            bot.kill()


# --- the REST API -----------------------------------------------------------------------------------
class Rest:
    """Where calls are ended. ``answers``: statuses for the next requests (0: none comes), 200 after them."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, dict[str, str]]] = []
        """CallSid and form of each request."""
        self.answers: list[tuple[int, int | None]] = []
        self.closing = threading.Event()
        rest = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                call = urlsplit(self.path).path.rsplit("/", 1)[1].removesuffix(".json")
                form = dict(pair.split("=") for pair in body.split("&"))
                rest.ended.append((call, form))
                status, code = rest.answers.pop(0) if rest.answers else (200, None)
                if not status:
                    rest.closing.wait(20)
                    return
                answer = {"sid": call, "status": "completed"}
                if status >= 400:
                    answer = {"code": code, "message": "no", "status": status}
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop it."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


# --- the carrier's side -----------------------------------------------------------------------------
@cache
def spoken(text: str) -> tuple[bytes, ...]:
    """A caller's words as frames: silence, speech, and silence enough to end an utterance."""

    async def synthesise() -> bytes:
        voice = EspeakVoice.from_spec("espeak")
        audio = b"".join([piece async for piece in voice.synthesise(text, "en")])
        await voice.close()
        return convert(audio, voice.format, PHONE)

    with contextlib.closing(asyncio.new_event_loop()) as loop:
        audio = threaded(loop.run_until_complete, synthesise())
    audio += b"\xff" * (-len(audio) % FRAME)
    frames = [audio[i : i + FRAME] for i in range(0, len(audio), FRAME)]
    return (*[SILENCE] * 15, *frames, *[SILENCE] * 200)


def threaded(work: Any, *arguments: Any) -> Any:
    """What ``work`` returns, from a thread: it may run a loop of its own."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work(*arguments)))
    thread.start()
    thread.join()
    return results[0]


def signed(url: str, fields: dict[str, str], token: str = TOKEN) -> str:
    """A signature, by Twilio's own SDK."""
    return str(RequestValidator(token).compute_signature(url, fields))


@dataclass
class Caller:
    """One call as the carrier sees it."""

    bot: Bot
    call_sid: str = field(default_factory=lambda: f"CA{next(_numbers):032}")
    caller: str = CALLER
    dialled: str = NUMBER

    def post(
        self,
        path: str = "/webhook/incoming_call",
        *,
        token: str = TOKEN,
        headers: dict[str, str] | None = None,
        **more: str,
    ) -> tuple[int, str]:
        """A signed webhook: status and document."""
        fields = {
            "CallSid": self.call_sid,
            "AccountSid": SID,
            "From": self.caller,
            "To": self.dialled,
            "CallStatus": "ringing",
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
            **more,
        }
        all_headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": signed(self.bot.url + path, fields, token),
            **(headers or {}),
        }
        status, _, body = self.bot.request("POST", path, urlencode(fields).encode(), all_headers)
        return status, body.decode()

    async def ring(self, path: str = "/webhook/incoming_call", **more: str) -> Document:
        """The same, off the event loop, read."""
        status, body = await asyncio.to_thread(self.post, path, **more)
        assert status == 200, body
        return Document(body)

    async def answered(self, document: Document | None = None, **settings: Any) -> Stream:
        """Ring (unless that is done), and open the stream that the document wants."""
        found = document or await self.ring()
        assert found.nonce is not None, found.text
        return await open_stream(self.bot, found.stream_url, self.call_sid, found.nonce, **settings)


class Document:
    """TwiML, read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = ET.fromstring(text)

    @property
    def verbs(self) -> list[str]:
        """In order."""
        return [child.tag for child in self.root]

    @property
    def nonce(self) -> str | None:
        """The stream's parameter."""
        found = self.root.find("Connect/Stream/Parameter[@name='nonce']")
        return None if found is None else found.get("value")

    @property
    def stream_url(self) -> str:
        """Where its stream goes."""
        found = self.root.find("Connect/Stream")
        assert found is not None
        return found.get("url") or ""

    def text_of(self, verb: str) -> str:
        """A verb's text."""
        return self.root.findtext(verb) or ""


@dataclass
class Stream:
    """An open media stream. ``marks``: whether they are returned at once."""

    socket: ClientConnection
    call_sid: str
    stream_sid: str
    marks: bool = True
    audio: list[int] = field(default_factory=list)
    """Bytes of each utterance that a mark has closed."""
    events: list[str] = field(default_factory=list)
    """What the bot sent, by event."""
    held: list[str] = field(default_factory=list)
    """Marks that were not returned yet."""
    said: bytearray = field(default_factory=bytearray)
    """All of the bot's audio."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    _bytes: int = 0
    _sequence: int = 1
    _chunk: int = 0
    _reading: asyncio.Task[None] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, event: str, **more: Any) -> None:
        """A message of the carrier's."""
        self._sequence += 1
        message = {
            "event": event,
            "sequenceNumber": str(self._sequence),
            "streamSid": self.stream_sid,
            **more,
        }
        await self.socket.send(json.dumps(message))

    async def media(self, frames: Sequence[bytes]) -> None:
        """The caller's audio."""
        for frame in frames:
            payload = base64.b64encode(frame).decode()
            self._chunk += 1
            place = {"chunk": str(self._chunk), "timestamp": str(20 * self._chunk)}
            await self.send("media", media={"track": "inbound", **place, "payload": payload})

    async def say(self, text: str) -> None:
        """The caller says it, and falls silent."""
        frames = await asyncio.to_thread(spoken, text)
        await self.socket.send(json.dumps({"event": "callbot.oracle", "text": text}))
        await self.media(frames)

    async def until(self, utterances: int, seconds: float = 8.0) -> None:
        """Wait until the bot has said so many sentences."""
        async with asyncio.timeout(seconds):
            while len(self.audio) < utterances:
                self._changed.clear()
                await self._changed.wait()

    async def over(self, seconds: float = 20.0) -> None:
        """Wait until the bot has closed the socket."""
        async with asyncio.timeout(seconds):
            await self.closed.wait()

    async def stop(self) -> None:
        """The caller hangs up."""
        await self.send("stop", stop={"accountSid": SID, "callSid": self.call_sid})
        await self.socket.close()

    async def return_marks(self) -> None:
        """Return what was held back."""
        held, self.held = self.held, []
        for name in held:
            await self.send("mark", mark={"name": name})

    async def read(self) -> None:
        """Take what the bot sends, until the socket is closed."""
        with contextlib.suppress(ConnectionClosed):
            async for frame in self.socket:
                await self._take(json.loads(frame))
        self.closed.set()

    async def _take(self, message: dict[str, Any]) -> None:
        assert message["streamSid"] == self.stream_sid
        self.events.append(message["event"])
        if message["event"] == "media":
            audio = base64.b64decode(message["media"]["payload"], validate=True)
            self._bytes += len(audio)
            self.said += audio
        elif message["event"] == "mark":
            self.audio.append(self._bytes)
            self._bytes = 0
            if self.marks:
                await self.send("mark", mark={"name": message["mark"]["name"]})
            else:
                self.held.append(message["mark"]["name"])
        self._changed.set()


async def open_socket(bot: Bot, url: str, **headers: str) -> ClientConnection:
    """A socket with a handshake that is signed as the carrier signs it, unless the headers say otherwise."""
    address = f"ws://127.0.0.1:{bot.port}{urlsplit(url).path}"
    signature = {"X-Twilio-Signature": signed(url, {}), **headers}
    return await connect(address, additional_headers=signature, max_size=None, compression=None)


async def open_stream(
    bot: Bot, url: str, call_sid: str, nonce: str, *, marks: bool = True, format: str = "audio/x-mulaw"
) -> Stream:
    """A stream that has started."""
    socket = await open_socket(bot, url)
    stream = Stream(socket, call_sid, f"MZ{next(_numbers):032}", marks)
    await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
    start = {
        "accountSid": SID,
        "streamSid": stream.stream_sid,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": format, "sampleRate": 8000, "channels": 1},
        "customParameters": {"nonce": nonce},
    }
    await socket.send(
        json.dumps({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": stream.stream_sid})
    )
    stream._reading = asyncio.create_task(stream.read())
    return stream


async def eventually(condition: Any, seconds: float = 30.0) -> Any:
    """Wait until a condition holds; what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came to that"
        await asyncio.sleep(0.02)
    return found


@contextlib.asynccontextmanager
async def keeping(stream: Stream) -> AsyncIterator[Stream]:
    """Close a stream's socket in the end."""
    try:
        yield stream
    finally:
        await stream.socket.close()
