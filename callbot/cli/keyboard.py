"""The keyboard of ``callbot talk``: single keys while somebody speaks, lines where the turns are typed.

A terminal is read key by key, and always given back as it was; a pipe line by line, each line only
once it is the caller's turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

_MUTE, _LEAVE = " ", frozenset("qQ/")
"""Keys; / is q on a Hebrew keyboard (SI-1452)."""
_INTERRUPTS = ("c-c", "c-d")


@dataclass(slots=True)
class Keys:
    """What keys mean. ``line``: takes a typed line, or None if the caller speaks."""

    mute: Callable[[], None]
    leave: Callable[[], None]
    line: Callable[[str], None] | None = None
    typing: Callable[[str], None] = lambda text: None
    """Told what stands on the line being typed."""
    _typed: str = field(default="", init=False)

    def pressed(self, key: str, data: str) -> None:
        """One key: its name as prompt_toolkit has it, and its characters."""
        if key in _INTERRUPTS:
            self.leave()
        elif self.line is None:
            if data == _MUTE:
                self.mute()
            elif data and data in _LEAVE:
                self.leave()
        else:
            self._edit(key, data)

    def _edit(self, key: str, data: str) -> None:
        assert self.line is not None
        if key in ("c-m", "c-j"):
            typed, self._typed = self._typed.strip(), ""
            self.typing("")
            self.line(typed)
            return
        if key in ("c-h", "delete"):
            self._typed = self._typed[:-1]
        elif key == "c-u":
            self._typed = ""
        elif key == "<bracketed-paste>" or data.isprintable():
            self._typed += " ".join(data.split("\n"))
        self.typing(self._typed)


@contextlib.contextmanager
def terminal(keys: Keys) -> Iterator[None]:
    """Give the terminal's keys to ``keys``, from the running loop, until the block is left."""
    from prompt_toolkit.input import create_input

    source = create_input()

    def ready() -> None:
        for press in source.read_keys():
            keys.pressed(str(getattr(press.key, "value", press.key)), press.data)

    with source.raw_mode(), source.attach(ready):
        yield


async def piped(turn: Callable[[], Awaitable[None]]) -> AsyncGenerator[str, None]:
    """Lines of standard input; the next one is read once ``turn`` has come. A daemon thread reads."""
    loop = asyncio.get_running_loop()
    while True:
        await turn()
        answer: asyncio.Future[str] = loop.create_future()

        def deliver(answer: asyncio.Future[str], line: str) -> None:
            if not answer.done():
                answer.set_result(line)

        def read(answer: asyncio.Future[str] = answer) -> None:
            try:
                line = sys.stdin.readline()
            except (OSError, UnicodeDecodeError, ValueError):
                line = ""
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(deliver, answer, line)

        threading.Thread(target=read, daemon=True).start()
        line = await answer
        if not line:
            return
        yield line.strip()
