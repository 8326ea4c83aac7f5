"""What holds of the offline model for any words in any place. ``Talk`` checks every single reply."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offline_talk import ALL, DENTIST, Talk

from callbot.business import Business
from callbot.events import CallerSaid, Occasion
from callbot.models.offline.phrases import table
from callbot.models.offline.text import utterance

_LINE = (
    "לא כן תודה ביי רגע שלום אני דנה לוי קוראים לי מחר בבוקר ספות דירה כמה עולה אפס חמש שתיים 052 1234567 צריך מעוניין נציג"
    " no yes thanks bye hello I'm Dana my name is tomorrow two five double 617 555 how much stop agent wrong number ? . , !"
    " { } \" +972 @ לא-צריך מ ל ב ה ו ' 12:30 {} \u200f ךםןףץ İ ß 5"
)
WORDS = st.sampled_from(_LINE.split())
TALK = st.one_of(
    st.lists(WORDS, max_size=9).map(" ".join),
    st.text(max_size=40),
    st.sampled_from(
        ["לא צריך", "no thanks", "רגע", "מה?", "0521234567", "דנה לוי", "מחר", "זהו", "אחר", "yes"]
    ),
)
PLACES = st.sampled_from(list(Occasion))


@settings(max_examples=300, deadline=None)
@given(
    to=st.sampled_from(ALL),
    turns=st.lists(TALK, min_size=1, max_size=7),
    occasion=PLACES,
    keys=st.text("0123456789*#", max_size=11),
)
def test_every_reply_is_sound(to: Business, turns: list[str], occasion: Occasion, keys: str) -> None:
    """Schema-shaped, valid values, computed missing fields, no question with an end, never a crash."""
    call = Talk(to)
    for turn in turns:
        call.say(turn)
    call.press(keys)
    call.history.append(CallerSaid(turns[0]))
    call.ask(occasion, "the line has been silent for 8 seconds")


@settings(max_examples=150, deadline=None)
@given(
    to=st.sampled_from(ALL),
    before=st.lists(TALK, max_size=4),
    no=st.sampled_from(["לא צריך", "לא תודה", "no thanks", "no need"]),
)
def test_one_soft_refusal_in_the_middle_never_ends(to: Business, before: list[str], no: str) -> None:
    """Whatever was said before, as long as the call is open, something is missing, and it was no refusal."""
    call = Talk(to)
    for turn in before:
        call.say(turn)
        if call.ended or not call.missing:
            return
    before_it = dict(call.lead)
    call.say("0521234567" if to.phone_region == "IL" else "+1 212 555 0188")  # a detail starts the count anew
    if call.ended or not call.missing or call.lead == before_it:
        return
    call.say(no)
    assert call.ended is None


@settings(max_examples=100, deadline=None)
@given(digits=st.text("0123456789", min_size=1, max_size=16))
def test_only_valid_phones_are_passed_on(digits: str) -> None:
    """A phone in the lead is E.164, whatever was dictated."""
    call = Talk(DENTIST)
    call.say("שלום", "דנה לוי", digits)
    assert re.fullmatch(r"\+[1-9]\d{6,14}", call.lead.get("phone", "+9721234567"))


def test_the_same_request_gets_the_same_reply() -> None:
    """Nothing is random."""
    first, second = Talk(DENTIST), Talk(DENTIST)
    for turn in ("שלום", "דנה", "לא", "052", "כמה זה עולה?"):
        assert first.say(turn) == second.say(turn)


@pytest.mark.parametrize("language", ["he", "en"])
def test_replies_have_the_same_keys_in_both_languages(language: str) -> None:
    """No wording is missing in one language."""
    other = table("replies_en" if language == "he" else "replies_he")
    mine = table(f"replies_{language}")
    assert {section: set(keys) for section, keys in mine.items() if isinstance(keys, dict)} == {
        section: set(keys) for section, keys in other.items() if isinstance(keys, dict)
    }


def test_farewells_ask_nothing() -> None:
    """A last sentence with a question would leave the caller hanging."""
    for language in ("he", "en"):
        for wordings in table(f"replies_{language}")["end"].values():
            assert not any(utterance(text).question_mark for text in wordings)
