"""What talk falls back to without a key: espeak's voice, the chain that gives Hebrew its vowels, Whisper."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from callbot.doctor.finding import SERVE, TALK, Finding, Mode, Setup
from callbot.doctor.parts import Part, configured, trouble_with

_SAMPLE = "שלום, מה שלומך היום"


def espeak(setup: Setup) -> Iterator[Finding]:
    """The robot, and what it needs to speak Hebrew. Talk needs it where no chosen voice can be used."""
    speechless = any(_voice_is_lacking(setup, business.voice.tts) for business in setup.businesses)
    modes: frozenset[Mode] = TALK if speechless else frozenset()
    trouble = trouble_with(Part("voice", "espeak"))
    if trouble is not None:
        detail = f"{trouble}; talk has no voice without a key"
        yield Finding("espeak", setup.broken(modes), detail, 'pip install "callbot[espeak]" (GPL parts)')
        return
    yield Finding("espeak", "ok", "the robot's voice, for tests and laptops")
    if not any(business.language == "he" for business in setup.businesses):
        return
    yield _hebrew()


def _voice_is_lacking(setup: Setup, own: str | None) -> bool:
    name = own or setup.settings.tts
    return name is None or trouble_with(Part("voice", name)) is not None


def _hebrew() -> Finding:
    name, remedy = "espeak-hebrew", 'pip install "callbot[hebrew]" (GPL and CC-BY parts)'
    if trouble := trouble_with(Part("voice", name)):
        detail = f"{trouble}; espeak says Hebrew as mere consonants"
        return Finding(name, "warn", detail, remedy)
    from callbot.speech.tts.hebrew import phonemes

    said = phonemes(_SAMPLE)
    if "[[" not in said:
        return Finding(name, "warn", "its parts are there, and make no vowels", f"{remedy}, anew")
    return Finding(name, "ok", "vowels by Nakdimon and phonikud: better, not good")


def whisper(setup: Setup) -> Iterator[Finding]:
    """The weights that a recogniser names, then those that talk would find for each language."""
    from callbot.speech.stt.weights import WEIGHTS, is_local, local_weights

    talks = "serve" not in setup.modes
    named = [part for part in configured(setup) if part.name.startswith("faster-whisper:")]
    if not find_spec("faster_whisper"):
        if not (named or talks):
            return
        detail = "faster-whisper is not installed: talk without another recogniser is typed"
        yield Finding(
            "whisper", setup.broken(SERVE) if named else "warn", detail, 'pip install "callbot[whisper]"'
        )
        return
    for part in named:
        model = part.name.partition(":")[2]
        if is_local(model):
            yield Finding(f"weights {model}", "ok", "on this machine")
        else:
            detail = "not on this machine: they are downloaded when they are first used, before any call"
            remedy = f"to do it now: callbot talk --stt {part.name}"
            yield Finding(f"weights {model}", "warn", detail, remedy)
    languages = {business.language for business in setup.businesses} or {"en", "he"}
    for language in sorted(languages) if talks else ():
        name = f"whisper {language}"
        if (found := local_weights(language)) is not None:
            yield Finding(name, "ok", f"{found} is on this machine")
        else:
            detail = "no Whisper model is on this machine: talk without another recogniser is typed"
            remedy = f"callbot talk --stt faster-whisper:{WEIGHTS[language][0]} downloads one"
            yield Finding(name, "warn", detail, remedy)
