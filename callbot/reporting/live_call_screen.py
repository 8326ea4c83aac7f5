"""A call as it happens, on a terminal: one screen, drawn anew a few times a second, then left in print."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from callbot import events as ev
from callbot.call import Call
from callbot.reporting.bidi import Bidi, lines_for, order_for
from callbot.reporting.live_call import Floor, LiveCall, Said, control_line, lead_line

_FLOORS: dict[Floor, tuple[str, str]] = {
    "opening": ("opening the sound card", "dim"),
    "greeting": ("the bot greets; what you say reaches nobody yet", "bold cyan"),
    "bot": ("the bot speaks", "bold cyan"),
    "you": ("you speak", "bold green"),
    "thinking": ("the bot thinks", "bold yellow"),
    "nobody": ("your turn", "bold green"),
    "over": ("over", "bold"),
}
_MARGIN = 5
_STATES = {"waiting": "dim", "speaking": "bold", "heard": "", "cut": "strike dim"}
_LEAST_WIDTH = 16
_TALK_ROWS = 4
"""Of the talk, at least, on any screen that has them."""
_EXPENDABLE = ("stages", "control", "guard", "keys", "lead")
"""What a low screen goes without, the first first."""


class LiveScreen:
    """Draws a LiveCall until ``close``, which leaves the last picture's transcript behind."""

    def __init__(self, live: LiveCall, bidi: Bidi, keys: str, console: Console | None = None) -> None:
        self._live, self._keys = live, keys
        self._console = console or Console(highlight=False)
        self._order = order_for(bidi, self._console.is_terminal)
        self._now = 0.0
        self._shown = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            get_renderable=self._picture,
            vertical_overflow="crop",
        )
        self._shown.start(refresh=True)

    def opened(self) -> None:
        """Everything is drawn as it comes."""

    def happened(self, t: float, what: ev.Event | ev.Command, call: Call) -> None:
        """Take what a driver observed."""
        self._live.happened(t, what, call)
        self.refresh(t)

    def noted(self, t: float, note: ev.Note) -> None:
        """Take a note of the line or the ears."""
        self._live.noted(t, note)

    def aside(self, text: str, style: str = "dim") -> None:
        """Say something beside the talk."""
        if self._shown.is_started:
            self._live.said.append(Said("note", text))
            return
        for line in lines_for(text, None, self._order):
            self._console.print(Text(f"     {line}", style=style), soft_wrap=True)

    def refresh(self, now: float) -> None:
        """Draw anew; ``now`` in the driver's seconds, for the countdown."""
        self._now = now
        if self._shown.is_started:
            self._shown.refresh()

    def close(self) -> None:
        """Give the terminal back, with the whole transcript on it. Idempotent."""
        if self._shown.is_started:
            self._shown.stop()
            for line in self._transcript(self._console.width):
                self._console.print(line, soft_wrap=True)

    def _picture(self) -> Group:
        width = max(self._console.width, _LEAST_WIDTH)
        height = self._console.height - 1  # the last row is where Live puts its cursor when it stops
        head = self._head(width)
        foot = self._foot(width, max(1, height - len(head) - _TALK_ROWS))
        room = max(1, height - len(head) - len(foot))
        return Group(*head, *self._transcript(width)[-room:], *foot)

    def _head(self, width: int) -> list[Text]:
        words, style = _FLOORS[self._live.floor]
        head = Text()
        head.append(words, style)
        if self._live.silence_at is not None:
            head.append(f"; silence is broken in {max(0.0, self._live.silence_at - self._now):.0f} s", "dim")
        if self._live.muted:
            head.append("  MUTED", "bold red")
        if self._live.leaving:
            head.append("  hanging up after this sentence", "bold red")
        return [*head.wrap(self._console, width), Text("")]

    def _transcript(self, width: int) -> list[Text]:
        out: list[Text] = []
        for said in self._live.said:
            label = "" if said.speaker == "note" else f"{said.speaker}>"
            style = "yellow" if said.speaker == "note" else _STATES[said.state]
            for number, words in enumerate(lines_for(said.text, max(8, width - _MARGIN), self._order)):
                shown = Text(no_wrap=True, overflow="crop")
                shown.append(
                    f"{label if not number else '':<{_MARGIN}}", "cyan" if label == "bot>" else "bold"
                )
                shown.append(words, style)
                out.append(shown)
        return out

    def _foot(self, width: int, room: int) -> list[Text]:
        """What was decided, in at most ``room`` rows: what matters least is shortened first, then left out."""
        live = self._live
        told = {
            "typed": (f"> {live.typed}_" if live.typed is not None else "", "bold"),
            "control": (control_line(live.control) if live.control is not None else "", "dim"),
            "guard": (f"guard: {live.guard}" if live.guard else "", "yellow"),
            "lead": (lead_line(live.lead, live.lead_status), "green" if live.lead else "dim"),
            "stages": (f"answered: {live.stages}" if live.stages.known else "", "dim"),
            "keys": (self._keys, "cyan"),
        }
        rows = {
            name: [Text(line, style=style) for line in lines_for(text, width - 1, self._order)]
            for name, (text, style) in told.items()
            if text
        }
        for most in (1, 0):
            for name in _EXPENDABLE:
                if sum(map(len, rows.values())) > room and name in rows:
                    rows[name] = rows[name][:most]
        return [row for lines in rows.values() for row in lines]
