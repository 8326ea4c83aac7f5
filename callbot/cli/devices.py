"""``callbot devices``: the microphones and loudspeakers that ``callbot talk`` can use."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def devices(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List microphones and loudspeakers; the default ones are marked."""
    import dataclasses
    import json

    from callbot.cli.storing import print_table
    from callbot.errors import CallbotError
    from callbot.lines import soundcard

    try:
        found = soundcard.devices()
    except ModuleNotFoundError as error:
        raise CallbotError(
            f'devices needs {error.name}; install it with: pip install "callbot[talk]"'
        ) from error
    if as_json:
        for device in found:
            typer.echo(json.dumps(dataclasses.asdict(device), ensure_ascii=False))
        return
    if not found:
        raise CallbotError("this machine has no sound device; start its sound server (PipeWire, PulseAudio)")
    rows = [
        (
            device.number,
            device.name,
            device.host,
            f"{device.inputs}{' default' * device.default_input}",
            f"{device.outputs}{' default' * device.default_output}",
            f"{device.rate:g} Hz",
        )
        for device in found
    ]
    print_table(
        ("number", "name", "system", "microphone channels", "loudspeaker channels", "rate"), rows, "logical"
    )
