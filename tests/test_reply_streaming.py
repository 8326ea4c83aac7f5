"""Sentences of a reply leave as soon as they are complete, in order, once, and say what was written."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reply_samples import BUSINESS, changed, read, text

from callbot.reply import Reply, ReplyReader
from callbot.spoken import speakable

SENTENCES = {
    "one": ["שלום."],
    "two": ["תודה.", "מה הטלפון?"],
    "no full stop": [
        "תודה",
    ],
    "no full stop at the end": ["תודה.", "רשמתי"],
    "question marks": ["באמת?!", "כן?", "טוב!"],
    "gershayim in a title": ['ד"ר כהן יחזור אליכם.', "תודה."],
    "gershayim in an acronym": ['הוא שירת בצה"ל.', "מה עוד?"],
    "gershayim before the full stop": ['הגעתם לחברת תע"ש.', "כן?"],
    "typographic gershayim": ["ד״ר כהן ומנכ״ל צה״ל.", "מה עוד?"],
    "a geresh": ["רח' הרצל 5, דירה ג'.", "נכון?"],
    "quotes at the end": ['אמרת "כן."', "נכון?"],
    "a decimal": ["זה עולה 12.5 שקלים.", "מתאים?"],
    "a decimal after a prefix": ["ב-3.5 שעות.", "טוב?"],
    "a time": ["נפגש ב-12:30.", "מתאים?"],
    "a time with a dot": ["נפגש ב-8.30 בבוקר.", "מתאים?"],
    "a date": ["ב-27.11.2026 בבוקר.", "מתאים?"],
    "a phone number": ["רשמתי 052-123-4567.", "נכון?"],
    "a phone number with spaces": ["רשמתי +972 52 123 4567.", "נכון?"],
    "a number at the end": ["יש 5.", "ויש 12.", "כמה צריך?"],
    "ellipsis": ["רגע...", "אני בודקת…", "הנה."],
    "a doctor": ["Dr. Smith will call you.", "OK?"],
    "titles": ["Mr. and Mrs. Jones, on St. James Road.", "Right?"],
    "initials": ["J. R. R. Tolkien called.", "OK?"],
    "afternoon": ["We close at 5 p.m. on Fridays.", "OK?"],
    "no is a sentence": ["No.", "We are closed."],
    "an address": ["Write to maya@example.com please.", "OK?"],
    "a name with a dot": ["See callbot.py and v2.0.1 of it.", "OK?"],
    "a line break": ["שלום", "מה שלומך?"],
    "arrows and dashes": ["כן - בטח.", "עד 5-6 אנשים."],
}


@pytest.mark.parametrize("sentences", SENTENCES.values(), ids=SENTENCES)
def test_text_is_cut_where_a_speaker_would_pause(sentences: list[str]) -> None:
    written = ("\n" if "מה שלומך?" in sentences else " ").join(sentences)
    raw = text(spoken_reply=written)
    for pieces in ([raw], list(raw)):
        said, reply = read(pieces)
        assert said == sentences
        assert isinstance(reply, Reply)
        assert reply.faults == ()


@pytest.mark.parametrize("sentences", SENTENCES.values(), ids=SENTENCES)
def test_a_sentence_leaves_with_the_character_that_completes_it(sentences: list[str]) -> None:
    """That is the blank after its full stop, or the quote that closes the string."""
    reader = ReplyReader(BUSINESS)
    reader.feed('{"spoken_reply": "')
    for sentence in sentences[:-1]:
        for character in json.dumps(sentence, ensure_ascii=False)[1:-1]:
            assert reader.feed(character) == []
        assert reader.feed(" " if sentence[-1] in '.?!…"' else "\\n") == [sentence]
    for character in json.dumps(sentences[-1], ensure_ascii=False)[1:-1]:
        assert reader.feed(character) == []
    assert reader.feed('"') == [sentences[-1]]


def test_words_are_said_while_the_rest_still_arrives() -> None:
    reader = ReplyReader(BUSINESS)
    assert reader.feed('{"spoken_reply": "תודה. רגע') == ["תודה."]
    assert reader.feed(' אחד", "control": {"should_end') == ["רגע אחד"]


def test_nothing_is_said_before_the_words_even_when_control_comes_first() -> None:
    reader = ReplyReader(BUSINESS)
    control = json.dumps(changed()["control"])
    assert reader.feed('{"control": ' + control + ', "lead": {"spoken_reply": "a. b. "}, "spoken_rep') == []
    assert reader.feed('ly"   :   "כן. ') == ["כן."]


WORDS = st.text(
    st.sampled_from("אבגדשתabcDEF0123456789'\"״׳,:-–()%₪ילדקםס\u05b8\u200f"), min_size=2, max_size=8
).filter(lambda word: re.search(r"\w\w", word) and not re.fullmatch(r"\d\d", word))
TOKENS = st.lists(
    st.tuples(WORDS, st.sampled_from(["", "", "", ".", "?", "!", "...", '."', "…"])), min_size=1
)


@settings(deadline=None)
@given(st.lists(st.text(max_size=30)).map(" ".join), st.lists(st.integers(0, 500), max_size=10))
def test_the_sentences_together_are_the_cleaned_reply(words: str, places: list[int]) -> None:
    raw = text(spoken_reply=words)
    marks = sorted(place % (len(raw) + 1) for place in places)
    said, reply = read([raw[a:b] for a, b in zip([0, *marks], [*marks, len(raw)], strict=True)])
    if isinstance(reply, Reply) and "markup in spoken_reply" not in reply.faults:
        assert re.findall(r"\w+", " ".join(said)) == re.findall(r"\w+", words)


@settings(deadline=None)
@given(TOKENS, st.booleans())
def test_plain_sentences_are_said_exactly_and_at_once(
    tokens: list[tuple[str, str]], ascii_only: bool
) -> None:
    """Every token that ends a sentence is said when the blank after it arrives, not a character later."""
    words = [word + stop for word, stop in tokens]
    raw = json.dumps(changed(spoken_reply=" ".join(words)), ensure_ascii=ascii_only)
    said, reply = read(list(raw))
    assert isinstance(reply, Reply)
    assert " ".join(said) == speakable(" ".join(words))
    assert len(said) == sum(bool(stop) for _, stop in tokens[:-1]) + 1

    reader = ReplyReader(BUSINESS)
    reader.feed('{"spoken_reply": "')
    for (_, stop), word in zip(tokens, words, strict=True):
        assert reader.feed(json.dumps(word, ensure_ascii=ascii_only)[1:-1]) == []
        assert len(reader.feed(" ")) == bool(stop)
