"""Free text, addresses and other words that one turn gives: what is left when all else is known."""

from __future__ import annotations

from callbot.models.offline import extraction
from callbot.models.offline.names import name_run
from callbot.models.offline.numbers import Run, number_word
from callbot.models.offline.phrases import Found, words
from callbot.models.offline.places import find_place, is_place
from callbot.models.offline.prepared import FieldView, Prepared
from callbot.models.offline.sorts import announced, find_age, find_quantity, find_vehicle, fits, listed
from callbot.models.offline.text import stems
from callbot.models.offline.times import TimeSpan, time_words
from callbot.models.offline.understanding import Clause, Reading

FREE = frozenset(["text", "service", "address", "city", "notes", "other_name"])
"""Kinds of fields that take any words."""
_ANNOUNCED = FREE | {"name"}
_LACKING = 8
"""Most words of a clause that says that there is no such thing."""
_MOST_WORDS = 60
FEW = 2
"""Words beside a value that make no answer of their own."""

_NOT_ANSWERING = frozenset(
    ["person", "abuse", "decline_firm", "not_interested", "call_later", "wrong_number"]
)
"""Acts of a caller who is not busy with the question at all."""


_BESIDE = frozenset(
    [
        "no",
        "decline_soft",
        "other_negation",
        "dont_know",
        "refuse_give",
        "refuse_bare",
        "repeat",
        "wait",
        "bye",
        "injection",
        "smalltalk",
    ]
)
"""Acts beside which nothing is told."""


class TextCollector:
    """What all collecting shares, and the collecting of free text."""

    def __init__(
        self, prepared: Prepared, reading: Reading, clauses: list[Clause], found: list[Found]
    ) -> None:
        self.prepared, self.reading, self.clauses, self.found = prepared, reading, clauses, found
        self.said = reading.said
        self.acts = reading.acts
        self.asked = reading.asked
        self.values: dict[str, str] = {}
        self.firm: set[str] = set()
        self.rivals: tuple[str, ...] = ()
        self.runs: tuple[Run, ...] = ()
        self.taken: set[int] = set()
        self.inject = "injection" in self.acts

    def _asked_view(self) -> FieldView | None:
        return (
            self.prepared.fields.get(self.asked.field) if self.asked.kind in ("field", "callback") else None
        )

    def _put(self, view: FieldView, value: str, *, firm: bool = False) -> bool:
        valid = view.field.normalised(value, self.prepared.region)
        if valid is None:
            return False
        self.values[view.name] = valid
        if firm:
            self.firm.add(view.name)
        return True

    def _clause(self, index: int) -> Clause:
        return next(clause for clause in self.clauses if clause.start <= index < clause.end)

    # --- what is announced, and what gives itself away --------------------------------------------
    def _announced(self) -> None:
        """Values said with the field's own words ("the reason is ...", "The brand? ...")."""
        for view in self.prepared.fields.values():
            if view.kind not in _ANNOUNCED or view.name in self.values or not view.heads:
                continue
            for first, last in announced(self.said, view.heads, short=view.short):
                start, end = first, last
                if self._clause(start).wh or self.taken & set(range(start, end)):
                    continue
                if view.kind in ("name", "other_name") and view.sort != "company":
                    span = name_run(self.said, start, end)
                    if span is None:
                        continue
                    start, end = span
                else:
                    start, end = extraction.trimmed(self.said, start, end)
                if start < end and fits(view.sort, self.said, start, end) and not self._only_acts(start, end):
                    self._put(view, self.said.slice(start, end), firm=True)
                    self.taken.update(range(self._clause(start).start, end))
                    break

    def _lacking(self) -> None:
        """That there is none of what a field is about is its value ("אין לו שום ניסיון", "no allergies")."""
        for view in self.prepared.fields.values():
            if (
                view.kind != "text"
                or view.name in self.values
                or not view.lone
                or view.name == self.asked.field
            ):
                continue
            for clause in self.clauses:
                span = range(clause.start, clause.end)
                if clause.question or self.taken & set(span) or len(span) > _LACKING:
                    continue
                none = next((i for i in span if self.said.words[i].lstrip("ו") in listed("none")), None)
                if none is None:
                    continue
                if any(not stems(self.said.words[i]).isdisjoint(view.lone) for i in span if i > none):
                    self._put(view, self.said.slice(none, clause.end), firm=True)
                    self.taken.update(span)

    def _only_acts(self, start: int, end: int) -> bool:
        return any(item.start <= start and item.end >= end for item in self.found)

    def _sorts(self, asked: FieldView | None) -> None:
        """Ages, counted things and vehicles, wherever they are said."""
        for view in self.prepared.fields.values():
            if view.name in self.values or view.sort not in ("age", "number", "vehicle"):
                continue
            if view.sort == "age":
                span = find_age(self.said)
            elif view.sort == "vehicle":
                span = find_vehicle(self.said)
            else:
                span = find_quantity(self.said, view.counted)
            if span is None or self.taken & set(range(*span)) or self._clause(span[0]).question:
                continue
            start, end = span
            article = start > 1 and self.said.words[start - 1] in ("the", "a", "an", "my", "את")
            if extraction.negated(self.said, start - article):
                continue
            self._put(view, self.said.slice(start, end), firm=view is asked or self._mends())
            clause = self._clause(start)
            rest = clause.end - clause.start - (end - start)
            self.taken.update(range(clause.start, clause.end) if rest <= FEW else range(start, end))

    def _places(self, asked: FieldView | None) -> None:
        """A place that a preposition announces, wherever it is said."""
        views = [v for v in self.prepared.fields.values() if v.sort == "place" or v.kind == "city"]
        if asked in views and asked is not None:
            views = [asked]
        if len(views) != 1 or views[0].name in self.values or self.reading.question or self.prepared.route:
            return
        view = views[0]
        if asked is not None and asked is not view and asked.kind in ("address", "city"):
            return
        span = find_place(self.said, live=view.kind == "city")
        if span is None or self.taken & set(range(*span)) or self._clause(span[0]).question:
            return
        start, end = span
        text = self.said.slice(start, end)
        self._put(view, text[1:] if view.kind == "city" else text, firm=view is asked)
        self.taken.update(range(start, end))

    def _mends(self) -> bool:
        """Whether the turn takes something back ("six of us, not five")."""
        return "correction" in self.acts or any(
            extraction.negated(self.said, i) and number_word(word) is not None
            for i, word in enumerate(self.said.words)
        )

    # --- text -----------------------------------------------------------------------------------
    def _address(self, asked: FieldView | None) -> None:
        """A street address that was not (or not only) asked for."""
        views = [view for view in self.prepared.fields.values() if view.kind == "address"]
        span = extraction.find_address(self.said)
        if span is None and not (asked is not None and asked.sort):
            span = extraction.find_bare_address(self.said)
        if (
            len(views) != 1
            or span is None
            or (asked is not None and asked.kind in FREE and asked not in views)
        ):
            return
        if self._clause(span[0]).question:
            return
        if asked not in views or self.taken or "correction" in self.acts:
            text = self.said.slice(*span)
            streets = words("address", "before_name")
            attached = self.said.words[span[0]][1:] in streets and self.said.words[span[0]] not in streets
            self._put(views[0], text[1:] if attached else text, firm=True)
            self.taken.update(range(*span))

    def _with_in(self) -> None:
        """The answer to "in which ...?" said unasked: "ואני במכבי"."""
        views = [view for view in self.prepared.fields.values() if view.in_which]
        if len(views) != 1 or views[0].name in self.values or views[0].name == self.asked.field:
            return
        for clause in self.clauses:
            start = clause.start
            if (
                clause.question
                or clause.end - start not in (2, 3)
                or self.taken & set(range(start, clause.end))
            ):
                continue
            word = self.said.words[start + 1]
            if self.said.words[start] not in words("with_in", "who") or word[0] != "ב" or len(word) <= FEW:
                continue
            if word not in words("with_in", "not") and start + 1 not in time_words(self.said):
                self._put(views[0], self.said.slice(start + 1, clause.end)[1:].lstrip("-"))
                self.taken.update(range(start, clause.end))

    def _labelled(self) -> None:
        for view in self.prepared.fields.values():
            if view.kind in ("text", "service", "address", "city") and view.name != self.asked.field:
                value = extraction.find_labelled(view, self.said) if view.name not in self.values else None
                if value and not self.reading.question:
                    self._put(view, value, firm=True)

    def _free(self, view: FieldView | None) -> None:
        if view is None or view.kind not in FREE or view.name in self.values:
            return
        if "decline_soft" in self.acts and view.kind not in ("notes", "service") and not self._asserts(view):
            return
        if self.acts & _NOT_ANSWERING or ("bye" in self.acts and len(self.reading.content.split()) < 2):
            return
        if self.acts & {"yes", "no"} and view.yes_no and view.field.required:
            start, end = extraction.trimmed(self.said, 0, len(self.said.words))
            self._put(view, self.said.slice(0, end) if end else self.said.clean)
            return
        bounds = self._content_bounds(view)
        if bounds is None or (
            view.sort == "problem" and self.taken and bounds[1] - bounds[0] < FEW and self._pronoun()
        ):
            return
        start, end = bounds if view.kind == "notes" else extraction.trimmed(self.said, *bounds)
        if not fits(view.sort, self.said, start, end):
            return
        if (view.sort == "place" or view.kind == "city") and not (
            is_place(self.said, start, end) and (end - start <= FEW or "need" not in self.acts)
        ):
            return
        if view.sort in ("number", "age"):
            if self._clause(start).mark and not any(map(number_word, self.said.words[start:end])):
                return
            start, end = self._fitting(view, start, end)
        text = self.said.slice(start, end)
        if any(len(word) > 1 or word.isdecimal() for word in self.said.words[start:end]):
            self._put(view, text, firm=True)

    def _asserts(self, view: FieldView) -> bool:
        """Whether something beside the refusal can be nothing but the value."""
        return view.sort in ("age", "number", "id", "vehicle") or view.kind in ("address", "city")

    def _happened(self, clause: Clause, span: TimeSpan) -> bool:
        """Whether the time is when something happened ("turned green over the weekend")."""
        before = self.said.words[clause.start : span.start + 1]
        return any(
            word in words("vague", "went") or (word.endswith("ed") and word not in words("vague", "no_past"))
            for word in before
        )

    def _habit(self, clause: Clause, span: TimeSpan) -> bool:
        """Whether a part of the day is but one word of a story ("we wake up in the morning with ...")."""
        rest = clause.end - clause.start - (span.end - span.start)
        parts = self.said.words[span.start : span.end]
        return (
            "need" not in self.acts
            and rest > FEW
            and all(word in listed("day_parts") or word[1:] in listed("day_parts") for word in parts)
        )

    def _pronoun(self) -> bool:
        """Whether the turn says what somebody or something is ("הוא כלב, לברדור")."""
        return self.said.words[0] in words("vague", "pronoun")

    def _fitting(self, view: FieldView, start: int, end: int) -> tuple[int, int]:
        """Of several clauses, the one that holds the number."""
        for clause in self.clauses:
            first, last = max(clause.start, start), min(clause.end, end)
            if first < last and fits(view.sort, self.said, first, last):
                return extraction.trimmed(self.said, first, last)
        return start, end

    def _content_bounds(self, view: FieldView) -> tuple[int, int] | None:
        """The words that answer: first to last clause that says something and gives no other value."""
        saying = [
            clause
            for clause in self.clauses
            if clause.content and not self.taken.issuperset(range(clause.start, clause.end))
        ]
        openers = words("questions", "openers") - {"and"}
        saying = [c for c in saying if not (c.mark and self.said.words[c.start] in openers)]
        if any(name != view.name for name in self.values):
            saying = [c for c in saying if not self.taken & set(range(c.start, c.end))]
        if not saying or saying[-1].end - saying[0].start > _MOST_WORDS:
            return None
        return saying[0].start, saying[-1].end

    def _tells_of_it(self, target: FieldView) -> bool:
        """A story told where a name, a choice or a number was asked for is the reason of the call."""
        asked = self._asked_view()
        if target.sort != "problem" or asked is None or asked.kind in FREE or self.values or self.rivals:
            return False
        if self.reading.question or self.acts & (_BESIDE | {"correction"}):
            return False
        saying = [clause for clause in self.clauses if clause.content]
        if not saying:
            return False
        start, end = extraction.trimmed(self.said, saying[0].start, saying[-1].end)
        return end - start > FEW and not self.taken and self._put(target, self.said.slice(start, end))

    def _opening(self) -> None:
        """What the caller wants, said right after the greeting, where a field takes it as text."""
        target = self.prepared.first("service")
        if target is None or target.name in self.values or self._tells_of_it(target):
            return
        if self.asked.kind not in ("help", "nothing"):
            return
        own = any(word in words("vague", "own") for word in self.said.words)
        if self.reading.question or self.acts & _NOT_ANSWERING or not (self.acts & {"need", "past"} or own):
            return
        vague = words("vague", "word")
        saying = []
        for clause in self.clauses:
            span = range(clause.start, clause.end)
            if (
                clause.content
                and not self.taken & set(span)
                and not any(self.said.words[i] in vague for i in span)
            ):
                saying.append(clause)
        if not saying:
            return
        start, end = extraction.trimmed(self.said, saying[0].start, saying[-1].end)
        if end - start >= 2 and not self.taken & set(range(start, end)):
            self._put(target, self.said.slice(start, end))
