"""What can go wrong on the way between a carrier and a bot, made to happen on purpose."""

from __future__ import annotations

import difflib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from callbot.errors import CallbotError


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault that ``--fault`` knows. ``value``: what its number is if none is given, if it takes one."""

    help: str
    value: float | None = None


FAULTS: dict[str, Kind] = {
    "lost-marks": Kind("no mark is returned"),
    "late-marks": Kind("marks are returned SECONDS late", 2.0),
    "jitter": Kind("frames arrive up to MILLISECONDS late, in bursts", 150.0),
    "loss": Kind("this SHARE of the frames is not sent", 0.05),
    "dead-line": Kind("no more frames from SECONDS into the stream on", 2.0),
    "cut-socket": Kind("the socket breaks SECONDS into the stream, once", 3.0),
    "no-start": Kind("the start message is not sent"),
    "media-before-start": Kind("ten frames come before the start message"),
    "no-stop": Kind("the stream ends without a stop message"),
    "duplicate-start": Kind("the start message comes again SECONDS into the stream", 1.0),
    "duplicate-media": Kind("every frame comes twice"),
    "unknown-event": Kind("an event that nobody knows, SECONDS into the stream", 1.0),
    "bad-json": Kind("a frame that is no JSON, SECONDS into the stream", 1.0),
    "bad-base64": Kind("a frame whose payload is no base64, SECONDS into the stream", 1.0),
    "binary-frame": Kind("a binary frame, SECONDS into the stream", 1.0),
    "giant-frame": Kind("a frame of a megabyte, SECONDS into the stream", 1.0),
    "duplicate-webhook": Kind("the webhook is posted twice"),
    "forged-signature": Kind("before the call, a webhook with a wrong signature: must be refused"),
    "unsigned-socket": Kind("during the call, a socket without a signature: must be refused"),
    "second-socket": Kind("during the call, a second socket for its stream: must be refused"),
    "replayed-signature": Kind("after the call, its socket is opened again: must be refused"),
    "rest-error": Kind("the first REST request is answered with this HTTP STATUS", 500.0),
}
MESSAGES = ("duplicate-start", "unknown-event", "bad-json", "bad-base64", "binary-frame", "giant-frame")
"""Faults that are one message at a moment of the stream."""


@dataclass(slots=True)
class Faults:
    """Those chosen for a call, by name. Random ones are the same for the same seed."""

    chosen: dict[str, float | None] = field(default_factory=dict)
    random: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311  # no secret

    def __contains__(self, name: str) -> bool:
        return name in self.chosen

    def value(self, name: str) -> float:
        """Number of a chosen fault; 0 if it is not chosen."""
        return self.chosen.get(name) or 0.0


def parse_faults(texts: Sequence[str]) -> dict[str, float | None]:
    """``NAME`` or ``NAME:NUMBER`` each. Raises CallbotError naming the nearest known fault."""
    chosen: dict[str, float | None] = {}
    for text in texts:
        name, colon, number = text.partition(":")
        kind = FAULTS.get(name)
        if kind is None:
            near = difflib.get_close_matches(name, FAULTS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(FAULTS)}"
            raise CallbotError(f'--fault {text}: there is no fault "{name}"; {hint}')
        if colon and kind.value is None:
            raise CallbotError(f"--fault {text}: {name} takes no number")
        try:
            value = float(number) if colon else kind.value
        except ValueError:
            raise CallbotError(f"--fault {text}: {number!r} is no number") from None
        if value is not None and not 0 <= value < float("inf"):
            raise CallbotError(f"--fault {text}: the number must not be negative")
        chosen[name] = value
    return chosen


def describe_faults() -> str:
    """The list for ``--help``: a paragraph for each."""
    return "\n\n".join(
        f"{name}{f':{kind.value:g}' if kind.value is not None else ''}: {kind.help}."
        for name, kind in FAULTS.items()
    )
