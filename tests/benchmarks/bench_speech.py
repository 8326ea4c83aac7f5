"""What speaking costs: a rendered sentence, a kept one, mu-law, resampling, and making text speakable.

    python tests/benchmarks/bench_speech.py            # exit code 1 if a target is missed

Targets are ratios to the speech itself: playing a kept sentence, mu-law and resampling each cost a
thousandth of its length at most. Making a sentence speakable may take 10 ms.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from callbot.business import read_business
from callbot.events import SpeechKind
from callbot.sound import PHONE, AudioFormat
from callbot.speech.audio import convert, decode_mulaw, encode_mulaw
from callbot.speech.cache import render_fixed
from callbot.speech.mouth import BusinessMouth
from callbot.speech.speakable import speakable
from callbot.speech.tts.registry import make_voice

BUSINESS = Path(__file__).parents[2] / "prompts" / "ruti-cleaning.yaml"
SENTENCES = (
    "אפשר לקבל שם מלא?",
    "המספר שלך 052-123-4567, נכון?",
    'נתראה ב-27.11.2026 בשעה 17:30, המחיר 250 ש"ח.',
)
TRIES = 30


def median_ms(work: Callable[[], object], tries: int = TRIES) -> float:
    """The median of some runs, in milliseconds."""
    times = []
    for _ in range(tries):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)


async def spoken(mouth: BusinessMouth, text: str) -> tuple[float, float, float]:
    """Milliseconds to the first audio and to the last, and the seconds they speak."""
    begun, first, length = time.perf_counter(), 0.0, 0
    async for piece in mouth.say(text, SpeechKind.REPLY):
        first = first or time.perf_counter() - begun
        length += len(piece)
    return 1000 * first, 1000 * (time.perf_counter() - begun), PHONE.seconds(length)


async def voices() -> list[bool]:
    """Rendering by voice, and what is kept."""
    business = read_business(BUSINESS)
    held = []
    for name in ("espeak", "espeak-hebrew"):
        mouth = BusinessMouth(business, make_voice(name), PHONE)
        await spoken(mouth, SENTENCES[0])  # loads what is loaded once
        runs = [await spoken(mouth, SENTENCES[index % 3]) for index in range(TRIES)]
        first, whole, seconds = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name:14} {first:7.1f} ms to the first audio, {whole:7.1f} ms for {seconds:.1f} s of speech")
    with tempfile.TemporaryDirectory() as folder:
        clips = await render_fixed(business, make_voice("espeak"), PHONE, Path(folder))
        mouth = BusinessMouth(business, make_voice("espeak"), PHONE, clips.audio)
        runs = [await spoken(mouth, business.greeting.text) for _ in range(TRIES)]
        kept, seconds = statistics.median(run[1] for run in runs), runs[0][2]
        begun = time.perf_counter()
        await render_fixed(business, make_voice("espeak"), PHONE, Path(folder))
        from_disk = 1000 * (time.perf_counter() - begun)
    print(
        f"{'kept':14} {1000 * kept:7.1f} us for {seconds:.1f} s of speech; all {len(clips.audio)} from disk {from_disk:.1f} ms"
    )
    held.append(kept < seconds)
    return held


def conversions() -> list[bool]:
    """What a call's audio costs on the way."""
    frame, second = bytes(range(160)), bytes(48000)
    pcm = decode_mulaw(frame)
    coded = 1000 * median_ms(lambda: [encode_mulaw(pcm) for _ in range(100)]) / 100
    decoded = 1000 * median_ms(lambda: [decode_mulaw(frame) for _ in range(100)]) / 100
    resampled = median_ms(lambda: convert(second, AudioFormat("pcm16", 24000), PHONE))
    print(f"{'mu-law':14} {coded:7.2f} us to write 20 ms, {decoded:.2f} us to read them")
    print(f"{'24 to 8 kHz':14} {resampled:7.2f} ms a second of speech")
    return [coded < 20, decoded < 20, resampled < 1]


def texts() -> list[bool]:
    """What making a sentence speakable costs."""
    held = []
    for text in SENTENCES:
        cost = median_ms(lambda text=text: speakable(text, "he", "IL"))
        print(f"{'speakable':14} {cost:7.2f} ms for {len(text)} characters")
        held.append(cost < 10)
    return held


def main() -> int:
    """Print all; 1 if a target was missed."""
    return 0 if all([*asyncio.run(voices()), *conversions(), *texts()]) else 1


if __name__ == "__main__":
    sys.exit(main())
