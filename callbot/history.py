"""The conversation as both sides heard it. Pure bookkeeping for ``call.py``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from callbot.events import BotSaid, CallerSaid, Control, Heard, ReplyDone, SpeechKind
from callbot.playback import Utterance


class History:
    """Caller utterances once each; of the bot, what was heard to the end of a sentence."""

    __slots__ = ("_replies", "entries")

    def __init__(self, entries: Iterable[Heard] = ()) -> None:
        self.entries: list[Heard] = list(entries)
        self._replies: dict[int, ReplyDone] = {}

    def caller_said(self, said: Iterable[CallerSaid]) -> None:
        """Add what the caller said."""
        self.entries.extend(said)

    def reply_done(self, reply: ReplyDone) -> None:
        """Remember a reply's control and lead, for what is or will be heard of it."""
        self._replies[reply.turn] = reply
        for index in range(len(self.entries) - 1, -1, -1):
            entry = self.entries[index]
            if isinstance(entry, BotSaid) and entry.turn == reply.turn:
                self.entries[index] = replace(entry, control=reply.control, lead=reply.lead)

    def heard(self, utterance: Utterance) -> None:
        """Add a sentence heard to its end, to its reply's entry if that is the latest."""
        last = self.entries[-1] if self.entries else None
        if isinstance(last, BotSaid) and last.turn == utterance.turn != 0 and not last.interrupted:
            self.entries[-1] = replace(last, text=f"{last.text} {utterance.text}")
        else:
            self.entries.append(self._entry(utterance.turn, utterance.kind, utterance.text))

    def interrupted(self, turn: int, kind: SpeechKind = SpeechKind.REPLY) -> None:
        """Mark that the rest of a reply (or of the greeting) was never heard."""
        last = self.entries[-1] if self.entries else None
        if isinstance(last, BotSaid) and last.turn == turn and last.kind == kind:
            self.entries[-1] = replace(last, interrupted=True)
        else:
            self.entries.append(replace(self._entry(turn, kind, ""), interrupted=True))

    def with_words(self, turn: int, unheard: Iterable[Utterance]) -> tuple[Heard, ...]:
        """The history as it will be once the rest of a reply's words have been heard."""
        ahead = History(self.entries)
        ahead._replies = self._replies
        for utterance in unheard:
            ahead.heard(utterance)
        last = ahead.entries[-1] if ahead.entries else None
        if not (isinstance(last, BotSaid) and last.turn == turn):
            ahead.entries.append(self._entry(turn, SpeechKind.REPLY, ""))
        return tuple(ahead.entries)

    def has(self, turn: int) -> bool:
        """Whether any of a reply's words were heard."""
        return any(isinstance(entry, BotSaid) and entry.turn == turn for entry in reversed(self.entries[-3:]))

    def _entry(self, turn: int, kind: SpeechKind, text: str) -> BotSaid:
        reply = self._replies.get(turn) if turn else None
        if reply is None:
            return BotSaid(text, turn, kind)
        return BotSaid(text, turn, kind, control=reply.control, lead=reply.lead)


def heard_to_json(entry: Heard) -> dict[str, Any]:
    """An entry as plain JSON data."""
    if isinstance(entry, CallerSaid):
        return {"speaker": "caller", "text": entry.text, "keys": entry.keys}
    return {
        "speaker": "bot",
        "text": entry.text,
        "turn": entry.turn,
        "kind": entry.kind.value,
        "interrupted": entry.interrupted,
        "control": asdict(entry.control),
        "lead": dict(entry.lead),
    }


def heard_from_json(data: Mapping[str, Any]) -> Heard:
    """The entry that ``heard_to_json`` wrote."""
    if data["speaker"] == "caller":
        return CallerSaid(data["text"], data["keys"])
    control = {**data["control"], "missing_fields": tuple(data["control"]["missing_fields"])}
    return BotSaid(
        data["text"],
        data["turn"],
        SpeechKind(data["kind"]),
        data["interrupted"],
        Control(**control),
        data["lead"],
    )
