"""A call as it happens, line by line: for pipes, and for terminals that cannot be redrawn."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from callbot import events as ev
from callbot.call import Call
from callbot.reporting.bidi import Bidi, for_terminal, printable
from callbot.reporting.live_call import LiveCall, Said, control_line, lead_line

_STYLES = {"bot": "bold cyan", "you": "bold", "note": "yellow"}


class LiveLines:
    """Prints what is said and decided, each thing once, as soon as it is known."""

    def __init__(self, live: LiveCall, bidi: Bidi, console: Console | None = None) -> None:
        self._live, self._bidi = live, bidi
        self._console = console or Console(highlight=False)
        self._control: ev.Control | None = None

    def opened(self) -> None:
        """Print what the line itself says first."""
        self.said(self._live.said)

    def happened(self, t: float, what: ev.Event | ev.Command, call: Call) -> None:
        """Take and print what a driver observed."""
        self.said(self._live.happened(t, what, call))
        if isinstance(what, ev.ReplyDone) and what.control != self._control:
            self._control = what.control
            self.aside(control_line(what.control))
        elif isinstance(what, ev.SaveLead):
            self.aside(lead_line(what.lead, what.status))
        elif isinstance(what, ev.Note) and what.type == "end_refused":
            self.aside(f"guard refused the end: {self._live.guard}", "yellow")
        elif isinstance(what, ev.ClearAudio):
            self.aside("(the bot was interrupted)")

    def noted(self, t: float, note: ev.Note) -> None:
        """Take and print a note of the line or the ears."""
        before = self._live.stages.voice
        self.said(self._live.noted(t, note))
        if self._live.stages.voice is not None and before is None:
            self.aside(f"answered: {self._live.stages}")

    def said(self, lines: list[Said]) -> None:
        """Print lines of the talk."""
        for line in lines:
            if line.speaker == "note":
                self.aside(line.text, "yellow")
                continue
            words = for_terminal(printable(line.text), self._bidi)
            self._console.print(
                Text.assemble((f"{line.speaker}> ", _STYLES[line.speaker]), words), soft_wrap=True
            )

    def aside(self, text: str, style: str = "dim") -> None:
        """Print something beside the talk."""
        for line in text.splitlines():
            shown = for_terminal(printable(line), self._bidi)
            self._console.print(Text(f"     {shown}", style=style), soft_wrap=True)

    def refresh(self, now: float) -> None:
        """What was printed stays."""

    def close(self) -> None:
        """Nothing to restore."""
