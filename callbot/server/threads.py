"""Blocking work off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def in_thread(threads: Executor, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """What ``work`` returns, from one of ``threads``."""
    return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)
