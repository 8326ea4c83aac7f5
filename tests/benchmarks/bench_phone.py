"""How many calls one core carries: ``callbot serve`` and a pipecat bot of the same duty, side by side.

    python tests/benchmarks/bench_phone.py [--calls 1 5 20 50 100] [--seconds 60] [--bots callbot pipecat]

The real server in its own process, pinned to one core, with a SQLite store, ears (the oracle gives the
words), a scripted model of no latency and cached clips; another core plays Twilio (``phone_carrier.py``).
Callers listen, speak, and break into every third answer. For every number of calls a new server is
started, and the same calls are placed to pipecat (``pipecat_phone.py``).

How to read it: an underrun is a sentence that broke off for 20 ms or more because nothing was there to
play. Processor time is the server's alone. *decision* is the server's own note of the moment at which its
detector was sure; *voice* is the frame of the caller's first or last sound, so that what follows it holds
the detector's own patience (callbot: 240-320 ms to begin, 500 ms and more to end; pipecat: 200 ms each).
*ping* is how long a socket waits for the server's loop. All three are of the time when all calls had begun;
underruns and counts are of the whole. The last rows tell of this machine: where the
carrier is late by more than a few milliseconds, or others took a tenth of a core, times are
worth nothing, and the table says so; processor time and memory still count.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "server"))
sys.path.insert(0, str(Path(__file__).parent.parent / "speech"))

from hearing import RATE, mulaw, said, silence
from phone_bots import BOTS, Running
from phone_carrier import TICK, Books, CallLine, Clock, Utterance, Voices, encoded, percentile
from serving import SID, Rest, signed

CALLER = ("I would like to have my sofa cleaned", "Next Monday in the morning", "It is a rather small flat")
HISS = 30
WARM_UP, SETTLE, LAST_ANSWERS, HEARD = 6.0, 4.0, 3.0, 10.0
CALLS_A_SECOND = 10


# --- a run ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of so many calls. Times in milliseconds, memory in KiB."""

    bot: str
    calls: int
    sentences: int
    underruns: int
    longest_gap: float
    cpu: float
    """Processor milliseconds per second of a call's audio; of a server that never caught up, at least so many."""
    core: float
    """Share of the core."""
    others: tuple[float, float]
    """Share of the server's core, and of the carrier's, that other programs took."""
    memory: float
    """Per call, at the end of the calls."""
    second: float
    """What as many further calls, once these were over, added to it for each: what is not let go."""
    first_audio: float
    answers: int
    decided_answer: tuple[float, float]
    voice_answer: tuple[float, float]
    clears: int
    decided_clear: tuple[float, float]
    voice_clear: tuple[float, float]
    ping: tuple[float, float]
    unanswered: int
    broken: int
    late: tuple[float, float]
    carrier_core: float


async def measure(name: str, calls: int, seconds: float, voices: Voices, cores: tuple[int, int]) -> Figures:
    """Place so many calls to a new bot and see what they get."""
    rest = Rest()
    with tempfile.TemporaryDirectory() as folder, _pinned(cores[0]):
        bot = await asyncio.to_thread(BOTS[name], Path(folder), rest)
        _pin(cores[1])
        try:
            return await _measured(name, bot, calls, seconds, voices, cores)
        finally:
            bot.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                bot.process.wait(20)
            bot.process.kill()
            rest.close()


async def _measured(
    name: str, bot: Running, calls: int, seconds: float, voices: Voices, cores: tuple[int, int]
) -> Figures:
    server = bot.process.pid
    clock = Clock()
    ticking = asyncio.create_task(clock.run())
    await _placed(bot, clock, voices, 1, WARM_UP)
    idle = _memory(server)
    placed = await _begun(bot, clock, voices, calls)
    lines = list(placed.values())
    await asyncio.sleep(SETTLE)
    clock.late = type(clock.late)("d")
    began, used, own = time.monotonic(), _cpu(server), time.process_time()
    busy, earlier = [_busy(core) for core in cores], [len(line.books.pongs) for line in lines]
    frames = _frames(lines)
    await asyncio.sleep(seconds)
    await _heard(lines)
    frames = _frames(lines) - frames
    passed, used, own = time.monotonic() - began, _cpu(server) - used, time.process_time() - own
    busy = [_busy(core) - before for core, before in zip(cores, busy, strict=True)]
    late = list(clock.late)
    full = _memory(server)
    await _ended(lines)
    clock.lines.clear()
    over = _memory(server)
    await _placed(bot, clock, voices, calls, WARM_UP)
    second = _memory(server)
    ticking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ticking
    books = [line.books for line in lines]
    decided = await asyncio.to_thread(bot.decisions, list(placed))
    spans = [_spans(line.books, decided[sid], began) for sid, line in placed.items()]
    answers = [answer for each, _ in spans for answer in each]
    clears = [clear for _, each in spans for clear in each]
    gaps = [gap for book in books for gap in book.gaps]
    pongs = [pong for book, first in zip(books, earlier, strict=True) for pong in book.pongs[first:]]
    greeted = [book.greeted - book.opened for book in books if book.greeted is not None]
    return Figures(
        bot=name,
        calls=calls,
        sentences=sum(book.sentences for book in books),
        underruns=len(gaps),
        longest_gap=1000 * max(gaps, default=0.0),
        cpu=1000 * used / (frames * TICK),
        core=used / passed,
        others=(max(0.0, busy[0] - used) / passed, max(0.0, busy[1] - own) / passed),
        memory=(full - idle) / calls / 1024,
        second=(second - over) / calls / 1024,
        first_audio=1000 * percentile(greeted, 50),
        answers=len(answers),
        decided_answer=_middle_and_worst([one for one, _ in answers]),
        voice_answer=_middle_and_worst([one for _, one in answers]),
        clears=len(clears),
        decided_clear=_middle_and_worst([one for one, _ in clears]),
        voice_clear=_middle_and_worst([one for _, one in clears]),
        ping=_middle_and_worst(pongs),
        unanswered=sum(book.unanswered for book in books),
        broken=calls - sum(not book.broke and book.greeted is not None for book in books),
        late=_middle_and_worst(late),
        carrier_core=own / passed,
    )


def _middle_and_worst(seconds: list[float]) -> tuple[float, float]:
    known = [each for each in seconds if not math.isnan(each)]
    return 1000 * percentile(known, 50), 1000 * percentile(known, 99)


def _spans(
    books: Books, decided: list[tuple[str, float]], since: float
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Seconds from (decision, voice) to each answer, and to each clear that cut something off.

    Of turns from ``since`` on, when all calls had begun. An answer that the caller had given up has no
    decision of its own.
    """
    answers, clears = [], []
    for turn in books.turns:
        if books.sent[turn.first] < since:
            continue
        if turn.answered is not None:
            at = [t for what, t in decided if what == "ended" and books.sent[turn.first] < t < turn.answered]
            answers.append((turn.answered - max(at, default=math.nan), turn.answered - books.sent[turn.last]))
        if turn.cleared is not None:
            at = [t for what, t in decided if what == "began" and books.sent[turn.first] < t < turn.cleared]
            clears.append((turn.cleared - max(at, default=math.nan), turn.cleared - books.sent[turn.first]))
    return answers, clears


async def _begun(bot: Running, clock: Clock, voices: Voices, calls: int) -> dict[str, CallLine]:
    """Calls by CallSid, begun one after another; without those that the bot did not take."""
    lines: dict[str, CallLine] = {}

    async def one(number: int) -> None:
        await asyncio.sleep(number / CALLS_A_SECOND)
        sid, nonce, url = await bot.ring()
        line = CallLine(number, voices, {"account": SID, "call": sid, "stream": f"MZ{sid[2:]}"}, nonce)
        await line.connect(url, bot.port, {"X-Twilio-Signature": signed(url, {})})
        clock.lines.append(line)
        lines[sid] = line

    results = await asyncio.gather(*(one(number) for number in range(calls)), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, (OSError, TimeoutError)):
            raise result
    return lines


async def _ended(lines: list[CallLine]) -> None:
    for line in lines:
        line.fall_silent()
    await asyncio.sleep(LAST_ANSWERS)
    for line in lines:
        line.hang_up()
        await asyncio.sleep(0.01)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            await asyncio.gather(*(line.closed.wait() for line in lines))


async def _placed(bot: Running, clock: Clock, voices: Voices, calls: int, seconds: float) -> None:
    lines = await _begun(bot, clock, voices, calls)
    await asyncio.sleep(seconds)
    await _ended(list(lines.values()))
    clock.lines.clear()


def _frames(lines: list[CallLine]) -> int:
    return sum(len(line.books.sent) for line in lines)


async def _heard(lines: list[CallLine]) -> None:
    """Wait until the server has read what was sent by now; one that is behind has saved no time by it."""
    for line in lines:
        line.ping()
    sent = [line.books.pings for line in lines]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HEARD):
            for line, pings in zip(lines, sent, strict=True):
                while len(line.books.pongs) < pings:  # noqa: ASYNC110 - the books are figures, no events
                    await asyncio.sleep(TICK)


def _cpu(server: int) -> float:
    """Processor seconds (proc(5): fields 14 and 15 of stat, in clock ticks)."""
    fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(server: int) -> int:
    """Bytes of it that are in memory (proc(5): field 2 of statm, in pages)."""
    return int(Path(f"/proc/{server}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _busy(core: int) -> float:
    """Seconds for which a core ran programs or belonged to the host's others (proc(5), /proc/stat)."""
    lines = Path("/proc/stat").read_text().splitlines()
    spent = next(line for line in lines if line.startswith(f"cpu{core} ")).split()[1:]
    user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, spent[:8])
    return (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")


def _pin(core: int) -> None:
    """This process, every thread of it."""
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), {core})


@contextlib.contextmanager
def _pinned(core: int) -> Iterator[None]:
    """What is started meanwhile inherits the core."""
    before = os.sched_getaffinity(0)
    _pin(core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def voices() -> Voices:
    """What callers say, on a line that hisses."""
    utterances = []
    for seed, text in enumerate(CALLER):
        voice = said(text)
        utterances.append(Utterance(text, encoded(mulaw(voice + silence(len(voice) / RATE, HISS, seed)))))
    return Voices(tuple(utterances), encoded(mulaw(silence(3, HISS, 99))))


# --- the table --------------------------------------------------------------------------------------
ROWS = (
    ("underruns", "underruns", "{:.0f}"),
    ("sentences played", "sentences", "{:.0f}"),
    ("longest gap, ms", "longest_gap", "{:.0f}"),
    ("processor ms per call-second", "cpu", "{:.2f}"),
    ("share of the core", "core", "{:.0%}"),
    ("memory KiB a call", "memory", "{:.0f}"),
    ("  added by as many calls after them", "second", "{:.0f}"),
    ("socket open to greeting, ms", "first_audio", "{:.1f}"),
    ("decision to answer's audio, ms p50", "decided_answer", "{0[0]:.1f}"),
    ("  p99", "decided_answer", "{0[1]:.1f}"),
    ("last voice to answer's audio, ms p50", "voice_answer", "{0[0]:.0f}"),
    ("  p99", "voice_answer", "{0[1]:.0f}"),
    ("decision to clear, ms p50", "decided_clear", "{0[0]:.1f}"),
    ("  p99", "decided_clear", "{0[1]:.1f}"),
    ("first voice to clear, ms p50", "voice_clear", "{0[0]:.0f}"),
    ("  p99", "voice_clear", "{0[1]:.0f}"),
    ("ping, ms p50", "ping", "{0[0]:.1f}"),
    ("  p99", "ping", "{0[1]:.1f}"),
    ("answers", "answers", "{:.0f}"),
    ("clears", "clears", "{:.0f}"),
    ("turns unanswered", "unanswered", "{:.0f}"),
    ("calls refused, broken or never greeted", "broken", "{:.0f}"),
    ("carrier late, ms p50", "late", "{0[0]:.2f}"),
    ("  p99", "late", "{0[1]:.1f}"),
    ("carrier's share of its core", "carrier_core", "{:.0%}"),
    ("taken by others of the server's core", "others", "{0[0]:.0%}"),
    ("  of the carrier's core", "others", "{0[1]:.0%}"),
)


QUIET = 0.1
"""Share of a core that others may take before times are disturbed."""
COMPARED = {"cpu", "core", "memory", "first_audio", "ping"} | {
    f"{since}_{until}" for since in ("decided", "voice") for until in ("answer", "clear")
}


def show(results: list[Figures]) -> None:
    """One number of calls: a column a bot, and how many times the second takes of the first's."""
    print(f"\n{f'{results[0].calls} calls':38}" + "".join(f"{each.bot:>12}" for each in results), end="")
    print(f"{'ratio':>10}" if len(results) == 2 else "")
    for label, name, shape in ROWS:
        values = [getattr(each, name) for each in results]
        print(f"{label:38}" + "".join(f"{shape.format(value):>12}" for value in values), end="")
        place = 1 if "[1]" in shape else 0
        plain = [value[place] if isinstance(value, tuple) else value for value in values]
        compared = len(plain) == 2 and name in COMPARED and plain[0] > 0
        print(f"{plain[1] / plain[0]:>10.1f}" if compared else "", flush=True)
    for each in results:
        if max(each.others) > QUIET or each.late[1] > 1000 * TICK:
            print(f"the machine was not quiet while {each.bot} was measured: its times are worth nothing")


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    parts = [f"{name} {version(name)}" for name in ("pipecat-ai", "uvicorn", "uvloop", "websockets")]
    return (
        f"{os.cpu_count()} x {model}, Python {platform.python_version()}, {', '.join(parts)}; "
        f"load before: {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 5, 20, 50, 100])
    parser.add_argument("--seconds", type=float, default=60, help="measured, for each number of calls")
    parser.add_argument("--bots", nargs="+", choices=BOTS, default=list(BOTS))
    parser.add_argument("--cores", type=int, nargs=2, default=[0, 1], help="the server's, the carrier's")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    chosen = parser.parse_args()
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2
    )
    print("How to read it" + __doc__.partition("How to read it")[2])
    print(_machine())
    shared, everything = voices(), []
    import uvloop

    for calls in chosen.calls:
        results = []
        for name in chosen.bots:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                results.append(runner.run(measure(name, calls, chosen.seconds, shared, tuple(chosen.cores))))
        show(results)
        everything += [asdict(each) for each in results]
    if chosen.json:
        chosen.json.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    main()
