"""``callbot greeting``: what callers hear first, as a file to listen to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from callbot.business import Business
    from callbot.speech.recording import Recording

app = typer.Typer(no_args_is_help=True, help="Render and check what callers hear first.")


@app.callback()
def _greeting() -> None:
    """Render and check what callers hear first."""


@app.command()
def render(
    business: Annotated[str, typer.Argument(help="Business id.", show_default=False)],
    tts: Annotated[
        str | None,
        typer.Option(
            help="azure:VOICE, openai:MODEL/VOICE[@BASE_URL] or espeak.  [default: the business's own]",
            metavar="VOICE",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=".wav, or .ulaw for bare mu-law samples.  [default: BUSINESS-greeting.wav]",
        ),
    ] = None,
    prompts_dir: Annotated[
        Path | None, typer.Option(help="Where business files are.  [default: prompts/ here]")
    ] = None,
    database: Annotated[str | None, typer.Option(help="Database URL.", metavar="URL")] = None,
) -> None:
    """Render a greeting as the phone plays it, and the business's other fixed sentences for serve.

    A business with a recording of its own (greeting.audio) has it checked and converted. What was
    rendered is kept, and rendered again only when the text or the voice changes. With --tts that
    voice speaks, whichever the business names.
    """
    import asyncio

    from callbot.cli.outputs import check_writable
    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.lookup import DEFAULT_PROMPTS_DIR, find_business

    settings = load_settings(prompts_dir=prompts_dir, database=database)
    if output is not None and output.suffix not in {".wav", ".ulaw"}:
        raise CallbotError(f"{output}: write .wav, or .ulaw for bare mu-law samples at 8 kHz")
    found = find_business(business, settings.prompts_dir, settings.database)
    try:
        from callbot.sound import PHONE
        from callbot.speech.recording import greeting_recording
        from callbot.speech.tts.registry import voice_for
    except ModuleNotFoundError as error:
        raise CallbotError(
            f'greeting needs {error.name}; install it with: pip install "callbot[speech]"'
        ) from error
    recording = greeting_recording(found, settings.prompts_dir or DEFAULT_PROMPTS_DIR, PHONE)
    voice = tts or voice_for(found, settings.tts)
    place = output or Path(f"{found.id}-greeting.wav")
    clips = settings.recordings_dir / "clips"
    check_writable(place, clips / "any.clip")
    asyncio.run(_render(found, voice, recording, place, clips))


async def _render(
    business: Business, name: str, recording: Recording | None, place: Path, folder: Path
) -> None:
    from callbot.errors import CallbotError
    from callbot.files import write_whole
    from callbot.sound import PHONE
    from callbot.speech.audio import wav_bytes
    from callbot.speech.cache import render_fixed
    from callbot.speech.tts.registry import make_voice

    text = business.greeting.text
    voice = make_voice(name)
    try:
        recorded = {text: recording.audio} if recording else None
        clips = await render_fixed(business, voice, PHONE, folder, recorded)
    finally:
        await voice.close()
    if text not in clips.audio:
        raise CallbotError(f"the greeting could not be rendered: {clips.missing[text]}")
    audio = clips.audio[text]
    write_whole(place, wav_bytes(audio, PHONE) if place.suffix == ".wav" else audio)
    whose = business.greeting.audio if recording else name
    typer.echo(f"{place}: {PHONE.seconds(len(audio)):.1f} s, {whose}")
    for warning in recording.warnings if recording else ():
        typer.echo(f"Warning: {business.greeting.audio}: {warning}", err=True)
    typer.echo(f"{len(clips.audio)} fixed sentences are in {folder}")
    if clips.missing:
        faults = "\n".join(f"  {missed}\n    {why}" for missed, why in clips.missing.items())
        raise CallbotError(f"{len(clips.missing)} sentences could not be rendered:\n{faults}")
