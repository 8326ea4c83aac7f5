"""Reads scenario files: every fault of every file at once, each with its place and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from callbot.business import BUILT_IN_REASONS, Business
from callbot.errors import InvalidInput, Problem
from callbot.evals.casting import ANYTHING_ELSE, AdaptiveSpec, CallerSpec, ScriptedSpec, TurnExpect
from callbot.evals.oracle import Expect
from callbot.evals.scenario import Scenario, ScenarioFile
from callbot.evals.transcript_scenarios import Source, scenarios_of, transcript_scenarios
from callbot.yamlfile import Document, read_yaml, validate


def read_scenarios(paths: Sequence[Path], any_business: Sequence[str] = ()) -> list[Scenario]:
    """Every scenario in files and folders, in the order of their paths.

    ``any_business`` stands in for ``business: any``. Raises InvalidInput with every fault of every
    file; nothing of a bad set is returned.
    """
    scenarios: list[Scenario] = []
    problems: list[Problem] = []
    for file in _files(paths):
        try:
            scenarios.extend(_read_file(file, any_business))
        except InvalidInput as error:
            problems.extend(error.problems)
    problems.extend(_names_used_twice(scenarios))
    if problems:
        raise InvalidInput(problems)
    return scenarios


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found: Iterable[Path] = sorted(p for p in path.rglob("*.y*ml") if _is_scenario_file(p, path))
        elif path.exists():
            found = [path]
        else:
            raise InvalidInput([Problem(path, None, "", "there is no such file or folder")])
        for file in found:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _is_scenario_file(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix in (".yaml", ".yml") and not hidden and path.is_file()


def _read_file(file: Path, any_business: Sequence[str]) -> Iterator[Scenario]:
    if file.suffix == ".jsonl":
        yield from scenarios_of(Source(file, file.stem), any_business)
        return
    document = read_yaml(file)
    problems: list[Problem] = []
    for location in _locations(document):
        try:
            if _names_transcripts(document, location):
                yield from transcript_scenarios(document, location, any_business)
            else:
                yield from _expanded(document, location, any_business)
        except InvalidInput as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidInput(sorted(problems, key=lambda problem: problem.line or 0))


def _locations(document: Document) -> list[tuple[int | str, ...]]:
    """Where the scenarios of a file stand. Raises InvalidInput for a file that holds something else."""
    data = document.data
    if not isinstance(data, dict):
        raise _wrong(document, "", "a scenario file is a mapping: one scenario, or a list under scenarios:")
    if "scenarios" not in data:
        if {"greeting", "fields", "prompt"} & set(data) and "caller" not in data:
            raise _wrong(document, "", "is a business file, not a scenario; name the folder of the scenarios")
        return [()]
    if beside := [key for key in data if key != "scenarios"]:
        raise _wrong(document, beside[0], "stands beside scenarios:, which takes the whole file")
    items = data["scenarios"]
    if not isinstance(items, list) or not items:
        raise _wrong(document, "scenarios", "must be a list of at least one scenario, each beginning with -")
    return [("scenarios", index) for index in range(len(items))]


def _names_transcripts(document: Document, location: tuple[int | str, ...]) -> bool:
    data = document.data
    for step in location:
        data = data[step]
    return isinstance(data, dict) and "transcripts" in data


def _wrong(document: Document, key: str, message: str) -> InvalidInput:
    line = document.place((key,) if key else ())[1]
    return InvalidInput([Problem(document.path, line, key, message)])


def _expanded(
    document: Document, location: tuple[int | str, ...], any_business: Sequence[str]
) -> Iterator[Scenario]:
    written = validate(ScenarioFile, document, location)
    if "any" in written.business and not any_business:
        message = "business: any needs --business ID to say which"
        raise InvalidInput(
            [Problem(document.path, _line(document, location, "business"), "business", message)]
        )
    businesses = [
        business for name in written.business for business in (any_business if name == "any" else [name])
    ]
    for business in dict.fromkeys(businesses):
        name = written.name if len(businesses) == 1 else f"{written.name}@{business}"
        for suffix, caller, expect, place in _variants(written):
            yield Scenario(
                name=name + suffix,
                description=written.description or "",
                file=document.path,
                line=_line(document, location, "name"),
                business=business,
                tags=tuple(written.tags),
                now=written.now,
                caller_number=written.from_,
                turns=tuple(caller.turns) if isinstance(caller, ScriptedSpec) else (),
                caller=None if isinstance(caller, ScriptedSpec) else caller,
                expect=expect,
                lines={
                    "business": _line(document, location, "business"),
                    "expect.end.reason": _line(document, location, *place, "expect", "end", "reason"),
                    "expect.end.before.captured": _line(
                        document, location, *place, "expect", "end", "before", "captured"
                    ),
                    **dict(_caller_lines(document, location, caller)),
                    **{
                        f"expect.lead.{field}": _line(document, location, *place, "expect", "lead", field)
                        for field in expect.lead
                    },
                },
            )


def _caller_lines(
    document: Document, location: tuple[int | str, ...], caller: CallerSpec
) -> Iterator[tuple[str, int]]:
    """Where a caller names fields of the lead."""
    if isinstance(caller, AdaptiveSpec):
        for name in ("", *caller.facts):
            key = ("caller", "facts", name) if name else ("caller", "facts")
            yield ".".join(key), _line(document, location, *key)
    if isinstance(caller, ScriptedSpec):
        for index, turn in enumerate(caller.turns):
            if turn.when is not None:
                place = ("caller", "turns", index, "when", "asks")
                yield f"caller.turns.{index}.when.asks", _line(document, location, *place)


def _line(document: Document, location: tuple[int | str, ...], *key: int | str) -> int:
    return document.place((*location, *key))[1]


def _variants(written: ScenarioFile) -> Iterator[tuple[str, CallerSpec, Expect, tuple[int | str, ...]]]:
    """Suffix of the name, caller, oracle and where that oracle stands: as written, then each variant."""
    caller = written.caller
    yield "", caller, written.expect, ()
    for number, variant in enumerate(written.variants, 1):
        assert isinstance(caller, ScriptedSpec), "variants of another caller were refused"
        turns = caller.turns
        update: dict[str, object] = {"say": variant.say, "heard": None}
        if variant.expect is not None:  # another oracle: the old turn's own expectation goes with it
            update["expect"] = TurnExpect()
        changed = turns[variant.at - 1].model_copy(update=update)
        script = caller.model_copy(
            update={"turns": [*turns[: variant.at - 1], changed, *turns[variant.at :]]}
        )
        if variant.expect is None:
            yield f".v{number}", script, written.expect, ()
        else:
            yield f".v{number}", script, variant.expect, ("variants", number - 1)


def _names_used_twice(scenarios: Sequence[Scenario]) -> Iterator[Problem]:
    seen: dict[str, Scenario] = {}
    for scenario in scenarios:
        first = seen.setdefault(scenario.name, scenario)
        if first is not scenario:
            message = f'the name "{scenario.name}" is also used at {first.file}:{first.line}'
            yield Problem(scenario.file, scenario.line, "name", message)


def check_against(scenario: Scenario, business: Business) -> list[Problem]:
    """What in a scenario does not fit its business: unknown reasons, lead fields, values never kept so."""
    end = scenario.expect.end
    reasons = [*BUILT_IN_REASONS, *business.reasons]
    problems = [
        _unknown(scenario, "expect.end.reason", reason, reasons, f"an end reason of {business.id}")
        for reason in (end.reason if end else ())
        if reason not in reasons
    ]
    fields = [field.name for field in business.fields]
    problems.extend(
        _unknown(scenario, key, name, [*fields, *also], f"a field of {business.id}")
        for key, name, also in _fields_named(scenario)
        if name not in fields and name not in also
    )
    problems.extend(_never_complete(scenario, business))
    problems.extend(_never_kept_so(scenario, business))
    return problems


def _fields_named(scenario: Scenario) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Key, name and what else may stand there, wherever a scenario names a field of the lead."""
    end, caller = scenario.expect.end, scenario.caller
    for name in scenario.expect.lead:
        yield f"expect.lead.{name}", name, ()
    for name in end.before.captured if end and end.before else ():
        yield "expect.end.before.captured", name, ()
    if isinstance(caller, AdaptiveSpec):
        for name in caller.facts:
            yield f"caller.facts.{name}", name, ()
    for index, turn in enumerate(scenario.turns):
        if turn.when is not None and turn.when.asks is not None:
            yield f"caller.turns.{index}.when.asks", turn.when.asks, (ANYTHING_ELSE,)


def _never_complete(scenario: Scenario, business: Business) -> Iterator[Problem]:
    """An adaptive caller who is to complete the lead without knowing all of it."""
    end, caller = scenario.expect.end, scenario.caller
    if not isinstance(caller, AdaptiveSpec) or end is None or end.after != "lead_complete":
        return
    if lacking := [name for name in business.required if name not in caller.facts]:
        line = scenario.lines.get("caller.facts", scenario.line)
        message = f"lacks {', '.join(lacking)}, which {business.id} requires: lead_complete would never come"
        yield Problem(scenario.file, line, "caller.facts", message)


def _never_kept_so(scenario: Scenario, business: Business) -> Iterator[Problem]:
    """Fields of which every expected value has another form than the lead keeps: none could match."""
    for field in business.fields:
        alternatives = scenario.expect.lead.get(field.name, [])
        if field.type not in ("phone", "choice") or not alternatives:
            continue
        kept = [field.normalised(wanted, business.phone_region) for wanted in alternatives]
        if any(
            value.startswith("~") or value == form for value, form in zip(alternatives, kept, strict=True)
        ):
            continue
        key = f"expect.lead.{field.name}"
        due = "a number with its country code" if field.type == "phone" else "the name of a choice"
        known = f"; known: {', '.join(field.choices)}" if field.choices else ""
        hint = f'; write "{kept[0]}"' if kept[0] else known
        line = scenario.lines.get(key, scenario.line)
        yield Problem(scenario.file, line, key, f'must be {due}; found "{alternatives[0]}"{hint}')


def _unknown(scenario: Scenario, key: str, name: str, known: list[str], what: str) -> Problem:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}"
    line = scenario.lines.get(key, scenario.line)
    return Problem(scenario.file, line, key, f'"{name}" is not {what}; {hint}')
