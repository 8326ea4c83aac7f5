"""Signatures against Twilio's published vectors and its own validator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from callbot.carrier.signature import sign

FIELDS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}


@pytest.mark.parametrize(
    ("url", "caller", "signature"),
    [
        ("https://mycompany.com/myapp.php?foo=1&bar=2", "+14158675309", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://example.com/myapp.php?foo=1&bar=2", "+14158675310", "L/OH5YylLD5NRKLltdqwSvS0BnU="),
        (
            "https://user:pw@example.com:8443/myapp.php?foo=1&bar=2#rc=3",
            "+14158675310",
            "L/OH5YylLD5NRKLltdqwSvS0BnU=",
        ),
    ],
)
def test_vectors(url, caller, signature):
    """Over TLS neither user nor port is signed; a fragment never is."""
    assert sign("12345", url, {**FIELDS, "Caller": caller, "From": caller}) == signature


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(TEXT, TEXT, max_size=6), TEXT.filter(bool))
def test_the_sdk_accepts_what_we_sign(fields, token):
    """Any fields, untrimmed, in any language."""
    for url in ("http://127.0.0.1:8000/incoming", "https://bot.example.com/incoming"):
        assert RequestValidator(token).validate(url, fields, sign(token, url, fields))


def test_a_handshake_is_signed_without_fields():
    """With its own scheme."""
    url = "wss://bot.example.com/media"
    assert RequestValidator("t").validate(url, {}, sign("t", url))
    assert not RequestValidator("t").validate("https://bot.example.com/media", {}, sign("t", url))
