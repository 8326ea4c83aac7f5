"""What a chat-completions server says and refuses, read into plain values for ``openai.py``."""

from __future__ import annotations

import email.utils
import math
import re
import time
from dataclasses import dataclass, replace
from typing import Any

_KEYLIKE = re.compile(r"\b(?:sk|key|gsk|Bearer)[-_ ][\w*.\-]{6,}|(?<=://)[^/\s@]+@|\b[\w-]{32,}")
_UNKNOWN_PARAMETER = re.compile(r"unsupported_parameter|unknown_parameter|unrecogni[sz]ed")
_FILTERED = {"content_filter", "content_policy_violation"}
_NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server takes. Each option holds the steps left: a refusal takes the first away."""

    format: tuple[str, ...] = ("json_schema", "json_object", "")
    effort: tuple[str, ...] = ("",)
    usage: tuple[str, ...] = ("include_usage", "")
    seed: tuple[str, ...] = ("seed", "")
    roles: tuple[str, ...] = ("as heard", "alternating")

    def without(self, option: str, *, outright: bool) -> Dialect | None:
        """The next to try when ``option`` was refused (``outright``: in every form); None if none is left."""
        steps: tuple[str, ...] = getattr(self, option)
        if len(steps) == 1:
            return None
        return replace(self, **{option: steps[-1:] if outright else steps[1:]})

    def after(self, complaint: str) -> tuple[str, Dialect] | None:
        """What a refusal of a request in this dialect names, and the dialect without it."""
        for option, words in COMPLAINTS.items():
            if words.search(complaint):
                outright = option == "effort" and bool(_UNKNOWN_PARAMETER.search(complaint))
                if (poorer := self.without(option, outright=outright)) is not None:
                    return option, poorer
        return None

    def common(self, other: Dialect) -> Dialect:
        """What is left when both refusals hold: requests in flight together are refused together."""
        names = ("format", "effort", "usage", "seed", "roles")
        return Dialect(*(min(getattr(self, n), getattr(other, n), key=len) for n in names))


COMPLAINTS = {
    "effort": re.compile(r"reasoning[._ ]effort"),
    "usage": re.compile(r"stream_options|include_usage"),
    "seed": re.compile(r"\bseed\b"),
    "roles": re.compile(r"roles? must alternate|alternating roles"),
    "format": re.compile(
        r"response[_ ]format|json[_ ]schema|json[_ ]object|json mode|structured output|grammar"
    ),
}
"""How servers name what they refuse, the most telling first."""


@dataclass(eq=False)
class Trouble(Exception):
    """A try that failed; ``openai.py`` decides what follows.

    ``said`` is fit for people. ``retry``: another try may go better. ``fatal``: none will.
    ``limited``: the server takes no more for now. ``filtered``: the prompt met a content filter. ``complaint``: lower-case text in which a refused
    option is looked for. ``retry_after``: seconds, None for a backoff of our own.
    """

    said: str
    retry: bool = False
    fatal: bool = False
    limited: bool = False
    filtered: bool = False
    complaint: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """What one chunk adds. ``tokens``: input, output, and how many of the input were cached."""

    text: str = ""
    refusal: str = ""
    finish: str | None = None
    tokens: tuple[int, int, int] | None = None


def read_chunk(chunk: object) -> Piece:
    """What a chunk says (``chat_completion_chunk.py``); nothing of it is taken for granted."""
    usage = _part(chunk, "usage")
    counts = _part(usage, "prompt_tokens"), _part(usage, "completion_tokens")
    cached = _part(_part(usage, "prompt_tokens_details"), "cached_tokens")  # completion_usage.py
    tokens = None
    if isinstance(counts[0], int) and isinstance(counts[1], int):
        tokens = (counts[0], counts[1], cached if isinstance(cached, int) else 0)
    choices = _part(chunk, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    delta, finish = _part(choice, "delta"), _part(choice, "finish_reason")
    text, refusal = _part(delta, "content"), _part(delta, "refusal")
    return Piece(
        text if isinstance(text, str) else "",
        refusal if isinstance(refusal, str) else "",
        finish if isinstance(finish, str) and finish else None,
        tokens,
    )


def _part(data: object, key: str) -> object:
    return data.get(key) if isinstance(data, dict) else None


def trouble_of(error: Exception, host: str, model: str) -> Trouble:
    """What an exception of the SDK, or from beneath it, comes to."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return Trouble(f"{host} did not answer in time", retry=True)
    if isinstance(error, openai.APIConnectionError):
        return Trouble(f"the connection to {host} failed", retry=True)
    if not isinstance(error, openai.APIError):
        return Trouble(f"{host} sent what cannot be read ({type(error).__name__})", retry=True)
    said = _said(error)
    code = error.code or error.type or ""
    status = error.status_code if isinstance(error, openai.APIStatusError) else None
    quote = f": {said}" if said else ""
    if status == 401:  # not quoted: the real service repeats part of the key
        return Trouble(f"{host} refused the key (401): check OPENAI_API_KEY", fatal=True)
    if status == 403:
        return Trouble(
            f"{host} denies this key access (403): check the rights of OPENAI_API_KEY{quote}", fatal=True
        )
    if status == 404 or code == "model_not_found":
        return Trouble(
            f'{host} does not know "{model}": check the model\'s name and the address{quote}', fatal=True
        )
    if status == 402 or code in _NO_CREDIT or error.type in _NO_CREDIT:
        return Trouble(f"the account at {host} has no credit left: check its billing{quote}", fatal=True)
    complaint = f"{error.param or ''} {code} {said}".lower()
    if status in (400, 422):
        return Trouble(
            f"{host} refused the request ({status}){quote}",
            filtered=code in _FILTERED,
            complaint=complaint,
        )
    wait = None
    if isinstance(error, openai.APIStatusError):
        wait = _retry_after(error.response.headers)
    what = {None: "reported an error", 429: "is limiting requests (429)"}.get(status, f"failed ({status})")
    transient = status is None or status in (408, 409, 429) or status >= 500
    return Trouble(
        f"{host} {what}{quote}",
        retry=transient,
        limited=status == 429 or (transient and wait is not None),
        complaint=complaint,
        retry_after=wait,
    )


def _said(error: Any) -> str:
    """The server's own words, shortened, without keys; never an echo of our request."""
    body = error.body
    said = body if isinstance(body, str) else ""
    if isinstance(body, dict):
        said = body.get("message") or body.get("detail") or ""
    if isinstance(said, list):  # FastAPI's 422: each item also echoes the input, with what callers said
        said = "; ".join(
            f"{'.'.join(map(str, item.get('loc', ())))} {item.get('msg', '')}"
            for item in said
            if isinstance(item, dict)
        )
    text = " ".join(str(said).split())
    return "" if text.startswith("<") else _KEYLIKE.sub("***", text)[:300]


def _retry_after(headers: Any) -> float | None:
    """Seconds to wait as the server asks: ``retry-after-ms``, or ``Retry-After`` (RFC 9110, 10.2.3)."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(date.timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None
