"""The guard: may this reply end the call?

A model's request to end is accepted only when its reason makes sense for what was captured. The
guard reads the model's decision and the call's state, never anybody's words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from callbot.events import Control, LeadStatus

LEAD_COMPLETE = "lead_complete"
NO_RESPONSE = "no_response"


def refusal(
    control: Control,
    *,
    captured: Collection[str],
    required: Sequence[str],
    reasons: Mapping[str, Sequence[str]],
    silence_is_over: bool,
) -> str | None:
    """Why the request to end in ``control`` is refused, or None when it is accepted.

    ``captured``: names of fields with valid values. ``reasons``: the business's declared reasons
    and the fields each needs. ``silence_is_over``: the silence rule has run its course.
    """
    match control.end_reason:
        case None:
            return "a request to end needs an end_reason"
        case "lead_complete":
            return _lacking("lead_complete", required, captured)
        case "customer_declined":
            if control.lead_status == LeadStatus.DECLINED:
                return None
            return f"customer_declined needs lead_status declined, not {control.lead_status}"
        case "no_response":
            return None if silence_is_over else "no_response needs the silence warnings to have passed first"
        case reason if reason in reasons:
            return _lacking(reason, reasons[reason], captured)
        case reason:
            return f"{reason} is no end reason of this business"


def _lacking(reason: str, needed: Sequence[str], captured: Collection[str]) -> str | None:
    lacking = [name for name in needed if name not in captured]
    return f"{reason} needs {', '.join(lacking)}, not captured or not valid yet" if lacking else None


def computed_status(
    control: Control | None, *, required: Sequence[str], captured: Collection[str]
) -> LeadStatus:
    """The lead's status: complete is computed, declined is the model's latest word."""
    if all(name in captured for name in required):
        return LeadStatus.COMPLETE
    if control is not None and control.lead_status == LeadStatus.DECLINED:
        return LeadStatus.DECLINED
    return LeadStatus.IN_PROGRESS


def drift(control: Control, *, required: Sequence[str], captured: Collection[str]) -> dict[str, object]:
    """Where the model's claims about the lead differ from what was captured; empty when they agree."""
    missing = {name for name in required if name not in captured}
    found: dict[str, object] = {}
    if missing != set(control.missing_fields):
        found["missing_fields"] = {"claimed": sorted(control.missing_fields), "computed": sorted(missing)}
    claims_complete = control.lead_status == LeadStatus.COMPLETE
    if (claims_complete and missing) or (control.lead_status == LeadStatus.IN_PROGRESS and not missing):
        computed = LeadStatus.IN_PROGRESS if missing else LeadStatus.COMPLETE
        found["lead_status"] = {"claimed": control.lead_status, "computed": computed.value}
    return found
