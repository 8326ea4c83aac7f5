"""The words of a reply that still arrives: found in the JSON, cut into sentences, cleaned of markup.

Unfinished JSON is read by pydantic-core, as the design fixes it (section 3): no parser of our own.
Nothing that was once given out is taken back: a sentence leaves when its end and what follows it have
arrived, in whatever pieces.
"""

from __future__ import annotations

import bisect
import re
from typing import Any

from pydantic_core import from_json

from callbot.fields import printable

_CONTRACT_WORDS = ("spokenreply", "shouldendcall", "endreason", "leadstatus", "missingfields")
"""Keys of the contract, without their underscores; nobody says them on the phone."""

_OBJECT_START = re.compile(r'\{\s*"')
_ENDS = ".!?\u2026"
_CLOSERS = "\"'\u2019\u201d\u05f4)]*_`"
_SENTENCE_END = re.compile(rf"(?<![{_ENDS}])[{_ENDS}]++[{re.escape(_CLOSERS)}]*+(?=\s)|\n")
_ABBREVIATION = re.compile(r"(?<!\S)(?:Dr|Mr|Mrs|Ms|Prof|St|vs|(?:[^\W\d_]\.){0,3}[^\W\d_])\.$")
_LIST_NUMBER = re.compile(r"\s*\d{1,2}\.")
_URL = re.compile(r"(?:[a-z0-9+.-]{0,16}://|www\.)\S*", re.IGNORECASE)
_MARKDOWN_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_LINE_MARKUP = re.compile(r"^\s*(?:```[A-Za-z]*\n|#{1,6}\s+|[-*\u2022]\s+|>\s+|\d{1,2}[.)]\s+(?=\D))")
_STAR_CODE = r"(?<![*\w])\*(?=\d{3,5}(?![\d*]))"
"""The star of a short number such as *2700: it is dialled, and said."""
_INLINE_MARKUP = re.compile(rf"(?!{_STAR_CODE})\*+|`+|~~|(?<!\w)_+|_+(?!\w)")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_UNSPEAKABLE = re.compile(r"[{}\[\]<>|\\]")
_MAY_BE_MARKUP = re.compile(r"[*_`~#<>\[\]{}|\\\u2022:-]|[wW]{3}|\d[.)]")
"""A quick look that spares most sentences the long one."""
_WORD = re.compile(r"\w")


class SpokenWords:
    """The value of ``spoken_reply`` in the text of an object that is still being written."""

    def __init__(self) -> None:
        self.text = ""
        self.closed = False
        """Whether the words are complete."""
        self._start: int | None = None
        self._settled = False
        """Whether nothing that follows can change the words: they are complete, or a fault follows them."""

    def read(self, buffer: str) -> None:
        """Take ``buffer``, all of the text so far; words that were found once stay."""
        if self._settled:
            return
        if self._start is None:
            found = _OBJECT_START.search(buffer)
            if found is None:
                return
            self._start = found.start()
        text = _readable(buffer[self._start :])
        self._settled = len(text) < len(buffer) - self._start
        for complete in (True, False):
            words = _object(text, complete=complete).get("spoken_reply")
            if isinstance(words, str):
                if words.startswith(self.text):
                    self.text, self.closed = words, complete
                self._settled = self._settled or complete
                return


def _object(text: str, *, complete: bool) -> dict[str, Any]:
    """The object that ``text`` begins; ``complete``: without a string that has not ended yet.

    Raises ValueError.
    """
    value = from_json(text, allow_partial="on" if complete else "trailing-strings")
    return value if isinstance(value, dict) else {}


def _readable(text: str) -> str:
    """As much of ``text`` as begins an object, without a fault in it or what stands behind it."""
    if _begins_object(text):
        return text
    faults = range(len(text))
    return text[: bisect.bisect_left(faults, True, key=lambda end: not _begins_object(text[: end + 1]))]  # noqa: FBT003


def _begins_object(text: str) -> bool:
    try:
        _object(text, complete=False)
    except ValueError:
        return False
    return True


class Sentences:
    """Sentences of a growing text: each as soon as it is complete, once, in order."""

    def __init__(self) -> None:
        self.said = False
        """Whether there was anything to say."""
        self.leak = False
        """Whether contract text came up; nothing is said from there on."""
        self.markup = False
        """Whether anything had to be cleaned."""
        self._consumed = 0
        self._searched = 0

    def of(self, words: str, *, whole: bool) -> list[str]:
        """The sentences new in ``words``, which extend the words of the last call.

        ``whole``: nothing more will come.
        """
        sentences = []
        for end in self._ends(words, whole):
            raw, new_line = words[self._consumed : end], _begins_line(words, self._consumed)
            self._consumed = end
            cleaned = speakable(raw, new_line=new_line)
            shown = f"{raw} {cleaned}".casefold().replace("_", "")
            self.leak = self.leak or "{" in raw or any(word in shown for word in _CONTRACT_WORDS)
            self.markup = self.markup or cleaned != " ".join(raw.split())
            if not self.leak and _WORD.search(cleaned):
                self.said = True
                sentences.append(cleaned)
        return sentences

    def _ends(self, words: str, whole: bool) -> list[int]:
        ends, start = [], self._consumed
        for match in _SENTENCE_END.finditer(words, max(start, self._searched)):
            end = match.end()
            listed = _begins_line(words, start) and _LIST_NUMBER.fullmatch(words, start, end)
            if not listed and not _ABBREVIATION.search(words, max(start, end - 9), end):
                ends.append(end)
                start = end
        self._searched = len(words.rstrip(_ENDS + _CLOSERS))  # whether these end it depends on what follows
        if whole and words[start:].strip():
            ends.append(len(words))
        return ends


def _begins_line(words: str, at: int) -> bool:
    return at == 0 or words[at - 1] == "\n"


def speakable(text: str, *, new_line: bool = True) -> str:
    """``text`` without markdown, links, tags and braces, in one line.

    ``new_line``: ``text`` stands at the start of a line, where "1." or "-" begins an item.
    """
    text = printable(text)
    if not _MAY_BE_MARKUP.search(text):
        return " ".join(text.split())
    if new_line:
        text = _LINE_MARKUP.sub("", text)
    while True:  # what was hidden in markup may be a link
        before = text
        text = _MARKDOWN_LINK.sub(r"\1", text)
        text = _URL.sub("", text)
        text = _TAG.sub("", text)
        text = _INLINE_MARKUP.sub("", text)
        text = " ".join(_UNSPEAKABLE.sub(" ", text).split())
        if text == before:
            return text
