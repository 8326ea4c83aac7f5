"""Invented businesses of different trades, and a helper that plays a caller against the offline model.

``Talk`` does what the engine does around a model, and checks of every reply what must always hold.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import Any

from callbot.business import BUILT_IN_REASONS, Business
from callbot.events import BotSaid, CallerSaid, Control, Heard, Occasion, SpeechKind
from callbot.models.base import Delta, Finished, Request
from callbot.models.offline import OfflineModel

NOW = dt.datetime(2026, 11, 27, 10, 0)  # a Friday


def business(**keys: Any) -> Business:
    """A business from the keys that matter to a test."""
    hebrew = keys.setdefault("language", "he") == "he"
    keys.setdefault("greeting", {"text": "שלום, איך אפשר לעזור?" if hebrew else "Hello, how can I help?"})
    return Business.model_validate({"id": "invented", "name": "x", "prompt": "x", **keys})


DENTIST = business(
    name="מרפאת שן טובה",
    hours={"sun-thu": "09:00-19:00", "fri": "09:00-12:00"},
    facts={
        "מחיר בדיקה": "180 שקלים",
        "כתובת": "הרצל 12, רמת גן",
        "חניה": "יש חניון מתחת לבניין",
        "קופות חולים": "מכבי וכללית",
    },
    fields=[
        {"name": "full_name", "label": "שם מלא", "required": True, "ask": "מה השם המלא שלך?"},
        {"name": "phone", "type": "phone", "required": True, "ask": "לאיזה מספר נוכל לחזור?"},
        {
            "name": "treatment",
            "type": "choice",
            "label": "סוג הטיפול",
            "required": True,
            "choices": {
                "ניקוי אבנית": ["אבנית", "שיננית"],
                "סתימה": ["חור בשן", "סתימות"],
                "עקירה": ["לעקור", "שן בינה"],
                "אחר": [],
            },
        },
        {"name": "preferred_time", "type": "time", "label": "מועד", "required": True},
        {"name": "notes", "label": "הערות"},
    ],
    end_reasons=[
        {
            "name": "emergency",
            "when": "מקרה חירום רפואי: דימום חזק, נפיחות או קושי בנשימה",
            "needs": ["phone"],
        },
        {
            "name": "existing_appointment",
            "when": "the caller already has an appointment and wants to change or cancel it",
            "needs": ["full_name", "phone"],
        },
    ],
)
TOWING = business(
    name="גרר הצפון",
    facts={"מחיר גרירה": "החל מ-350 שקלים", "זמן הגעה": "עד 40 דקות", "אזור שירות": "חיפה והקריות"},
    phone_numbers=["+97248000000"],
    fields=[
        {"name": "location", "label": "מיקום הרכב", "required": True, "ask": "איפה הרכב נמצא?"},
        {"name": "car_model", "label": "דגם הרכב", "required": True},
        {"name": "problem", "label": "מה התקלה", "required": True, "ask": "מה קרה לרכב?"},
        {"name": "phone", "type": "phone", "required": True},
    ],
    end_reasons=[
        {
            "name": "agent",
            "when": "the caller asks for a person",
            "needs": ["phone"],
            "then": {"dial": "+972500000000"},
        }
    ],
)
MOVERS = business(
    name="Swift Movers",
    language="en",
    region="US",
    hours={"mon-fri": "08:00-18:00", "sat": "09:00-14:00"},
    facts={
        "price": "from 90 dollars an hour",
        "area": "the greater Boston area",
        "insurance": "every move is insured up to 50,000 dollars",
    },
    fields=[
        {"name": "full_name", "required": True},
        {"name": "phone", "type": "phone", "required": True},
        {
            "name": "from_address",
            "label": "pickup address",
            "required": True,
            "ask": "Where are you moving from?",
        },
        {
            "name": "to_address",
            "label": "destination address",
            "required": True,
            "ask": "And where are you moving to?",
        },
        {
            "name": "home_size",
            "type": "choice",
            "label": "size of the home",
            "required": True,
            "choices": {
                "studio": [],
                "1 bedroom": ["one bedroom", "one bed"],
                "2 bedrooms": ["two bed"],
                "3 bedrooms or more": ["house", "three bedrooms", "four bedrooms"],
            },
        },
        {"name": "moving_date", "type": "time", "required": True, "ask": "When is the move?"},
        {"name": "comments"},
    ],
    end_reasons=[
        {"name": "human_agent", "when": "the caller insists on speaking to a human"},
        {"name": "wrong_number", "when": "the caller dialled a wrong number"},
        {"name": "spam", "when": "a salesperson or spam call"},
    ],
)
LAWYER = business(
    name="משרד עורכי דין כהן",
    facts={"פגישת ייעוץ": '450 שקלים כולל מע"מ', "תחומי עיסוק": "נזיקין, דיני עבודה ומשפחה"},
    fields=[
        {"name": "name", "label": "שם", "required": True},
        {"name": "case_summary", "label": "נושא הפנייה", "required": True, "ask": "במה מדובר, בכמה מילים?"},
        {"name": "has_documents", "label": "מסמכים", "required": True, "ask": "האם יש מסמכים בכתב?"},
        {"name": "email", "label": "כתובת מייל", "required": True},
        {"name": "phone", "type": "phone"},
    ],
    end_reasons=[{"name": "existing_client", "when": "לקוח קיים של המשרד ששואל על התיק שלו"}],
)
PIZZA = business(
    name="Bella Pizza Catering",
    language="en",
    facts={
        "minimum order": "20 people",
        "delivery": "free within 10 miles",
        "gluten free": "we have gluten free crust on request",
    },
    fields=[
        {"name": "name", "required": True, "ask": "Who am I speaking with?"},
        {
            "name": "guests",
            "label": "number of guests",
            "required": True,
            "ask": "How many guests will there be?",
        },
        {
            "name": "menu",
            "type": "choice",
            "required": True,
            "choices": {
                "classic": ["margherita", "regular"],
                "vegan": ["plant based"],
                "deluxe": ["premium"],
            },
        },
        {"name": "event_time", "type": "time", "required": True},
        {"name": "email", "required": False},
        {"name": "phone", "type": "phone", "required": True},
    ],
)
SCHOOL = business(
    name="בית ספר לשפות בבל",
    facts={"מחיר": "1200 שקלים לקורס", "אורך הקורס": "12 שבועות", "גודל קבוצה": "עד 8 תלמידים"},
    fields=[
        {"name": "student_name", "label": "שם התלמיד", "required": True, "ask": "מה שם התלמיד או התלמידה?"},
        {
            "name": "language",
            "type": "choice",
            "label": "שפה",
            "required": True,
            "choices": ["אנגלית", "ספרדית", "צרפתית"],
        },
        {
            "name": "level",
            "type": "choice",
            "label": "רמה",
            "required": True,
            "choices": {"מתחילים": ["מתחיל", "מאפס"], "ממשיכים": ["בינוני"], "מתקדמים": []},
        },
        {"name": "phone", "type": "phone", "required": True},
    ],
)
CALLBACK = business(
    name="One Field Ltd",
    language="en",
    region="GB",
    fields=[{"name": "phone", "type": "phone", "required": True}],
)
SURVEY = business(
    name="Garden Club",
    language="en",
    fields=[
        {"name": "first_name", "required": True},
        {"name": "garden_size", "label": "size of your garden", "required": True},
        {
            "name": "has_pets",
            "type": "choice",
            "label": "pets",
            "ask": "Do you have any pets?",
            "choices": ["yes", "no"],
            "required": True,
        },
    ],
)
ALL = (DENTIST, TOWING, MOVERS, LAWYER, PIZZA, SCHOOL, CALLBACK, SURVEY)


def reply_to(request: Request) -> dict[str, Any]:
    """The reply object, through the public interface."""

    async def collect() -> str:
        pieces = [piece async for piece in OfflineModel().stream(request)]
        assert isinstance(pieces[-1], Finished)
        assert pieces[-1].reason == "stop"
        return "".join(piece.text for piece in pieces if isinstance(piece, Delta))

    result: dict[str, Any] = json.loads(asyncio.run(collect()))
    return result


class Talk:
    """One call. ``say`` gives the bot's words; the rest of its last reply is in ``control`` and ``lead``."""

    def __init__(self, to: Business, caller_number: str | None = "+972541112233") -> None:
        self.business, self.caller_number = to, caller_number
        self.history: list[Heard] = [BotSaid(to.greeting.text, kind=SpeechKind.GREETING)]
        self.lead: dict[str, str] = {}
        self.control: dict[str, Any] = {}
        self.words = to.greeting.text

    @property
    def missing(self) -> list[str]:
        return [name for name in self.business.required if name not in self.lead]

    @property
    def ended(self) -> str | None:
        """The reason of the request to end, if the last reply made one."""
        return self.control.get("end_reason")

    def ask(self, occasion: Occasion = Occasion.CALLER_SPOKE, detail: str = "") -> str:
        """Put the call as it stands to the model, check the reply and take it in."""
        request = Request(
            self.business, tuple(self.history), dict(self.lead), tuple(self.missing), occasion, detail, NOW,
            self.caller_number, 10.0,
        )  # fmt: skip
        reply = reply_to(request)
        self._check(reply)
        values = {name: value for name, value in reply["lead"].items() if value is not None}
        self.lead.update(values)
        self.control, self.words = reply["control"], reply["spoken_reply"]
        assert self.control["missing_fields"] == self.missing
        if self.control["lead_status"] == "complete":
            assert not self.missing
        control = Control(
            self.control["should_end_call"], self.ended, self.control["lead_status"], tuple(self.missing)
        )
        self.history.append(BotSaid(self.words, turn=len(self.history), control=control, lead=values))
        return self.words

    def _check(self, reply: dict[str, Any]) -> None:
        assert list(reply) == ["spoken_reply", "control", "lead"]
        assert list(reply["control"]) == [
            "should_end_call", "end_reason", "lead_status", "missing_fields", "notes",
        ]  # fmt: skip
        assert list(reply["lead"]) == [field.name for field in self.business.fields]
        for field in self.business.fields:
            value = reply["lead"][field.name]
            assert value is None or field.normalised(value, self.business.phone_region) == value
        control = reply["control"]
        assert (control["end_reason"] is not None) == control["should_end_call"]
        assert control["end_reason"] in {None, *BUILT_IN_REASONS, *self.business.reasons}
        assert not (control["should_end_call"] and "?" in reply["spoken_reply"])
        assert "{" not in reply["spoken_reply"]
        if not control["should_end_call"]:
            assert reply["spoken_reply"]
        if control["end_reason"] == "customer_declined":
            assert control["lead_status"] == "declined"

    def say(self, *texts: str) -> str:
        """The caller's turns, one after the other; the bot's words to the last."""
        for text in texts:
            self.history.append(CallerSaid(text))
            self.ask()
        return self.words

    def press(self, keys: str) -> str:
        """Keys of the caller's phone."""
        self.history.append(CallerSaid("", keys))
        return self.ask()

    def bot(self, text: str, **control: Any) -> Talk:
        """Something the bot (another model, perhaps) said."""
        self.history.append(BotSaid(text, turn=len(self.history), control=Control(**control)))
        return self
