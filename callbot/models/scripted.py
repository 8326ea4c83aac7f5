"""``scripted:FILE``: replies from a file, for tests and for trying a reader against odd replies.

A YAML list, or JSON lines: the nth item answers the nth question of a call, the last one all
further ones. An item is a reply object (sent as JSON), a text (sent as it is), a mapping with
``raw`` (a text, or a list of pieces) and perhaps ``finish``, a mapping with ``error`` (the provider
fails with this message), or ``attempts``: a list of such items, the second for when the first could
not be used.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import yaml

from callbot.errors import InvalidInput, Problem
from callbot.models.base import ChatRequest, Delta, Finished, ProviderError, Request


class ScriptedModel:
    """Answers from a file. Stateless, so that calls can run side by side."""

    uses_prompt = False
    latency: float | None = 0.0

    def __init__(self, path: Path) -> None:
        self.name = f"scripted:{path}"
        self._items = _read(path)

    async def stream(self, request: Request | ChatRequest) -> AsyncGenerator[Delta | Finished, None]:
        """The item for this question and attempt."""
        item = self._items[min(request.turn, len(self._items)) - 1]
        if isinstance(item, dict) and "attempts" in item:
            item = item["attempts"][0 if request.repair is None else -1]
        plain = {"raw": item} if isinstance(item, str) else item
        if "error" in plain:
            raise ProviderError(str(plain["error"]))
        raw = plain["raw"] if "raw" in plain else json.dumps(plain, ensure_ascii=False)
        for piece in [raw] if isinstance(raw, str) else raw:
            yield Delta(piece)
        yield Finished(plain.get("finish", "stop") if "raw" in plain else "stop")

    async def close(self) -> None:
        """Nothing is open."""


def _read(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput([Problem(path, None, "", f"cannot be read: {error.strerror}")]) from error
    try:
        if path.suffix == ".jsonl":
            items = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            items = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise InvalidInput([Problem(path, None, "", f"not readable: {error}")]) from error
    if not isinstance(items, list) or not items or not all(isinstance(item, (str, dict)) for item in items):
        raise InvalidInput([Problem(path, None, "", "must be a list of replies (objects or texts)")])
    return items
