"""What ``callbot serve`` runs with, checked: one error that says what is missing and how to mend it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from callbot.config import ADMIN_TOKEN_VARIABLE
from callbot.errors import CallbotError
from callbot.lines.twilio_rest import API_URL, Credentials

SID_VARIABLE, TOKEN_VARIABLE = "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"
SHORTEST_TOKEN = 16
_SID = re.compile(r"AC[0-9a-zA-Z]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """One server's settings. ``public_url`` is what Twilio calls it by, without a slash at its end."""

    public_url: str
    credentials: Credentials
    database: str
    model: str
    fallback: str | None
    tts: str | None
    stt: str | None
    prompts_dir: Path
    clips_dir: Path
    """Where rendered sentences are kept."""
    calls_dir: Path = Path("recordings/calls")
    """Where calls are recorded, of businesses that do."""
    twilio_api_url: str = API_URL
    allow_espeak: bool = False
    simulated_callers_only: bool = False
    """The recogniser may be ``oracle``, which hears nobody but simulated callers; ``tts`` and ``stt``
    replace those of the businesses."""
    max_calls: int = 200
    """Calls at once; further callers get the busy tone."""
    drain_seconds: float = 660.0
    """How long calls may go on after SIGTERM: a call's default limit and its farewell."""
    admin_token: str | None = None
    """Opens the pages and figures of the operator; None: there are none."""

    @property
    def socket_url(self) -> str:
        """The public URL with the scheme of web sockets."""
        return "ws" + self.public_url.removeprefix("http")


def public_url(text: str | None, *, who: str = "serve") -> str:
    """A checked public URL. Raises CallbotError: Twilio needs https, loopback is for simulations."""
    if not text:
        raise CallbotError(
            f"{who} needs the address that Twilio reaches it by: --public-url https://bot.example.com "
            "(or public_url in callbot.toml, or CALLBOT_PUBLIC_URL)"
        )
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise CallbotError(f'--public-url: "{text}" is no address of a server; write https://bot.example.com')
    if parts.username or parts.password:
        raise CallbotError(
            "--public-url: leave user and password out of it; webhooks are checked by signature"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise CallbotError(
            f"--public-url: Twilio opens media streams over TLS only; write https://{parts.netloc}"
        )
    return text.rstrip("/")


def api_url(text: str | None) -> str:
    """Where hang-ups are posted: Twilio, or a simulated carrier. Raises CallbotError."""
    if not text:
        return API_URL
    parts = urlsplit(text)
    loopback = parts.hostname is not None and is_loopback(parts.hostname)
    if not (parts.scheme == "https" or (parts.scheme == "http" and loopback)) or not parts.hostname:
        raise CallbotError(f'--twilio-api-url: "{text}" must be https://, or http:// on this machine')
    return text.rstrip("/")


def credentials(environment: Mapping[str, str], *, who: str = "serve") -> Credentials:
    """The account's SID and auth token, from the environment only. Raises CallbotError."""
    sid, token = (environment.get(name, "").strip() for name in (SID_VARIABLE, TOKEN_VARIABLE))
    missing = [name for name, value in ((SID_VARIABLE, sid), (TOKEN_VARIABLE, token)) if not value]
    if missing:
        raise CallbotError(
            f"{who} needs {' and '.join(missing)} in the environment: the account SID and auth token of "
            "https://console.twilio.com; they check that webhooks are Twilio's, and end calls"
        )
    if not _SID.fullmatch(sid):
        raise CallbotError(f"{SID_VARIABLE}: must be AC and 32 letters or digits, as the console shows it")
    return Credentials(sid, token)


def admin_token(environment: Mapping[str, str]) -> str | None:
    """The operator's token, None if none is set. Raises CallbotError for one that could be guessed."""
    token = environment.get(ADMIN_TOKEN_VARIABLE, "").strip()
    if token and len(token) < SHORTEST_TOKEN:
        raise CallbotError(
            f"{ADMIN_TOKEN_VARIABLE}: at least {SHORTEST_TOKEN} characters, for it opens every call's "
            "words; make one with: openssl rand -hex 24"
        )
    return token or None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
