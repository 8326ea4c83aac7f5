"""Finds a dialogue model by the name that ``--model`` takes; imports only the one that is asked for."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from callbot.errors import CallbotError
from callbot.models.base import Model

KINDS = {
    "offline": "the embedded dialogue policy; no key, no server",
    "openai": "openai:NAME, or openai:NAME@BASE_URL for any compatible server",
    "scripted": "scripted:FILE, replies from a file",
    "mutant": "mutant:FAULT, the embedded model with a planted fault (callbot mutate-suite names them)",
}


CHATS = ("openai", "scripted")
"""Kinds that answer under any contract, so that they can play a caller or judge; the others are bots only."""


class UnknownModel(CallbotError):
    """No model has this name."""


def default_model() -> str:
    """The model when none is named: OpenAI when its key is set, else the embedded one."""
    return "openai" if os.environ.get("OPENAI_API_KEY") else "offline"


def make_model(name: str, *, seed: int | None = None, retries: int = 1) -> Model:
    """The model called ``name``. Raises UnknownModel, or CallbotError for what it needs and lacks.

    ``retries``: tries after the first that a model behind a server makes by itself, within a turn's budget.
    """
    kind, _, rest = name.partition(":")
    if kind == "offline" and not rest:
        from callbot.models.offline.model import OfflineModel

        return OfflineModel()
    if kind == "openai":
        from callbot.models.openai import OpenAIModel

        return OpenAIModel.from_spec(name, seed=seed, retries=retries)
    if kind == "scripted" and rest:
        from callbot.models.scripted import ScriptedModel

        return ScriptedModel(Path(rest))
    if kind == "mutant":
        return _mutant(rest)
    near = difflib.get_close_matches(kind, KINDS, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    known = "\n".join(f"  {kind}: {what}" for kind, what in KINDS.items())
    raise UnknownModel(f'unknown model "{name}"{hint}\nmodels are named\n{known}')


def _mutant(fault: str) -> Model:
    from callbot.models.mutants import FAULTS, MutantModel
    from callbot.models.offline.model import OfflineModel

    if fault not in FAULTS:
        raise UnknownModel(f'unknown fault "{fault}"; known: {", ".join(FAULTS)}')
    return MutantModel(fault, OfflineModel())
