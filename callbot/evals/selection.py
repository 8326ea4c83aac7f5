"""What an evaluation runs: the scenarios chosen, and the businesses they call."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from callbot.business import Business, read_business, recheck_prompt
from callbot.errors import CallbotError, InvalidInput, Problem
from callbot.evals.report import PromptUsed
from callbot.evals.scenario import Scenario
from callbot.evals.scenario_files import check_against, read_scenarios
from callbot.lookup import UnknownBusiness


@dataclass(frozen=True, slots=True)
class Found:
    """A business, and its version in the store; None for a file on disk."""

    business: Business
    version: int | None = None


BusinessLookup = Callable[[str], Found]
"""Finds a business by id. Raises UnknownBusiness naming the ids it knows, or another CallbotError."""

_NAMED = re.compile(r"([a-z0-9][a-z0-9_-]*)=(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selection:
    """Scenarios to run, the business of each by id, and which version of it came from the store."""

    scenarios: tuple[Scenario, ...]
    businesses: Mapping[str, Business]
    versions: Mapping[str, int | None]

    def only(self, names: Collection[str]) -> Selection:
        """The scenarios of these names, and the businesses they call."""
        scenarios = tuple(scenario for scenario in self.scenarios if scenario.name in names)
        called = {scenario.business for scenario in scenarios}
        businesses = {each: self.businesses[each] for each in self.businesses if each in called}
        return Selection(scenarios, businesses, self.versions)

    def prompts_used(self) -> list[PromptUsed]:
        """Which text of each business is evaluated."""
        return [
            PromptUsed(business=b.id, version=self.versions.get(b.id), sha256=fingerprint(b))
            for b in self.businesses.values()
        ]


def select(
    paths: Sequence[Path],
    find: BusinessLookup,
    *,
    names: Sequence[str] = (),
    tags: Sequence[str] = (),
    businesses: Sequence[str] = (),
    prompts: Sequence[str] = (),
) -> Selection:
    """Read scenarios, keep those that every filter admits, and find their businesses.

    ``names``: parts of names, any of them; ``tags`` and ``businesses``: any of them. ``prompts``:
    ``[ID=]FILE`` overrides. Raises InvalidInput or CallbotError; selecting nothing is an error too.
    """
    everything = read_scenarios(paths, any_business=businesses)
    scenarios = [
        scenario
        for scenario in everything
        if (not names or any(part.casefold() in scenario.name.casefold() for part in names))
        and (not tags or set(tags) & set(scenario.tags))
        and (not businesses or scenario.business in businesses)
    ]
    if not scenarios:
        raise CallbotError(_nothing_selected(paths, everything, names, tags, businesses))
    found = _businesses(scenarios, find)
    chosen = {business_id: each.business for business_id, each in found.items()}
    overridden = _overridden(prompts, chosen)
    chosen.update(overridden)
    problems = [problem for s in scenarios for problem in check_against(s, chosen[s.business])]
    if problems:
        raise InvalidInput(list(dict.fromkeys(problems)))
    versions = {business_id: each.version for business_id, each in found.items()}
    return Selection(tuple(scenarios), chosen, versions | dict.fromkeys(overridden))


def _nothing_selected(
    paths: Sequence[Path],
    everything: Sequence[Scenario],
    names: Sequence[str],
    tags: Sequence[str],
    businesses: Sequence[str],
) -> str:
    """Why nothing is left: which filter knows no such thing, or that no scenario passes all of them."""
    where = ", ".join(map(str, paths))
    if not everything:
        return f"no scenario selected: there is none in {where}"
    known_tags = {tag for scenario in everything for tag in scenario.tags}
    known_ids = {scenario.business for scenario in everything}
    for option, wanted, known in (("--tag", tags, known_tags), ("--business", businesses, known_ids)):
        if wanted and not known & set(wanted):
            near = difflib.get_close_matches(wanted[0], sorted(known), n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(sorted(known)) or 'none'}"
            return f'no scenario selected: none in {where} has {option} "{wanted[0]}"; {hint}'
    if names and not tags and not businesses:
        return f'no scenario selected: no name in {where} holds "{names[0]}"; --list shows them all'
    return (
        f"no scenario selected: none of {len(everything)} in {where} passes all of -k, --tag and --business"
    )


def _businesses(scenarios: Sequence[Scenario], find: BusinessLookup) -> dict[str, Found]:
    found: dict[str, Found] = {}
    problems: list[Problem] = []
    missing: set[str] = set()
    for scenario in scenarios:
        if scenario.business in found or scenario.business in missing:
            continue
        try:
            found[scenario.business] = find(scenario.business)
        except InvalidInput as error:
            missing.add(scenario.business)
            problems.extend(error.problems)
        except UnknownBusiness as error:
            missing.add(scenario.business)
            line = scenario.lines.get("business", scenario.line)
            problems.append(Problem(scenario.file, line, "business", str(error)))
    if problems:
        raise InvalidInput(problems)
    return found


def prompt_files(prompts: Sequence[str]) -> list[Path]:
    """The files of ``[ID=]FILE`` overrides."""
    return [Path(match[2]) if (match := _NAMED.fullmatch(option)) else Path(option) for option in prompts]


def _overridden(prompts: Sequence[str], businesses: Mapping[str, Business]) -> dict[str, Business]:
    changed: dict[str, Business] = {}
    for option in prompts:
        match = _NAMED.fullmatch(option)
        named, path = (match[1], Path(match[2])) if match else ("", Path(option))
        if path.suffix in (".yaml", ".yml"):
            business = read_business(path)
            target = _target(named or business.id, businesses, option)
            changed[target] = business.model_copy(update={"id": target})
        else:
            target = _target(named, businesses, option)
            changed[target] = recheck_prompt(businesses[target], _text(path), path)
    return changed


def _target(named: str, businesses: Mapping[str, Business], option: str) -> str:
    if not named and len(businesses) == 1:
        return next(iter(businesses))
    if not named:
        known = ", ".join(businesses)
        raise CallbotError(
            f"--prompt {option}: several businesses are selected; say ID={option}, ID one of {known}"
        )
    if named not in businesses:
        raise CallbotError(
            f'--prompt {option}: no selected scenario calls "{named}"; they call {", ".join(businesses)}'
        )
    return named


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CallbotError(f"--prompt: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CallbotError(f"--prompt: {path} is not UTF-8 text; save it as UTF-8") from error


def fingerprint(business: Business) -> str:
    """SHA-256 of everything a business says, whatever file it came from."""
    return hashlib.sha256(business.model_dump_json().encode()).hexdigest()
