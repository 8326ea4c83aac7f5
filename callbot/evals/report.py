"""The report of an evaluation run (``callbot.report/1``): what is written, and what reporting reads."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = "callbot.report/1"

Verdict = Literal[
    "on_time", "open", "premature", "late", "never", "wrong_reason", "refused", "off_script", "infra"
]
PASSING = ("on_time", "open")
INFRA_LIMIT = 0.10
"""More than this share of infra runs: the run says nothing (exit code 3)."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class PromptUsed(_Part):
    """Which text of a business a run used. ``version`` is null for a file on disk."""

    business: str
    version: int | None = None
    sha256: str


class RunHeader(_Part):
    """What was run."""

    id: str
    started_at: str
    model: str
    prompts: list[PromptUsed] = Field(default_factory=list)
    repeat: int = 1
    seed: int = 0
    callbot: str
    seconds: float = 0.0
    requests: int = 0
    currency: str | None = None
    """Of every cost; null without a price."""
    spent: float | None = None
    """What this run's own requests cost: nothing for answers from a cassette."""
    refusals: int = 0
    """Requests that the provider refused because there were too many; they were made again."""
    waited_seconds: float = 0.0
    """Time in which nothing was asked for that reason; in no latency."""
    judge: str | None = None
    """The model that judged ``judge:`` lines, in requests beside ``requests``; null if none did."""
    stop_early: bool = False
    """Attempts stopped where a scenario was decided: rates count those that every scenario made."""
    interrupted: bool = False
    stopped_by: str | None = None
    """The error that ended the run before everything had run."""


class Interval(_Part):
    """A rate with its 95% interval."""

    value: float
    low: float
    high: float


class CallScores(_Part):
    """End precision and recall; null where nothing was there to be precise about."""

    precision: float | None
    recall: float | None
    f1: float | None


class Latency(_Part):
    """Milliseconds from question to complete answer; null without answers."""

    p50: float | None
    p95: float | None


class Tokens(_Part):
    """Token counts as providers report them."""

    input: int
    output: int
    cached: int = 0
    """Of the input."""


class Totals(_Part):
    """Sums over the answered runs."""

    reasons: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Runs by the reason expected, then by the reason given."""
    turns_late: float | None = None
    """Mean over late and never ended calls; null if there are none."""
    seconds_late: float = 0.0
    drifts: int = 0
    contract_faults: int = 0
    guard_refusals: int = 0
    broken_invariants: int = 0
    greeting_faults: int = 0
    farewell_faults: int = 0


class Counterfactual(_Part):
    """What bad ends cost, in a run whose calls ran on after premature ones."""

    runs: int
    leads_lost: int
    """Runs whose lead became complete only after a premature request to end."""
    fields_lost: dict[str, int]
    seconds_wasted: float
    value_lost: float | None = None
    """``leads_lost`` times the value given for a lead."""
    cost_wasted: float | None = None
    """The minutes wasted at the cost given."""


class Judged(_Part):
    """The ``judge:`` lines of the answered runs."""

    held: int
    failed: int
    not_judged: int
    unanswered: int
    """Of those not judged: the judge was asked and did not answer, or with nonsense."""
    tokens: Tokens
    cost: float | None = None

    @property
    def unanswered_share(self) -> float:
        """Of the lines that the judge was asked about."""
        asked = self.held + self.failed + self.unanswered
        return self.unanswered / asked if asked else 0.0


class Summary(CallScores):
    """Everything counted over the run. Scenarios: counts of scenarios; verdicts: counts of runs."""

    scenarios: int
    runs: int
    passed: int
    failed: int
    infra: int
    excused: int = 0
    broken_replies: int = 0
    """Replies that broke the contract so that they could not be used."""
    verdicts: dict[str, int]
    premature_rate: Interval
    intervals: dict[str, Interval] = Field(default_factory=dict)
    """95% intervals by the name of the metric, as gates and comparisons name it."""
    call: CallScores
    pass_hat_k: dict[str, float]
    lead_accuracy: float | None
    latency_ms: Latency
    tokens: Tokens
    cost: float | None = None
    """Of all runs; null if that of any answered one is not known."""
    totals: Totals = Totals()
    counterfactual: Counterfactual | None = None
    judged: Judged | None = None
    """Null if no scenario has ``judge:`` lines."""


class GateRule(_Part):
    """One condition of the gate."""

    name: str
    passed: bool
    detail: str


class Gate(_Part):
    """Whether the run is good enough."""

    passed: bool
    rules: list[GateRule]


class TurnReport(_Part):
    """One turn: what the caller did, what the bot said, what the model wanted."""

    n: int
    caller: str
    bot: str
    control: dict[str, Any] = Field(default_factory=dict)
    """The model's last control of the turn; empty if it was not asked."""
    guard: str | None = None
    """Why the guard refused to end the call in this turn."""
    broken: list[str] = Field(default_factory=list)
    """What was wrong with replies of this turn that could not be used."""
    answer: str = ""
    """On a transcript: what the model would have said; ``bot`` is what was really said."""


class Check(_Part):
    """One assertion over a Record."""

    name: str
    passed: bool
    detail: str = ""
    judged_by: str | None = None
    """The model whose opinion it is (a ``judge:`` line of the scenario); null: computed."""


class NotJudged(_Part):
    """A ``judge:`` line on which there is no opinion: neither passed nor failed."""

    line: str
    why: str
    failed: bool = False
    """The judge was asked and did not answer, or with nonsense."""


class Measures(_Part):
    """What was counted on one call beside its verdict."""

    turns_late: int | None = None
    """Turns from the last in which the end was due to the request, or to the last turn of all."""
    seconds_late: float | None = None
    drifts: int = 0
    """Replies whose claims about the lead differed from what was captured."""
    contract_faults: int = 0
    """Deviations from the reply contract, in replies that could be used too."""
    guard_refusals: int = 0
    broken_invariants: list[str] = Field(default_factory=list)
    """What no good bot does: a goodbye without a request to end, an end while asking, a lead complete
    with a field missing."""
    lost_fields: list[str] | None = None
    """Fields captured only after a premature request to end; null if the call did not run on."""
    lead_lost: bool = False
    """A lead became complete only after a premature request to end."""


class RunReport(_Part):
    """One attempt at one scenario."""

    attempt: int
    verdict: Verdict
    passed: bool
    wanted_end: int | None = None
    """Turn of the model's first request to end."""
    wanted_reason: str | None = None
    end_reason: str | None = None
    ended_turn: int | None = None
    ended_by: str | None = None
    lead: dict[str, str] = Field(default_factory=dict)
    lead_fields: tuple[int, int] = (0, 0)
    """Expected fields of the lead: how many were right, of how many."""
    record: str
    """Path of the Record, relative to the run's folder."""
    turns: list[TurnReport]
    checks: list[Check]
    detail: str = ""
    """One sentence that explains a verdict other than a pass."""
    window: tuple[int, int] | None = None
    """First and last turn in which the end was due on this call; null: in none, or not yet."""
    tokens: Tokens = Tokens(input=0, output=0)
    cost: float | None = None
    """What its tokens cost by the price table, in ``run.currency``, whether asked for or played from a
    cassette; null if the price or the tokens are not known."""
    caller_tokens: Tokens = Tokens(input=0, output=0)
    """What the model that played the caller used; in no other count."""
    latencies_ms: list[float] = Field(default_factory=list)
    call_verdict: Verdict | None = None
    """The verdict on what the call did, guard included."""
    measures: Measures = Measures()
    not_judged: list[NotJudged] = Field(default_factory=list)
    judge_tokens: Tokens = Tokens(input=0, output=0)
    """What the judge used; in no other count."""
    judge_cost: float | None = None
    """What that cost, in ``run.currency``; null if the judge's price or the tokens are not known."""
    audio: str | None = None
    """Path of the call's recording, relative to the run's folder; null if it was not spoken."""


class EndWindow(_Part):
    """When the call should end: turns first to last inclusive, or after a milestone of the caller's.

    With neither ``turns`` nor ``after`` it should stay open. What ``after`` came to on a call is the
    ``window`` of its run.
    """

    turns: tuple[int, int] | None
    after: str | None = None
    within: int | None = None
    """Turns after the milestone in which the end is still due."""
    before: list[str] = Field(default_factory=list)
    """Fields that must be captured first."""
    reason: list[str] = Field(default_factory=list)


class HazardPoint(_Part):
    """One prefix of a call, put to the model again and again."""

    turn: int
    caller: str
    """What the caller does in this turn."""
    answered: int
    """Samples that the provider answered."""
    wanted: int
    """Answers that asked to end."""
    rate: Interval
    """P(request to end), with Wilson's 95% interval."""
    reasons: dict[str, int] = Field(default_factory=dict)
    """Answers by the reason they gave for the end."""


class HazardCurve(_Part):
    """At which sentence of a call the model begins to want to hang up."""

    scenario: str
    business: str
    model: str
    samples: int
    window: tuple[int, int] | None
    """First and last turn in which the end is due; null: in none."""
    points: list[HazardPoint]


class ScenarioFacts(_Part):
    """What a scenario is, whatever became of it."""

    name: str
    description: str = ""
    file: str
    line: int | None = None
    """Where it stands in its file; null in reports of earlier versions."""
    business: str
    language: str = "he"
    tags: list[str]
    sha256: str | None = None
    """Of what the caller does and what is expected; null in reports of earlier versions."""
    end: EndWindow


class ScenarioReport(ScenarioFacts):
    """One scenario and all its attempts. ``passed`` is null when every attempt was infra."""

    passed: bool | None
    excused: bool = False
    """Failed, but tagged ``beyond-offline`` and run by the offline model."""
    lead_fields: tuple[int, int] = (0, 0)
    """Expected fields of the lead over all answered attempts: how many were right, of how many."""
    runs: list[RunReport]


class ObservedEnds(_Part):
    """Of endings that were observed elsewhere (``callbot score``): rates over calls, Wilson's intervals."""

    rates: dict[str, Interval]
    """precision, recall, premature (of all calls), late, never and wrong_reason (of those that should end)."""
    counts: dict[str, tuple[int, int]]
    """What each rate is made of: so many of so many."""
    turns_late: float | None = None
    """Caller turns after the window, on average over the late ones."""


class Report(BaseModel):
    """A whole run."""

    model_config = ConfigDict(populate_by_name=True)

    schema_: Literal["callbot.report/1"] = Field(default="callbot.report/1", alias="schema")
    run: RunHeader
    summary: Summary
    gate: Gate
    scenarios: list[ScenarioReport]
    hazards: list[HazardCurve] = Field(default_factory=list)
    observed: ObservedEnds | None = None
    """Only of ``callbot score``."""
