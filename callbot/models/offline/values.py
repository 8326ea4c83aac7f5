"""Collects the values of all fields that one turn gives, each valid for its field."""

from __future__ import annotations

from dataclasses import replace

from callbot.models.offline import extraction
from callbot.models.offline.names import find_name, first_names, has_time
from callbot.models.offline.numbers import Run
from callbot.models.offline.phrases import Found, words
from callbot.models.offline.prepared import FieldView, Prepared
from callbot.models.offline.routes import find_route
from callbot.models.offline.text import Utterance, utterance
from callbot.models.offline.times import TimeSpan, find_time, time_words
from callbot.models.offline.understanding import SPEECH_ACTS, Clause, Reading

_FREE = frozenset(["text", "service", "address", "city", "notes", "other_name"])
_MOST_FREE_WORDS = 60


class _Collector:
    """Works through the kinds of values in the order of how sure they are."""

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

    def run(self) -> Reading:
        """All values of the turn."""
        view = self._asked_view()
        span = self._time_span(view)
        self._phone(view, span)
        self._email()
        if not self.inject:
            self._route()
            self._time(view, span)
            self._choices(view)
        self._names(view)
        if not self.inject:
            self._address(view)
            self._labelled()
            self._with_in()
            self._free(view)
            self._opening()
        wrong = self.acts
        if len("".join(run.digits for run in self.runs)) >= 3 and "wrong_number" in wrong:
            wrong = (wrong - {"wrong_number"}) | {"correction"}
        return replace(
            self.reading,
            values=self.values,
            firm=frozenset(self.firm),
            runs=self.runs,
            rivals=self.rivals,
            acts=wrong,
        )

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

    # --- phones, e-mail -------------------------------------------------------------------------
    def _phone(self, view: FieldView | None, span: TimeSpan | None) -> None:
        self.runs = extraction.runs_of(self.said)
        asks_phone = view is not None and view.kind == "phone"
        if not asks_phone and span is not None:
            self.runs = tuple(
                r
                for r in self.runs
                if r.end <= span.start or r.start >= span.end or len(r.digits) >= _PHONE_DIGITS
            )
        target = view if asks_phone else self.prepared.first("phone")
        if target is None:
            return
        found = extraction.find_phone(self.runs, self.said, self.prepared.region)
        if found is None and asks_phone and len(self.runs) > 1:
            whole = extraction.phone_from("".join(r.digits for r in self.runs), self.prepared.region)
            if whole and not any(extraction.negated(self.said, r.start) for r in self.runs):
                found = whole, self.runs[0]
        if found is None:
            return
        phone, run = found
        if not asks_phone and len(run.digits) < 9:
            return
        if (
            view is not None
            and view.kind in ("text", "other_name")
            and not run.digits.startswith("0")
            and not run.plus
        ):
            return
        if self._put(target, phone, firm=True):
            self.taken.update(range(run.start, run.end))

    def _email(self) -> None:
        target = self.prepared.first("email")
        address = extraction.find_email(self.said)
        if target is not None and address is not None:
            self._put(target, address, firm=True)

    def _route(self) -> None:
        """Both ends of a journey, whichever was asked for."""
        route = find_route(self.said) if self.prepared.route and not self.reading.question else None
        if route is None or self.prepared.route is None:
            return
        for name, place in zip(self.prepared.route, (route.origin, route.destination), strict=True):
            self._put(self.prepared.fields[name], place, firm=True)
        self.taken.update(range(route.start, route.end))

    # --- times ----------------------------------------------------------------------------------
    def _time_span(self, view: FieldView | None) -> TimeSpan | None:
        return find_time(
            self.said, asked=(view is not None and view.kind == "time") or "correction" in self.acts
        )

    def _time(self, view: FieldView | None, span: TimeSpan | None) -> None:
        asks_time = view is not None and view.kind == "time"
        target = view if asks_time else self.prepared.first("time")
        if span is not None and self.taken & set(range(span.start, span.end)):
            span = None
        if target is None or (span is None and not asks_time):
            return
        if span is None or self._greets(span):
            return
        clause = self._clause(span.start)
        if clause.question and (clause.wh or self.reading.topics - {"explain"} or not asks_time):
            return
        mends = "correction" in self.acts
        busy = self.acts & {"past", "call_later", "good_day", "wait", "decline_soft"}
        if not asks_time and not mends and (not span.firm or busy):
            return
        free = not asks_time and view is not None and view.kind in _FREE
        if free and not self._fills_clause(clause, span.start, span.end):
            return
        if any(f.tag == "other_negation" and clause.start <= f.start < span.start for f in self.found):
            return
        if extraction.negated(self.said, span.start) and span.end < len(self.said.words):
            later = find_time(_rest(self.said, span.end), asked=True)
            if later is not None:
                rest = _rest(self.said, span.end)
                self._put(target, rest.slice(later.start, later.end), firm=True)
            return
        if self._put(target, self.said.slice(span.start, self._time_end(span)), firm=asks_time):
            self.taken.update(range(span.start, span.end))

    def _fills_clause(self, clause: Clause, start: int, end: int) -> bool:
        """Whether hardly anything else is said in the clause; then all of it is taken."""
        if clause.end - clause.start - (end - start) > _FEW:
            return False
        self.taken.update(range(clause.start, clause.end))
        return True

    def _greets(self, span: TimeSpan) -> bool:
        """Whether the time is but a greeting ("good morning")."""
        return any(
            item.tag in ("greeting", "good_day") and item.start <= span.start and span.end <= item.end
            for item in self.found
        )

    def _time_end(self, span: TimeSpan) -> int:
        """A time that ends in "after" or "before" takes the words of its clause that say after what."""
        end = span.end
        if end < len(self.said.words) and self.said.words[end] in _OPEN_ENDS and not self.said.breaks[end]:
            return min(end + 3, self.said.clause_end(end))
        return end

    # --- choices --------------------------------------------------------------------------------
    def _choices(self, asked: FieldView | None) -> None:
        for view in self.prepared.fields.values():
            if view.kind != "choice":
                continue
            if view is asked and self._yes_no_choice(view):
                continue
            if view is not asked and asked is not None and asked.kind in _FREE:
                if not _yes_or_no(view):
                    self._aside(view)
                continue
            choice, rivals, whole = extraction.find_choice(view, self.said, self._done_with())
            if choice is None:
                if view is asked and len(rivals) > 1:
                    self.rivals = rivals
                continue
            if view is asked:
                if not any(c.wh for c in self.clauses) or any(c.content for c in self.clauses):
                    self._put(view, choice, firm=True)
            elif (
                not _yes_or_no(view)
                and choice.lower() not in words("vague", "other")
                and self._volunteered(asked, whole=whole)
            ):
                self._put(view, choice)

    def _aside(self, view: FieldView) -> bool:
        """A choice in a clause of its own, beside (or instead of) the free text that was asked for."""
        for clause in self.clauses:
            if not clause.content or self.taken & set(range(clause.start, clause.end)):
                continue
            part = utterance(self.said.slice(clause.start, clause.end))
            choice, _, whole = extraction.find_choice(view, part)
            several = sum(other.content for other in self.clauses) > 1 or len(part.words) >= _FEW
            if choice is not None and whole and several and len(part.words) <= 2 + _FEW:
                self._put(view, choice)
                self.taken.update(range(clause.start, clause.end))
                return True
        return False

    def _done_with(self) -> set[int]:
        """Words that do something ("I'll call some other time") and are the words of no choice."""
        return {
            index
            for item in self.found
            if item.tag in _NO_NAME and item.tag not in ("done", "have_none")
            for index in range(item.start, item.end)
        } | (self.taken if any(name in self.values for name in self._timed()) else set())

    def _timed(self) -> list[str]:
        return [view.name for view in self.prepared.fields.values() if view.kind == "time"]

    def _volunteered(self, asked: FieldView | None, *, whole: bool) -> bool:
        """Whether words about a choice that nobody asked for are meant as one."""
        if any(clause.question for clause in self.clauses) and not any(c.content for c in self.clauses):
            return False
        if self.acts & {"decline_firm", "past"} and not whole:
            return False
        if self.acts & {"need", "correction"}:
            return True
        return whole or (asked is None and len(self.said.words) <= _SHORT)

    def _yes_no_choice(self, view: FieldView) -> bool:
        for act in ("yes", "no"):
            if act in self.acts and not self.acts & ({"yes", "no"} - {act}):
                for name, synonyms in view.field.choices.items():
                    if {name.lower(), *(s.lower() for s in synonyms)} & words("acts", act):
                        return self._put(view, name, firm=True)
        return False

    # --- names ----------------------------------------------------------------------------------
    def _names(self, view: FieldView | None) -> None:
        asks_name = view is not None and view.kind in ("name", "other_name")
        target = view if asks_name else self.prepared.first("name")
        if target is None:
            return
        taken = set(self.taken)
        for clause in self.clauses:
            if clause.wh or self._speaks(clause) or (clause.question and not asks_name):
                taken.update(range(clause.start, clause.end))
        doubt = "need" in self.acts or any(clause.question or self._speaks(clause) for clause in self.clauses)
        span = find_name(self.said, asked=asks_name and not self.inject, taken=frozenset(taken), doubt=doubt)
        if span is None or (not span.announced and has_time(self.said, span)):
            return
        if not span.announced and self._is_choice(span.start, span.end):
            return
        self._put(target, self.said.slice(span.start, span.end), firm=span.announced)
        self.taken.update(range(span.start, span.end))

    def _speaks(self, clause: Clause) -> bool:
        """Whether the clause does something that leaves no room for a value."""
        return any(
            item.start < clause.end and item.end > clause.start and item.tag in _NO_NAME
            for item in self.found
        )

    def _is_choice(self, start: int, end: int) -> bool:
        if self.said.words[start] in first_names():
            return False
        text = self.said.slice(start, end)
        return any(
            view.kind == "choice" and extraction.find_choice(view, utterance(text))[2]
            for view in self.prepared.fields.values()
        )

    # --- text -----------------------------------------------------------------------------------
    def _address(self, asked: FieldView | None) -> None:
        """A street address that was not (or not only) asked for."""
        views = [view for view in self.prepared.fields.values() if view.kind == "address"]
        span = extraction.find_address(self.said)
        if (
            len(views) != 1
            or span is None
            or (asked is not None and asked.kind in _FREE and asked not in views)
        ):
            return
        if self._clause(span[0]).question:
            return
        if asked not in views or self.taken or "correction" in self.acts:
            self._put(views[0], self.said.slice(*span), firm=True)

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
            if self.said.words[start] not in words("with_in", "who") or word[0] != "ב" or len(word) <= _FEW:
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
        if view is None or view.kind not in _FREE or view.name in self.values:
            return
        if self.acts & _NOT_ANSWERING or ("bye" in self.acts and len(self.reading.content.split()) < 2):
            return
        if self.acts & {"yes", "no"} and view.yes_no and view.field.required:
            start, end = extraction.trimmed(self.said, 0, len(self.said.words))
            self._put(view, self.said.slice(0, end) if end else self.said.clean)
            return
        bounds = self._content_bounds(view)
        if bounds is None:
            return
        start, end = bounds if view.kind == "notes" else extraction.trimmed(self.said, *bounds)
        text = self.said.slice(start, end)
        if any(len(word) > 1 or word.isdecimal() for word in self.said.words[start:end]):
            self._put(view, text, firm=True)

    def _content_bounds(self, view: FieldView) -> tuple[int, int] | None:
        """The words that answer: first to last clause that says something and gives no other value."""
        saying = [
            clause
            for clause in self.clauses
            if clause.content and not self.taken.issuperset(range(clause.start, clause.end))
        ]
        if any(name != view.name for name in self.values):
            saying = [c for c in saying if not self.taken & set(range(c.start, c.end))]
        if not saying or saying[-1].end - saying[0].start > _MOST_FREE_WORDS:
            return None
        return saying[0].start, saying[-1].end

    def _opening(self) -> None:
        """What the caller wants, said right after the greeting, where a field takes it as text."""
        target = self.prepared.first("service")
        if target is None or target.name in self.values or self.asked.kind not in ("help", "nothing"):
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


_NOT_ANSWERING = frozenset(
    ["person", "abuse", "decline_firm", "not_interested", "call_later", "wrong_number"]
)
"""Acts of a caller who is not busy with the question at all."""
_PHONE_DIGITS = 7
"""Digits that are no hour and no date."""
_SHORT = 6
"""Words of a turn that one word can decide."""
_FEW = 2
"""Words beside a value that make no answer of their own."""
_OPEN_ENDS = frozenset(["אחרי", "לפני", "after", "before"])
_NO_NAME = (SPEECH_ACTS | {"other_negation"}) - {"self_call", "reassure"}
"""Acts whose clause holds no name."""


def _yes_or_no(view: FieldView) -> bool:
    """Whether the choices are yes and no, which answer whatever was asked last."""
    names = {word.lower() for name, synonyms in view.field.choices.items() for word in (name, *synonyms)}
    return bool(names & (words("acts", "yes") | words("acts", "no")))


def _rest(said: Utterance, start: int) -> Utterance:
    return utterance(said.clean[said.starts[start] :])


def collect(prepared: Prepared, reading: Reading, clauses: list[Clause], found: list[Found]) -> Reading:
    """The reading with the values of the turn."""
    return _Collector(prepared, reading, clauses, found).run()
