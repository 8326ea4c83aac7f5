"""Finds a voice by the name that ``--tts`` and ``voice.tts`` take; imports only the one asked for."""

from __future__ import annotations

import difflib

from callbot.business import Business
from callbot.errors import CallbotError
from callbot.sound import Voice

KINDS = {
    "azure": "azure:VOICE or azure:VOICE/RATE, such as azure:he-IL-HilaNeural/-10%",
    "openai": "openai:MODEL/VOICE, or openai:MODEL/VOICE@BASE_URL for any compatible server",
    "espeak": "espeak, espeak:VARIANT or espeak:VARIANT/SPEED; a robot, for tests and laptops",
    "espeak-hebrew": "espeak-hebrew, likewise; the same with the vowels that Hebrew leaves out",
}


class UnknownVoice(CallbotError):
    """No voice has this name."""


def make_voice(name: str) -> Voice:
    """The voice called ``name``. Raises UnknownVoice, or CallbotError for what it needs and lacks."""
    kind = name.strip().partition(":")[0]
    if kind.partition("/")[0] in {"espeak", "espeak-hebrew"}:
        from callbot.speech.tts.espeak import EspeakVoice

        return EspeakVoice.from_spec(name)
    if kind == "azure":
        from callbot.speech.tts.azure import AzureVoice

        return AzureVoice.from_spec(name)
    if kind == "openai":
        from callbot.speech.tts.openai import OpenAIVoice

        return OpenAIVoice.from_spec(name)
    near = difflib.get_close_matches(kind, KINDS, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    known = "\n".join(f"  {what}" for what in KINDS.values())
    raise UnknownVoice(f'unknown voice "{name}"{hint}\nvoices are named\n{known}')


def voice_for(business: Business, default: str | None) -> str:
    """The name of the voice that speaks for a business: its own, else ``default``. Raises CallbotError."""
    name = business.voice.tts or default
    if name is None:
        known = "\n".join(f"  {what}" for what in KINDS.values())
        raise CallbotError(
            f"{business.id} has no voice: set voice.tts in its file, or choose one with --tts\n"
            f"voices are named\n{known}"
        )
    return name
