"""Who speaks and who listens in ``callbot talk``: what was chosen, else what this machine has."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from callbot.business import Business
from callbot.errors import CallbotError
from callbot.events import Event, SpeechStarted, UserSpoke
from callbot.sound import Recogniser, Voice
from callbot.speech.stt.registry import make_recogniser
from callbot.speech.stt.weights import local_weights
from callbot.speech.tts.registry import make_voice


def choose_voice(business: Business, asked: str | None, configured: str | None) -> tuple[Voice, str]:
    """The voice, and what to say about the choice (nothing if it was made by the user).

    A voice named on the command line must be had (raises CallbotError); one that the business or the
    settings name, and that this machine cannot use, gives way to espeak.
    """
    if asked is not None:
        return make_voice(asked), ""
    wanted = business.voice.tts or configured
    why = "no voice is chosen"
    if wanted is not None:
        try:
            return make_voice(wanted), ""
        except CallbotError as error:
            why = _unusable(wanted, error)
    robot = "espeak-hebrew" if business.language == "he" and find_spec("piper") else "espeak"
    try:
        voice = make_voice(robot)
    except CallbotError as error:
        raise CallbotError(f"{why}, and {error}\nor choose a voice with --tts") from error
    return voice, f"{why}; the robot {robot} speaks. Choose another voice with --tts"


def choose_recogniser(
    business: Business, asked: str | None, configured: str | None
) -> tuple[Recogniser | None, str]:
    """The recogniser, and what to say about the choice; None: the caller has to type.

    As with voices: one from the command line must be had, others give way.
    """
    if asked is not None:
        if asked.startswith("oracle"):
            raise CallbotError("--stt oracle hears only simulated callers; talk is for people")
        return make_recogniser(asked), ""
    wanted = business.voice.stt or configured
    why = "no recogniser is chosen"
    if wanted is not None and not wanted.startswith("oracle"):
        try:
            return make_recogniser(wanted), ""
        except CallbotError as error:
            why = _unusable(wanted, error)
    if (model := local_weights(business.language)) is not None:
        return make_recogniser(f"faster-whisper:{model}"), f"{why}; Whisper on this machine listens ({model})"
    return (
        None,
        f"{why}, and no Whisper model is on this machine: you type, the bot speaks. Choose a recogniser with --stt",
    )


def _unusable(wanted: str, error: CallbotError) -> str:
    """Most reasons begin with the name; it is said once."""
    why = str(error).splitlines()[0].removeprefix(f'"{wanted}"').removeprefix(wanted).lstrip(": ")
    return f"{wanted} cannot be used: {why}"


class TypedEars:
    """Ears of a caller who types; see ``sound.Ears``. Sound tells them nothing."""

    def __init__(self) -> None:
        self._emit: Callable[[Event], None] | None = None

    def say(self, text: str) -> bool:
        """The caller's next words. False: before or after the call, they reach nobody."""
        if self._emit is None:
            return False
        self._emit(SpeechStarted())
        self._emit(UserSpoke(text))
        return True

    def start(self, emit: Callable[[Event], None]) -> None:
        """The call may be told what is typed."""
        self._emit = emit

    def hear(self, audio: bytes) -> None:
        """Nothing is heard."""

    def bot_plays(self, audio: bytes) -> None:
        """Nothing is heard."""

    def bot_silenced(self) -> None:
        """Nothing is heard."""

    def expect(self, field_type: str) -> None:
        """Typed words are whole."""

    async def close(self) -> None:
        """The call is over."""
        self._emit = None
