"""The chat messages a model gets for a Request: pure, so that they can be shown, hashed and replayed.

Three voices share the conversation: the caller (user), the bot (assistant, in the shape of the
reply contract) and the backend (user, inside ``<backend>``). Callers cannot write a backend note:
their ``<`` and ``>`` are replaced wherever their words or words derived from them go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from callbot.business import Business
from callbot.events import BotSaid, CallerSaid, Control, Occasion
from callbot.models.base import ChatRequest, Request
from callbot.prompting import render_prompt
from callbot.reply import reply_schema

Message = dict[str, str]
"""``role`` and ``content``, as chat completions name them."""

_HARMLESS = str.maketrans({"<": "‹", ">": "›"} | {c: " " for c in range(32) if chr(c) not in "\t\n"})

_AFTER_FAREWELL = (
    "You have said goodbye, and the caller then spoke. If nothing more is needed, set should_end_call "
    "to true and leave spoken_reply empty; otherwise go on."
)
_RESUMED = (
    "The line was lost and is back; the caller's last words were never answered. Answer them now, without "
    "greeting again."
)


def chat_messages(request: Request, *, schema: Mapping[str, object] | None = None) -> list[Message]:
    """Everything the model is told, in order.

    ``schema``: stated in the system message, for servers that take no JSON Schema of their own.
    Raises PromptError if the business's prompt does not render.
    """
    system = render_prompt(request.business, request.now, request.caller_number)
    if schema is not None:
        system += _stated(schema)
    messages = [_message("system", system)]
    lead: dict[str, str] = {}
    for heard in request.history:
        if isinstance(heard, CallerSaid):
            if words := _caller_words(heard):
                messages.append(_message("user", words))
            continue
        lead.update(heard.lead)
        messages.append(_message("assistant", _reply(heard, request.business, lead)))
        if heard.interrupted:
            messages.append(_note("the caller interrupted here"))
    if note := _occasion_note(request.occasion, request.detail):
        messages.append(_note(note))
    if request.repair is not None:
        messages.append(_again(request.repair))
    return messages


def messages_of(
    request: Request | ChatRequest, *, schema: Mapping[str, object] | None = None
) -> list[Message]:
    """Everything the model is told, whatever the contract; ``schema`` as in ``chat_messages``."""
    if isinstance(request, Request):
        return chat_messages(request, schema=schema)
    first, *others = (dict(message) for message in request.messages)
    if schema is not None:
        first["content"] += _stated(schema)
    return [first, *others, *([_again(request.repair)] if request.repair is not None else ())]


def contract_of(request: Request | ChatRequest) -> tuple[str, Mapping[str, object]]:
    """Name and JSON Schema of the answer that is due."""
    if isinstance(request, Request):
        return "reply", reply_schema(request.business)
    return request.name, request.schema


def _stated(schema: Mapping[str, object]) -> str:
    return (
        "\n\nAnswer with one JSON object and nothing else: no text around it, no code fence. "
        "It must match this JSON Schema:\n" + json.dumps(schema, ensure_ascii=False)
    )


def _again(fault: str) -> Message:
    return _note(
        f"Your last answer could not be used: {_sentence(fault)} "
        "Answer again, with one JSON object of the agreed shape."
    )


def alternating(messages: list[Message]) -> list[Message]:
    """The same conversation with user and assistant strictly in turn, the user first.

    Some chat templates (Mistral's, older Gemma's) refuse anything else.
    """
    turns: list[Message] = []
    for message in messages:
        last = turns[-1]["role"] if turns else ""
        if message["role"] == "user" and last == "user":
            turns[-1] = _message("user", f"{turns[-1]['content']}\n{message['content']}")
            continue
        if message["role"] == "assistant" and last != "user":
            turns.append(_note("the caller said nothing" if last == "assistant" else "the call begins"))
        turns.append(message)
    return turns


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _note(text: str) -> Message:
    return _message("user", f"<backend>{text}</backend>")


def _harmless(text: str) -> str:
    # A terminal can hand over lone surrogates, which no JSON body can carry.
    return text.encode("utf-8", "replace").decode("utf-8").translate(_HARMLESS).strip()


def _sentence(text: str) -> str:
    clean = _harmless(text)
    return clean if clean.endswith((".", "!", "?")) else f"{clean}."


def _caller_words(said: CallerSaid) -> str:
    keys = "".join(key for key in said.keys if key in "0123456789*#")
    return "\n".join(part for part in (_harmless(said.text), f"<keys>{keys}</keys>" if keys else "") if part)


def _reply(said: BotSaid, business: Business, lead: Mapping[str, str]) -> str:
    control = said.control
    if control == Control():
        # A fixed sentence or a reply cut before its control: "nothing is missing" would be a false
        # example for the model to follow.
        control = Control(missing_fields=tuple(name for name in business.required if name not in lead))
    reply = {
        "spoken_reply": said.text,
        "control": {
            "should_end_call": control.should_end_call,
            "end_reason": control.end_reason,
            "lead_status": str(control.lead_status),
            "missing_fields": list(control.missing_fields),
            "notes": control.notes,
        },
        "lead": {field.name: said.lead.get(field.name) for field in business.fields},
    }
    return json.dumps(reply, ensure_ascii=False)


def _occasion_note(occasion: Occasion, detail: str) -> str:
    why = f" ({_harmless(detail)})" if detail.strip() else ""
    match occasion:
        case Occasion.CALLER_SPOKE:
            return ""
        case Occasion.SILENCE:
            return f"The line is silent{why}. Say what helps the caller to go on, or end the call."
        case Occasion.AFTER_FAREWELL:
            return _AFTER_FAREWELL
        case Occasion.END_REFUSED:
            return (
                f"You asked to end the call, and it was not ended{why}. "
                "Your words so far have been spoken; continue from there without repeating them."
            )
        case Occasion.RESUMED:
            return _RESUMED
