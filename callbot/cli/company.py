"""Who takes part in the runs of an evaluation: the model, who plays callers, who judges, and where it is held."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from callbot.cli.judges import Judges, judge_price
from callbot.cli.players import Bot, Players, plugged_model
from callbot.errors import CallbotError
from callbot.evals.budget import Budget
from callbot.evals.pace import Pace, Paced
from callbot.evals.runner import OnFinished, Runner, Runs
from callbot.models.base import Model
from callbot.models.cassette import Cassette, parse_cassette
from callbot.models.registry import default_model

if TYPE_CHECKING:
    from callbot.cli.cluster import Cluster
    from callbot.cli.evaluation import Evaluation
    from callbot.rehearsal.studio import Studio

T = TypeVar("T")


class Company:
    """Everybody that an evaluation needs. ``budget``: the bot's; ``whole``: the one of which all are parts.

    Raises CallbotError for whom it cannot have.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        model: Model,
        pace: Pace,
        budget: Budget,
        whole: Budget,
        cassette: Cassette | None,
    ) -> None:
        self._model, self._pace, self._cassette = model, pace, cassette
        self._asked, self._whole = paced(model, pace), whole
        bot, scenarios, seed = (
            Bot(model, self._asked, budget),
            evaluation.selection.scenarios,
            evaluation.seed,
        )
        elsewhere = evaluation.cluster is not None
        self._players = Players(
            evaluation.caller_model,
            bot,
            scenarios,
            seed=seed,
            concurrency=evaluation.concurrency,
            cassette=cassette,
            elsewhere=elsewhere,
        )
        self._judges = Judges(
            evaluation.judge_model,
            bot,
            scenarios,
            whole=whole,
            prices=evaluation.prices,
            seed=seed,
            concurrency=evaluation.concurrency,
            cassette=cassette,
            elsewhere=elsewhere,
        )
        self._stage = _stage_of(evaluation, model)

    @property
    def judge_name(self) -> str | None:
        """The judge's model; None if nobody judges."""
        return self._judges.name

    def runner(self, evaluation: Evaluation, folder: Path, budget: Budget, on_finished: OnFinished) -> Runs:
        """What makes the runs of an evaluation with this company, into ``folder``."""
        if evaluation.cluster is not None:
            return self._runner_on(evaluation.cluster, evaluation, folder, budget, on_finished)
        return Runner(
            self._asked,
            folder,
            budget=budget,
            cassette=self._cassette,
            callers=self._players.callers,
            on_finished=on_finished,
            run_on=evaluation.after_ends.run_on,
            judge=self._judges.judge,
            stage=self._stage,
        )

    def _runner_on(
        self,
        cluster: Cluster,
        evaluation: Evaluation,
        folder: Path,
        budget: Budget,
        on_finished: OnFinished,
    ) -> Runs:
        from callbot.cli.cluster import ClusterRunner
        from callbot.cli.cluster_work import Setup

        setup = Setup(
            run=folder.name,
            model=self._model.name,
            caller_model=evaluation.caller_model,
            seed=evaluation.seed,
            concurrency=evaluation.concurrency,
            run_on=evaluation.after_ends.run_on,
            price=budget.price,
            max_requests=evaluation.max_requests,
            max_cost=evaluation.max_cost,
            judge_model=evaluation.judge_model,
            judge_price=judge_price(evaluation.judge_model, evaluation.prices),
            aloud=evaluation.aloud.elsewhere() if evaluation.aloud else None,
        )
        return ClusterRunner(
            cluster.address,
            setup,
            folder,
            budget=budget,
            whole=self._whole,
            pace=self._pace,
            on_finished=on_finished,
        )

    async def dismissed_after(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` returns; whatever connections were made for it are released."""
        try:
            return await work
        finally:
            for part in (self._stage, self._model, self._players, self._judges):
                if part is not None:
                    await part.close()


def paced(model: Model, pace: Pace) -> Model:
    """The model, asked at the pace that its provider takes."""
    return Paced(model, pace) if model.latency is None else model


def cassette_of(evaluation: Evaluation) -> Cassette | None:
    """The cassette that answers are kept on, if one is. Raises CallbotError."""
    if evaluation.cassette is None:
        return None
    mode, path = parse_cassette(evaluation.cassette)
    return Cassette.open(path, mode, seed=evaluation.seed)


def model_of(evaluation: Evaluation, cassette: Cassette | None) -> Model:
    """The model to evaluate. Raises CallbotError."""
    reads = cassette is not None and cassette.mode == "read"
    name = evaluation.model_name or (cassette.model_recorded() if cassette and reads else None)
    if name is None and os.environ.get("CI"):
        raise CallbotError(
            "CI is set and no --model is named: name one, so that a lost key does not let the offline model pass"
        )
    name = name or default_model()
    model = plugged_model(
        name, seed=evaluation.seed, cassette=cassette, elsewhere=evaluation.cluster is not None
    )
    if evaluation.changes_prompt and not model.uses_prompt:
        raise CallbotError(
            f"--prompt changes nothing with {model.name}, which does not read prompts; name a --model"
        )
    return model


def _stage_of(evaluation: Evaluation, model: Model) -> Studio | None:
    """Where the calls are held aloud here; None: in text, or on a cluster. Raises CallbotError."""
    if evaluation.aloud is None:
        return None
    evaluation.aloud.check(evaluation.selection.scenarios)
    if evaluation.cluster is not None:
        return None
    return evaluation.aloud.stage(evaluation.selection.scenarios, model, evaluation.concurrency)
