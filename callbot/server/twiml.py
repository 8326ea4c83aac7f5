"""The documents that Twilio is answered with, by its SDK's builder, which escapes what it is given."""

from __future__ import annotations

from twilio.twiml.voice_response import Connect, Dial, VoiceResponse

NONCE = "nonce"
"""The stream's parameter that lets its socket in."""


def connect(
    socket_url: str, status_url: str, after_url: str, nonce: str, greeting_url: str | None = None
) -> str:
    """Play the greeting, if the carrier is to; open the stream; ask what comes after it."""
    response = VoiceResponse()
    if greeting_url is not None:
        response.play(greeting_url)
    opening = Connect()
    stream = opening.stream(url=socket_url, status_callback=status_url, status_callback_method="POST")
    stream.parameter(name=NONCE, value=nonce)
    response.append(opening)
    response.redirect(after_url, method="POST")
    return str(response)


def dial(number: str, timeout: int, action_url: str) -> str:
    """Connect the caller to a number; ``action_url`` is asked what to do once that is over."""
    response = VoiceResponse()
    dialling = Dial(timeout=timeout, action=action_url, method="POST")
    dialling.number(number)
    response.append(dialling)
    return str(response)


def goodbye(clip_url: str | None = None) -> str:
    """Hang up, after a recorded sentence if there is one."""
    response = VoiceResponse()
    if clip_url is not None:
        response.play(clip_url)
    response.hangup()
    return str(response)


def reject(reason: str) -> str:
    """Turn a call away before it is answered: ``busy``, or ``rejected`` (not in service)."""
    response = VoiceResponse()
    response.reject(reason=reason)
    return str(response)


def nothing() -> str:
    """An empty document, for callbacks."""
    return str(VoiceResponse())
