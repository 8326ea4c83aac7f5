"""A shop, and calls to it as transcripts, for the tests of commands on transcripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SHOP = """\
id: shop
name: Shop
language: en
region: US
timezone: Asia/Jerusalem
greeting: {text: "Hello, this is the shop."}
fields: [{name: full_name, required: true}, {name: phone, type: phone, required: true}]
end_reasons: [{name: wrong_number, when: "they wanted somebody else"}]
prompt: You answer the phone of {{ business.name }}.
"""
TURNS = [
    ("bot", "Hello, this is the shop."),
    ("caller", "I need a sofa cleaned"),
    ("bot", "Sure, your name?"),
    ("caller", "Dana Levi"),
    ("bot", "Anything else?"),
    ("caller", "No, that's all, bye"),
]


def call(id: str = "a", turns: list[tuple[str, str]] | None = None, **keys: Any) -> dict[str, Any]:
    """One transcript as its keys."""
    said = [{"speaker": speaker, "text": text} for speaker, text in turns or TURNS]
    return {"id": id, "turns": said, **keys}


def write_calls(path: Path, *calls: dict[str, Any]) -> Path:
    """A file of transcripts."""
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in calls), encoding="utf-8")
    return path


def shop(folder: Path) -> Path:
    """A folder with the shop in it."""
    (folder / "prompts").mkdir(exist_ok=True)
    (folder / "prompts/shop.yaml").write_text(SHOP, encoding="utf-8")
    return folder
