"""Collects the values of all fields that one turn gives, each valid for its field."""

from __future__ import annotations

from dataclasses import replace

from callbot.models.offline import extraction
from callbot.models.offline.names import NameSpan, doubled, find_name, first_names, has_time, third_name
from callbot.models.offline.phrases import Found, lexicon, words
from callbot.models.offline.prepared import FieldView, Prepared
from callbot.models.offline.routes import find_route
from callbot.models.offline.sorts import listed
from callbot.models.offline.text import Utterance, stems, utterance
from callbot.models.offline.texts import FEW, FREE, TextCollector
from callbot.models.offline.times import TimeSpan, find_time
from callbot.models.offline.understanding import SPEECH_ACTS, Clause, Reading


class _Collector(TextCollector):
    """Works through the kinds of values in the order of how sure they are."""

    def run(self) -> Reading:
        """All values of the turn."""
        view = self._asked_view()
        if not self.inject:
            self._announced()
            self._sorts(view)
            self._lacking()
        span = self._time_span(view)
        self._phone(view, span)
        self._email()
        if not self.inject:
            self._route()
            self._time(view, span)
            self._address(view)
            self._places(view)
        self._names(view)
        if not self.inject:
            self._choices(view)
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
            and view.kind == "text"
            and view.sort in ("", "id", "company")
            and not run.digits.startswith("0")
            and not run.plus
        ):
            return
        if self._put(target, phone, firm=True):
            self.taken.update(range(run.start, run.end))

    def _email(self) -> None:
        target = self.prepared.first("email")
        address = extraction.find_email(
            self.said, asked=self.reading.asked.field == (target.name if target else "")
        )
        if target is not None and address is not None:
            self._put(target, address[0], firm=True)
            self.taken.update(range(address[1], address[2]))

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
        mends = bool(self.acts & {"correction", "wait"})
        return find_time(
            self.said,
            asked=mends or (view is not None and view.kind == "time"),
            mends=mends,
            taken=self.taken | self._agreed(),
        )

    def _agreed(self) -> set[int]:
        """Words that only say that something is right ("עכשיו נכון")."""
        agreed = ("right", "done", "thanks")
        return {i for item in self.found if item.tag in agreed for i in range(item.start, item.end)}

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
        busy = self.acts & {"past", "call_later", "good_day", "decline_soft"} or self._waits(clause)
        if not asks_time and not mends and (not span.firm or busy):
            return
        if mends and not asks_time and not span.firm and (self.values or self.runs):
            return
        free = not asks_time and view is not None and view.kind in FREE
        if free and not self._fills_clause(clause, span.start, span.end):
            return
        if not asks_time and not mends and (self._happened(clause, span) or self._habit(clause, span)):
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

    def _waits(self, clause: Clause) -> bool:
        """Whether the clause itself asks for a moment."""
        return any(f.tag == "wait" and clause.start <= f.start < clause.end for f in self.found)

    def _fills_clause(self, clause: Clause, start: int, end: int) -> bool:
        """Whether hardly anything else is said in the clause; then all of it is taken."""
        if clause.end - clause.start - (end - start) > FEW + 1:
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
        clause = self.said.clause_end(span.start)
        if self.said.words[span.start] in words("vague", "whenever") and clause - end <= FEW:
            return max(end, clause)
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
            if view is not asked and asked is not None and asked.kind in FREE:
                if not _yes_or_no(view):
                    self._aside(view, asked)
                continue
            done = self._done_with() | (set() if view is asked else self.taken)
            choice, rivals, whole = extraction.find_choice(view, self.said, done)
            if choice is None and len(rivals) > 1 and "correction" in self.acts:
                last = utterance(self.said.slice(self.clauses[-1].start, self.clauses[-1].end))
                choice, _, whole = extraction.find_choice(view, last)
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

    def _aside(self, view: FieldView, asked: FieldView) -> bool:
        """A choice in a clause of its own, beside (or instead of) the free text that was asked for."""
        for clause in self.clauses:
            inside = self.taken & set(range(clause.start, clause.end))
            if not clause.content or (inside and asked.kind != "other_name"):
                continue
            part = utterance(self.said.slice(clause.start, clause.end))
            choice, _, whole = extraction.find_choice(view, part, [i - clause.start for i in inside])
            tells = asked.sort == "problem" or asked.kind == "notes"
            several = sum(other.content for other in self.clauses) > 1 or (
                len(part.words) >= FEW and not tells
            )
            long = FEW if tells or asked.kind == "text" else _LONG
            if choice is not None and whole and several and len(part.words) <= 2 + long:
                self._put(view, choice)
                self.taken.update(range(clause.start, clause.end))
                return True
        return False

    def _done_with(self) -> set[int]:
        """Words that do something ("I'll call some other time") and are the words of no choice."""
        return {
            index
            for item in self.found
            if (item.tag in _NO_NAME or item.tag in ("good_day", "greeting", "thanks"))
            and item.tag not in ("done", "have_none")
            for index in range(item.start, item.end)
        } | (self.taken if any(name in self.values for name in self._timed()) else set())

    def _timed(self) -> list[str]:
        return [view.name for view in self.prepared.fields.values() if view.kind == "time"]

    def _volunteered(self, asked: FieldView | None, *, whole: bool) -> bool:
        """Whether words about a choice that nobody asked for are meant as one."""
        asks = [clause for clause in self.clauses if clause.question]
        if asks and not any(c.content for c in self.clauses):
            inquires = "need" in self.acts and not any(c.wh or c.mark for c in asks)
            return whole and inquires
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
        view = self._third(view)
        asks_name = view is not None and view.kind in ("name", "other_name") and view.name not in self.values
        target = view if asks_name else self.prepared.first("name")
        if target is None or target.name in self.values:
            return
        taken = set(self.taken) | self._greeted()
        for clause in self.clauses:
            if clause.wh or self._speaks(clause) or ((clause.question or clause.mark) and not asks_name):
                taken.update(range(clause.start, clause.end))
        doubt = "need" in self.acts or any(clause.question or self._speaks(clause) for clause in self.clauses)
        doubt = doubt or self._described()
        other = self.prepared.first("other_name")
        span = find_name(
            self.said,
            asked=asks_name and not self.inject,
            taken=frozenset(taken),
            doubt=doubt,
            third=other is None or target is other,
        )
        if span is None or (not span.announced and has_time(self.said, span)):
            return
        self.taken.update(range(span.start, span.end))
        span = doubled(self.said, span)
        if not span.announced and self._is_choice(span.start, span.end):
            return
        if self.said.words[span.start] not in first_names() and self._about_other(span, target):
            return
        self._put(target, self.said.slice(span.start, span.end), firm=span.announced)
        self.taken.update(range(span.start, span.end))

    def _third(self, asked: FieldView | None) -> FieldView | None:
        """Somebody else's name goes to its own field, and the caller's to theirs; what is still asked for."""
        asks_other = asked is not None and asked.kind == "other_name" and asked.sort != "company"
        other = asked if asks_other else self._being()
        if other is None or other.name in self.values or self.inject:
            return asked
        span = third_name(self.said, frozenset(self.taken))
        if span is not None and not self._clause(span[0]).wh:
            self._put(other, self.said.slice(span[1], span[2]), firm=True)
            self.taken.update(range(span[0], span[2]))
            return asked
        own = self.prepared.first("name")
        if asks_other and own is not None and self._own_name():
            return own
        return asked

    def _being(self) -> FieldView | None:
        views = self.prepared.fields.values()
        return next((v for v in views if (v.kind == "other_name" or v.others) and v.sort != "company"), None)

    def _own_name(self) -> bool:
        """Whether the caller says what they themselves are called."""
        own = listed("speaking") | {"im", "אני"}
        return any(
            item.tag == "cue" or self.said.words[item.start] in own
            for item in lexicon("names").find(self.said)
        )

    def _about_other(self, span: NameSpan, target: FieldView) -> bool:
        """Whether the would-be name is made of words of another field ("זו דלת פלדה")."""
        theirs = frozenset().union(
            *(
                view.lone
                for view in self.prepared.fields.values()
                if view is not target and view.kind not in ("name", "other_name")
            )
        )
        return any(not stems(self.said.words[i]).isdisjoint(theirs) for i in range(span.start, span.end))

    def _greeted(self) -> set[int]:
        """Words of longer greetings, which may look like names ("שלום רב")."""
        return {
            index
            for item in self.found
            if item.tag in ("greeting", "good_day") and item.end - item.start > 1
            for index in range(item.start, item.end)
        }

    def _described(self) -> bool:
        """Whether the turn opens by saying what somebody is ("הוא כלב, לברדור")."""
        first = self.clauses[0] if self.clauses else None
        if first is None or self.said.words[first.start] not in words("vague", "pronoun"):
            return False
        return self._is_choice(first.start, first.end)

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


_NOT_ANSWERING = frozenset(
    ["person", "abuse", "decline_firm", "not_interested", "call_later", "wrong_number"]
)
"""Acts of a caller who is not busy with the question at all."""
_PHONE_DIGITS = 7
"""Digits that are no hour and no date."""
_SHORT = 6
"""Words of a turn that one word can decide."""
_LONG = 8
"""Words of a clause that is still about little else than the choice in it."""
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
