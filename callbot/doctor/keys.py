"""Keys by their names: which are set, which are needed. Their values are looked at, and never shown."""

from __future__ import annotations

from collections.abc import Iterator

from callbot.doctor.finding import SERVE, Finding, Mode, Setup
from callbot.doctor.parts import MODES_OF, Part, configured
from callbot.doctor.surroundings import TWILIO

OPENAI = "OPENAI_API_KEY"
AZURE = ("AZURE_SPEECH_KEY", "AZURE_SPEECH_REGION")


def examine(setup: Setup) -> Iterator[Finding]:
    """One line for each key that is needed or set; the rest in one."""
    needed = _needed(setup)
    unused = []
    for name in dict.fromkeys((OPENAI, *AZURE, *TWILIO, *needed)):
        value = setup.environ.get(name, "").strip()
        if not value and name not in needed:
            unused.append(name)
            continue
        yield _one(setup, name, value, needed.get(name, {}))
    if unused:
        yield Finding("keys", "ok", f"not set, and nothing here needs them: {', '.join(unused)}")


def _one(setup: Setup, name: str, value: str, users: dict[str, frozenset[Mode]]) -> Finding:
    modes: frozenset[Mode] = frozenset().union(*users.values())
    whose = f", for {', '.join(users)}" if users else ", and nothing here needs it"
    if not value:
        remedy = f"export {name}=..., or choose what needs no key"
        return Finding(f"key {name}", setup.broken(modes), f"is not set{whose}", remedy)
    if not all(33 <= ord(letter) < 127 for letter in value):
        remedy = "copy it again, without spaces or line breaks in it"
        return Finding(f"key {name}", setup.broken(modes), f"holds characters that no key has{whose}", remedy)
    return Finding(f"key {name}", "ok", f"is set{whose}")


def _needed(setup: Setup) -> dict[str, dict[str, frozenset[Mode]]]:
    """By the variable's name: who needs it, and the modes in which that cannot be done without."""
    needed: dict[str, dict[str, frozenset[Mode]]] = {}
    for part in configured(setup):
        for name in _keys_of(part):
            needed.setdefault(name, {})[part.label] = MODES_OF[part.kind]
    if "serve" in setup.modes:
        for name in TWILIO:
            needed.setdefault(name, {})["serve"] = SERVE
    for business in setup.businesses:
        if business.deliver and business.deliver.secret_env:
            needed.setdefault(business.deliver.secret_env, {})[f"the leads of {business.id}"] = SERVE
    return needed


def _keys_of(part: Part) -> tuple[str, ...]:
    if part.name.startswith("azure"):
        return AZURE
    return (OPENAI,) if part.is_openais_own else ()
