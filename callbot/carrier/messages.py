"""Messages of Twilio Media Streams: those it sends, and how it reads those of a bot."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from callbot.carrier.trouble import BINARY_FRAME, INVALID_MESSAGE

ORACLE = "callbot.oracle"
"""Event of our own, sent on request to bots that recognise nothing; others ignore unknown events."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Who is who in a stream: Twilio's identifiers."""

    account: str
    call: str
    stream: str


@dataclass(frozen=True, slots=True)
class BotMedia:
    """Audio to play: mu-law, 8 kHz, no header."""

    audio: bytes


@dataclass(frozen=True, slots=True)
class BotMark:
    """A question: tell me when everything before this was played."""

    name: str


@dataclass(frozen=True, slots=True)
class BotClear:
    """Drop what is buffered."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A frame that Twilio warns of and drops."""

    code: int
    why: str


def read(frame: str | bytes, stream: str) -> BotMedia | BotMark | BotClear | Ignored:
    """What a frame from the bot means."""
    if isinstance(frame, bytes):
        return Ignored(BINARY_FRAME, "a binary frame")
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return Ignored(INVALID_MESSAGE, "no JSON")
    if not isinstance(message, dict):
        return Ignored(INVALID_MESSAGE, "not a JSON object")
    event, sid = message.get("event"), message.get("streamSid")
    if sid != stream:
        return Ignored(INVALID_MESSAGE, f"{event}: streamSid is {json.dumps(sid)}, the stream's is {stream}")
    if event == "clear":
        return BotClear()
    if event == "mark":
        name = _inside(message, "mark", "name")
        return BotMark(name) if name is not None else Ignored(INVALID_MESSAGE, "mark without mark.name")
    if event == "media":
        return _media(_inside(message, "media", "payload"))
    return Ignored(INVALID_MESSAGE, f"event {json.dumps(event)}; a bot sends media, mark and clear")


def _inside(message: Mapping[str, Any], outer: str, inner: str) -> str | None:
    part = message.get(outer)
    value = part.get(inner) if isinstance(part, dict) else None
    return value if isinstance(value, str) else None


def _media(payload: str | None) -> BotMedia | Ignored:
    if payload is None:
        return Ignored(INVALID_MESSAGE, "media without media.payload")
    try:
        return BotMedia(base64.b64decode(payload, validate=True))
    except (binascii.Error, ValueError):
        return Ignored(INVALID_MESSAGE, "media.payload is not base64")


class Writer:
    """Writes the messages of one stream, numbered as Twilio does: counters are strings."""

    def __init__(self, ids: Ids, parameters: Mapping[str, str]) -> None:
        self._ids, self._parameters = ids, parameters
        self._sequence = 0
        self._chunk = 0

    def connected(self) -> str:
        """The first message; it knows no stream yet."""
        return json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})

    def start(self) -> str:
        """The second message: what the stream is."""
        start = {
            "accountSid": self._ids.account,
            "streamSid": self._ids.stream,
            "callSid": self._ids.call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(self._parameters),
        }
        return self._numbered("start", start=start)

    def media(self, audio: bytes, milliseconds: int) -> str:
        """Caller's audio that began ``milliseconds`` after the stream did."""
        self._chunk += 1
        return self._numbered(
            "media",
            media={
                "track": "inbound",
                "chunk": str(self._chunk),
                "timestamp": str(milliseconds),
                "payload": base64.b64encode(audio).decode(),
            },
        )

    def mark(self, name: str) -> str:
        """The audio before a mark of the bot's was played, or cleared."""
        return self._numbered("mark", mark={"name": name})

    def dtmf(self, digit: str) -> str:
        """The caller pressed a key."""
        return self._numbered("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def stop(self) -> str:
        """The last message."""
        return self._numbered("stop", stop={"accountSid": self._ids.account, "callSid": self._ids.call})

    def oracle(self, text: str) -> str:
        """What recognition would make of the caller's speech that just ended."""
        return json.dumps({"event": ORACLE, "streamSid": self._ids.stream, "text": text}, ensure_ascii=False)

    def _numbered(self, event: str, **body: object) -> str:
        self._sequence += 1
        return json.dumps(
            {"event": event, "sequenceNumber": str(self._sequence), "streamSid": self._ids.stream, **body}
        )
