"""What hearing costs: processor milliseconds per second of a call, by what is on the line.

    python tests/benchmarks/bench_hearing.py [--calls 100] [--seconds 10]

Runs the ears of many calls in turn on one core, with the oracle, on mu-law frames of 20 ms, and prints one row a
kind of line. Ten milliseconds a call-second fill a core with 100 calls.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "speech"))

from hearing import RATE, gain, mulaw, said, silence

from callbot.sound import PHONE
from callbot.speech.ears import CallEars
from callbot.speech.stt.registry import make_recogniser

SENTENCE = "Hello, you have reached the office. How can I help you today? We are open from nine to five."


def looped(samples: np.ndarray, seconds: float) -> np.ndarray:
    """As much of it as is wanted."""
    return np.resize(samples, round(seconds * RATE))


def lines(seconds: float) -> Iterator[tuple[str, bytes, bytes]]:
    """(name, what the caller sends, what the bot plays)."""
    bot = looped(np.append(said(SENTENCE, voice="espeak"), silence(0.5)), seconds)
    caller = looped(np.append(said("I would like to have my sofa cleaned tomorrow"), silence(0.5)), seconds)
    turns = looped(np.concatenate([said("I would like to have my sofa cleaned"), silence(5)]), seconds)
    hiss = silence(seconds, 30)
    delayed = np.append(silence(0.25), bot)[: len(bot)]
    yield "dead (digital silence)", mulaw(silence(seconds)), b""
    yield "idle (hiss)", mulaw(hiss), b""
    yield "noisy (a car)", mulaw(silence(seconds, 800)), b""
    yield "idle, the bot speaks", mulaw(hiss), mulaw(bot)
    yield "the bot's echo at -20 dB", mulaw(hiss + gain(delayed, -20)), mulaw(bot)
    yield "the bot's echo at -10 dB", mulaw(hiss + gain(delayed, -10)), mulaw(bot)
    yield "the caller, a third of the time", mulaw(hiss + turns), b""
    yield "the caller, without a stop", mulaw(hiss + caller), b""
    yield "both at once", mulaw(hiss + caller + gain(delayed, -20)), mulaw(bot)


async def cost(caller: bytes, bot: bytes, calls: int) -> float:
    """Processor seconds of all calls."""
    recogniser = make_recogniser("oracle")
    ears = [CallEars(recogniser, PHONE, "en") for _ in range(calls)]
    hear: list[Callable[[bytes], None]] = []
    for one in ears:
        one.start(lambda event: None)
        one.bot_plays(bot)
        hear.append(one.hear)
    begun = time.process_time()
    for start in range(0, len(caller), 160):
        frame = caller[start : start + 160]
        for listen in hear:
            listen(frame)
        await asyncio.sleep(0)
    spent = time.process_time() - begun
    for one in ears:
        await one.close()
    return spent


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("--calls", type=int, default=20)
    options.add_argument("--seconds", type=float, default=10)
    chosen = options.parse_args()
    asyncio.run(cost(mulaw(silence(0.1)), b"", 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{'line':34}ms of CPU per call-second")
    for name, caller, bot in lines(chosen.seconds):
        spent = asyncio.run(cost(caller, bot, chosen.calls))
        print(f"{name:34}{1000 * spent / chosen.calls / chosen.seconds:6.2f}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"memory: {grown / chosen.calls:.0f} KiB a call beyond the first")


if __name__ == "__main__":
    main()
