"""A business made ready for understanding, once: kinds of fields, words of choices, facts and reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

from callbot.business import Business
from callbot.fields import LeadField
from callbot.models.offline.numbers import number_word
from callbot.models.offline.phrases import Lexicon, table, words
from callbot.models.offline.routes import ends_of
from callbot.models.offline.sorts import about_counted, heads, sort_of
from callbot.models.offline.text import Utterance, key_stems, stems, utterance

_KINDS = ("email", "notes", "address", "city", "name", "service")


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of a field: each phrase as the key stems of its words."""

    name: str
    phrases: tuple[tuple[frozenset[str], ...], ...]
    own: frozenset[str]
    """Stems of words that no other choice of the field has."""
    denying: tuple[tuple[str, ...], ...] = ()
    """Phrases that say "not" themselves ("not cooling"), word for word."""


@dataclass(frozen=True, slots=True)
class FieldView:
    """A field and what kind of thing it holds."""

    field: LeadField
    kind: str
    own_words: frozenset[str]
    """Stems that set this field apart from the others when a bot asks."""
    label_words: tuple[str, ...]
    choices: tuple[Choice, ...] = ()
    yes_no: bool = False
    """Asked so that yes and no are answers."""
    in_which: bool = False
    """Asked by "in which ...?", so that "I'm in ..." answers it."""
    sort: str = ""
    """What a text field holds beyond its kind (sorts.py)."""
    heads: tuple[frozenset[str], ...] = ()
    """The words of the label that carry it."""
    short: bool = False
    """No other field's label begins with the same word, so that it alone names the field."""
    lone: frozenset[str] = frozenset()
    """Stems of the label's words that no other field's label has."""
    others: bool = False
    """The only name that is taken, and likely of somebody the caller speaks for."""
    counted: Callable[[str], bool] = bool
    """Whether a word is what the field counts."""

    @property
    def name(self) -> str:
        """The field's name."""
        return self.field.name


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: its key and value, the stems of both, and the topics it answers."""

    key: str
    value: str
    key_stems: frozenset[str]
    value_stems: frozenset[str]
    topics: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reason:
    """A declared end reason: the usual concepts it stands for, and the words of its description."""

    name: str
    needs: tuple[str, ...]
    concepts: frozenset[str]
    words: tuple[frozenset[str], ...]
    on_insistence: bool


@dataclass(eq=False, slots=True)
class Prepared:
    """Everything understanding needs to know of one business. ``memory`` keeps what was read before."""

    business: Business
    language: str
    region: str
    fields: dict[str, FieldView]
    facts: tuple[Fact, ...]
    reasons: tuple[Reason, ...]
    required: frozenset[str]
    route: tuple[str, str] | None = None
    """The fields for origin and destination, where there are both."""
    memory: dict[object, object] = field(default_factory=dict)

    def first(self, kind: str) -> FieldView | None:
        """The first field of a kind."""
        return next((view for view in self.fields.values() if view.kind == kind), None)


_prepared: dict[int, Prepared] = {}
"""By id of the business, which the value keeps alive."""


def prepare(business: Business) -> Prepared:
    """The prepared business; the last few are kept."""
    kept = _prepared.get(id(business))
    if kept is not None:
        return kept
    if len(_prepared) >= 64:
        _prepared.clear()
    prepared = _prepared[id(business)] = _prepare(business)
    return prepared


def _prepare(business: Business) -> Prepared:
    asked: dict[str, frozenset[str]] = {f.name: _asking_stems(f) for f in business.fields}
    fields = {}
    for lead_field in business.fields:
        others = frozenset().union(*(words for name, words in asked.items() if name != lead_field.name), ())
        fields[lead_field.name] = FieldView(
            lead_field,
            kind_of(lead_field),
            frozenset(w for w in asked[lead_field.name] - others if w[0] != "ה" or w[1:] not in others),
            utterance(lead_field.label or lead_field.name.replace("_", " ")).words,
            _choices(lead_field),
            lead_field.type == "text" and _asks_yes_no(lead_field.ask or ""),
            lead_field.type == "text"
            and not words("with_in", "asks").isdisjoint(utterance(lead_field.ask or "").words),
            *_sorted(lead_field, business)[:-1],
            counted=_sorted(lead_field, business)[-1],
        )
    _sole_name(fields)
    return Prepared(
        business,
        business.language,
        business.phone_region,
        fields,
        tuple(_fact(key, value) for key, value in business.facts.items()),
        tuple(_reason(r.name, r.when, tuple(r.needs)) for r in business.end_reasons),
        frozenset(business.required),
        ends_of(fields),
    )


def _sole_name(fields: dict[str, FieldView]) -> None:
    """Where only one person's name is taken, whoever it is, that is the name callers give."""
    if any(view.kind == "name" for view in fields.values()):
        return
    people = set(table("concepts")["fields"]["name"]["people"])
    others = [v for v in fields.values() if v.kind == "other_name" and v.sort != "company"]
    if len(others) == 1 and people & set(others[0].name.lower().split("_")):
        fields[others[0].name] = replace(others[0], kind="name", others=True)


def _sorted(
    lead_field: LeadField, business: Business
) -> tuple[str, tuple[frozenset[str], ...], bool, frozenset[str], Callable[[str], bool]]:
    """Sort and label of a field; see ``FieldView``."""
    label, ask = lead_field.label or "", lead_field.ask or ""
    own = kind_of(lead_field)
    sort = sort_of(lead_field.name, label, ask) if own in _SORTED else ""
    if sort != {"other_name": "company", "address": "place"}.get(own, sort):
        sort = ""
    forms = _heads(lead_field)
    others = [_heads(other) for other in business.fields if other.name != lead_field.name]
    short = bool(forms) and all(forms[0].isdisjoint(form) for other in others for form in other)
    theirs = frozenset().union(*(form for other in others for form in other))
    lone = frozenset().union(*forms) - theirs
    return sort, forms, short, lone, about_counted(lead_field.name, label, ask)


_SORTED = ("text", "service", "other_name", "address")
"""Kinds that are told apart further."""


def _heads(lead_field: LeadField) -> tuple[frozenset[str], ...]:
    return heads(utterance(lead_field.label or lead_field.name.replace("_", " ")).words, stop_words())


@cache
def stop_words() -> frozenset[str]:
    """Words that carry no subject."""
    return frozenset(table("concepts")["stop_words"])


def content_stems(text: str, *, spoken: bool = False) -> frozenset[str]:
    """Stems of the words that carry a subject."""
    fold = stems if spoken else key_stems
    said = utterance(text).words
    found = [fold(w) for w in said if w not in stop_words() and (w[0] != "ו" or w[1:] not in stop_words())]
    return frozenset().union(*found, ())


def kind_of(lead_field: LeadField) -> str:
    """What a field holds: its type, or for text what its name and label say."""
    if lead_field.type != "text":
        return str(lead_field.type)
    concepts = table("concepts")["fields"]
    tokens = set(lead_field.name.lower().split("_"))
    label = set(utterance(lead_field.label or "").words)
    for kind in _KINDS:
        entry = concepts[kind]
        if tokens & set(entry["names"]) or (label | tokens) & set(entry["labels"]):
            yours = not {"your", "you", "שמך", "לך"}.isdisjoint(
                label | set(utterance(lead_field.ask or "").words)
            )
            if (
                kind == "name"
                and not (yours and tokens & {"parent", "owner", "your"})
                and (tokens & set(entry["not"]) or ("של" in label and not tokens & set(entry["own"])))
            ):
                return "other_name" if tokens & {"name", "names"} or label & {"שם", "שמות"} else "text"
            return kind
    return "text"


def _asks_yes_no(ask: str) -> bool:
    """Whether the question is answered by yes or no. "May I have ..." asks for the thing itself."""
    spoken = utterance(ask).words
    return bool(spoken) and (spoken[0] in _YES_NO_OPENERS or "האם" in spoken)


_YES_NO_OPENERS = frozenset(
    ["האם", "יש", "is", "are", "do", "does", "did", "has", "have", "was", "were", "will"]
)


def _asking_stems(lead_field: LeadField) -> frozenset[str]:
    texts = (lead_field.label or "", lead_field.ask or "", lead_field.name.replace("_", " "))
    return frozenset().union(*(content_stems(text) for text in texts))


def _choices(lead_field: LeadField) -> tuple[Choice, ...]:
    phrases = {
        name: tuple(_phrase_stems(text) for text in (name, *synonyms))
        for name, synonyms in lead_field.choices.items()
    }
    words = {name: frozenset().union(*(s for p in ps for s in p), ()) for name, ps in phrases.items()}
    result = []
    for name, own_phrases in phrases.items():
        others = frozenset().union(*(w for other, w in words.items() if other != name), ())
        spoken = (utterance(text).words for text in (name, *lead_field.choices[name]))
        denying = tuple(p for p in spoken if len(p) > 1 and not _NOT.isdisjoint(p))
        result.append(Choice(name, own_phrases, words[name] - others, denying))
    return tuple(result)


_NOT = frozenset(["לא", "אין", "בלי", "not", "no", "wont", "doesnt", "isnt", "without"])


def _phrase_stems(text: str) -> tuple[frozenset[str], ...]:
    said = utterance(text)
    kept = [word for word in said.words if word not in stop_words()] or list(said.words)
    return tuple(choice_stems(word, key_stems(word)) for word in kept)


def choice_stems(word: str, folded: frozenset[str]) -> frozenset[str]:
    """Stems for choices: a number word and its digits are the same."""
    number = number_word(word)
    return folded | {number} if number is not None else folded


def _fact(key: str, value: str) -> Fact:
    topics = table("concepts")["topics"]
    stemmed = content_stems(key)
    mine = frozenset(
        topic
        for topic, entry in topics.items()
        if any(not key_stems(w).isdisjoint(stemmed) for w in entry["keys"])
    )
    return Fact(key, value, stemmed, content_stems(value), mine)


def _reason(name: str, when: str, needs: tuple[str, ...]) -> Reason:
    data = table("concepts")
    tokens = set(name.split("_"))
    said = set(utterance(when).words)
    stemmed = content_stems(when)
    named = {c for c, entry in data["reasons"].items() if tokens & set(entry["means"])}
    if not named:
        named = {
            c
            for c, entry in data["reasons"].items()
            if any(not key_stems(w).isdisjoint(stemmed) for w in entry["means"])
        }
    insist = bool((said | tokens) & set(data["insist_words"]))
    spoken = tuple(
        key_stems(word) for word in dict.fromkeys(utterance(when).words) if word not in stop_words()
    )
    return Reason(name, needs, frozenset(named), spoken, insist)


@cache
def topic_lexicon() -> Lexicon:
    """How callers ask about the usual topics; tags are topics, ``services`` and ``explain``."""
    data = table("concepts")
    phrases = {topic: entry["ask"] for topic, entry in data["topics"].items()}
    phrases["services"], phrases["explain"] = data["services"]["ask"], data["explain"]["ask"]
    return Lexicon(phrases, prefixes="ושהבלכ")


@cache
def reason_lexicon(concept: str) -> Lexicon:
    """What callers say when one of the usual reasons to end applies. Phrases of several may overlap."""
    return Lexicon({concept: table("concepts")["reasons"][concept]["says"]})


def reasons_shown(prepared: Prepared, said: Utterance) -> frozenset[str]:
    """Concepts, of those that the business declares, that the words show."""
    declared = frozenset().union(*(reason.concepts for reason in prepared.reasons), ())
    return frozenset(
        concept
        for concept in declared
        if any(not _denied(said, item.start) for item in reason_lexicon(concept).find(said))
    )


def _denied(said: Utterance, index: int) -> bool:
    """Whether the clause says no before ("it's not an emergency")."""
    first = index
    while first and not said.breaks[first] and index - first < _REACH:
        first -= 1
        if said.words[first] in words("vague", "negates"):
            return True
    return False


_REACH = 4
"""Words over which a negation reaches."""


@cache
def asking_lexicon() -> Lexicon:
    """How bots ask for fields of each kind."""
    entries = table("concepts")["fields"]
    return Lexicon({kind: entry["asked"] for kind, entry in entries.items()}, prefixes="ושהבלמ")
