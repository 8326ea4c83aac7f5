"""A stream that polls without waiting, or gives nothing any more, is started anew; a healthy one is left alone."""

from __future__ import annotations

import threading
import time

import pytest

from callbot.lines.stream_watch import StreamWatch

PATIENCE = 20.0


class Stream:
    """A card's thread: waits between its blocks, or not."""

    def __init__(self, *, busy: bool, blocks: int = 1_000_000, mended: Exception | None = None):
        self.busy, self.blocks, self.mended = busy, blocks, mended
        self.restarted, self.lost, self.over = threading.Event(), threading.Event(), threading.Event()
        self.watch = StreamWatch(self.restart, self.lost.set, period=0.1)

    def __enter__(self):
        self.watch.start()
        threading.Thread(target=self.run, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.watch.stop()

    def restart(self):
        if self.mended is not None:
            raise self.mended
        self.busy, self.blocks = False, 1_000_000
        self.restarted.set()

    def run(self):
        while not self.over.is_set():
            until = time.thread_time() + 0.005
            while self.busy and time.thread_time() < until:
                pass
            if not self.busy:
                self.over.wait(0.02)
            if self.blocks:
                self.blocks -= 1
                self.watch.passed()


@pytest.mark.parametrize("how", [{"busy": True}, {"busy": False, "blocks": 3}])
def test_a_stream_that_lost_its_way_is_started_anew(how):
    """Busy without waiting, or silent after its first blocks."""
    with Stream(**how) as stream:
        assert stream.restarted.wait(PATIENCE)
        assert not stream.lost.is_set()


def test_a_stream_that_cannot_be_started_anew_is_lost():
    """Its card has gone."""
    with Stream(busy=True, mended=OSError("no such device")) as stream:
        assert stream.lost.wait(PATIENCE)


def test_a_stream_that_waits_between_its_blocks_is_left_alone():
    """And so is one that has given nothing yet: a card may take seconds to wake."""
    with Stream(busy=False) as stream, Stream(busy=False, blocks=0) as asleep:
        assert not asleep.restarted.wait(1.5)
        assert not stream.restarted.is_set()
