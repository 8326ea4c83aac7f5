"""What the policy decides, and how patient it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from callbot.events import LeadStatus

PATIENCE = 3
"""How often one thing is asked, and how many soft refusals in a row are the end."""
ENOUGH_REFUSALS = 2
MOST_ABUSE = 3
FEWEST_HITS = 3
MOST_OF = 0.6
"""Words, and share of the words, of a reason's description that a caller must say to have given cause."""
TALKS_ON = 4
"""Words after a goodbye that make it none."""
ABUSE_AFTER_WARNING = 2
CLOSING = frozenset(
    ["done", "no", "decline_soft", "not_interested", "thanks", "good_day", "refuse_bare", "bye", "have_none"]
)
LEAVING = frozenset(["bye", "call_later"])


@dataclass(slots=True)
class Decision:
    """What to say and whether to end. ``say``: keys of wordings, then ``ask``: a field or a question."""

    say: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ask: str | None = None
    """A field's name, or ``:help``, ``:anything_else``, ``:what_else``, ``:stuck``, ``:own_number``."""
    end: str | None = None
    status: str = LeadStatus.IN_PROGRESS
    farewell: str = ""
    """Key of the farewell; empty for an end without words."""
    note: str = ""
    again: bool = False
    """The caller wants to hear the same question once more."""
    listed: bool = False
    """The choices were said already."""

    def then(self, key: str, **values: str) -> Decision:
        """One more thing to say."""
        self.say.append((key, values))
        return self


def declined(why: str) -> Decision:
    """The end, because the caller does not want to go on."""
    return Decision(
        end="customer_declined",
        farewell="customer_declined",
        status=LeadStatus.DECLINED,
        note=f"declined: {why}",
    )


def completed() -> Decision:
    """The end, because everything is there."""
    return Decision(
        end="lead_complete", farewell="lead_complete", status=LeadStatus.COMPLETE, note="lead complete"
    )
