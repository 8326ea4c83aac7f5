"""Twilio Media Streams as JSON text frames: what arrives, read into types, and what may be sent.

Frame shapes are those of Twilio's page "Media Streams: WebSocket messages": ``sequenceNumber``,
``chunk`` and ``timestamp`` are strings, ``connected`` carries no streamSid, and only ``media``,
``mark`` and ``clear`` may be sent. Whatever else arrives never raises: an unknown event is
``Ignored``, what cannot be read is ``Bad``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

ORACLE_EVENT = "callbot.oracle"
"""Not Twilio's: a simulated caller's words, for the recogniser that stands in for a real one."""

_KEYS = frozenset("0123456789*#")


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket speaks the protocol; the first frame."""


@dataclass(frozen=True, slots=True)
class Start:
    """A stream begins. ``format``: encoding, rate in Hz, channels."""

    stream_sid: str
    call_sid: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    format: tuple[str, int, int] = ("audio/x-mulaw", 8000, 1)


@dataclass(frozen=True, slots=True)
class Media:
    """The caller's audio, mu-law 8 kHz, of any length.

    ``place`` tells a frame that came twice. ``sequence`` counts all messages of a stream, ``chunk``
    those of its audio.
    """

    stream_sid: str
    audio: bytes
    place: tuple[object, object, object]
    sequence: int | None
    chunk: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Playback has passed a mark, or a clear has returned it."""

    stream_sid: str
    name: str


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the caller's phone."""

    stream_sid: str
    digit: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The call is over on the carrier's side."""

    stream_sid: str


@dataclass(frozen=True, slots=True)
class Oracle:
    """Words of a simulated caller."""

    text: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A frame that means nothing to us, and does no harm."""

    event: str


@dataclass(frozen=True, slots=True)
class Bad:
    """A frame that cannot be read. ``binary``: it was no text at all."""

    why: str
    binary: bool = False


Message = Connected | Start | Media | Mark | Key | Stop | Oracle | Ignored | Bad


def read_message(frame: str | bytes) -> Message:
    """What a frame says."""
    if isinstance(frame, bytes):
        return Bad("a binary frame", binary=True)
    try:
        data = from_json(frame, allow_inf_nan=False, cache_strings="keys")
    except (TypeError, ValueError):  # TypeError: a text that is no UTF-8
        return Bad("not JSON")
    if not isinstance(data, dict) or not isinstance(data.get("event"), str):
        return Bad("not an object with an event")
    try:
        return _read(data["event"], data)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        return Bad(f"{data['event'][:20]!r}: {type(error).__name__}")


def _read(event: str, data: dict[str, Any]) -> Message:
    if event == "media":
        media = data["media"]
        if media.get("track", "inbound") != "inbound":
            return Ignored("media of another track")
        audio = base64.b64decode(media["payload"], validate=True)
        sequence, chunk = data.get("sequenceNumber"), media.get("chunk")
        place = (sequence, chunk, media.get("timestamp"))
        return Media(_text(data["streamSid"]), audio, place, _number(sequence), _number(chunk))
    if event == "mark":
        return Mark(_text(data["streamSid"]), _text(data["mark"]["name"]))
    if event == "dtmf":
        digit = _text(data["dtmf"]["digit"])
        return Key(_text(data["streamSid"]), digit) if digit in _KEYS else Ignored("dtmf of no key")
    if event == "connected":
        return Connected()
    if event == "start":
        return _read_start(data)
    if event == "stop":
        return Stop(_text(data["streamSid"]))
    if event == ORACLE_EVENT:
        return Oracle(_text(data["text"]))
    return Ignored(event[:40])


def _read_start(data: dict[str, Any]) -> Start:
    start = data["start"]
    given = start.get("customParameters") or {}
    parameters = {str(name): _text(value) for name, value in given.items()}
    media = start.get("mediaFormat") or {}
    audio = (
        str(media.get("encoding", "audio/x-mulaw")),
        int(media.get("sampleRate", 8000)),
        int(media.get("channels", 1)),
    )
    return Start(_text(start["streamSid"]), _text(start["callSid"]), parameters, audio)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None


# --- to Twilio ----------------------------------------------------------------------------------
def media_frame(stream_sid: str, audio: bytes) -> str:
    """Audio to be played after everything sent before it: mu-law 8 kHz, no file header."""
    payload = base64.b64encode(audio).decode("ascii")
    return f'{{"event":"media","streamSid":{json.dumps(stream_sid)},"media":{{"payload":"{payload}"}}}}'


def mark_frame(stream_sid: str, name: str) -> str:
    """A mark that comes back when everything sent before it was played."""
    return json.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}})


def clear_frame(stream_sid: str) -> str:
    """Drop what is queued; outstanding marks come back all the same."""
    return json.dumps({"event": "clear", "streamSid": stream_sid})
