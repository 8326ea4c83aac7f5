"""Intruders: requests and sockets that a careful bot refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

import websockets

from callbot.carrier.messages import Ids, Writer
from callbot.carrier.network import Network
from callbot.carrier.signature import sign
from callbot.carrier.stream import open_socket
from callbot.carrier.trouble import TwilioError
from callbot.carrier.twiml import Stream

REFUSED_WITHIN = 2.0
"""Seconds in which a socket must be closed to count as refused."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was tried, and whether the bot refused it."""

    name: str
    refused: bool
    detail: str


async def probe_webhook(network: Network, url: str, fields: Mapping[str, str]) -> Probe:
    """Post a webhook signed with another token. A 4xx is a refusal."""
    forged = {**fields, "CallSid": "CA" + "f" * 32}
    try:
        answer = await network.post(url, forged, sign("another token", url, forged))
    except TwilioError as error:
        return Probe("forged-signature", refused=False, detail=str(error))
    return Probe("forged-signature", 400 <= answer.status < 500, f"answered {answer.status}")


async def probe_socket(name: str, verb: Stream, ids: Ids, network: Network) -> Probe:
    """Open a socket that does not belong to a call, and start a stream on it."""
    signature = None if name == "unsigned-socket" else sign(network.token, verb.url)
    try:
        socket = await open_socket(verb.url, network.address, signature)
    except TwilioError as error:
        return Probe(name, refused=True, detail=str(error))
    writer = Writer(ids, verb.parameters)
    try:
        async with asyncio.timeout(REFUSED_WITHIN):
            await socket.send(writer.connected())
            await socket.send(writer.start())
            async for frame in socket:
                event = json.loads(frame).get("event") if isinstance(frame, str) else "a binary frame"
                return Probe(name, refused=False, detail=f"the bot answered with {event}")
    except TimeoutError:
        return Probe(name, refused=False, detail=f"still open after {REFUSED_WITHIN:g} s")
    except websockets.ConnectionClosed as error:
        return Probe(name, refused=True, detail=str(error))
    finally:
        await socket.close()
    return Probe(name, refused=True, detail=f"closed with {socket.close_code}")
