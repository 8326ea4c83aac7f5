"""TwiML as Twilio takes it: strict XML, a limit in size, and the verbs that a simulated call obeys."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from callbot.carrier.trouble import (
    BAD_ATTRIBUTE,
    BAD_CONTENT_TYPE,
    BAD_XML,
    HANDSHAKE_FAILED,
    MALFORMED_URL,
    NOT_WSS,
    TWIML_TOO_LONG,
    TwilioError,
)

LONGEST = 64 * 1024
"""Bytes of a document."""
LONGEST_PARAMETER = 500
"""Characters of a parameter's name and value together."""
MAX_PLAYS = 1000
"""What ``loop="0"`` comes to."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")

_TYPES = ("text/xml", "application/xml", "text/html")


@dataclass(frozen=True, slots=True)
class Play:
    """Play a file ``loop`` times; or press keys, which the caller hears as tones."""

    url: str
    loop: int = 1
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Say:
    """Speak a text."""

    text: str
    loop: int = 1


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds of silence."""

    length: float = 1.0


@dataclass(frozen=True, slots=True)
class Stream:
    """Connect the call to a socket, both ways, until one side ends it."""

    url: str
    parameters: dict[str, str] = field(default_factory=dict)
    name: str = ""
    status_callback: str | None = None
    status_callback_method: str = "POST"
    action: str | None = None
    action_method: str = "POST"


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go on with another document."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect the caller to somebody else; noted, nobody is called."""

    number: str
    action: str | None = None
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Do not answer the call."""

    reason: str = "rejected"


Verb = Play | Say | Pause | Stream | Redirect | Dial | Hangup | Reject


def read_response(body: bytes, content_type: str, base: str, *, plain_sockets: bool = False) -> list[Verb]:
    """The verbs of a bot's answer over HTTP. Raises TwilioError as Twilio would end the call.

    ``base``: URL of the document, to which relative ones are relative. ``plain_sockets``: take
    ``ws://`` to any host, not to this machine only.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _TYPES:
        found = f'"{kind}"' if kind else "none"
        raise TwilioError(BAD_CONTENT_TYPE, f"Content-Type of TwiML must be text/xml; found {found}")
    return read_twiml(body, base, plain_sockets=plain_sockets)


def read_twiml(body: bytes, base: str, *, plain_sockets: bool = False) -> list[Verb]:
    """The verbs of a document. Raises TwilioError."""
    if len(body) > LONGEST:
        raise TwilioError(TWIML_TOO_LONG, f"TwiML of {len(body)} bytes; at most {LONGEST} are taken")
    try:
        root = ET.fromstring(body)  # noqa: S314  # expat limits entity expansion; the sender is under test
    except ET.ParseError as error:
        raise TwilioError(BAD_XML, f"the document is not XML: {error}; {_excerpt(body)}") from error
    if root.tag != "Response":
        raise TwilioError(BAD_XML, f"the document's root is <{root.tag}>; it must be <Response>")
    reader = _Reader(base, plain_sockets)
    return [reader.verb(element) for element in root]


def _excerpt(body: bytes) -> str:
    return f"it begins {body[:60].decode('utf-8', 'replace')!r}" if body else "it is empty"


class _Reader:
    def __init__(self, base: str, plain_sockets: bool) -> None:
        self._base, self._plain_sockets = base, plain_sockets
        self._verbs: dict[str, Callable[[ET.Element], Verb]] = {
            "Play": self._play,
            "Say": lambda e: Say("".join(e.itertext()).strip(), _loops(e)),
            "Pause": lambda e: Pause(_number(e, "length", 1.0)),
            "Connect": self._connect,
            "Redirect": lambda e: Redirect(self._url(e, e.text), _method(e, "method")),
            "Dial": self._dial,
            "Hangup": lambda _: Hangup(),
            "Reject": lambda e: Reject(e.get("reason", "rejected")),
        }

    def verb(self, element: ET.Element) -> Verb:
        read = self._verbs.get(element.tag)
        if read is None:
            known = ", ".join(f"<{name}>" for name in self._verbs)
            raise TwilioError(None, f"<{element.tag}> is not simulated; known verbs: {known}")
        return read(element)

    def _play(self, element: ET.Element) -> Verb:
        digits = element.get("digits", "")
        url = "" if digits else self._url(element, element.text)
        return Play(url, _loops(element), digits)

    def _connect(self, element: ET.Element) -> Verb:
        streams = list(element)
        if len(streams) != 1 or streams[0].tag != "Stream":
            inside = ", ".join(f"<{child.tag}>" for child in streams) or "nothing"
            raise TwilioError(None, f"<Connect> must hold one <Stream>; found {inside}")
        stream = streams[0]
        action = element.get("action")
        callback = stream.get("statusCallback")
        return Stream(
            url=self._socket(stream.get("url", "")),
            parameters=_parameters(stream),
            name=stream.get("name", ""),
            status_callback=urljoin(self._base, callback) if callback else None,
            status_callback_method=_method(stream, "statusCallbackMethod"),
            action=urljoin(self._base, action) if action else None,
            action_method=_method(element, "method"),
        )

    def _dial(self, element: ET.Element) -> Verb:
        number = " ".join(text.strip() for text in element.itertext() if text.strip())
        action = element.get("action")
        return Dial(number, urljoin(self._base, action) if action else None, _method(element, "method"))

    def _url(self, element: ET.Element, text: str | None) -> str:
        if not text or not text.strip():
            raise TwilioError(BAD_ATTRIBUTE, f"<{element.tag}> names no URL")
        return urljoin(self._base, text.strip())

    def _socket(self, url: str) -> str:
        parts = urlsplit(url)
        if not parts.scheme or not parts.hostname:
            raise TwilioError(MALFORMED_URL, f'<Stream> url "{url}" is not a URL')
        if parts.query:
            raise TwilioError(
                HANDSHAKE_FAILED, f'<Stream> url "{url}" has a query string; pass values in <Parameter>'
            )
        local = parts.scheme == "ws" and (self._plain_sockets or parts.hostname in LOOPBACK)
        if parts.scheme != "wss" and not local:
            raise TwilioError(NOT_WSS, f'<Stream> url "{url}" must begin with wss://')
        return url


def _parameters(stream: ET.Element) -> dict[str, str]:
    found: dict[str, str] = {}
    for child in stream:
        if child.tag != "Parameter":
            raise TwilioError(BAD_ATTRIBUTE, f"<Stream> holds <{child.tag}>; only <Parameter> is known")
        name, value = child.get("name", ""), child.get("value", "")
        if len(name) + len(value) >= LONGEST_PARAMETER:
            raise TwilioError(
                BAD_ATTRIBUTE, f'<Parameter name="{name}">: name and value must be under 500 characters'
            )
        found[name] = value
    return found


def _method(element: ET.Element, name: str) -> str:
    return _one_of(element, name, ("POST", "GET"))


def _one_of(element: ET.Element, name: str, known: Sequence[str]) -> str:
    value = element.get(name, known[0]).upper()
    if value not in known:
        raise TwilioError(BAD_ATTRIBUTE, f'<{element.tag} {name}="{value}">: must be {" or ".join(known)}')
    return value


def _loops(element: ET.Element) -> int:
    return int(_number(element, "loop", 1)) or MAX_PLAYS


def _number(element: ET.Element, name: str, default: float) -> float:
    text = element.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise TwilioError(BAD_ATTRIBUTE, f'<{element.tag} {name}="{text}">: must be a whole number')
    return float(text)
