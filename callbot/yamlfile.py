"""YAML as people mean it: every scalar is the text that was written, and knows where it stands.

YAML 1.1 turns ``0521234567`` into an octal number and ``no`` into false. Here PyYAML only parses;
scalars stay the raw text (numbers and booleans are read by the pydantic model that wants one), and
only an empty value, ``~`` or ``null`` is None. Two ways to lose text silently are errors where a
model says ``Text`` or ``Sentences``: text cut by a `` #`` comment and text split at a comma.
"""

from __future__ import annotations

import io
import re
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from callbot.errors import InvalidInput, Problem
from callbot.plainly import TEXT_NESTED, in_plain_words, suggestion, yaml_fault

_NULL = "tag:yaml.org,2002:null"
_TAGS = "tag:yaml.org,2002:"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MOST_LEVELS = 100
_MOST_REPEATS = 10_000
"""Values that aliases may repeat; a few lines of aliases of aliases stand for billions."""
_SAFE_OPENINGS = 5000
"""Nesting up to this cannot exhaust the stack of PyYAML's parser, which crashes the process."""
_OPENING = re.compile(r"[\[{]|[-?]\s|^[ \t]+", re.MULTILINE)

Location = tuple[int | str, ...]


class Scalar(str):
    """The raw text of a YAML scalar and how it was written."""

    __slots__ = ("cut_by_comment", "flow", "plain")
    plain: bool
    """Written without quotes."""
    flow: bool
    """Stands inside ``[...]`` or ``{...}``."""
    cut_by_comment: bool
    """Plain, and followed by a `` #`` comment on its line."""


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: ``data`` of dict, list, Scalar and None, and the nodes it came from."""

    path: Path
    root: yaml.Node
    data: Any

    def place(self, location: Location) -> tuple[Path, int]:
        """File and 1-based line of the value (or of its nearest parent that exists) at ``location``."""
        node = self.root
        mark = node.start_mark
        for step in location:
            if isinstance(node, yaml.MappingNode):
                pair = next(((k, v) for k, v in node.value if k.value == str(step)), None)
                if pair is None:
                    break
                mark, node = pair[0].start_mark, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                mark = node.start_mark
        return Path(mark.name), mark.line + 1

    def text_place(self, location: Location, line: int) -> tuple[Path, int]:
        """File and line of the ``line``th line of the text at ``location``, as far as it can be told."""
        node = self.root
        for step in location:
            assert isinstance(node, yaml.MappingNode)
            node = next(value for key, value in node.value if key.value == str(step))
        literal = isinstance(node, yaml.ScalarNode) and node.style == "|"
        return Path(node.start_mark.name), node.start_mark.line + 1 + (line if literal else 0)

    def is_flow(self, location: Location) -> bool:
        """Whether the key at ``location`` stands inside ``{...}``."""
        data = self.data
        for step in location[:-1]:
            data = data[step]
        return any(key == location[-1] and isinstance(key, Scalar) and key.flow for key in data)

    def over(self, base: Document) -> Document:
        """Lay this document over ``base``: mappings merge key by key, everything else replaces."""
        return Document(self.path, _overlay_nodes(base.root, self.root), _overlay_data(base.data, self.data))


def _overlay_data(base: Any, top: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(top, dict)):
        return top
    merged = dict(base)
    for key, value in top.items():
        merged[key] = _overlay_data(base[key], value) if key in base else value
    return merged


def _overlay_nodes(base: yaml.Node, top: yaml.Node) -> yaml.Node:
    if not (isinstance(base, yaml.MappingNode) and isinstance(top, yaml.MappingNode)):
        return top
    below = {key.value: (key, value) for key, value in base.value}
    pairs = []
    for key, value in top.value:
        _, under = below.pop(key.value, (None, None))
        pairs.append((key, value if under is None else _overlay_nodes(under, value)))
    return yaml.MappingNode(top.tag, [*below.values(), *pairs], top.start_mark, top.end_mark)


class _NamedText(io.StringIO):
    """Text whose YAML marks carry the name of its file."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


def read_yaml(path: Path) -> Document:
    """Read a file. Raises InvalidInput for what cannot be read or is not one YAML document."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInput([Problem(path, None, "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise InvalidInput([Problem(path, None, "", "is not UTF-8 text; save it as UTF-8")]) from error
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path) -> Document:
    """Parse ``text``; ``path`` is only for messages."""
    try:
        if len(_OPENING.findall(text)) > _SAFE_OPENINGS:
            _refuse_depth(text, path)
        root = yaml.compose(_NamedText(text, str(path)), Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line, message = yaml_fault(error, text)
        if "maximum nesting depth" in (error.problem or ""):  # libyaml's own limit, where it comes first
            message = _TOO_DEEP
        raise InvalidInput([Problem(path, line, "", message)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, text.find(chr(error.character))) + 1
        message = f"holds a control character (code {error.character:#x}); remove it"
        raise InvalidInput([Problem(path, line, "", message)]) from error
    except RecursionError as error:
        raise InvalidInput([Problem(path, None, "", _TOO_DEEP)]) from error
    if root is None:
        raise InvalidInput([Problem(path, None, "", "is empty")])
    builder = _Builder(path, text)
    return Document(path, root, builder.build(root, flow=False, parents=()))


_TOO_DEEP = f"is nested more than {_MOST_LEVELS} levels deep"


def _refuse_depth(text: str, path: Path) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_LEVELS:
            line = event.start_mark.line + 1 if event.start_mark else None
            raise InvalidInput([Problem(path, line, "", _TOO_DEEP)])


class _Builder:
    """Turns nodes into plain data, keeping how each scalar was written."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text, self.lines = path, text, text.splitlines()
        self._seen: set[int] = set()
        self._repeats = 0

    def build(self, node: yaml.Node, *, flow: bool, parents: tuple[int, ...]) -> Any:
        if id(node) in parents:
            raise InvalidInput([self._problem(node, "", "an alias that contains itself")])
        if len(parents) > _MOST_LEVELS:
            raise InvalidInput([self._problem(node, "", _TOO_DEEP)])
        self._repeats += id(node) in self._seen
        if self._repeats > _MOST_REPEATS:
            message = f"aliases (*name) repeat more than {_MOST_REPEATS} values; write them out"
            raise InvalidInput([self._problem(node, "", message)])
        self._seen.add(id(node))
        parents = (*parents, id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, flow, parents)
        if isinstance(node, yaml.SequenceNode):
            inside = bool(flow or node.flow_style)
            return [self.build(item, flow=inside, parents=parents) for item in node.value]
        assert isinstance(node, yaml.ScalarNode)
        self._refuse_lost_text(node)
        return None if node.tag == _NULL else self._scalar(node, flow)

    def _mapping(self, node: yaml.MappingNode, flow: bool, parents: tuple[int, ...]) -> dict[str, Any]:
        inside = bool(flow or node.flow_style)
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise InvalidInput([self._problem(key_node, "", "a key must be text")])
            self._refuse_lost_text(key_node)
            key = self._scalar(key_node, inside)
            if key_node.tag == _TAGS + "merge":
                message = "YAML's merge key is not read; write the keys out, or use extends"
                raise InvalidInput([self._problem(key_node, key, message)])
            if key in result:
                raise InvalidInput([self._problem(key_node, key, "this key stands here twice")])
            result[key] = self.build(value_node, flow=inside, parents=parents)
        return result

    def _scalar(self, node: yaml.ScalarNode, flow: bool) -> Scalar:
        scalar = Scalar(node.value)
        scalar.plain = not node.style  # None from PyYAML's own parser, "" from libyaml
        scalar.flow = flow
        scalar.cut_by_comment = scalar.plain and self._is_cut(node)
        return scalar

    def _is_cut(self, node: yaml.ScalarNode) -> bool:
        """Whether a comment follows a plain scalar at once; none holds `` #``, so what does is a comment.

        Inside brackets a scalar's end mark lies behind the comment, otherwise before it.
        """
        start, end = node.start_mark, node.end_mark
        lines = self.lines[start.line : end.line + 1]
        if not lines:
            return False
        last = lines[-1]
        to_comment = last[: end.column] if last[end.column :].lstrip()[:1] != "#" else last
        text = "\n".join([*lines[:-1], to_comment])[start.column :]
        return re.search(r"\s#", text) is not None

    def _refuse_lost_text(self, node: yaml.ScalarNode) -> None:
        """A word that begins with ! or & is a tag or an anchor to YAML, and would be gone from the text."""
        if node.start_mark.line >= len(self.lines):
            return
        words = self.lines[node.start_mark.line][node.start_mark.column :].split()
        word = words[0].rstrip(",]}") if words else ""
        unused_anchor = word[:1] == "&" and f"*{word[1:]}" not in self.text
        if word[:1] == "!" or unused_anchor:
            message = f'text that begins with {word[0]} must be quoted: "{word} ..."'
            raise InvalidInput([self._problem(node, "", message)])

    def _problem(self, node: yaml.Node, key: str, message: str) -> Problem:
        return Problem(self.path, node.start_mark.line + 1, key, message)


# --- what models say about their values ---------------------------------------------------------
_TEXT_MISSING = 'is empty where text is due; write the text, and quote it if it is a word like "null"'


def _text(value: object) -> object:
    if value is None:
        raise PydanticCustomError("text_missing", _TEXT_MISSING)
    if isinstance(value, (list, dict)):
        raise PydanticCustomError("text_nested", TEXT_NESTED)
    if isinstance(value, Scalar) and value.cut_by_comment:
        raise PydanticCustomError(
            "text_cut",
            'the text is cut at " #", which starts a comment; quote the text: "{text}"',
            {"text": str(value)},
        )
    return str(value) if isinstance(value, Scalar) else value


def _words(value: object) -> object:
    text = _text(value)
    if isinstance(text, str) and not text.strip():
        raise PydanticCustomError("text_missing", _TEXT_MISSING)
    return text


def _sentences(value: object) -> object:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and not value:
        raise PydanticCustomError("no_sentences", "must hold at least one sentence; or leave the key out")
    if isinstance(value, list) and len(value) > 1:
        for item in value:
            if isinstance(item, Scalar) and item.flow and item.plain:
                raise PydanticCustomError(
                    "text_split",
                    "a comma splits unquoted text inside [ ]; quote each sentence or write one a line with -",
                )
    return value


Text = Annotated[str, BeforeValidator(_text)]
"""Free text: spoken or shown."""

OptionalText = Annotated[str | None, BeforeValidator(_text)]
"""Free text that may be left out, but is not empty where its key is written."""

Words = Annotated[str, BeforeValidator(_words)]
"""Text that is not blank either."""

OptionalWords = Annotated[str | None, BeforeValidator(_words)]
"""The same, where the key may be left out."""

Sentences = Annotated[list[Words], BeforeValidator(_sentences, json_schema_input_type=str | list[str])]
"""Sentences to choose from; one alone needs no list."""


def refuse(faults: Iterable[tuple[Location, str]]) -> None:
    """Inside a validator: report faults at places below the validated model, if there are any."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("value_error", "{m}", {"m": message}), loc=place, input=None
        )
        for place, message in faults
    ]
    if details:
        raise ValidationError.from_exception_data("file", details)


class StrictModel(BaseModel):
    """A model whose unknown keys are errors; ``validate`` names the nearest known key."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _unknown_key(model: type[BaseModel], place: Location, value: object, flow: bool) -> str:
    key = str(place[-1])
    if value is None and flow:
        return f'a comma inside {{ }} has split the text before "{key}"; quote the whole text: "..., {key}"'
    owner = _model_at(model, place[:-1])
    fields = owner.model_fields.items() if owner else ()
    known = sorted(field.alias or name for name, field in fields)
    return "unknown key" + (suggestion(key, known) or f"; known keys: {', '.join(known)}")


def _field_at(model: type[BaseModel], place: Location) -> FieldInfo | None:
    owner = _model_at(model, place[:-1]) if place else None
    return owner.model_fields.get(str(place[-1])) if owner else None


def _model_at(model: type[BaseModel], place: Location) -> type[BaseModel] | None:
    """The model class whose keys stand at ``place`` of a document described by ``model``."""
    current: type[BaseModel] | None = model
    for step in place:
        if current and isinstance(step, str) and step in current.model_fields:
            current = _model_within(current.model_fields[step].annotation)
    return current


def _model_within(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_within(argument) for argument in typing.get_args(annotation))
    return next((found for found in inner if found), None)


Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], document: Document, location: Location = ()) -> Model:
    """Validate the value at ``location``. Raises InvalidInput naming file, line and key of each fault."""
    data = document.data
    for step in location:
        data = data[step]
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidInput(list(_problems(error, model, document, location))) from error


def _problems(
    error: ValidationError, model: type[BaseModel], document: Document, location: Location
) -> Iterator[Problem]:
    for fault in error.errors(include_url=False):
        place = (*location, *fault["loc"])
        key = ".".join(str(step) for step in place if not _names_union_member(step))
        flow = bool(place) and _stands_in_braces(document, place)
        if fault["type"] == "extra_forbidden":
            message = _unknown_key(model, place, fault["input"], flow)
        else:
            message = in_plain_words(fault, _field_at(model, place), _model_at(model, place))
            if fault["type"] == "text_missing" and flow and fault["input"] is None:
                message += "; or quote the whole text, if a comma inside { } has split it"
        file, line = document.place(place)
        yield Problem(file, line, key, message)


def _stands_in_braces(document: Document, place: Location) -> bool:
    try:
        return document.is_flow(place)
    except (LookupError, TypeError):
        return False


def _names_union_member(step: int | str) -> bool:
    """Pydantic puts the name of the tried union member into a location; users never wrote it."""
    return isinstance(step, str) and (
        step[:1].isupper() or "[" in step or step in {"str", "float", "int", "bool"}
    )
