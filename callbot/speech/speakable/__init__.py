"""Text as it is written becomes text as it is said: numbers, phones, dates, prices, signs; no markup.

What well-kept libraries know is left to them: phone numbers to libphonenumber's data, Hebrew numbers,
times, money and units to heb-tts-normalizer, English numbers to num2words, markdown to
``callbot.spoken``. Ours are the rules they lack, and the promise at the end: no digit and no sign
that a voice would spell out is left.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata

from callbot.speech.speakable import english, hebrew
from callbot.speech.speakable.numbers import digits, phones, words_of
from callbot.spoken import speakable as without_markup

_LINK = re.compile(r"(?:[a-z][a-z0-9+.-]{0,15}://|www\.)\S*", re.IGNORECASE)
_LINKED = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_HOST = re.compile(r"(?:[a-z][a-z0-9+.-]{0,15}://)?(?:www\.)?(?P<host>[^\s/:?#]+)", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DOMAIN = re.compile(r"(?<![\w.])(?:[a-z0-9-]+\.)+(?:com|org|net|info|biz|io|app|co|il|uk)\b", re.IGNORECASE)
_STAR_CODE = re.compile(r"(?<![*\w])\*(?P<code>\d{3,5})(?![\d*])")
_FORMAT_SIGNS = frozenset("°")
_DROPPED = frozenset({"So", "Sk", "Cs", "Co", "Cn", "Cf", "Cc", "Me"})
"""Unicode categories that no voice reads: emoji and their modifiers, invisible and unassigned characters."""
_SILENT = re.compile(r"[^\w\s.,!?;:'\"()\u05be\u05f3\u05f4\u2010-\u2015\u2018-\u201f-]|_")
_PAUSES = re.compile(r"\s*([,;:])(?:\s*[,;:])+")
_LOOSE = re.compile(r"\s+(?=[.,!?;:])")
_NUMBER = re.compile(r"\d+")
_PLAIN_HEBREW = re.compile(r"[\u05d0-\u05ea\s]+(?:[,.?!][\u05d0-\u05ea\s]*)*")
"""Nothing to be done about most sentences of a call; the library would take a millisecond to find out."""
_LONGEST_PART = 600
_ROUNDS = 4
"""What one round uncovers, the next one reads; more rounds than this never found anything."""


def speakable(text: str, language: str, region: str) -> str:
    """``text`` as ``language`` (``he`` or ``en``) says it, in one line; empty when nothing in it can be said.

    ``region``: ISO 3166 country of phone numbers without a country code, and of the order of dates.
    Never raises; what it returns has no digits, emoji, markup or addresses, and said again it is the same.
    """
    said = " ".join(_settled(part, language, region) for part in _parts(text))
    return said if any(letter.isalnum() for letter in said) else ""


def _parts(text: str) -> list[str]:
    """``text``, or if it is very long (no sentence is) its parts: some rules look far ahead."""
    return (
        [text] if len(text) <= _LONGEST_PART else textwrap.wrap(text, _LONGEST_PART, break_on_hyphens=False)
    )


def _settled(text: str, language: str, region: str) -> str:
    for _ in range(_ROUNDS):
        if language == "he" and _PLAIN_HEBREW.fullmatch(text):
            return " ".join(text.split())
        before, text = text, _once(text, language, region)
        if text == before:
            break
    return text


def _once(text: str, language: str, region: str) -> str:
    words = words_of(language)
    text = _plain(text)
    text = _LINKED.sub(r"\1", text)
    text = _MAIL.sub(lambda found: _address(found[0], language), text)
    text = _LINK.sub(lambda found: _site(found[0], language), text)
    text = _DOMAIN.sub(lambda found: _address(found[0], language), text)
    text = _STAR_CODE.sub(lambda found: f"{words.star} {digits(found['code'], language)}", text)
    text = without_markup(text)
    text = phones(text, language, region)
    rules = hebrew if language == "he" else english
    text = rules.said(text, region)
    for sign, word in words.signs.items():
        text = text.replace(sign, f" {word} ")
    text = _NUMBER.sub(lambda found: f" {digits(found[0], language)} ", text)
    text = _SILENT.sub(" ", text)
    text = _LOOSE.sub("", _PAUSES.sub(r"\1", text))
    return " ".join(text.split())


def _plain(text: str) -> str:
    """Without emoji and invisible characters; other scripts' digits and forms in their plain ones."""
    if text.isascii() and text.isprintable():
        return text
    kept = "".join(
        " "
        if letter.isspace()
        else ""
        if unicodedata.category(letter) in _DROPPED and letter not in _FORMAT_SIGNS
        else letter
        for letter in text
    )
    plain = unicodedata.normalize("NFKC", kept)
    return "".join(_digit(letter) for letter in plain)


def _digit(letter: str) -> str:
    return str(unicodedata.digit(letter)) if not letter.isascii() and letter.isdigit() else letter


def _site(link: str, language: str) -> str:
    """The host of a link as words: nobody dictates paths."""
    found = _HOST.match(link)
    return _address(found["host"], language) if found and "." in found["host"] else " "


def _address(text: str, language: str) -> str:
    """An e-mail address or host as it is told: ``info at ruti dot co dot il``."""
    words = words_of(language)
    text = text.replace("@", f" {words.at} ").replace(".", f" {words.dot} ")
    text = re.sub(r"[-_+]", " ", text)
    return _NUMBER.sub(lambda found: f" {digits(found[0], language)} ", text)
