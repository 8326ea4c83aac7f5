"""Strangers at the door: where they come from, how many may wait, and what is said of them.

The server stands on a public address. Whoever has not shown a signature yet waits in a room with few
places; when it is full, the one who has waited longest makes room, first among those of the same
address. So a flood pushes itself out, and nobody is ever shut out: Twilio's requests come from many
addresses, perhaps through the proxy that a flood comes through, and wait for milliseconds only.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import Counter
from collections.abc import Iterable
from typing import Generic, TypeVar

_Guest = TypeVar("_Guest")
_LINES = 20
_WINDOW_SECONDS = 60.0

_log = logging.getLogger(__name__)


def address_of(peer: str | None, forwarded_for: Iterable[str] = ()) -> str | None:
    """Where a client is, as far as its peer can be believed; None if it cannot be known.

    A peer of this machine or of a private network is a proxy, and the last address that it has
    added to ``X-Forwarded-For`` is its client's. From anywhere else the header is only a claim.
    """
    if peer is None or (found := _ip(peer)) is None:
        return None
    if not found.is_private:
        return str(found)
    last = ",".join(forwarded_for).rpartition(",")[2].strip()
    client = _ip(last)
    return None if client is None else str(client)


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


class WaitingRoom(Generic[_Guest]):
    """Guests in the order in which they came: at most ``places``, of one address ``places_of_one``."""

    def __init__(self, places: int, places_of_one: int) -> None:
        self._places, self._places_of_one = places, places_of_one
        self._guests: dict[_Guest, str | None] = {}
        self._of: Counter[str | None] = Counter()

    def enter(self, guest: _Guest, address: str | None) -> _Guest | None:
        """Let a guest in. Who has to leave for it, and has left the room already."""
        leaving = None
        if address is not None and self._of[address] >= self._places_of_one:
            leaving = next(other for other, place in self._guests.items() if place == address)
        elif len(self._guests) >= self._places:
            leaving = next(iter(self._guests))
        if leaving is not None:
            self.leave(leaving)
        self._guests[guest] = address
        self._of[address] += 1
        return leaving

    def leave(self, guest: _Guest) -> None:
        """A guest waits no more. Idempotent."""
        if guest in self._guests:
            address = self._guests.pop(guest)
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]


class Refusals:
    """Counts everything that was refused, and logs a little of it: a flood must not fill the disk."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._said: Counter[str] = Counter()
        self._since = time.monotonic()

    def note(self, count: str, message: str, **facts: object) -> None:
        """Something was refused; of each sort a few lines a minute are logged."""
        self._counts[count] += 1
        if time.monotonic() - self._since > _WINDOW_SECONDS:
            for sort, times in self._said.items():
                if times > _LINES:
                    _log.warning(
                        "refused, and not logged one by one", extra={"sort": sort, "times": times - _LINES}
                    )
            self._said.clear()
            self._since = time.monotonic()
        self._said[count] += 1
        if self._said[count] <= _LINES:
            _log.warning(message, extra=facts)
