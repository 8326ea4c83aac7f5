"""The models, voices and recognisers that settings and businesses name: can they be made here?"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from callbot.doctor.finding import EVERY, SERVE, Finding, Mode, Setup
from callbot.errors import CallbotError

Kind = Literal["model", "voice", "recogniser"]
MODES_OF: dict[Kind, frozenset[Mode]] = {"model": EVERY, "voice": SERVE, "recogniser": SERVE}
"""Modes that stand still without it: in talk a voice and a recogniser give way to what is here."""

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_EARS = "gpt-transcribe"
"""What the recogniser ``openai`` alone means (``speech/stt/openai.py``, which wants numpy; a test compares)."""
_AT = re.compile(r"@(https?://\S+)$")
_CHOOSE = {
    "model": "model in callbot.toml, CALLBOT_MODEL or --model",
    "voice": "voice.tts of the business, or tts in callbot.toml, CALLBOT_TTS or --tts",
    "recogniser": "voice.stt of the business, or stt in callbot.toml, CALLBOT_STT or --stt",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One that is named. ``users``: ids of businesses, none for a model."""

    kind: Kind
    name: str
    users: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What findings call it."""
        return f"{self.kind} {self.name}"

    @property
    def openai_url(self) -> str | None:
        """The server it asks, if that speaks OpenAI's protocols."""
        if not re.match(r"openai(?=[:@]|$)", self.name, re.IGNORECASE):
            return None
        found = _AT.search(self.name)
        url = found[1] if found else os.environ.get("OPENAI_BASE_URL", "").strip() or OPENAI_URL
        return url.rstrip("/")

    @property
    def is_openais_own(self) -> bool:
        """Whether OpenAI itself answers."""
        host = urlsplit(self.openai_url or "").hostname or ""
        return host == "openai.com" or host.endswith(".openai.com")

    @property
    def openai_model(self) -> str:
        """The name that the server knows; empty for what is not behind such a server."""
        if self.openai_url is None:
            return ""
        from callbot.models.openai import DEFAULT_MODEL

        name = _AT.sub("", self.name).partition(":")[2]
        if self.kind == "voice":
            return name.rpartition("/")[0]
        return name or (DEFAULT_MODEL if self.kind == "model" else OPENAI_EARS)


def configured(setup: Setup) -> list[Part]:
    """Every model, voice and recogniser that is named, once."""
    from callbot.models.registry import default_model

    settings = setup.settings
    models = dict.fromkeys(filter(None, (settings.model or default_model(), settings.fallback)))
    found = [Part("model", name) for name in models]
    for kind, general in (("voice", settings.tts), ("recogniser", settings.stt)):
        users: dict[str, list[str]] = {general: []} if general else {}
        for business in setup.businesses:
            own = business.voice.tts if kind == "voice" else business.voice.stt
            if name := own or general:
                users.setdefault(name, []).append(business.id)
        found += [Part(kind, name, tuple(ids)) for name, ids in users.items()]  # type: ignore[arg-type]
    return found


def trouble_with(part: Part) -> str | None:
    """Why it cannot be made here; None if it can."""
    try:
        made = _make(part)
    except ModuleNotFoundError as error:
        return f'needs {error.name}: pip install "callbot[speech]"'
    except CallbotError as error:
        return str(error).splitlines()[0].removeprefix(f'"{part.name}"').removeprefix(part.name).lstrip(": ")
    asyncio.run(made.close())
    return None


def _make(part: Part) -> Any:
    if part.kind == "model":
        from callbot.models.registry import make_model

        return make_model(part.name)
    if part.kind == "voice":
        from callbot.speech.tts.registry import make_voice

        return make_voice(part.name)
    from callbot.speech.stt.registry import make_recogniser

    return make_recogniser(part.name)


def examine(setup: Setup) -> Iterator[Finding]:
    """A line for each, and one for each business without."""
    for part in configured(setup):
        whose = f"used by {', '.join(part.users)}" if part.users else "chosen"
        if part.name == "offline":
            whose = "embedded: no key, no server"
        trouble = trouble_with(part)
        if trouble is None:
            yield Finding(part.label, "ok", whose)
        else:
            remedy = f"mend that, or choose another: {_CHOOSE[part.kind]}"
            yield Finding(part.label, setup.broken(MODES_OF[part.kind]), trouble, remedy)
    yield from _without(setup)


def _without(setup: Setup) -> Iterator[Finding]:
    settings = setup.settings
    for kind, general in (("voice", settings.tts), ("recogniser", settings.stt)):
        lacking = [
            business.id
            for business in setup.businesses
            if not (general or (business.voice.tts if kind == "voice" else business.voice.stt))
        ]
        if lacking:
            instead = "espeak" if kind == "voice" else "Whisper, else your keyboard,"
            detail = f"none is chosen for {', '.join(lacking)}: talk takes {instead} and serve does not start"
            yield Finding(kind, setup.broken(SERVE), detail, f"choose one: {_CHOOSE[kind]}")
