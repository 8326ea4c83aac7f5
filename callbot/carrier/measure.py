"""What a caller heard, measured from the samples of a tape.

A track *sounds* in a frame of 20 ms whose level reaches -46 dBFS. A *stretch* of sound bridges pauses
of up to 200 ms. All numbers are in samples of 8 kHz; the report turns them into milliseconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callbot.carrier import g711
from callbot.carrier.g711 import FRAME, RATE
from callbot.carrier.tape import CallerAct, Tape

LEVEL = 160.0
"""Root mean square of a frame (of 32,768) from which on it sounds: -46 dBFS."""
BRIDGE = RATE // 5
SHORTEST_GAP, LONGEST_GAP = FRAME, RATE
"""Between 20 ms and a second without anything to play is a gap in a sentence; more is a pause."""
_EDGE = RATE // 50
_PIECE = RATE * 2 // 5
_LIKENESS = 0.9
_WINDOW = RATE
_WINDOW_LIKENESS = 0.8
_DRIFT = RATE * 3 // 2
_FFT_STEP = 1 << 13
"""Lengths of Fourier transforms are multiples of this: fast ones, and little longer than needed."""

Stretch = tuple[int, int]
Signal = NDArray[np.float64]


def signal_of(codes: bytes | bytearray) -> Signal:
    """A mu-law track as numbers."""
    return g711.decode(codes).astype(np.float64)


def stretches(signal: Signal) -> list[Stretch]:
    """Where a track sounds: first and last sample of each stretch, pauses up to 200 ms bridged."""
    frames = len(signal) // FRAME
    levels = np.sqrt(np.mean(np.square(signal[: frames * FRAME].reshape(frames, FRAME)), axis=1))
    found: list[Stretch] = []
    for index in np.flatnonzero(levels >= LEVEL):
        start = int(index) * FRAME
        if found and start - found[-1][1] <= BRIDGE:
            start = found.pop()[0]
        found.append((start, (int(index) + 1) * FRAME))
    return found


def gaps(tape: Tape, bot: Signal) -> list[Stretch]:
    """Where the bot's audio ran dry within a sentence: an underrun as the caller hears it.

    Nothing to play for 20 ms to a second, while the 20 ms before it still sound (a sentence that is over
    has died away), and more follows; not where the bot cleared its audio on purpose, nor where the
    caller did something meanwhile: what follows is then another reply.
    """
    found = []
    for (_, end, source), (start, _, following) in itertools.pairwise(tape.supplied):
        dry = source == following and SHORTEST_GAP <= start - end <= LONGEST_GAP
        cleared = any(end - FRAME <= at <= start for at in tape.cleared)
        answered = any(end <= act.end and act.start <= start for act in tape.acts if act.kind != "silence")
        if dry and not cleared and not answered and _level(bot[max(0, end - _EDGE) : end]) >= LEVEL:
            found.append((end, start))
    return found


def overlap(one: Sequence[Stretch], other: Sequence[Stretch]) -> list[Stretch]:
    """Where both sound."""
    both = [(max(a, c), min(b, d)) for a, b in one for c, d in other]
    return sorted((start, end) for start, end in both if start < end)


def talk_over(acts: Sequence[CallerAct], bot: Sequence[Stretch]) -> int:
    """Samples in which the bot spoke over a caller who had begun first, and not spoken over it on purpose."""
    said = [(act.start, act.end) for act in acts if act.kind == "say" and act.over is None]
    starts = [start for start, _ in bot]
    return sum(end - start for start, end in overlap(said, bot) if start in starts)


def longest_silence(
    caller: Sequence[Stretch], bot: Sequence[Stretch], end: int, excused: Sequence[Stretch]
) -> Stretch:
    """The longest time in which nobody sounds, of what the caller did not script as silence."""
    busy = sorted([*caller, *bot, *excused, (end, end)])
    longest, reached = (0, 0), 0
    for start, until in busy:
        if start - reached > longest[1] - longest[0]:
            longest = (reached, start)
        reached = max(reached, until)
    return longest


def answer_times(acts: Sequence[CallerAct], bot: Sequence[Stretch]) -> list[int]:
    """From the end of what the caller said or pressed to the bot's first sound after it, per turn.

    A turn that the bot said nothing after, before the next one, has no answer time; nor has one over
    the greeting or the farewell, which a good bot says to its end first.
    """
    times = []
    for index, act in enumerate(acts):
        if act.kind not in ("say", "press") or act.over in ("greeting", "farewell"):
            continue
        until = acts[index + 1].start if index + 1 < len(acts) else None
        first = next((start for start, _ in bot if start >= act.end), None)
        if first is not None and (until is None or first < until):
            times.append(first - act.end)
    return times


@dataclass(frozen=True, slots=True)
class BargeIn:
    """One interruption by the caller. ``stopped``: samples until the bot was silent."""

    turn: int
    stopped: int


def barge_ins(acts: Sequence[CallerAct], bot: Sequence[Stretch]) -> Iterator[BargeIn]:
    """Words that the caller spoke into a reply, and how long the bot went on speaking."""
    for act in acts:
        if act.kind == "say" and act.over == "barge_in":
            for start, end in bot:
                if start <= act.start < end:
                    yield BargeIn(act.turn, end - act.start)


@dataclass(frozen=True, slots=True)
class Match:
    """How much of a reference was heard, and how often it was begun."""

    share: float
    """Of its sounding pieces of 0.4 s, those heard within 1.5 s of their place."""
    times: int
    start: int | None
    """Where it began; None if it was not heard at all."""


def match(bot: Signal, reference: Signal) -> Match:
    """Look for a reference in what the caller heard, by normalised correlation.

    It is placed where it fits best as a whole; each piece of 0.4 s must then be found there with a
    likeness of 0.9. It was begun as often as any one second of it is found with a likeness of 0.8, and
    once if only pieces of it are found.
    """
    sounding = stretches(reference)
    if not sounding or not len(bot):
        return Match(0.0, 0, None)
    reference = reference[sounding[0][0] : sounding[-1][1]]
    padded = np.concatenate([np.zeros(len(reference)), bot, np.zeros(len(reference))])
    searched = _Searched(padded, len(reference))
    place = int(np.argmax(searched.likeness(reference)))
    pieces = list(_pieces(reference))
    heard = [_is_near(padded, reference[at:end], place + at) for at, end in pieces]
    times = max(int(any(heard)), *(_count(searched, reference[at:end]) for at, end in _windows(reference)), 0)
    share = sum(heard) / len(heard) if heard else 0.0
    return Match(share, times, max(0, place - len(reference)) if any(heard) else None)


def _pieces(reference: Signal) -> Iterator[Stretch]:
    """Consecutive pieces; the last reaches back so that the end is covered."""
    size = min(_PIECE, len(reference))
    for start in range(0, len(reference), size):
        at = min(start, len(reference) - size)
        if _level(reference[at : at + size]) >= LEVEL:
            yield at, at + size


def _windows(reference: Signal) -> Iterator[Stretch]:
    """A second at the beginning, in the middle and at the end."""
    size = min(_WINDOW, len(reference))
    for at in {0, (len(reference) - size) // 2, len(reference) - size}:
        if _level(reference[at : at + size]) >= LEVEL:
            yield at, at + size


def _is_near(track: Signal, piece: Signal, place: int) -> bool:
    low = max(0, place - _DRIFT)
    around = track[low : place + _DRIFT + len(piece)]
    return len(around) >= len(piece) and bool(
        _Searched(around, len(piece)).likeness(piece).max() >= _LIKENESS
    )


def _count(track: _Searched, piece: Signal) -> int:
    found, last = 0, -len(piece)
    for at in np.flatnonzero(track.likeness(piece) >= _WINDOW_LIKENESS):
        if int(at) - last >= len(piece) // 2:
            found, last = found + 1, int(at)
    return found


class _Searched:
    """A track that pieces of up to ``longest`` samples are looked for in; its spectrum is made once."""

    def __init__(self, track: Signal, longest: int) -> None:
        self._length = len(track)
        self._size = -(-(len(track) + longest - 1) // _FFT_STEP) * _FFT_STEP
        self._spectrum = np.fft.rfft(track, self._size)
        self._energy = np.concatenate([[0.0], np.cumsum(np.square(track))])

    def likeness(self, piece: Signal) -> Signal:
        """Normalised correlation of a piece with every place of the track: 1 where they are the same."""
        product = self._spectrum * np.conj(np.fft.rfft(piece, self._size))
        correlation = np.fft.irfft(product, self._size)[: self._length - len(piece) + 1]
        windows = self._energy[len(piece) :] - self._energy[: -len(piece)]
        floor = len(piece) * (LEVEL / 4) ** 2  # near-silence is like nothing
        likeness: Signal = correlation / np.sqrt(np.maximum(windows, floor) * np.square(piece).sum())
        return likeness


def _level(signal: Signal) -> float:
    return float(np.sqrt(np.mean(np.square(signal)))) if len(signal) else 0.0
