"""The account's phone numbers: where Twilio asks when one is dialled, and where it should.

A number is ours if a business claims it. Twilio ignores a number's voice webhook while it has a TwiML
application, and everything here while it belongs to a SIP trunk (Twilio, IncomingPhoneNumber resource).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callbot.business import read_business
from callbot.errors import CallbotError
from callbot.lines.twilio_rest import Credentials
from callbot.lookup import business_files, check_named, numbers_of
from callbot.server.addresses import CALL_STATUS, INCOMING
from callbot.store.database import Store

if TYPE_CHECKING:
    from twilio.rest import Client

REQUEST_SECONDS = 10.0
RETRIES = 2
"""Of requests that could not connect or were told to slow down."""


@dataclass(frozen=True, slots=True)
class Change:
    """One setting of a number, by its name in the REST API; empty text where there is nothing."""

    setting: str
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Number:
    """One claimed number of the account and what is to change. ``on_trunk``: nothing can be."""

    sid: str
    number: str
    business: str
    changes: tuple[Change, ...]
    on_trunk: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The claimed numbers of the account; numbers that are claimed and not the account's, by business."""

    numbers: tuple[Number, ...]
    missing: Mapping[str, str]
    unclaimed: int
    """Numbers of the account that no business claims: they are left alone."""


def claimed_numbers(store: Store | None, prompts_dir: Path) -> dict[str, str]:
    """Numbers (E.164) and the business that answers each, as ``serve`` finds them. Raises CallbotError."""
    stored = store.businesses.list() if store is not None else ()
    claimed = {number: info.id for info in stored if info.active is not None for number in info.numbers}
    for path in business_files(prompts_dir).values():
        business = read_business(path)
        check_named(business, path)
        for number in numbers_of(business):
            claimed.setdefault(number, business.id)
    return claimed


def wanted_settings(public_url: str, fallback_url: str | None) -> dict[str, str]:
    """A number's settings by their names in the REST API. Without a fallback URL, its own is left."""
    wanted = {
        "voice_application_sid": "",
        "voice_url": public_url + INCOMING,
        "voice_method": "POST",
        "status_callback": public_url + CALL_STATUS,
        "status_callback_method": "POST",
    }
    if fallback_url is not None:  # a static file: not every host lets one be posted to
        wanted |= {"voice_fallback_url": fallback_url, "voice_fallback_method": "GET"}
    return wanted


class Account:
    """The numbers of a Twilio account. Every method raises CallbotError; ``api_url``: for simulations."""

    def __init__(self, credentials: Credentials, *, api_url: str) -> None:
        from twilio.http.http_client import TwilioHttpClient
        from twilio.rest import Client

        http = TwilioHttpClient(timeout=REQUEST_SECONDS, max_retries=RETRIES)
        self._client: Client = Client(credentials.account_sid, credentials.auth_token, http_client=http)
        self._client.api.base_url = api_url

    def plan(self, claimed: Mapping[str, str], wanted: Mapping[str, str]) -> Plan:
        """Compare the account's numbers with what they should be."""
        found = self._asked(lambda: list(self._client.incoming_phone_numbers.stream(page_size=1000)))
        ours = [
            Number(
                one.sid,
                one.phone_number,
                claimed[one.phone_number],
                tuple(_changes(one, wanted)),
                bool(one.trunk_sid),
            )
            for one in found
            if one.phone_number in claimed
        ]
        there = {one.number for one in ours}
        missing = {number: business for number, business in claimed.items() if number not in there}
        return Plan(tuple(sorted(ours, key=lambda n: n.number)), missing, len(found) - len(ours))

    def apply(self, number: Number) -> None:
        """Make a number's changes."""
        settings = {change.setting: change.wanted for change in number.changes}
        self._asked(lambda: self._client.incoming_phone_numbers(number.sid).update(**settings))

    def _asked(self, ask: Any) -> Any:
        from requests import RequestException
        from twilio.base.exceptions import TwilioException, TwilioRestException

        try:
            return ask()
        except TwilioRestException as error:
            raise CallbotError(_refusal(error.status, f": {error.msg}")) from error
        except (TwilioException, RequestException, OSError) as error:
            # A page of a list that is refused comes as a plain TwilioException with the response.
            status = next((arg.status_code for arg in error.args if hasattr(arg, "status_code")), None)
            if status is not None:
                raise CallbotError(_refusal(status)) from error
            raise CallbotError(
                f"Twilio cannot be asked at {self._client.api.base_url} ({type(error).__name__}): "
                "is this machine on the network, and the address right?"
            ) from error


def _refusal(status: int, why: str = "") -> str:
    hint = "; check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN" if status == HTTPStatus.UNAUTHORIZED else ""
    return f"Twilio refuses, status {status}{why}{hint}"


def _changes(found: object, wanted: Mapping[str, str]) -> Sequence[Change]:
    had = {setting: getattr(found, setting) or "" for setting in wanted}
    return [Change(name, had[name], text) for name, text in wanted.items() if had[name] != text]


_SORRY = {
    "en": ("en-US", None, "We are sorry, we cannot take your call right now. Please call again later."),
    "he": (
        "he-IL",
        "Google.he-IL-Standard-A",
        "מצטערים, אין לנו אפשרות לענות כרגע. אפשר לנסות שוב מאוחר יותר.",
    ),
}


def fallback_twiml(language: str) -> str:
    """A document that apologises and hangs up, for when no server can be reached."""
    from twilio.twiml.voice_response import VoiceResponse

    code, voice, words = _SORRY[language]
    response = VoiceResponse()
    response.say(words, language=code, voice=voice)
    response.hangup()
    return str(response)
