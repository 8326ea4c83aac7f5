"""``callbot serve``: the phone. Webhooks and media streams of Twilio, answered by the bot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callbot.cli.storing import DatabaseOption

app = typer.Typer()


@app.command()
def serve(
    public_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The address that Twilio reaches this server by, such as https://bot.example.com.",
        ),
    ] = None,
    tts: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Who speaks, such as azure:he-IL-HilaNeural; a business's own voice wins."
        ),
    ] = None,
    stt: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who listens; a business's own choice wins."),
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
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    prompts_dir: Annotated[
        Path | None, typer.Option(help="Where business files are.  [default: prompts/ here]")
    ] = None,
    database: DatabaseOption = None,
    max_calls: Annotated[
        int, typer.Option(min=1, help="Calls at once; further callers get the busy tone.")
    ] = 200,
    drain: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="How long calls may go on after SIGTERM."),
    ] = 660.0,
    allow_espeak: Annotated[
        bool, typer.Option("--allow-espeak", help="Let a robot's voice speak to callers.")
    ] = False,
    simulated_callers_only: Annotated[
        bool,
        typer.Option(
            "--simulated-callers-only",
            help="Allow --stt oracle, which hears nobody but simulated callers, and let --tts and --stt "
            "replace the businesses' own. Never for a real number.",
        ),
    ] = False,
    twilio_api_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Post hang-ups to a simulated carrier instead of Twilio."),
    ] = None,
) -> None:
    """Answer the phone behind Twilio.

    A Twilio number's voice webhook is URL/webhook/incoming_call, its status callback
    URL/webhook/call_status. TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN come from the environment. The
    businesses are those that are active in the database, then those of the files; a dialled number
    finds its business. SIGTERM takes no new calls and lets those in progress finish. With
    CALLBOT_ADMIN_TOKEN, URL/admin shows the calls, and URL/metrics the figures for Prometheus.
    """
    import os

    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.lookup import DEFAULT_PROMPTS_DIR
    from callbot.models.registry import default_model

    settings = load_settings(
        public_url=public_url,
        tts=tts,
        stt=stt,
        model=model,
        fallback=fallback,
        prompts_dir=prompts_dir,
        database=database,
        twilio_api_url=twilio_api_url,
    )
    try:
        from callbot.server import options as checked
        from callbot.server.logs import set_up_logs
        from callbot.server.process import run
    except ModuleNotFoundError as error:
        raise CallbotError(
            f'serve needs {error.name}; install it with: pip install "callbot[serve,speech]"'
        ) from error
    name = settings.model or default_model()
    behind = settings.fallback or ("offline" if name.startswith("openai") else None)
    options = checked.ServeOptions(
        public_url=checked.public_url(settings.public_url),
        credentials=checked.credentials(os.environ),
        database=settings.database,
        model=name,
        fallback=None if behind == name else behind,
        tts=settings.tts,
        stt=settings.stt,
        prompts_dir=settings.prompts_dir or DEFAULT_PROMPTS_DIR,
        clips_dir=settings.recordings_dir / "clips",
        calls_dir=settings.recordings_dir / "calls",
        twilio_api_url=checked.api_url(settings.twilio_api_url),
        allow_espeak=allow_espeak,
        simulated_callers_only=simulated_callers_only,
        max_calls=max_calls,
        drain_seconds=drain,
        admin_token=checked.admin_token(os.environ),
    )
    set_up_logs()
    run(options, host, port)
