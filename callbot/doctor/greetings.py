"""Each business's greeting: its recording can be played, or its voice has rendered it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from callbot.business import Business
from callbot.doctor.finding import SERVE, TALK, Finding, Setup
from callbot.doctor.machine import SPEECH
from callbot.doctor.parts import Part, trouble_with
from callbot.errors import CallbotError


def examine(setup: Setup) -> Iterator[Finding]:
    """A line for each business."""
    if not setup.businesses:
        return
    if lacking := [name for name in SPEECH if not find_spec(name)]:
        detail = f"cannot be looked at without {', '.join(lacking)}"
        remedy = 'pip install "callbot[speech]"'
        yield Finding("greetings", setup.broken(TALK | SERVE), detail, remedy)
        return
    unknown = []
    for business in setup.businesses:
        if business.greeting.audio:
            yield _recorded(setup, business)
        elif (found := _rendered(setup, business)) is not None:
            yield found
        else:
            unknown.append(business.id)
    if unknown:
        detail = (
            f"whether it is rendered is not known for {', '.join(unknown)}: the voice cannot be used here"
        )
        yield Finding("greetings", "warn", detail, "mend the voice first; its own line says how")


def _recorded(setup: Setup, business: Business) -> Finding:
    from callbot.sound import PHONE
    from callbot.speech.recording import greeting_recording

    name = f"greeting {business.id}"
    try:
        recording = greeting_recording(business, setup.prompts_dir, PHONE)
    except CallbotError as error:
        remedy = (
            "record it again, mend its path (from the folder of business files), or leave greeting.audio out"
        )
        return Finding(name, setup.broken(TALK | SERVE), str(error), remedy)
    assert recording is not None
    said = f"{business.greeting.audio}, {recording.seconds:.1f} s"
    if recording.warnings:
        return Finding(name, "warn", f"{said}: {'; '.join(recording.warnings)}", "record it again")
    return Finding(name, "ok", said)


def _rendered(setup: Setup, business: Business) -> Finding | None:
    """None: its voice cannot be used, so that nobody knows what it is called by."""
    name, voice = f"greeting {business.id}", business.voice.tts or setup.settings.tts
    if voice is None:
        detail = "no voice is chosen to render it; talk takes espeak"
        return Finding(name, "warn", detail, f"callbot greeting render {business.id} --tts NAME")
    known = _voice_name(voice)
    if known is None:
        return None
    if _is_kept(setup, business, known):
        return Finding(name, "ok", f"rendered by {known}")
    detail = f"not rendered by {known} yet; talk and serve do it when they start"
    remedy = f"to do it now, and listen to it: callbot greeting render {business.id}"
    return Finding(name, "warn", detail, remedy + ("" if business.voice.tts else f" --tts {voice}"))


def _voice_name(spec: str) -> str | None:
    """What a voice calls itself, which is what clips are kept under; None if it cannot be made."""
    from callbot.speech.tts.registry import make_voice

    return None if trouble_with(Part("voice", spec)) else make_voice(spec).name


def _is_kept(setup: Setup, business: Business, voice: str) -> bool:
    from callbot.sound import PHONE
    from callbot.speech.cache import ClipFolder
    from callbot.speech.speakable import speakable

    clips = ClipFolder(setup.settings.recordings_dir / "clips")
    said = speakable(business.greeting.text, business.language, business.phone_region)
    return clips.get(clips.path(voice, said, business.language, PHONE)) is not None
