"""What is written is said as a person would: numbers, phones, dates, prices; and no sign is spelled out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.speech.speakable import speakable
from callbot.spoken import speakable as without_markup

HEBREW = [
    ("המספר שלך 052-123-4567, נכון?", "המספר שלך אפס חמש שתיים, אחת שתיים שלוש, ארבע חמש שש שבע, נכון?"),
    (
        "תתקשרו ל-03-5550100 או *2700",
        "תתקשרו לאפס שלוש, חמש חמש חמש, אפס אחת אפס אפס או כוכבית שתיים שבע אפס אפס",
    ),
    ("הטלפון +972-52-123-4567", "הטלפון אפס חמש שתיים, אחת שתיים שלוש, ארבע חמש שש שבע"),
    ("0521234567", "אפס חמש שתיים, אחת שתיים שלוש, ארבע חמש שש שבע"),
    ("ב-27.11.2026 בשעה 17:30", "בעשרים ושבעה בנובמבר אלפיים עשרים ושש בשעה חמש וחצי בערב"),
    ("ביום 27/11", "ביום עשרים ושבעה בנובמבר"),
    ("1/2 שעה, 24/7", "חצי שעה, עשרים וארבע שבע"),
    (
        "ימים א'-ה' 08:00-18:00, ו' 08:00-13:00",
        "ימים ראשון עד חמישי שמונה בבוקר עד שש בערב, יום שישי שמונה בבוקר עד אחת אחר הצהריים",
    ),
    ("ביום ב', בימים ג' ו-ה'", "ביום שני, בימים שלישי וחמישי"),
    (
        '250 ש"ח, 25.50 ₪, מ-300 שקלים',
        "מאתיים וחמישים שקלים, עשרים וחמישה שקלים וחמישים אגורות, משלוש מאות שקלים",
    ),
    ('100-200 ש"ח או 10%-15% הנחה', "מאה עד מאתיים שקלים או עשרה אחוזים עד חמישה עשר אחוזים הנחה"),
    ('3 חדרים, 2 ילדות, 60 מ"ר', "שלושה חדרים, שתי ילדות, שישים מטרים רבועים"),
    ("קוד 0047, גרסה 2.0.1", "קוד אפס אפס ארבע שבע, גרסה שתיים נקודה אפס נקודה אחת"),
    ("ד\"ר כהן, רח' הרצל 12", "דוקטור כהן, רחוב הרצל שתים עשרה"),
    ("😀 **היי** 👍🏽 [לאתר](http://x.co/1)", "היי לאתר"),
    ("ruti.co.il או info@ruti.co.il", "ruti נקודה co נקודה il או info שטרודל ruti נקודה co נקודה il"),
    ("שבע & שמונה, ו/או", "שבע ושמונה, או"),
    ("שלום, הגעתם לניקיון של רותי. איך אפשר לעזור?", "שלום, הגעתם לניקיון של רותי. איך אפשר לעזור?"),
]
ENGLISH = [
    ("Call (617) 555-0142 now", "Call six one seven, five five five, zero one four two now"),
    ("or +44 20 7946 0958", "or plus four four, two zero, seven nine four six, zero nine five eight"),
    ("dial *2700", "dial star two seven zero zero"),
    ("9:00-17:30, Mon-Fri, 8 am to 5pm, 12:05", "nine o'clock to five thirty P M, Monday to Friday, eight A M to five P M, twelve oh five"),
    ("$20.50, $1, 250 NIS, $1,200, £0.99", "twenty dollars and fifty cents, one dollar, two hundred and fifty shekels, one thousand two hundred dollars, ninety-nine pence"),
    ("2026-11-27, Nov 27, 3rd of May 2027, 11/27", "November twenty-seventh, twenty twenty-six, November twenty-seventh, May third, twenty twenty-seven, November twenty-seventh"),
    ("12.5% off, 3-4 days, 24/7", "twelve point five percent off, three to four days, twenty-four seven"),
    ("60 sqm, 1 lb, 20 °C, 5 km away", "sixty square meters, one pound, twenty degrees Celsius, five kilometers away"),
    ("Dr. Cohen, 12 Main St., Apt. 4", "Doctor Cohen, twelve Main Street, Apartment four"),
    ("No. We don't", "No. We don't"),
    ("in 1999, order 48213, zip 02139", "in nineteen ninety-nine, order forty-eight thousand two hundred and thirteen, zip zero two one, three nine"),
    ("the 21st, #1, R&D", "the twenty-first, number one, R and D"),
    ("www.harborside.com/book?x=1", "harborside dot com"),
    ("`code` {now} <b>x</b> 🙂", "code now x"),
    ("Sun City on Sat. 9 am", "Sun City on Saturday nine A M"),
    ("Thank you, goodbye.", "Thank you, goodbye."),
]  # fmt: skip


@pytest.mark.parametrize(("written", "said"), HEBREW)
def test_hebrew(written, said):
    """As an Israeli would read it."""
    assert speakable(written, "he", "IL") == said


@pytest.mark.parametrize(("written", "said"), ENGLISH)
def test_english(written, said):
    """As an American would read it."""
    assert speakable(written, "en", "US") == said


def test_the_order_of_a_date_is_the_countrys():
    """3/4 is in March in America and in April elsewhere."""
    assert speakable("3/4/2027", "en", "US") == "March fourth, twenty twenty-seven"
    assert speakable("3/4/2027", "en", "GB") == "April third, twenty twenty-seven"


@pytest.mark.parametrize("text", ["", " ", "😀", "***", "...", "\ud800", "\0"])
def test_nothing_to_say_is_nothing(text):
    """A voice is not asked to say a smile."""
    assert speakable(text, "he", "IL") == ""


PIECES = st.sampled_from(
    [*(written for written, _ in HEBREW + ENGLISH), "ו-", "ל-", "x", "½", "٣", "1️⃣", "_", "–", "\n", "(", '"',
     "'", "7654321", "~~", "4-7-1", "₪", "$", "%", "&", "=", "@", "/", "\\", "…", "3א'", "-5", "23:61", "32.13.99"]
)  # fmt: skip
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=6).map("".join)


@given(TEXTS, st.sampled_from([("he", "IL"), ("en", "US"), ("en", "GB"), ("he", "US")]))
def test_no_digit_and_no_sign_is_ever_left(text, where):
    """Whatever arrives becomes words in one line, and what is words already stays as it is."""
    said = speakable(text, *where)
    assert re.findall(r"[\d*_`~#<>\[\]{}|\\@$%^&+=/₪€£°😀]", said) == []
    assert said == " ".join(said.split())
    assert speakable(said, *where) == said


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("חייגו *2700 עכשיו", "חייגו *2700 עכשיו"),
        ("(ל-*6050)", "(ל-*6050)"),
        ("**2700** או *2700*", "2700 או 2700"),
        ("*15 חדרים* ו-**250 שקלים**", "15 חדרים ו-250 שקלים"),
    ],
)
def test_the_star_of_a_short_number_is_no_markup(written, shown):
    """A model's words keep it, so that it can be said."""
    assert without_markup(written) == shown
