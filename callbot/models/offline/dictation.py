"""Numbers dictated in parts or pressed on the keys, and choices named by their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callbot.models.offline import extraction

if TYPE_CHECKING:
    from callbot.models.offline.state import State
    from callbot.models.offline.understanding import Reading


def phone_in_place(state: State, reading: Reading, values: dict[str, str]) -> None:
    """Numbers dictated in parts, typed, or "the one I'm calling from"."""
    view = state.prepared.fields.get(state.asked.field)
    asks_phone = state.asked.kind == "field" and view is not None and view.kind == "phone"
    target = view if asks_phone else state.prepared.first("phone")
    if target is None or target.name in values:
        state.partial = ()
        return
    region = state.prepared.region
    wants_own = "my_number" in reading.acts or (
        state.asked.offers_number and "yes" in reading.acts and not reading.runs
    )
    if wants_own and (asks_phone or target.name not in state.lead):
        own = state.request.caller_number
        if own and (phone := target.field.normalised(own, region)):
            values[target.name] = phone
            return
    pressed = reading.keys.strip("*#")
    readings = (pressed,) if pressed.isdecimal() else _all_readings(reading)
    if not asks_phone and target.name not in state.lead and pressed.isdecimal():
        phone = extraction.phone_from(pressed, region)
        if phone is not None:
            values[target.name] = phone
            return
    if not asks_phone or not readings:
        if reading.said.words and not {"wait", "ack", "yes"} & reading.acts:
            state.partial = ()
        return
    joined = tuple(dict.fromkeys(a + b for a in state.partial for b in readings))
    for digits in (*joined, *readings):
        if phone := extraction.phone_from(digits, region):
            values[target.name] = phone
            state.partial = ()
            return
    fresh = readings[0].startswith("0") and len(readings[0]) >= 3
    state.partial = readings if fresh or not joined or len(joined[0]) > 12 else joined


def _all_readings(reading: Reading) -> tuple[str, ...]:
    if not reading.runs or any(extraction.negated(reading.said, run.start) for run in reading.runs):
        return ()
    options: tuple[str, ...] = ("",)
    for run in reading.runs:
        options = tuple(a + b for a in options for b in run.readings)[:8]
    return options


def numbered_choice(state: State, reading: Reading, values: dict[str, str]) -> None:
    """A key pressed, or "the second one", where choices were offered."""
    view = state.prepared.fields.get(state.asked.field)
    if view is None or view.kind != "choice" or view.name in values:
        return
    number = int(reading.keys) if reading.keys.isdecimal() and len(reading.keys) <= 2 else 0
    if not number and len(reading.said.words) <= 4:
        number = max((_ORDINALS.get(word.removeprefix("ה"), 0) for word in reading.said.words), default=0)
    names = list(view.field.choices)
    if 1 <= number <= len(names) and not reading.rivals:
        values[view.name] = names[number - 1]


_ORDINALS = {
    "ראשון": 1, "ראשונה": 1, "שני": 2, "שנייה": 2, "שניה": 2, "שלישי": 3, "שלישית": 3, "רביעי": 4, "רביעית": 4,
    "first": 1, "second": 2, "third": 3, "fourth": 4, "1": 1, "2": 2, "3": 3, "4": 4,
}  # fmt: skip
