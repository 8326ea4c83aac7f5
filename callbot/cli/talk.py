"""``callbot talk``: the phone call without the phone, on this machine's microphone and loudspeakers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callbot.cli.options import Bidi

app = typer.Typer()


@app.command()
def talk(
    business: Annotated[
        str | None,
        typer.Argument(help="Business id; may be left out if there is only one.", show_default=False),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="offline, openai:NAME, openai:NAME@BASE_URL or scripted:FILE.")
    ] = None,
    fallback: Annotated[
        str | None,
        typer.Option(
            help="Model that answers when the first one fails.  [default: offline behind an openai model]"
        ),
    ] = None,
    tts: Annotated[
        str | None,
        typer.Option(
            help="azure:VOICE, openai:MODEL/VOICE[@BASE_URL] or espeak.  [default: the business's own, else espeak]",
            metavar="VOICE",
        ),
    ] = None,
    stt: Annotated[
        str | None,
        typer.Option(
            help="azure:LOCALE, openai[:MODEL][@BASE_URL] or faster-whisper:MODEL.  [default: the business's "
            "own, else Whisper if it is on this machine, else you type]",
            metavar="RECOGNISER",
        ),
    ] = None,
    type_: Annotated[
        bool, typer.Option("--type", help="Type your turns; the bot still speaks. No microphone is opened.")
    ] = False,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="A recorded caller instead of the microphone, then silence. One channel begins when the "
            "greeting is over; of a stereo recording of talk the left one, from where it began.",
        ),
    ] = None,
    input_device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Microphone, by number or part of its name.")
    ] = None,
    output_device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Loudspeaker, likewise; null plays to nobody and needs no sound card."
        ),
    ] = None,
    phone: Annotated[
        bool, typer.Option("--phone", help="Pass everything through 8 kHz mu-law, as a telephone does.")
    ] = False,
    headset: Annotated[
        bool,
        typer.Option(
            "--headset/--speakers",
            help="On a headset you interrupt by speaking; on loudspeakers only a voice louder than the bot's echo "
            "does, or the bot would hear itself.",
        ),
    ] = False,
    caller: Annotated[
        str | None, typer.Option("--caller", metavar="NUMBER", help="Your number, such as +972541112233.")
    ] = None,
    prompts_dir: Annotated[
        Path | None, typer.Option(help="Where business files are.  [default: prompts/ here]")
    ] = None,
    database: Annotated[str | None, typer.Option(help="Database URL.", metavar="URL")] = None,
    bidi: Annotated[
        Bidi | None,
        typer.Option(help="How Hebrew is put on the terminal.  [default: auto]", show_default=False),
    ] = None,
) -> None:
    """Talk to the bot aloud: the same call as on the telephone, on this machine.

    Space mutes the microphone, q hangs up once the bot has finished its sentence, Ctrl-C likewise,
    and twice at once. Every talk is recorded, whatever privacy.record_audio says of callers on the
    phone: the recording (you left, the bot right), the Record and the transcript go to
    recordings/calls/, the call and the lead to the database.
    """
    from callbot.config import load_settings
    from callbot.errors import CallbotError

    settings = load_settings(
        database=database,
        prompts_dir=prompts_dir,
        model=model,
        fallback=fallback,
        bidi=bidi.value if bidi else None,
    )
    try:
        from callbot.cli.talk_parts import Talk
        from callbot.cli.talking import hold
    except ModuleNotFoundError as error:
        raise CallbotError(
            f'talk needs {error.name}; install it with: pip install "callbot[talk]"'
        ) from error
    hold(
        Talk(
            business=business,
            tts=tts,
            stt=stt,
            typed=type_,
            recorded=from_,
            input_device=input_device,
            output_device=output_device,
            phone=phone,
            headset=headset,
            caller_number=caller,
            settings=settings,
        )
    )
