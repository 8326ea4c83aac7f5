"""Phrases as data: YAML lexicons compiled once into a trie that reads an utterance in one pass.

A phrase is words; ``a|b`` is either word, a word with ``?`` may be missing, ``*`` is up to two words
of any kind. A Hebrew word is also met with a conjunction before it (``ושלום``, ``שלא``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from callbot.models.offline.text import Utterance, is_hebrew

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_WILD = 2
"""Words that one ``*`` may swallow."""


_REMEMBERED = 20_000
"""Words of which a lexicon remembers whether they begin a phrase."""


class Found(NamedTuple):
    """Words ``start`` to ``end`` (exclusive) are a phrase for ``tag``."""

    tag: str
    start: int
    end: int


class _Node:
    __slots__ = ("next", "tags", "wild")

    def __init__(self) -> None:
        self.next: dict[str, _Node] = {}
        self.wild: _Node | None = None
        self.tags: tuple[str, ...] = ()


class Lexicon:
    """Tagged phrases. ``find`` gives the longest phrase at each place, none inside another."""

    def __init__(self, phrases: Mapping[str, Iterable[str]] | None = None, prefixes: str = "וש") -> None:
        self._root = _Node()
        self._prefixes = prefixes
        self._starts: dict[str, tuple[_Node, ...]] = {}
        """Where phrases that begin with a word go on; most words begin none."""
        for tag, texts in (phrases or {}).items():
            for text in texts:
                self.add(tag, text)

    def add(self, tag: str, text: str) -> None:
        """Add a phrase in the notation of the module's docstring."""
        for words in expanded(text):
            node = self._root
            for word in words:
                if word == "*":
                    node.wild = node.wild or _Node()
                    node = node.wild
                else:
                    node = node.next.setdefault(word, _Node())
            if tag not in node.tags and node is not self._root:
                node.tags = (*node.tags, tag)
        self._starts.clear()

    def find(self, said: Utterance) -> list[Found]:
        """All phrases in the utterance, left to right, the longest first choice at each word."""
        found: list[Found] = []
        words = said.words
        index, count = 0, len(words)
        while index < count:
            starts = self._starts.get(words[index])
            if starts is None:
                starts = self._begin(words[index])
            if not starts:
                index += 1
                continue
            end, tags, solid = self._longest(said, index, starts)
            if tags:
                found.extend(Found(tag, index, end) for tag in tags)
                index = solid
            else:
                index += 1
        return found

    def tags(self, said: Utterance) -> frozenset[str]:
        """The tags of all phrases found."""
        return frozenset(found.tag for found in self.find(said))

    def _longest(
        self, said: Utterance, start: int, starts: tuple[_Node, ...]
    ) -> tuple[int, tuple[str, ...], int]:
        """End and tags of the longest phrase at ``start``, and where its last real word ends.

        What a last ``*`` swallows may begin another phrase; and no ``*`` reaches over a break.
        """
        words = said.words
        best_end, best_solid = start, start
        best: tuple[str, ...] = ()
        stack = [(node, start + 1, start + 1) for node in starts]
        while stack:
            node, index, solid = stack.pop()
            if node.tags and index > best_end:
                best_end, best, best_solid = index, node.tags, solid
            if index < len(words):
                following = node.next.get(words[index])
                if following is None and words[index][0] == "ו":
                    following = node.next.get(words[index][1:])
                if following is not None:
                    stack.append((following, index + 1, index + 1))
            if node.wild is not None:
                for skip in range(_WILD + 1):
                    if index + skip > len(words) or (skip and said.breaks[index + skip - 1]):
                        break
                    stack.append((node.wild, index + skip, solid))
        return best_end, best, best_solid

    def _begin(self, word: str) -> tuple[_Node, ...]:
        if len(self._starts) > _REMEMBERED:
            self._starts.clear()
        nodes = tuple(node for form in self._forms(word) if (node := self._root.next.get(form)))
        self._starts[word] = nodes
        return nodes

    def _forms(self, word: str) -> tuple[str, ...]:
        if len(word) < 3 or word[0] not in self._prefixes:
            return (word,)
        if len(word) > 3 and word[1] in self._prefixes:
            return (word, word[1:], word[2:])
        return (word, word[1:])


def expanded(text: str) -> Iterable[tuple[str, ...]]:
    """All phrases that a line of a lexicon stands for."""
    options: list[tuple[str | None, ...]] = []
    for part in text.replace("'", "").split() if not is_hebrew(text) else text.split():
        optional = part.endswith("?") and len(part) > 1
        words: tuple[str | None, ...] = tuple(part.removesuffix("?").split("|"))
        options.append((*words, None) if optional else words)
    for chosen in itertools.product(*options):
        yield tuple(word for word in chosen if word is not None)


@cache
def table(name: str) -> dict[str, Any]:
    """A YAML file of this folder."""
    text = (Path(__file__).parent / f"{name}.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506 (the safest there is: every scalar stays text)
    return data


@cache
def lexicon(section: str) -> Lexicon:
    """The phrases of one section of the cue files, both languages in one: their words never meet."""
    merged = Lexicon()
    for file in ("cues_he", "cues_en"):
        for tag, phrases in table(file).get(section, {}).items():
            for phrase in phrases:
                merged.add(tag, str(phrase))
    return merged


@cache
def words(section: str, tag: str) -> frozenset[str]:
    """The phrases of one word listed under one tag, both languages."""
    return frozenset(
        phrase[0]
        for file in ("cues_he", "cues_en")
        for text in table(file).get(section, {}).get(tag, ())
        for phrase in expanded(text)
        if len(phrase) == 1
    )
