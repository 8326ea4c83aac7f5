"""TwiML is taken as Twilio takes it, and refused with Twilio's numbers."""

from __future__ import annotations

import re

import pytest

from callbot.carrier import twiml
from callbot.carrier.trouble import TwilioError
from callbot.carrier.twiml import read_response, read_twiml

BASE = "https://bot.example.com/webhook/incoming_call"


def body(text: str) -> bytes:
    return f"<Response>{text}</Response>".encode()


GOOD = [
    ("", []),
    ("<Play>https://a.example/x.wav</Play>", [twiml.Play("https://a.example/x.wav")]),
    ("<Play loop='0'>/g.wav</Play>", [twiml.Play("https://bot.example.com/g.wav", loop=1000)]),
    ("<Play digits='ww1'/>", [twiml.Play("", digits="ww1")]),
    ("<Say>שלום <emphasis>לך</emphasis></Say>", [twiml.Say("שלום לך")]),
    ("<Pause length='4'/><Pause/>", [twiml.Pause(4), twiml.Pause(1)]),
    (
        "<Redirect method='get'>after</Redirect>",
        [twiml.Redirect("https://bot.example.com/webhook/after", "GET")],
    ),
    (
        "<Dial action='/d'><Number>+97235550100</Number></Dial>",
        [twiml.Dial("+97235550100", "https://bot.example.com/d")],
    ),
    ("<Hangup/>", [twiml.Hangup()]),
    ("<Reject reason='busy'/>", [twiml.Reject("busy")]),
    (
        "<Connect><Stream url='wss://bot.example.com/media'><Parameter name='n' value='&lt;1&gt;'/></Stream></Connect>",
        [twiml.Stream("wss://bot.example.com/media", {"n": "<1>"})],
    ),
    ("<Connect><Stream url='ws://127.0.0.1:8000/m'/></Connect>", [twiml.Stream("ws://127.0.0.1:8000/m")]),
]


@pytest.mark.parametrize(("text", "verbs"), GOOD)
def test_verbs_are_read(text, verbs):
    """Relative URLs are relative to the document's."""
    assert read_response(body(text), "text/xml; charset=utf-8", BASE) == verbs


STREAM = "<Connect><Stream url='{}'/></Connect>"
BAD = [
    (b"", 12100, "empty"),
    (b"hello", 12100, "not XML"),
    (b"\n<?xml version='1.0'?><Response/>", 12100, "not at start"),
    (b"<Response><Say>a & b</Say></Response>", 12100, "not well-formed"),
    (b"<Response><Play></Response>", 12100, "mismatched"),
    (b"<response/>", 12100, "<response>"),
    (b"<Response>" + b" " * 65536 + b"</Response>", 11750, "65557 bytes"),
    (body("<Gather/>"), None, "<Gather>"),
    (body("<play>x</play>"), None, "<play>"),
    (body("<Connect><Room>x</Room></Connect>"), None, "<Room>"),
    (body("<Connect/>"), None, "nothing"),
    (body(STREAM.format("https://bot.example.com/m")), 31922, "wss://"),
    (body(STREAM.format("ws://bot.example.com/m")), 31922, "wss://"),
    (body(STREAM.format("bot/m")), 31923, "bot/m"),
    (body(STREAM.format("wss://bot.example.com/m?nonce=1")), 31920, "query"),
    (body("<Redirect> </Redirect>"), 12200, "<Redirect>"),
    (body("<Pause length='long'/>"), 12200, 'length="long"'),
    (body("<Redirect method='PUT'>/x</Redirect>"), 12200, "PUT"),
    (
        body(
            f"<Connect><Stream url='wss://b.example/m'><Parameter name='a' value='{'x' * 499}'/></Stream></Connect>"
        ),
        12200,
        "500",
    ),
]


@pytest.mark.parametrize(("document", "code", "says"), BAD)
def test_what_twilio_refuses_is_refused_with_its_number(document, code, says):
    """And the message names what was found."""
    with pytest.raises(TwilioError, match=re.escape(says)) as caught:
        read_response(document, "text/xml", BASE)
    assert caught.value.code == code


@pytest.mark.parametrize("kind", ["", "application/json", "text/plain"])
def test_the_content_type_must_be_xml(kind):
    """12300 otherwise."""
    with pytest.raises(TwilioError, match="12300"):
        read_response(body("<Hangup/>"), kind, BASE)


def test_plain_sockets_anywhere_only_on_request():
    """For bots behind a private network."""
    document = body(STREAM.format("ws://bot.internal/m"))
    assert read_twiml(document, BASE, plain_sockets=True) == [twiml.Stream("ws://bot.internal/m")]
