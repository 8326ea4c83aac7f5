"""Where a simulated call is held: in text, or on another stage that is handed in (``--audio``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from callbot.business import Business
from callbot.call import Call
from callbot.evals.report import Check
from callbot.evals.scenario import Scenario
from callbot.record import Record
from callbot.replay import Ask, SimulatedCaller, VirtualDriver
from callbot.rules import Rules


@dataclass(frozen=True, slots=True)
class Held:
    """A call to be held: who calls whom, who answers, and where it is written down."""

    scenario: Scenario
    attempt: int
    business: Business
    rules: Rules
    caller: SimulatedCaller
    ask: Ask
    record: Record


@dataclass(frozen=True, slots=True)
class Sounded:
    """What a stage adds to a call's Record. ``recording``: a file, made by the stage; None without sound."""

    checks: Sequence[Check] = ()
    recording: Path | None = None


class Stage(Protocol):
    """Holds calls. One for all calls of a process."""

    line: str
    """What Records name as the line."""

    async def hold(self, call: Held, recording: Path) -> Sounded:
        """Hold a call to its end; the Record is filled whatever happens.

        ``recording``: where the sound may be kept, without a suffix. May raise ProviderFailed.
        """
        ...


class InText:
    """Words go to and fro, and take the time that they would on a phone; see ``replay``."""

    line = "simulated"

    async def hold(self, call: Held, recording: Path) -> Sounded:
        """Hold a call; see Stage."""
        await VirtualDriver(Call(call.rules), call.caller, call.ask, call.record).run()
        return Sounded()
