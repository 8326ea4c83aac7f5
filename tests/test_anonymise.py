"""Personal data is replaced: all of it that can be found, the same by the same, and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.evals.anonymise import Anonymiser, anonymised_transcript
from callbot.evals.transcripts import Transcript
from callbot.fields import phone_e164


def replaced(*said: str, region: str = "IL", asked: str = "", keep: tuple[str, ...] = ()) -> list[str]:
    """What becomes of a caller's words, all learnt first."""
    hidden = Anonymiser(region, keep)
    for text in said:
        hidden.learn(text, asked=asked)
    return [hidden.replaced(text) for text in said]


def test_one_person_stays_one_person() -> None:
    """Names behind prefixes, the number in every form it is given in, the e-mail: each by one other."""
    said = replaced(
        "שלום, קוראים לי דנה לוי, המייל dana.levi@gmail.com",
        "הטלפון 052-123-4567",
        "אפס חמש שתיים, אחת שתיים שלוש ארבע חמש שש שבע",
        "שוב: 972521234567+ או +972 52 123 4567, וגם 1234567",
        "תגידו לדנה לוי שאני, דנה, כתבתי מ-dana.levi@gmail.com",
    )
    text = "\n".join(said)
    for secret in ("דנה", "לוי", "123-4567", "1234567", "123 4567", "gmail"):
        assert secret not in text, said
    name = re.search(r"לי (\S+) (\S+),", said[0])
    assert name is not None
    assert f"ל{name[1]} {name[2]}" in said[4]
    assert f"שאני, {name[1]}," in said[4]
    assert said[1] == "הטלפון 052-555-0100"
    assert said[2] == "0525550100"
    assert "+972 52 555 0100" in said[3]
    assert said[3].endswith("וגם 5550100")
    assert said[4].endswith("caller1@example.com")


def test_a_number_beside_number_words() -> None:
    """What is said before a number does not hide it."""
    said = replaced("המספר בסוף הוא ארבעים וארבע. 054-222-3344", "054-222-3344, חמישה חדרים")
    assert said[0].endswith("054-555-0100")
    assert said[1] == "054-555-0100, חמישה חדרים"


@pytest.mark.parametrize(
    ("said", "women"),
    [
        ("קוראים לי מיכל", True),
        ("קוראים לי יוסי", False),
        ("קוראים לי משה", False),
        ("My name is Julia", True),
        ("My name is Walter", False),
    ],
)
def test_names_keep_language_and_gender(said: str, women: bool) -> None:
    """So that the bot speaks to the caller as it did."""
    from callbot.evals.anonymise import _people

    [text] = replaced(said)
    people = _people()["he" if "לי" in said else "en"]
    assert text.split()[-1] in people["women" if women else "men"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("אני ברחוב הרצל 15, תל אביב", "אני ברחוב הדקל 12, תל אביב"),
        ("I live at 221 Baker Street", "I live at 12 Palm Street"),
        ("ת.ז 987654321", r"ת\.ז (?!987654321)\d{9}"),
    ],
)
def test_streets_and_long_numbers(text: str, expected: str) -> None:
    """Where somebody lives and what their papers say."""
    assert re.fullmatch(expected, replaced(text)[0]), replaced(text)


@pytest.mark.parametrize(
    "text",
    [
        "מחר ב-14:30, ביום 27/11/2026 או 2026-11-28",
        "250 שקלים לשלוש שעות, קומה 12",
        "אנחנו עוברים משדרות לאשקלון",
        "לא, תודה, זה הכל",
        "שלום, אני רוצה לקבוע",
        "I need two sofas cleaned on Monday at 10",
    ],
)
def test_what_names_nobody_stays(text: str) -> None:
    """Times, prices, towns and small talk decide the course of a call."""
    assert replaced(text, asked="איך קוראים לך?") == [text]


def test_what_the_business_says_of_itself_stays() -> None:
    """Its numbers, however they are said, and its own name."""
    keep = ("+97235550100", "הניקיון של רותי")
    said = "חייגתי 03-5550100 לרותי, ואני 052-7654321"
    assert replaced(said, keep=keep) == ["חייגתי 03-5550100 לרותי, ואני 052-5550100"]


def test_a_name_that_is_a_word_of_every_call() -> None:
    """Somebody called Shalom does not turn every greeting into another name."""
    said = replaced("קוראים לי שלום כהן", "שלום, מה שלומכם? כאן שלום כהן")
    assert "שלום" not in said[0]
    assert said[1].startswith("שלום, מה שלומכם? כאן ")
    assert not said[1].endswith("שלום כהן")


def test_both_sides_of_a_transcript() -> None:
    """What the bot repeats of it goes too; ids and ends stay."""
    call = Transcript.model_validate(
        {
            "id": "a",
            "end_turn": 1,
            "turns": [
                {"speaker": "bot", "text": "What is your name?"},
                {"speaker": "caller", "text": "Becky Shaw"},
                {"speaker": "bot", "text": "Thanks Becky. Is it 415-555-2671?"},
            ],
        }
    )
    hidden = anonymised_transcript(call, Anonymiser("US"))
    assert (hidden.id, hidden.end_turn) == ("a", 1)
    assert "Becky" not in str(hidden)
    assert "Shaw" not in str(hidden)


@given(
    st.sampled_from(["+972521234567", "+97239876543", "+14155552671", "+447911123456", "+4915112345678"]),
    st.integers(0, 300),
)
def test_fictional_numbers_are_valid_and_of_the_same_country(number: str, count: int) -> None:
    """They pass the same checks, so that the lead still holds one."""
    hidden = Anonymiser("IL")
    for other in range(count % 5):
        hidden.learn_phone(f"+97252700{other:04}")
    fake = hidden.phone(number)
    assert fake is not None
    assert fake != number
    assert fake[:3] == number[:3]
    assert phone_e164(fake, "IL") == fake
    assert hidden.phone(number) == fake
