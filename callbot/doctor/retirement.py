"""Models that OpenAI has announced the end of, as the installed SDK's types tell.

The SDK marks them in the text below each list of names: ``- "tts-1", ...: Announced shutdown date:
2027-01-06. See ...``. That text is no attribute at run time, so it is read from the SDK's source, which
also spares its import of more than a second. A newer SDK knows newer dates: pip install -U openai.
"""

from __future__ import annotations

import ast
import datetime as dt
import re
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from callbot.doctor.finding import Finding, Setup
from callbot.doctor.parts import MODES_OF, Kind, Part, configured

PAGE = "https://developers.openai.com/api/docs/deprecations"
LISTS: dict[Kind, str] = {
    "model": "types/shared/chat_model.py",
    "recogniser": "types/audio_model.py",
    "voice": "types/audio/speech_model.py",
}
"""Where in the SDK the names of each kind stand."""
_ENDS = re.compile(r"shutdown\s+date:\s+(\d{4}-\d{2}-\d{2})")
_CURRENT = {
    "model": "choose a current one, such as openai:gpt-6-luna, and evaluate it first: callbot eval",
    "recogniser": "choose openai:gpt-transcribe, or another recogniser",
    "voice": "no successor is announced on that endpoint: choose azure:VOICE, or openai:MODEL/VOICE@URL of another server",
}


def examine(setup: Setup) -> Iterator[Finding]:
    """A line for each of OpenAI's own models that is configured and ends; else one for all."""
    return findings(setup, dt.datetime.now(dt.UTC).date())


def findings(setup: Setup, today: dt.date) -> Iterator[Finding]:
    """The same, on a given day."""
    dates = {kind: announced_ends(kind) for kind in LISTS}
    if not all(dates.values()):
        detail = f"the types of openai {version('openai')} tell no dates that can be read"
        yield Finding("retirement", "warn", detail, f"look at {PAGE}")
        return
    asked = [part for part in configured(setup) if part.is_openais_own]
    ending = [
        (part, dates[part.kind][part.openai_model]) for part in asked if part.openai_model in dates[part.kind]
    ]
    for part, day in ending:
        yield _finding(setup, part, day, today)
    if not ending:
        said = "no model of OpenAI's is chosen" if not asked else "no end is announced of what is chosen"
        yield Finding("retirement", "ok", f"{said} (by openai {version('openai')})")


def _finding(setup: Setup, part: Part, day: dt.date, today: dt.date) -> Finding:
    over = day <= today
    detail = (
        f"OpenAI {'shut it down' if over else 'will shut it down'} on {day} (by openai {version('openai')})"
    )
    status = setup.broken(MODES_OF[part.kind]) if over else "warn"
    return Finding(f"retirement of {part.label}", status, detail, _CURRENT[part.kind])


def announced_ends(kind: Kind) -> dict[str, dt.date]:
    """The day on which each deprecated name of a kind ends; empty if the SDK does not tell."""
    spec = find_spec("openai")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).parent / LISTS[kind]
    if not path.is_file():
        return {}
    ends: dict[str, dt.date] = {}
    for item in _notes(path.read_text(encoding="utf-8")).split("\n- "):
        names, *said = re.split(r"(?<=\"):\s", item, maxsplit=1)
        if said and (day := _ENDS.search(said[0])):
            ends |= dict.fromkeys(re.findall(r'"([^"]+)"', names), dt.date.fromisoformat(day[1]))
    return ends


def _notes(source: str) -> str:
    """The texts that stand as statements in a module: below its list of names, the deprecated ones."""
    return "\n".join(
        node.value.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
