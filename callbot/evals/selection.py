"""What an evaluation runs: the scenarios chosen, and the businesses they call."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from callbot.business import Business, read_business, recheck_prompt
from callbot.errors import CallbotError, InvalidInput, Problem
from callbot.evals.report import PromptUsed
from callbot.evals.scenario import Scenario
from callbot.evals.scenario_files import check_against, read_scenarios

BusinessLookup = Callable[[str], Business]
"""Finds a business by id. Raises CallbotError naming the ids it knows."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Scenarios to run and the business of each, by id."""

    scenarios: tuple[Scenario, ...]
    businesses: Mapping[str, Business]

    def prompts_used(self) -> list[PromptUsed]:
        """Which text of each business is evaluated."""
        return [PromptUsed(business=b.id, sha256=fingerprint(b)) for b in self.businesses.values()]


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
    scenarios = [
        scenario
        for scenario in read_scenarios(paths, any_business=businesses)
        if (not names or any(part.casefold() in scenario.name.casefold() for part in names))
        and (not tags or set(tags) & set(scenario.tags))
        and (not businesses or scenario.business in businesses)
    ]
    if not scenarios:
        raise CallbotError(
            f"no scenario selected in {', '.join(map(str, paths))}; --list shows what there is"
        )
    found = _businesses(scenarios, find)
    found.update(_overridden(prompts, found))
    problems = [problem for s in scenarios for problem in check_against(s, found[s.business])]
    if problems:
        raise InvalidInput(problems)
    return Selection(tuple(scenarios), found)


def _businesses(scenarios: Sequence[Scenario], find: BusinessLookup) -> dict[str, Business]:
    found: dict[str, Business] = {}
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
        except CallbotError as error:
            missing.add(scenario.business)
            problems.append(Problem(scenario.file, scenario.line, "business", str(error)))
    if problems:
        raise InvalidInput(problems)
    return found


def _overridden(prompts: Sequence[str], businesses: Mapping[str, Business]) -> dict[str, Business]:
    changed: dict[str, Business] = {}
    for option in prompts:
        named, _, rest = option.rpartition("=")
        path = Path(rest)
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
    except (OSError, UnicodeDecodeError) as error:
        raise CallbotError(f"--prompt: {path} cannot be read: {error}") from error


def fingerprint(business: Business) -> str:
    """SHA-256 of everything a business says, whatever file it came from."""
    return hashlib.sha256(business.model_dump_json().encode()).hexdigest()
