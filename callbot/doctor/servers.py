"""The servers behind models, voices and recognisers: do they answer, take the key, know the model?

Asked for the list of what they offer, which costs nothing: ``GET /models`` of OpenAI's protocol, and
Azure's list of voices ("Text to speech REST API", Microsoft).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from callbot.doctor.finding import Finding, Mode, Setup
from callbot.doctor.parts import MODES_OF, Part, configured
from callbot.errors import CallbotError

if TYPE_CHECKING:
    import httpx2

SECONDS = 4.0
"""For one server, from the handshake to the last byte of its list. A call gives a handshake two."""
_SHOWN = 5


@dataclass(slots=True)
class Server:
    """One that is asked. ``wanted``: names that its list should hold."""

    url: str
    headers: dict[str, str]
    key: str
    parts: list[Part] = field(default_factory=list)
    wanted: set[str] = field(default_factory=set)

    @property
    def modes(self) -> frozenset[Mode]:
        """Modes that stand still without it."""
        return frozenset().union(*(MODES_OF[part.kind] for part in self.parts))


def examine(setup: Setup) -> Iterator[Finding]:
    """A line for each server, all asked at once; one that refuses whoever has no key is not asked without."""
    asked = _servers(setup)
    if not asked:
        yield Finding("servers", "ok", "nothing that can be used here asks one")
        return
    yield from asyncio.run(_ask_all(setup, asked))


def _servers(setup: Setup) -> list[Server]:
    servers: dict[str, Server] = {}
    for part in configured(setup):
        server = _openai(setup, part) or _azure(setup, part)
        if server is not None:
            known = servers.setdefault(server.url, server)
            known.parts.append(part)
            known.wanted |= server.wanted
    return list(servers.values())


def _openai(setup: Setup, part: Part) -> Server | None:
    key = setup.environ.get("OPENAI_API_KEY", "").strip()
    if part.openai_url is None or (part.is_openais_own and not key):
        return None
    headers = {"Authorization": f"Bearer {key or 'no-key-needed'}"}
    return Server(f"{part.openai_url}/models", headers, "OPENAI_API_KEY", wanted={part.openai_model})


def _azure(setup: Setup, part: Part) -> Server | None:
    if not part.name.startswith("azure"):
        return None
    try:
        from callbot.speech.stt import azure as stt
        from callbot.speech.tts import azure as tts

        if not (key := setup.environ.get(tts.KEY, "").strip()):
            return None
        if part.kind == "voice":
            voice = part.name.removeprefix("azure:").partition("/")[0]
            url = f"{tts.base_url(part.name)}/cognitiveservices/voices/list"
            return Server(url, {"Ocp-Apim-Subscription-Key": key}, tts.KEY, wanted={voice})
        return Server(stt.base_url(part.name), {}, stt.KEY)
    except (CallbotError, ModuleNotFoundError):  # no region, no callbot[speech]: said with the part itself
        return None


async def _ask_all(setup: Setup, servers: list[Server]) -> list[Finding]:
    import httpx2

    async with httpx2.AsyncClient(timeout=SECONDS) as client:
        return await asyncio.gather(*(_ask(setup, client, server) for server in servers))


async def _ask(setup: Setup, client: httpx2.AsyncClient, server: Server) -> Finding:
    import httpx2

    who = ", ".join(part.label for part in server.parts)
    name, bad = f"server {urlsplit(server.url).netloc.rpartition('@')[2]}", setup.broken(server.modes)
    try:
        async with asyncio.timeout(SECONDS):
            answer = await client.get(server.url, headers=server.headers)
    except TimeoutError:
        return Finding(name, bad, f"gave no answer within {SECONDS:g} s ({who})", _unreachable(server))
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError, ValueError) as error:
        why = type(error).__name__
        return Finding(name, bad, f"cannot be reached: {why} ({who})", _unreachable(server))
    if answer.status_code in (401, 403):
        return Finding(
            name, bad, f"refuses the key, with {answer.status_code} ({who})", f"check {server.key}"
        )
    if answer.status_code >= 500:
        return Finding(
            name, bad, f"answers {answer.status_code} ({who})", "look at its own log, and try again"
        )
    offered = _offered(answer)
    missing = sorted(server.wanted - set(offered)) if offered else []
    if missing:
        listed = ", ".join(offered[:_SHOWN]) + (", ..." if len(offered) > _SHOWN else "")
        detail = f"answers, but does not list {', '.join(missing)} ({who})"
        return Finding(name, "warn", detail, f"load it there, or choose what it lists: {listed}")
    return Finding(name, "ok", f"answers ({who})")


def _unreachable(server: Server) -> str:
    return f"start it, or mend its address and the way to it: curl {server.url}"


def _offered(answer: httpx2.Response) -> list[str]:
    """Names in a list of OpenAI's models or Azure's voices; none where that is not told."""
    try:
        told = answer.json()
    except ValueError:
        return []
    rows = told.get("data") if isinstance(told, dict) else told
    if answer.status_code != 200 or not isinstance(rows, list):
        return []
    names = (row.get("id") or row.get("ShortName") for row in rows if isinstance(row, dict))
    return [str(name) for name in names if name]
