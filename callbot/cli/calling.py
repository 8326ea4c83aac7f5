"""What the commands that place simulated calls share: addresses, account, and the error without the extra."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from callbot.errors import CallbotError

NOT_REACHED = 3
"""Exit code: nobody answered at the bot's address."""
REST = "127.0.0.1:8650"
"""Where Twilio's REST API is simulated unless told otherwise."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ACCOUNT = "AC" + "0" * 32


@contextlib.contextmanager
def dial_extra() -> Iterator[None]:
    """Say which extra is missing. Raises CallbotError."""
    try:
        yield
    except ImportError as error:
        raise CallbotError(
            f"simulated calls need {error.name}, which is not installed: pip install 'callbot[dial]'"
        ) from error


def host_and_port(text: str, option: str) -> tuple[str, int]:
    """``HOST:PORT`` as written. Raises CallbotError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise CallbotError(f"{option} {text}: must be HOST:PORT, such as {REST}")
    return host.strip("[]"), int(port)


def checked_url(url: str, what: str) -> str:
    """A URL that can be asked. Raises CallbotError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CallbotError(
            f"{what} {url}: must be a URL such as https://bot.example.com/webhook/incoming_call"
        )
    return url


def checked_number(number: str, option: str) -> str:
    """A phone number in E.164. Raises CallbotError."""
    if not re.fullmatch(r"\+[1-9]\d{6,14}", number):
        raise CallbotError(f"{option} {number}: must be a phone number such as +97235550100")
    return number


def token_given(token: str | None) -> str:
    """The auth token that signs requests. Raises CallbotError if there is none."""
    if not token:
        raise CallbotError(
            "no auth token: set TWILIO_AUTH_TOKEN (or --token) to what the bot checks signatures with; "
            "for a bot under test any word will do"
        )
    return token
