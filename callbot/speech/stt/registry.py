"""Finds a recogniser by the name that ``--stt`` takes; imports only the one asked for."""

from __future__ import annotations

import difflib

from callbot.errors import CallbotError
from callbot.sound import Recogniser

KINDS = {
    "azure": "azure:LOCALE, such as azure:he-IL; AZURE_SPEECH_KEY and AZURE_SPEECH_REGION",
    "openai": "openai, openai:MODEL, or openai:MODEL@BASE_URL for any compatible server",
    "faster-whisper": "faster-whisper:MODEL, a folder or a name that is downloaded once; callbot[whisper]",
    "oracle": "oracle, for simulated callers: it is told what they say",
}


class UnknownRecogniser(CallbotError):
    """No recogniser has this name."""


def make_recogniser(name: str) -> Recogniser:
    """The recogniser called ``name``. Raises UnknownRecogniser, or CallbotError for what it needs and lacks."""
    kind, _, rest = name.strip().partition(":")
    if kind == "oracle" and not rest:
        from callbot.speech.stt.oracle import OracleRecogniser

        return OracleRecogniser()
    if kind == "azure":
        from callbot.speech.stt.azure import AzureRecogniser

        return AzureRecogniser.from_spec(name)
    if kind == "openai":
        from callbot.speech.stt.openai import OpenAIRecogniser

        return OpenAIRecogniser.from_spec(name)
    if kind == "faster-whisper" and rest:
        from callbot.speech.stt.whisper import WhisperRecogniser

        return WhisperRecogniser(rest)
    near = difflib.get_close_matches(kind, KINDS, n=1)
    hint = f'; did you mean "{near[0]}"?' if near and near[0] != kind else ""
    known = "\n".join(f"  {what}" for what in KINDS.values())
    raise UnknownRecogniser(f'unknown recogniser "{name}"{hint}\nrecognisers are named\n{known}')
