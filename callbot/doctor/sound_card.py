"""PortAudio, and the microphone and loudspeaker that ``callbot talk`` would open."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from callbot.doctor.finding import TALK, Finding, Setup, Status
from callbot.doctor.parts import configured, trouble_with
from callbot.errors import CallbotError
from callbot.speech.stt.weights import local_weights

if TYPE_CHECKING:
    from callbot.lines.soundcard import Device


def examine(setup: Setup) -> Iterator[Finding]:
    """The library, then the devices that it finds."""
    if not find_spec("sounddevice"):
        yield Finding("portaudio", "warn", "sounddevice is not installed", 'pip install "callbot[talk]"')
        return
    from callbot.lines import soundcard

    bad = setup.broken(TALK)
    try:
        version = soundcard.portaudio_version()
        devices = soundcard.devices()
    except CallbotError:
        remedy = f"{soundcard.how_to_install()}; without it, no talk"
        yield Finding("portaudio", bad, "the library PortAudio is missing", remedy)
        return
    yield Finding("portaudio", "ok", version.partition(",")[0])
    listens = _listens(setup)
    yield _direction(
        "microphone", [(it, it.default_input) for it in devices if it.inputs], bad if listens else "warn"
    )
    yield _direction("loudspeaker", [(it, it.default_output) for it in devices if it.outputs], bad)


def _listens(setup: Setup) -> bool:
    """Whether talk would open a microphone; else its callers type."""
    if any(part.kind == "recogniser" and trouble_with(part) is None for part in configured(setup)):
        return True
    return any(local_weights(business.language) for business in setup.businesses)


def _direction(name: str, found: list[tuple[Device, bool]], bad: Status) -> Finding:
    if not found:
        without = (
            "talk --type does without" if name == "microphone" else "talk --output-device null does without"
        )
        remedy = f"plug one in, start the sound server (PipeWire, PulseAudio), allow this program to use it; {without}"
        return Finding(name, bad, f"this machine has no {name} that may be used", remedy)
    usual = next((device for device, is_default in found if is_default), None)
    option = "--input-device" if name == "microphone" else "--output-device"
    if usual is None:
        detail = f"none of {len(found)} is the system's default"
        return Finding(name, "warn", detail, f"choose one: callbot devices, then talk {option} NAME")
    others = f"; {len(found) - 1} more: callbot devices" if len(found) > 1 else ""
    return Finding(name, "ok", f"{usual.name} ({usual.host}, {usual.rate:g} Hz){others}")
