"""The ``callbot`` command: a table of commands, each imported only when it is called."""

from __future__ import annotations

import errno
import importlib
import io
import keyword
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from callbot import __version__
from callbot.errors import CallbotError

COMMANDS: dict[str, str] = {
    "eval": "Replay scenarios and score whether calls end when they should.",
    "hazard": "Find the sentence of a call at which the model begins to want to hang up.",
    "mutate-suite": "Plant faults in a good model and see which scenarios notice.",
    "import": "Turn calls of any system into transcripts.",
    "label": "Mark by keyboard when each call should have ended.",
    "score": "Score endings that were observed elsewhere.",
    "scenario": "Turn a stored call into a scenario.",
    "report": "Show a stored run again: on the terminal, as its page, and in every other form.",
    "compare": "Compare two runs of the same scenarios: what flipped, and whether it can be chance.",
    "chat": "Talk to the bot by text.",
    "talk": "Talk to the bot aloud: the same call as on the telephone, on this machine.",
    "devices": "List microphones and loudspeakers.",
    "doctor": "Find what is missing or broken here, and say how to mend it.",
    "dial": "Ring a Twilio bot as a simulated carrier and report what a caller would have heard.",
    "load": "Place many simulated calls at once and report percentiles of what the callers heard.",
    "serve": "Answer the phone behind Twilio.",
    "numbers": "Point the Twilio account's phone numbers at this bot.",
    "init": "Write a starter project into an empty folder.",
    "prompts": "Import, compare, activate and render the businesses' prompts.",
    "greeting": "Render and check what callers hear first.",
    "calls": "Look at stored calls.",
    "forget": "Forget a caller: remove what is stored of a number.",
    "leads": "List, export and deliver collected leads.",
    "db": "Look after the database.",
    "schema": "Print the JSON Schema of a file format.",
}
"""Each command's help; its code is ``app`` in ``callbot/cli/<command>.py`` (see ``module_of``)."""


def module_of(command: str) -> str:
    """The module of a command: dashes become underscores, and a word of Python gets one behind it."""
    name = command.replace("-", "_")
    return f"callbot.cli.{name}_" if keyword.iskeyword(name) else f"callbot.cli.{name}"


class LazyCommands(TyperGroup):
    """Knows every command's help, and imports a command's module when it is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, text in COMMANDS.items():
            self.add_command(TyperCommand(name, help=text))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put the real command in its placeholder's place, then resolve as usual."""
        if args and args[0] in COMMANDS:
            module = importlib.import_module(module_of(args[0]))
            command = typer.main.get_command(module.app)
            command.name = args[0]
            _tidy_help(command)
            self.add_command(command, args[0])
        return super().resolve_command(ctx, args)


def _tidy_help(command: Any) -> None:
    """Paragraphs that wrap where the terminal ends, with their brackets: Rich takes those for markup.

    Completion is installed by ``callbot`` alone.
    """
    from rich.markup import escape

    if command.help:
        paragraphs = escape(command.help).split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
    for param in command.params:
        param.help = escape(param.help or "")
    for part in getattr(command, "commands", {}).values():
        _tidy_help(part)


app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A phone bot that greets once, in full, and hangs up only when the call is over.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"callbot {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that come before the command."""


_OF_THE_MACHINE = (errno.ENOSPC, errno.EACCES, errno.EROFS)
"""What no command can help: a full disk, a folder or a file that is somebody else's, a disk that takes no writing."""


def main() -> None:
    """Run the command line. An error that the user can mend is printed and exits with 2."""
    _speak_any_encoding()
    try:
        app()
        sys.stdout.flush()
    except CallbotError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        _drop_output()  # the reader has gone; nothing is left to say
        sys.exit(0)
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            raise
        _drop_output()
        what = f"{error.filename}: cannot be used" if error.filename else "cannot write"
        typer.echo(f"Error: {what}: {error.strerror}", err=True)
        sys.exit(2)


def _speak_any_encoding() -> None:
    """Odd bytes typed, and Hebrew on a terminal that has none, must not end a command."""
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _drop_output() -> None:
    """Let the interpreter's last flush go nowhere, or it would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
