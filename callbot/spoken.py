"""The words of a reply that still arrives: found in the JSON, cut into sentences, cleaned of markup.

What is spoken depends on the text alone, never on the pieces that it came in. Nothing that was once
given out is taken back, so a word is given out only when nothing that may follow could change it.
"""

from __future__ import annotations

import json
import re

from callbot.fields import printable

_CONTRACT_WORDS = ("spokenreply", "shouldendcall", "endreason", "leadstatus", "missingfields")
"""Keys of the contract, without their underscores; nobody says them on the phone."""

_SPACE = re.compile(r"\s*")
_STRING_PIECE = re.compile(
    r"""(?: [^"\\] | \\["\\/bfnrt]
      | \\u(?![dD][89abAB])[0-9a-fA-F]{4}
      | \\u[dD][89abAB][0-9a-fA-F]{2}
        (?: \\u[dD][c-fC-F][0-9a-fA-F]{2}  # the second half of the character
          | (?= [^\\] | \\[^u] | \\u[^"]{4} | \\u[^"]{0,3}") )  # or certainly something else
    )*+""",
    re.VERBOSE | re.DOTALL,
)
"""Whole characters and escapes of a JSON string."""
_ENDS = ".!?\u2026"
_CLOSERS = "\"'\u2019\u201d\u05f4)]*_`"
_SENTENCE_END = re.compile(rf"(?<![{_ENDS}])[{_ENDS}]++[{re.escape(_CLOSERS)}]*+(?=\s)|\n")
_ABBREVIATION = re.compile(r"(?<!\S)(?:Dr|Mr|Mrs|Ms|Prof|St|vs|(?:[^\W\d_]\.){0,3}[^\W\d_])\.$")
_LIST_NUMBER = re.compile(r"\s*\d{1,2}\.")
_URL = re.compile(r"(?:[a-z0-9+.-]{0,16}://|www\.)\S*", re.IGNORECASE)
_MARKDOWN_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_LINE_MARKUP = re.compile(r"^\s*(?:```[A-Za-z]*\n|#{1,6}\s+|[-*\u2022]\s+|>\s+|\d{1,2}[.)]\s+(?=\D))")
_INLINE_MARKUP = re.compile(r"\*+|`+|~~|(?<!\w)_+|_+(?!\w)")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_UNSPEAKABLE = re.compile(r"[{}\[\]<>|\\]")
_WORD = re.compile(r"\w")


class SpokenWords:
    """The value of the first ``spoken_reply`` in the text of an object that is still being written.

    A JSON parser that reads incomplete text would do for orderly replies. It cannot promise that
    what it has shown once stands: a repeated key or a fault further on changes its mind.
    """

    def __init__(self) -> None:
        self.text = ""
        self.closed = False
        self._at = 0
        self._depth = 0
        self._brace = False
        """The last thing outside was an opening brace."""
        self._in_string = self._in_value = False
        self._key = ""

    def read(self, buffer: str) -> None:
        """Go on from where the last call stopped; ``buffer`` is all of the text so far."""
        while self._at < len(buffer) and not self.closed:
            if self._in_string:
                if not self._read_string(buffer):
                    return
            elif self._depth:
                self._read_mark(buffer[self._at])
                self._at += 1
            elif self._brace:
                found = _SPACE.match(buffer, self._at)
                self._at = found.end() if found else self._at
                self._brace = self._at == len(buffer)
                if buffer[self._at : self._at + 1] == '"':
                    self._depth, self._in_value = 1, False
            else:
                found_at = buffer.find("{", self._at)
                self._brace = found_at >= 0
                self._at = found_at + 1 if self._brace else len(buffer)

    def _read_mark(self, mark: str) -> None:
        if mark == '"':
            self._in_string = True
            if self._depth == 1 and not self._in_value:
                self._key = ""
        elif mark in "{[":
            self._depth += 1
        elif mark in "}]":
            self._depth -= 1
        elif mark in ":," and self._depth == 1:
            self._in_value = mark == ":"

    def _read_string(self, buffer: str) -> bool:
        """Read on in a string; whether it has ended."""
        found = _STRING_PIECE.match(buffer, self._at)
        piece = found.group() if found else ""
        self._at += len(piece)
        spoken = self._depth == 1 and self._in_value and self._key == "spoken_reply"
        if spoken:
            self.text += json.loads(f'"{piece}"', strict=False)
        elif self._depth == 1 and not self._in_value:
            self._key += piece
        if buffer[self._at : self._at + 1] != '"':
            return False
        self._at += 1
        self._in_string = False
        self.closed = spoken
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
