"""All checks in their order, and how they are run: bounded in time, and none can break the diagnosis."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from callbot.doctor import (
    database,
    greetings,
    keys,
    machine,
    offline_speech,
    parts,
    phone,
    retirement,
    servers,
    sound_card,
)
from callbot.doctor.bounded import within
from callbot.doctor.finding import EVERY, SERVE, STORING, TALK, Check, Finding, Setup

SECONDS = 12.0
"""For one check: imports of a cold machine, and every deadline within a check, fit in."""

CHECKS = (
    Check("python", EVERY, machine.python),
    Check("extras", EVERY, machine.extras),
    Check("keys", EVERY, keys.examine),
    Check("database", STORING, database.examine),
    Check("models and voices", EVERY, parts.examine),
    Check("retirement", EVERY, retirement.examine),
    Check("servers", EVERY, servers.examine),
    Check("greetings", TALK | SERVE, greetings.examine),
    Check("sound card", TALK, sound_card.examine),
    Check("espeak", TALK, offline_speech.espeak),
    Check("whisper", TALK, offline_speech.whisper),
    Check("phone", SERVE, phone.examine),
)

_SECRET = re.compile(r"(_KEY|_TOKEN|_SID|_SECRET|PASSWORD)$")
"""Names of variables that hold what nobody else may know."""
_PASSWORD = re.compile(r"://[^/\s@]*:([^/\s@]+)@")
_SHORTEST, _LONGEST_REGION = 4, 24
"""Characters of what is hidden (less would hide half of every sentence), and of Azure's regions."""


def examine(setup: Setup, checks: Iterable[Check] = CHECKS, seconds: float = SECONDS) -> Iterator[Finding]:
    """What every check finds, one after the other; one that breaks, or does not end, is a finding too."""
    for check in checks:
        try:
            yield from within(seconds, partial(_all, check, setup))
        except TimeoutError:
            said = f"did not come to an end within {seconds:g} s"
            yield Finding(check.name, setup.broken(check.modes), said, "look whether what it asks hangs")
        except Exception as error:  # noqa: BLE001 - whatever broke, the other checks are still worth having
            said = f"could not be examined: {type(error).__name__}: {error}"
            yield Finding(check.name, setup.broken(check.modes), said, "mend that, or report it as a bug")


def _all(check: Check, setup: Setup) -> list[Finding]:
    return list(check.examine(setup))


def secrets(environ: Mapping[str, str], setup: Setup) -> list[str]:
    """Values that may stand in no output, whatever an error message holds; the longest first."""
    signing = {business.deliver.secret_env for business in setup.businesses if business.deliver}
    named = {
        value.strip() for name, value in environ.items() if name in signing or _SECRET.search(name.upper())
    }
    swapped = environ.get(
        "AZURE_SPEECH_REGION", ""
    )  # no region is so long; a key that stands in its place is
    texts = [str(value) for value in (*environ.values(), *vars(setup.settings).values())]
    texts += [
        name for business in setup.businesses for name in (business.voice.tts, business.voice.stt) if name
    ]
    in_urls = {password for text in texts for password in _PASSWORD.findall(text)}
    values = named | in_urls | ({swapped} if len(swapped) > _LONGEST_REGION else set())
    return sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)


def masked(finding: Finding, hidden: Iterable[str]) -> Finding:
    """The same without any of these values."""
    texts = [finding.name, finding.detail, finding.remedy]
    for value in hidden:
        texts = [text.replace(value, "***") for text in texts]
    return Finding(texts[0], finding.status, texts[1], texts[2])
