"""The caller of a rehearsed call: the mind of a simulated caller, with a voice.

What is done next, and when, a ``SimulatedCaller`` decides, the same as in text, and by the same signs
(whether the bot has finished and nobody is being asked). Here its acts become frames of 20 ms and keys,
as long as they really sound; whether the bot hears them is up to its ears.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from callbot.carrier.caller import Does, noise
from callbot.carrier.g711 import FRAME, RATE, SILENCE
from callbot.carrier.tape import CallerAct
from callbot.record import Record
from callbot.rehearsal.virtualtime import Outside
from callbot.replay import (
    KEY_PAUSE,
    Act,
    HangsUp,
    KeepsSilent,
    MakesNoise,
    Presses,
    Says,
    Scene,
    SimulatedCaller,
)

_FRAMES_A_SECOND = RATE // FRAME
_KEY_FRAMES = round(KEY_PAUSE * _FRAMES_A_SECOND)


class Actor:
    """Acts for a simulated caller, one ``tick`` every 20 ms; see ``carrier.report.Person``.

    ``render``: how words sound, as mu-law.
    """

    def __init__(
        self,
        caller: SimulatedCaller,
        scene: Scene,
        record: Record,
        outside: Outside,
        render: Callable[[str], bytes],
    ) -> None:
        self._caller, self._scene, self._record = caller, scene, record
        self._outside, self._render = outside, render
        self.acts: list[CallerAct] = []
        self.turn = 0
        self.unanswered = 0
        self.off_script: str | None = None
        self._frame = 0
        """Of the call, counted from its answer."""
        self._sound: list[tuple[int, bytes]] = []
        self._words: tuple[int, str] | None = None
        """The frame with which words end, and what recognition makes of them."""
        self._keys: list[tuple[int, str]] = []
        self._leaves: int | None = None

    @property
    def is_done(self) -> bool:
        """Nothing more will be done by the caller, and nothing is under way."""
        under_way = self._sound or self._keys or self._leaves is not None
        return not under_way and self._caller.is_done(self._scene)

    def tick(self) -> Does:
        """Begin what is due, and do the next 20 ms of what is under way."""
        scene = self._scene
        if self._leaves is None:
            due = self._caller.due(scene)
            if due is not None and due <= scene.now:
                self._begin(self._outside.run(self._caller.act(scene, self._record)))
        does = self._now()
        self._frame += 1
        return does

    def _begin(self, act: Act | None) -> None:
        scene = self._scene
        scene.bot_started = None
        if act is None:
            return
        self.turn += 1
        begins = self._frame
        if isinstance(act, Says | HangsUp) and act.after:
            begins += math.ceil(act.after * _FRAMES_A_SECOND)
            self._note("silence", "", self._frame, begins)
        if isinstance(act, Says):
            ends = self._make_sound(self._render(act.words), begins)
            self._words = ends - 1, act.heard
            self._note("say", act.words, begins, ends, act.over)
        elif isinstance(act, MakesNoise):
            ends = self._make_sound(noise(act.seconds), begins)
            self._note("noise", "", begins, ends, act.over)
        elif isinstance(act, Presses):
            self._keys = [(begins + index * _KEY_FRAMES, key) for index, key in enumerate(act.keys)]
            ends = self._keys[-1][0]
            self._note("press", act.keys, begins, ends, act.over)
        elif isinstance(act, KeepsSilent):
            ends = begins + math.ceil(act.seconds * _FRAMES_A_SECOND)
            self._note("silence", "", begins, ends)
        else:
            ends = self._leaves = begins
            self._note("hang_up", "", begins, ends)
        scene.busy_until = scene.now + (ends - self._frame) / _FRAMES_A_SECOND

    def _make_sound(self, audio: bytes, begins: int) -> int:
        """Have it sound from a frame on; the frame after its last."""
        frames = [audio[at : at + FRAME] for at in range(0, len(audio), FRAME)]
        self._sound = [(begins + index, frame) for index, frame in enumerate(frames)]
        return begins + max(1, len(frames))

    def _note(self, kind: str, text: str, begins: int, ends: int, over: str | None = None) -> None:
        self.acts.append(CallerAct(self.turn, kind, text, begins * FRAME, ends * FRAME, over))

    def _now(self) -> Does:
        does = Does()
        if self._sound and self._sound[0][0] <= self._frame:
            does.frame = self._sound.pop(0)[1].ljust(FRAME, bytes([SILENCE]))
        if self._words is not None and self._words[0] <= self._frame:
            does.said, self._words = self._words[1], None
        while self._keys and self._keys[0][0] <= self._frame:
            does.keys += self._keys.pop(0)[1]
        does.hung_up = self._leaves is not None and self._leaves <= self._frame
        return does
