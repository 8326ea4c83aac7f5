"""The persona caller: a model plays it, under a contract of its own and watched for fidelity."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from callbot.business import Business
from callbot.evals.callers.acting import ANSWER_PAUSE
from callbot.evals.callers.fidelity import Fidelity
from callbot.evals.callers.phrases import phrases
from callbot.evals.casting import PersonaSpec
from callbot.models.base import ChatModel, ChatRequest, Misconfigured, ProviderError
from callbot.models.chat import answer_of, bare_json, fault_of
from callbot.record import Record
from callbot.replay import Act, HangsUp, KeepsSilent, Says, Scene

ATTEMPTS = 2
"""An answer that cannot be used is asked for once more."""
ANSWER_SECONDS = 30.0
"""For one answer; a model slower than that plays nobody on a phone."""
SILENCE_SHARE = 1.2
"""Of the business's patience with silence: how long a silent turn lasts, so that the bot speaks first."""
LANGUAGES = {"he": "Hebrew", "en": "English"}

Does = Literal["speak", "stay_silent", "hang_up"]
Claimed = Literal["lead_complete", "declined", "goodbye"]


class Acted(BaseModel):
    """What the model answers: one turn of the caller."""

    model_config = ConfigDict(extra="ignore")

    does: Does
    say: Annotated[str, BeforeValidator(lambda value: "" if value is None else value)] = ""
    milestone: Claimed | None = None


SCHEMA = {
    "type": "object",
    "properties": {
        "does": {"type": "string", "enum": list(get_args(Does))},
        "say": {"type": "string", "description": "the words spoken into the phone; empty unless speaking"},
        "milestone": {
            "type": ["string", "null"],
            "enum": [*get_args(Claimed), None],
            "description": "what the caller has done with this turn, the first time it is so",
        },
        "why": {"type": "string", "description": "a few words, never spoken"},
    },
    "required": ["does", "say", "milestone", "why"],
    "additionalProperties": False,
}

PROMPT = """\
You play a person who is calling {business} on the phone. You are the CALLER; whoever answers is not you.
Never speak for them, never serve them, and never say or hint that you are a model or that this is a test.

Who you are: {persona}
What you want, and when you have had enough: {goal}

Speak {language}, as people do on the phone: one or two short sentences, one thing at a time, no lists, no
stage directions, no emoji. Answer what you are asked if you would; make up what your part leaves open and
stick to it. Do not repeat yourself word for word. Do not end the call before you have got what you want or
have had enough; when you have, say goodbye in words of your own first.

Each turn, answer with one JSON object:
- does: "speak", "stay_silent" (you say nothing for a while), or "hang_up" (after a goodbye, or when you have
  had enough of it).
- say: your words; empty unless you speak.
- milestone: null, except in the one turn in which you first have done it: "lead_complete" (you have now told
  everything that they need of you), "declined" (you have now made clear that you do not want it),
  "goodbye" (you have now said goodbye).
- why: a few words on what you are doing.
"""


class PersonaCaller:
    """Somebody played by a model. Perceives what the bot has said; acts once it has finished.

    Answers take the time that the model took. Notes ``caller_turn`` and ``milestone`` as other callers
    do, ``caller_answered`` (``n``, ``seconds``, tokens) for each answer, and ``caller_fault`` (``n``,
    ``why``) when the part was not played: the caller is then gone, and the run is ``infra``.
    """

    def __init__(self, spec: PersonaSpec, business: Business, model: ChatModel) -> None:
        self._model = model
        self._max_turns = spec.max_turns
        self._fidelity = Fidelity(phrases(business.language))
        language = LANGUAGES[business.language]
        prompt = PROMPT.format(
            business=business.name, persona=spec.persona, goal=spec.goal, language=language
        )
        self._messages: list[dict[str, str]] = [{"role": "system", "content": prompt}]
        self._turn = self._questions = 0
        self._heard_before = 0
        self._reached: set[str] = set()
        self._gone = False

    def due(self, scene: Scene) -> float | None:
        """As soon as the bot has finished: thinking is the pause."""
        if self._gone or not scene.call.is_quiet:
            return None
        return max(scene.now, scene.busy_until, scene.call.quiet_since + ANSWER_PAUSE)

    async def act(self, scene: Scene, record: Record) -> Act | None:
        """Ask the model for the caller's next turn, and take it."""
        self._turn += 1
        heard = " ".join(scene.said[self._heard_before :])
        self._heard_before = len(scene.said)
        if self._turn >= self._max_turns:
            return self._hang_up(scene, record)
        self._messages.append({"role": "user", "content": heard or "(silence on the line)"})
        answered = await self._ask(scene, record)
        if isinstance(answered, str):
            self._stop(answered, scene, record)
            return None
        acted, seconds = answered
        fault = self._fault(acted, heard)
        if fault is not None:
            self._stop(fault, scene, record)
            return None
        if acted.does == "hang_up":
            return self._hang_up(scene, record, seconds)
        silent = acted.does == "stay_silent"
        record.note(
            scene.now, "caller_turn", n=self._turn, text="[stays silent]" if silent else acted.say.strip()
        )
        self._note_milestone(acted, scene, record)
        if silent:
            return KeepsSilent(seconds + scene.call.rules.silence_after * SILENCE_SHARE)
        return Says(acted.say, acted.say.strip(), after=seconds)

    def is_done(self, scene: Scene) -> bool:
        """Whether the caller has hung up, or fallen out of the part."""
        return self._gone

    def call_ended(self, scene: Scene, record: Record) -> None:
        """Nothing: whatever the caller still had in mind is seen in the lead."""

    async def _ask(self, scene: Scene, record: Record) -> tuple[Acted, float] | str:
        """The model's turn and how long it took, or why there is none. Raises Misconfigured."""
        fault: str | None = None
        seconds = 0.0
        for _ in range(ATTEMPTS):
            self._questions += 1
            request = ChatRequest(
                messages=tuple(self._messages),
                schema=SCHEMA,
                name="caller",
                turn=self._questions,
                seconds_left=ANSWER_SECONDS,
                repair=fault,
            )
            try:
                text, took = await self._answer(request, scene, record)
            except Misconfigured:
                raise
            except ProviderError as error:
                return f"its model failed: {error}"
            seconds += took
            try:
                acted = Acted.model_validate_json(bare_json(text))
            except ValidationError as error:
                fault = fault_of(error)
                continue
            if acted.does == "speak" and not acted.say.strip():
                fault = 'say is empty although does is "speak"'
                continue
            self._messages.append({"role": "assistant", "content": text})
            return acted, seconds
        return f"its answers could not be used: {fault}"

    async def _answer(self, request: ChatRequest, scene: Scene, record: Record) -> tuple[str, float]:
        """The text of one answer, and the seconds that it took."""
        answered = await answer_of(self._model, request)
        record.note(
            scene.now,
            "caller_answered",
            n=self._turn,
            seconds=answered.seconds,
            input_tokens=answered.finished.input_tokens,
            output_tokens=answered.finished.output_tokens,
        )
        return answered.whole(), answered.seconds

    def _fault(self, acted: Acted, heard: str) -> str | None:
        if acted.does == "stay_silent":
            return self._fidelity.fault_in_silence()
        if acted.does == "hang_up":
            claimed = {acted.milestone} if acted.milestone else set()
            return self._fidelity.fault_in_leaving(self._reached | claimed)
        return self._fidelity.fault_in_words(acted.say, heard)

    def _note_milestone(self, acted: Acted, scene: Scene, record: Record) -> None:
        if acted.milestone is not None and acted.milestone not in self._reached:
            self._reached.add(acted.milestone)
            record.note(scene.now, "milestone", n=self._turn, name=acted.milestone)

    def _hang_up(self, scene: Scene, record: Record, seconds: float = 0.0) -> Act:
        self._gone = True
        record.note(scene.now, "caller_turn", n=self._turn, text="[hangs up]")
        return HangsUp(after=seconds)

    def _stop(self, fault: str, scene: Scene, record: Record) -> None:
        self._gone = True
        record.note(scene.now, "caller_fault", n=self._turn, why=fault)
