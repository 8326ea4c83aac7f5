"""Work that may hang, done for as long as anybody wants to wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_NAME = "bounded work"


def within(seconds: float, work: Callable[[], _T]) -> _T:
    """What ``work`` returns or raises; TimeoutError if that takes longer, and it is left to itself then."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - handed over to whoever waits
            errors.append(error)

    thread = threading.Thread(target=run, name=_NAME, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]


def something_hangs() -> bool:
    """Whether work was left to itself and goes on; a C library in it may hold up the interpreter's end."""
    return any(thread.name == _NAME for thread in threading.enumerate())
