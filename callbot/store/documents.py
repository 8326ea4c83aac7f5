"""A business document as the one text that a version is: merged, without comments, always the same.

The text is YAML that ``yamlfile`` reads back to the same document, and that a person can edit:
block style, keys in their order, letters as they are, text of several lines as a block.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import yaml

from callbot.business import Business
from callbot.yamlfile import Document

_BARE = re.compile(r"0|-?[1-9]\d*|-?(0|[1-9]\d*)\.\d+|true|false")
_OTHER_BREAKS = "\x85\u2028\u2029"  # line breaks to YAML, which would read them back as spaces
_ONE_LINE = 1_000_000  # never fold: a diff of versions compares whole sentences


class _Dumper(yaml.SafeDumper):
    """SafeDumper, indenting lists under their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow=flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if any(char in text for char in _OTHER_BREAKS):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    if "\n" in text:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    if _BARE.fullmatch(text):  # numbers and truths read the same bare, to us and to everybody else
        tag = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return dumper.represent_scalar(tag, text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text)


_Dumper.add_representer(str, _text)


def canonical_yaml(document: Document) -> str:
    """The document's text: the same for the same data, however it was written or spread over files."""
    data = _plain(document.data)
    known = [key for key in Business.model_fields if key in data]
    ordered = {key: data[key] for key in (*known, *data)}
    return yaml.dump(ordered, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_ONE_LINE)


def sha256_of(text: str) -> str:
    """A version's fingerprint, as hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    return None if data is None else str(data)
