"""What ``callbot serve`` needs beyond its parts: an address, Twilio's account, numbers, voices for people."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from callbot.doctor.finding import SERVE, Finding, Setup
from callbot.doctor.surroundings import TWILIO
from callbot.errors import CallbotError
from callbot.server.options import admin_token, credentials, public_url

SECONDS = 4.0
"""For the way out to the public address and back."""


def examine(setup: Setup) -> Iterator[Finding]:
    """Nothing of it is needed where nothing is served; then one line says so."""
    if "serve" not in setup.modes:
        said = "neither a public URL nor Twilio's credentials are set; only serve needs them"
        yield Finding("phone", "ok", said)
        return
    yield from _account(setup)
    yield from _address(setup)
    yield _numbers(setup)
    yield from _for_people(setup)
    yield from _recordings(setup)


def _account(setup: Setup) -> Iterator[Finding]:
    """The form of what is set; what is missing is told with the keys."""
    if all(setup.environ.get(name, "").strip() for name in TWILIO):
        try:
            credentials(setup.environ)
            yield Finding("twilio", "ok", "the account SID has the form of one")
        except CallbotError as error:
            yield Finding(
                "twilio", setup.broken(SERVE), str(error), "copy it from https://console.twilio.com"
            )
    try:
        admin_token(setup.environ)
    except CallbotError as error:
        yield Finding(
            "admin token", setup.broken(SERVE), str(error), "or leave it unset: no page is shown then"
        )


def _address(setup: Setup) -> Iterator[Finding]:
    name = "public URL"
    try:
        url = public_url(setup.settings.public_url)
    except CallbotError as error:
        remedy = (
            "public_url in callbot.toml, CALLBOT_PUBLIC_URL or serve --public-url: https://bot.example.com"
        )
        yield Finding(name, setup.broken(SERVE), str(error), remedy)
        return
    yield Finding(name, "ok", url)
    yield asyncio.run(_healthy(url))


async def _healthy(url: str) -> Finding:
    """Whether a serve answers there now. None may be running yet: that breaks nothing."""
    import httpx2

    name, remedy = "serve", f"start callbot serve, or mend the way to it (tunnel, proxy): curl {url}/healthz"
    try:
        async with asyncio.timeout(SECONDS), httpx2.AsyncClient(timeout=SECONDS) as client:
            answer = await client.get(f"{url}/healthz")
    except TimeoutError:
        return Finding(name, "warn", f"no answer from {url}/healthz within {SECONDS:g} s", remedy)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError, ValueError) as error:
        return Finding(name, "warn", f"nobody answers at {url}/healthz: {type(error).__name__}", remedy)
    if answer.status_code != 200:
        return Finding(name, "warn", f"{url}/healthz answers {answer.status_code}", remedy)
    return Finding(name, "ok", f"answers at {url}/healthz")


def _numbers(setup: Setup) -> Finding:
    answering = [business.id for business in setup.businesses if business.phone_numbers]
    if answering:
        return Finding("phone numbers", "ok", f"answered for {', '.join(answering)}")
    remedy = 'give a business phone_numbers: ["+97235550100"] in its file, or: callbot prompts import'
    return Finding("phone numbers", setup.broken(SERVE), "no business answers one", remedy)


def _for_people(setup: Setup) -> Iterator[Finding]:
    """Parts that serve refuses, because no caller should meet them."""
    for business in setup.businesses:
        voice = business.voice.tts or setup.settings.tts or ""
        ears = business.voice.stt or setup.settings.stt or ""
        if voice.startswith("espeak"):
            remedy = "choose another voice, or say serve --allow-espeak"
            yield Finding(f"voice of {business.id}", "warn", "serve refuses a robot's voice", remedy)
        if ears.startswith("oracle"):
            remedy = "choose another recogniser; for simulations: serve --simulated-callers-only"
            yield Finding(f"ears of {business.id}", "warn", "oracle hears no real caller", remedy)


def _recordings(setup: Setup) -> Iterator[Finding]:
    """Where calls are recorded, of businesses that do; serve does not start where it cannot."""
    recorded = ", ".join(business.id for business in setup.businesses if business.privacy.record_audio)
    if not recorded:
        return
    folder = setup.settings.recordings_dir.absolute() / "calls"
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield Finding("recordings", "ok", f"calls to {recorded} are recorded in {folder}")
        return
    remedy = "mend that, choose another recordings_dir, or set privacy.record_audio to false"
    said = f"calls to {recorded} cannot be recorded in {folder}: nothing can be written to {there}"
    yield Finding("recordings", setup.broken(SERVE), said, remedy)
