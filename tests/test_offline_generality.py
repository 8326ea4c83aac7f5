"""Details filed where they belong, whatever was asked: trades and callers that no list was made for."""

from __future__ import annotations

import pytest
from offline_talk import Talk, business

from callbot.business import Business
from callbot.events import Occasion
from callbot.models.offline.prepared import prepare
from callbot.models.offline.sorts import sort_of
from callbot.models.offline.understanding import Asked, read

KENNEL = business(
    name="פנסיון זנב",
    facts={"מחיר": "90 שקלים ליום", "חיסונים": "חיסון משושה חובה", "כתובת": "משק 12, כפר סירקין"},
    fields=[
        {"name": "owner_name", "label": "שם הבעלים", "required": True, "ask": "איך קוראים לך?"},
        {"name": "dog_name", "label": "שם הכלב", "required": True, "ask": "ומה השם של הכלב?"},
        {"name": "dog_age", "label": "גיל הכלב", "required": True, "ask": "בן כמה הוא?"},
        {"name": "days", "label": "מספר לילות", "required": True, "ask": "כמה לילות?"},
        {"name": "arrival", "type": "time", "label": "מועד הגעה", "required": True},
        {"name": "phone", "type": "phone", "required": True},
        {"name": "allergies", "label": "אלרגיות", "ask": "יש אלרגיות?"},
        {"name": "email", "label": "מייל"},
    ],
    end_reasons=[
        {"name": "existing_booking", "when": "the caller has a booking already", "needs": ["owner_name", "phone"]},
        {"name": "emergency", "when": "סכנת חיים לכלב"},
        {"name": "supplier", "when": "ספק שמוכר משהו"},
    ],
)  # fmt: skip
TYRES = business(
    name="Rapid Tyres",
    language="en",
    region="GB",
    facts={"Price": "from 60 pounds a tyre", "Service area": "Leeds and Bradford"},
    fields=[
        {"name": "name", "required": True},
        {"name": "car", "label": "car", "required": True, "ask": "What car is it?"},
        {"name": "plate", "label": "registration", "required": False},
        {"name": "tyres", "label": "number of tyres", "required": True, "ask": "How many tyres?"},
        {"name": "problem", "label": "problem", "required": True, "ask": "What happened?"},
        {"name": "phone", "type": "phone", "required": True},
        {"name": "email", "label": "email", "required": False},
        {"name": "when", "type": "time", "required": True},
    ],
    end_reasons=[
        {"name": "emergency", "when": "somebody is hurt or in danger"},
        {"name": "complaint", "when": "the caller complains about earlier work", "needs": ["name", "phone"]},
        {"name": "job_applicant", "when": "the caller looks for work"},
        {"name": "wrong_number", "when": "a wrong number"},
    ],
)
FERRY = business(
    name="Island Line",
    language="en",
    region="GB",
    facts={"Price": "from 40 pounds"},
    fields=[
        {"name": "destination", "required": True, "ask": "Where are you going?"},
        {"name": "passengers", "label": "number of passengers", "required": True, "ask": "How many people?"},
        {
            "name": "occasion",
            "type": "choice",
            "required": True,
            "choices": {"wedding": [], "day out": ["all day"], "concert": ["gig"]},
        },
        {"name": "sailing", "type": "time", "required": True},
        {"name": "name", "required": True},
        {"name": "phone", "type": "phone", "required": True},
        {"name": "cabin", "label": "cabin size"},
    ],
    end_reasons=[
        {"name": "emergency", "when": "a passenger is in danger or stranded", "needs": ["phone"]},
        {"name": "human", "when": "the caller insists on a person", "then": {"dial": "+442071838750"}},
        {"name": "job_applicant", "when": "the caller looks for work"},
    ],
)
CAMP = business(
    name="קייטנת שמש",
    facts={"מחיר": "900 שקלים לשבוע"},
    fields=[
        {"name": "camper", "label": "שם החניך", "required": True, "ask": "איך קוראים לחניך?"},
        {"name": "town", "label": "יישוב", "required": True, "ask": "מאיזה יישוב?"},
        {"name": "shirt", "label": "מידה", "ask": "איזו מידת חולצה?"},
        {"name": "phone", "type": "phone", "required": True},
        {"name": "start", "type": "time", "required": True},
    ],
    end_reasons=[{"name": "supplier", "when": "ספק שמציע סחורה"}],
)
STUDIO = business(
    name="סטודיו תנועה",
    facts={"מחיר": "250 שקלים לחודש", "שיעור ניסיון": "שיעור ניסיון חינם"},
    fields=[
        {"name": "child_name", "label": "שם הילדה", "required": True},
        {"name": "age", "label": "גיל", "required": True, "ask": "באיזה גיל?"},
        {
            "name": "style",
            "type": "choice",
            "label": "סגנון",
            "required": True,
            "choices": {
                "בלט": ["קלאסי"],
                "היפ הופ": ["ברייקדאנס"],
                "מודרני": ["ג'אז"],
                "לא סדיר": ["לא קבוע"],
            },
        },
        {"name": "phone", "type": "phone", "required": True},
        {"name": "experience", "label": "ניסיון קודם", "ask": "יש ניסיון קודם?"},
    ],
    end_reasons=[{"name": "wrong_number", "when": "טעות"}],
)


def values(to: Business, text: str, asked: str | None = None) -> dict[str, str]:
    """The values of one turn, by field."""
    return dict(read(prepare(to), Asked("field", asked) if asked else Asked("help"), text).values)


FILED = [
    # what was asked is one thing, what was said another
    (KENNEL, "ויש הנחה לשבועיים?", "dog_name", {}),
    (KENNEL, "סליחה", "dog_age", {}),
    (KENNEL, "לולי, היא בת ארבע", "dog_name", {"dog_name": "לולי", "dog_age": "בת ארבע"}),
    (KENNEL, "לכלבה שלי קוראים שוקו", "dog_name", {"dog_name": "שוקו"}),
    (KENNEL, "הכלב שלי קוראים לו רקס", "dog_name", {"dog_name": "רקס"}),
    (KENNEL, "קוראים לה מוקה", "dog_name", {"dog_name": "מוקה"}),
    (KENNEL, "קוראים לו צ'רלי", "owner_name", {"dog_name": "צ'רלי"}),
    (KENNEL, "יש לי כלבה בשם לאקי", None, {"dog_name": "לאקי"}),
    (KENNEL, "שם הכלב? קוראים לו בונו", "dog_name", {"dog_name": "בונו"}),
    (KENNEL, "השם של הכלב הוא טופי", "owner_name", {"dog_name": "טופי"}),
    (KENNEL, "קוראים לי איתי שגב", "owner_name", {"owner_name": "איתי שגב"}),
    (KENNEL, "קוראים לי דורון פז", "dog_name", {"owner_name": "דורון פז"}),
    (KENNEL, "מדברת אורית, אורית כספי", "owner_name", {"owner_name": "אורית כספי"}),
    (KENNEL, "אני גיא, גיא לבון", "owner_name", {"owner_name": "גיא לבון"}),
    (KENNEL, "שלום רב, אני מחברת שליחויות", None, {}),
    (KENNEL, "משהו כמו חמישה לילות", "days", {"days": "משהו כמו חמישה לילות"}),
    (KENNEL, "איזה 10 לילות", "days", {"days": "10 לילות"}),
    (KENNEL, "אני רוצה להשאיר אותו לשבעה לילות", None, {"days": "לשבעה לילות"}),
    (KENNEL, "הוא בן תשע וחצי", "dog_age", {"dog_age": "בן תשע וחצי"}),
    (KENNEL, "אנחנו חושבים על סוף מאי", "arrival", {"arrival": "סוף מאי"}),
    (KENNEL, "בשבוע הבא, עדיף בבוקר", "arrival", {"arrival": "בשבוע הבא, עדיף בבוקר"}),
    (KENNEL, "אין לו שום אלרגיות", None, {"allergies": "אין לו שום אלרגיות"}),
    (KENNEL, "המייל שלי דנה לוי שטרודל וואלה נקודה קום", None, {"email": "דנהלוי@walla.com"}),
    (KENNEL, "כן עכשיו נכון", "arrival", {}),
    (STUDIO, "נחמד. זה לבת שלי, נועה אלמוג", "child_name", {"child_name": "נועה אלמוג"}),
    (STUDIO, "לבת שלי תמר כהן, בת 11, שיעורי בלט", None, {"child_name": "תמר כהן", "age": "בת 11", "style": "בלט"}),
    (STUDIO, "ויש שיעור ניסיון?", "child_name", {}),
    (STUDIO, "רציתי לברר על היפ הופ", None, {"style": "היפ הופ"}),
    (STUDIO, "בלט, לא רגע, מודרני", "style", {"style": "מודרני"}),
    (STUDIO, "משהו לא קבוע", "style", {"style": "לא סדיר"}),
    (STUDIO, "אין לה שום ניסיון", None, {"experience": "אין לה שום ניסיון"}),
    (TYRES, "I've got a 2015 Toyota Corolla and it has a flat", None, {"car": "2015 Toyota Corolla"}),
    (TYRES, "it's a Ford Fiesta", "car", {"car": "Ford Fiesta"}),
    (TYRES, "my wheel cracked over the weekend", "name", {"problem": "my wheel cracked over the weekend"}),
    (TYRES, "nobody came this week", "phone", {"problem": "nobody came this week"}),
    (TYRES, "no, not the Ford", "when", {}),
    (TYRES, "two tyres", "car", {"tyres": "two tyres"}),
    (TYRES, "about four tyres please", "tyres", {"tyres": "about four tyres"}),
    (TYRES, "do you come to Leeds?", "tyres", {}),
    (TYRES, "sorry about that", "car", {}),
    (TYRES, "The car? It's a Kia Picanto", "when", {"car": "Kia Picanto"}),
    (TYRES, "I hit a kerb on the ring road", "name", {"problem": "I hit a kerb on the ring road"}),
    (TYRES, "a nail went in, that's the problem", "when", {"problem": "nail went in"}),
    (TYRES, "my email is kayla b at yahoo dot com", "name", {"email": "kaylab@yahoo.com"}),
    (TYRES, "I'm Josh, Josh Whitman", "name", {"name": "Josh Whitman"}),
    (TYRES, "07700 900123", "tyres", {"phone": "+447700900123"}),
    (TYRES, "Oh wait, I work Mondays, let's do Wednesday morning", "when", {"when": "Wednesday morning"}),
    (FERRY, "We'd like to sail to Guernsey in June", None, {"destination": "Guernsey", "sailing": "in June"}),
    (FERRY, "It's just me and my sister", "destination", {}),
    (FERRY, "seven people, and it's to, um, Mull", "sailing", {"passengers": "seven people", "destination": "Mull"}),
    (FERRY, "Make it Jersey instead of Mull", "destination", {"destination": "Jersey"}),
    (FERRY, "the twenty first of August", "destination", {"sailing": "the twenty first of August"}),
    (FERRY, "we'd love a gig", "occasion", {"occasion": "concert"}),
    (FERRY, "I'm all set", "phone", {}),
    (FERRY, "I'm Oonagh Fitch", "sailing", {"name": "Oonagh Fitch"}),
    (FERRY, "there's about forty of us", "destination", {"passengers": "about forty of us"}),
    (FERRY, "that's correct", "passengers", {}),
    (FERRY, "Actually Sunday works, like in the evening", "sailing", {"sailing": "Sunday works, like in the evening"}),
    (CAMP, "שלום, מדברת סיגלית ורנר, רציתי לרשום לקייטנה", None, {"camper": "סיגלית ורנר"}),
    (CAMP, "אנחנו מכפר יונה", "camper", {"town": "כפר יונה"}),
    (CAMP, "אני גרה בקריית גת", "phone", {"town": "קריית גת"}),
    (CAMP, "אני מחפשת משהו לאוגוסט", "camper", {"start": "לאוגוסט"}),
    (CAMP, "אני רוצה מידה שמונה", "phone", {"shirt": "שמונה"}),
    (CAMP, "הם קמים בבוקר עם חום", "camper", {}),
    (TYRES, "could I come in tomorrow after work", "when", {"when": "tomorrow after work"}),
]  # fmt: skip


@pytest.mark.parametrize(("to", "text", "asked", "expected"), FILED)
def test_details_are_filed_where_they_belong(
    to: Business, text: str, asked: str | None, expected: dict[str, str]
) -> None:
    """What a field can hold at all decides, and not only what was asked last."""
    assert values(to, text, asked) == expected


SORTS = [
    ("age", "גיל", "", "age"),
    ("guests", "מספר אורחים", "כמה אורחים?", "number"),
    ("ref", "מספר הזמנה", "מה מספר ההזמנה?", ""),
    ("plate", "מספר רישוי", "", "id"),
    ("car_model", "דגם הרכב", "", "vehicle"),
    ("story", "תיאור", "במה מדובר, בכמה מילים?", "problem"),
    ("party", "", "How many people?", "number"),
    ("make", "brand of the unit", "", "brand"),
    ("garden", "size of your garden", "", ""),
]


@pytest.mark.parametrize(("name", "label", "ask", "sort"), SORTS)
def test_sorts_are_told_by_names_labels_and_questions(name: str, label: str, ask: str, sort: str) -> None:
    """A number that counts is not a number that names."""
    assert sort_of(name, label, ask) == sort


ENDS = [
    (KENNEL, ["הצילו, הכלב שלי בלע רעל והוא מפרפר"], "emergency"),
    (KENNEL, ["אני ספק שלכם, לגבי האוכל לכלבים"], "supplier"),
    (KENNEL, ["כבר סגרנו אצלכם שבוע באוגוסט ורציתי לשנות", "רון אשד", "0521112222"], "existing_booking"),
    (KENNEL, ["זה לא מקרה חירום, רק רציתי לשאול"], None),
    (TYRES, ["someone is hurt, there's blood everywhere"], "emergency"),
    (TYRES, ["I don't need an emergency visit, thanks"], None),
    (TYRES, ["you messed up my wheel last week", "Amy Stone", "07700900123"], "complaint"),
    (KENNEL, ["הזמנתי אצלכם מקום לפני שבועיים", "רון אשד", "0521112222"], "existing_booking"),
    (KENNEL, ["אני לא לקוח שלכם עדיין, רציתי מקום"], None),
    (TYRES, ["I saw your job posting"], "job_applicant"),
    (TYRES, ["are you hiring fitters?"], "job_applicant"),
    (TYRES, ["is this the post office?", "oh sorry, my mistake, bye"], "wrong_number"),
    (STUDIO, ["שלום, הגעתי לקופת חולים?", "אוי, סליחה, התבלבלתי, ביי"], "wrong_number"),
    (FERRY, ["we're stranded on the island", "07700 900123"], "emergency"),
    (FERRY, ["can I talk to the captain please", "no, put me through to the captain"], "human"),
    (FERRY, ["are you looking for any staff?"], "job_applicant"),
    (CAMP, ["אני סוכנת של חברת צעצועים"], "supplier"),
    (CAMP, ["כמה זה עולה?", "עזוב, זה יקר לי מדי, ביי"], "customer_declined"),
    (CAMP, ["קוראים לי דן", "לא, אני אמצא מקום אחר"], "customer_declined"),
    (STUDIO, ["היי", "עזבו, מצאתי סטודיו ליד הבית, לא צריך"], "customer_declined"),
]


@pytest.mark.parametrize(("to", "turns", "reason"), ENDS)
def test_reasons_to_end_are_heard_and_denials_are_not(
    to: Business, turns: list[str], reason: str | None
) -> None:
    """What is needed is collected first, and then the call ends for that reason."""
    call = Talk(to)
    for turn in turns[:-1]:
        call.say(turn)
        assert call.ended is None, turn
    call.say(turns[-1])
    assert call.ended == reason


def test_what_stands_instead_of_a_value_replaces_it() -> None:
    """The new value without the old one, whatever was asked in between."""
    call = Talk(FERRY)
    call.say("We want to sail to Mull", "six people", "so make it Jersey instead of Mull")
    assert call.lead["destination"] == "Jersey"


MENDED = [
    (["יש לי כלב, 5 לילות", "רגע, תתקנו, זה יהיה שבעה לילות ולא חמישה"], "days", "שבעה לילות"),
    (["קוראים לי גיא לבון, 0521112222", "לא לא, סליחה, התבלבלתי, זה 0521112233"], "phone", "+972521112233"),
    (["קוראים לי גיא לבון", "רקס", "הוא כלב, לברדור"], "owner_name", "גיא לבון"),
    (["קוראים לי גיא לבון", "רקס", "הוא כלב, לברדור"], "dog_name", "רקס"),
]


@pytest.mark.parametrize(("turns", "name", "value"), MENDED)
def test_only_corrections_correct(turns: list[str], name: str, value: str) -> None:
    """A correction changes what it is about, and a description changes nothing."""
    call = Talk(KENNEL)
    call.say(*turns)
    assert call.lead[name] == value


def test_keys_are_the_phone_whatever_was_asked() -> None:
    """Who types a number while a name is asked for has given the number."""
    call = Talk(KENNEL)
    call.say("שלום")
    call.press("0521234567")
    assert call.lead == {"phone": "+972521234567"}


def test_after_a_wait_the_first_missing_field_is_asked() -> None:
    """The question that was open is still open."""
    call = Talk(TYRES)
    first = call.say("hello")
    call.say("hold on")
    assert "name" in first.lower()
    assert "name" in call.say("right, I'm back").lower()


@pytest.mark.parametrize(
    ("detail", "ends"),
    [
        ("silent for 8 seconds, 2 in a row", None),
        ("silent for 8 seconds, 3 in a row; no_response is allowed now", "no_response"),
    ],
)
def test_silence_ends_only_when_allowed(detail: str, ends: str | None) -> None:
    """The engine's own words about a silence."""
    call = Talk(STUDIO)
    call.say("שלום")
    call.ask(Occasion.SILENCE, detail)
    assert call.ended == ends


def test_bad_news_gets_no_cheer() -> None:
    """Nobody says "gladly" to an accident."""
    call = Talk(TYRES)
    assert "happy" not in call.say("I had an accident and my car is stuck")
