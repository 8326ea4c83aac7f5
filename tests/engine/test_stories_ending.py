"""The rules of a call as stories: endings, reprieves, the guard, slow models, limits, crashes."""

from __future__ import annotations

import json

import pytest
from phone import Phone

from callbot import events as ev
from callbot.call import Call, Ending, Phase
from callbot.events import AskModel, BotSaid, CallerSaid, Control, EndedBy, Occasion, SaveLead, SpeechKind


# --- hanging up -------------------------------------------------------------------------------------
def test_call_ends_after_the_farewell_was_heard_and_a_second_of_listening():
    """The mark of the last sentence comes back, the bot listens for a second, then it hangs up."""
    phone = Phone().starts()
    phone.says("no thanks")
    phone.says_goodbye("All right.", "Goodbye.")
    phone.hears()
    assert phone.hang_up is None
    phone.passes(0.99)
    assert phone.hang_up is None
    phone.passes(0.02)
    assert phone.hang_up == ev.HangUp(EndedBy.MODEL, "customer_declined")
    assert phone.feed(ev.UserSpoke("wait"), ev.Tick(), ev.CallStarted(), ev.CallerHungUp()) == []
    assert phone.call.deadline is None
    assert phone.call.ending == Ending(EndedBy.MODEL, "customer_declined")


def test_farewell_is_not_cut_and_a_noise_over_it_changes_nothing():
    """A cough over the farewell neither stops it nor keeps the call."""
    phone = Phone().starts()
    phone.says("no thanks")
    phone.says_goodbye("Goodbye, and thank you for calling us.")
    phone.says("")
    phone.hears()
    phone.passes(1.0)
    assert phone.all(ev.ClearAudio) == []
    assert phone.hang_up is not None


def test_hang_up_waits_for_a_lost_mark_as_long_as_the_audio_and_three_seconds():
    """On a carrier that returns no marks the end still comes, after the computed length."""
    phone = Phone(returns_marks=False).starts()
    phone.says("no thanks")
    phone.says_goodbye("Goodbye.")
    phone.feed(ev.AudioQueued(1, 5.0))
    spoken = phone.now
    phone.passes(7.9)
    assert phone.call.phase is Phase.FAREWELL
    phone.passes(0.2)
    assert phone.call.phase is Phase.LINGER
    phone.passes(1.0)
    assert phone.notes("mark_lost") == [{"mark": 1}]
    assert [t - spoken for t, command in phone.log if isinstance(command, ev.HangUp)] == [9.0]


def test_farewell_that_cannot_be_voiced_still_ends_the_call():
    """A voice that fails on the last sentence leaves nobody waiting."""
    phone = Phone().starts()
    phone.says("no thanks")
    phone.says_goodbye("Goodbye.")
    phone.feed(ev.VoiceFailed(1, "no voice"))
    phone.passes(1.0)
    assert phone.hang_up is not None


def test_end_without_words_gets_the_business_goodbye():
    """A model that ends without a word does not leave the caller with a dead line."""
    phone = Phone(goodbye="Thanks, bye.").starts()
    phone.says("no thanks")
    phone.says_goodbye()
    assert [(speak.text, speak.speech) for speak in phone.all(ev.Speak)] == [
        ("Thanks, bye.", SpeechKind.CLOSING)
    ]


def test_unrequested_farewell_ends_nothing():
    """Words of goodbye, by either side, end no call; silence then applies."""
    phone = Phone().starts()
    phone.says("goodbye, don't call again")
    phone.replies("Goodbye!")
    phone.passes(5.0)
    assert phone.call.ending is None
    phone.passes(60.0)
    assert phone.hang_up == ev.HangUp(EndedBy.SILENCE, "no_response")


def test_farewell_cut_by_words_before_it_was_decided_is_no_farewell():
    """While the request to end has not arrived, the caller still has the word."""
    phone = Phone().starts()
    phone.says("no thanks")
    phone.feed(ev.SentenceReady(1, "Then goodbye and thank you."), ev.SpeechStarted())
    phone.feed(ev.ReplyDone(1, Control(True, "customer_declined", "declined")), ev.UserSpoke("wait, yes"))
    assert phone.call.ending is None
    assert phone.history[-2:] == ["> /", "< wait, yes"]
    assert phone.question.turn == 2


def test_farewell_cut_by_a_cough_before_it_was_decided_is_said_again():
    """The request waits for the cough to end, then the farewell is heard whole."""
    phone = Phone().starts()
    phone.says("no thanks")
    phone.feed(ev.SentenceReady(1, "Then goodbye."), ev.SpeechStarted())
    phone.feed(ev.ReplyDone(1, Control(True, "customer_declined", "declined")))
    assert phone.call.ending is None
    phone.feed(ev.UserSpoke(""))
    phone.passes(5.0)
    assert phone.spoken == ["Then goodbye."] * 2
    assert phone.hang_up is not None


def test_caller_who_hangs_up_ends_everything():
    """The model is told that nobody waits, and nothing more is done."""
    phone = Phone().starts()
    phone.says("hello")
    assert phone.feed(ev.CallerHungUp()) == [ev.CancelModel(1)]
    assert phone.call.ending is not None
    assert phone.call.ending.by is EndedBy.CALLER
    assert phone.feed(ev.SentenceReady(1, "Hello!"), ev.CallerHungUp()) == []


# --- reprieves --------------------------------------------------------------------------------------
def test_caller_who_speaks_over_the_farewell_is_not_hung_up_on():
    """The farewell is finished, then the model is asked again, told that it has said goodbye."""
    phone = Phone().starts()
    phone.says("no thanks")
    phone.says_goodbye("Goodbye, and thank you.")
    phone.says("oh, one more thing")
    assert len(phone.all(AskModel)) == 1
    phone.hears()
    assert phone.question.occasion is Occasion.AFTER_FAREWELL
    assert phone.history[-2:] == ["> Goodbye, and thank you.", "< oh, one more thing"]
    phone.replies("Yes?")
    phone.passes(5.0)
    assert phone.hang_up is None


def test_caller_who_begins_to_speak_in_the_linger_is_waited_for():
    """A voice in the last second holds the line until its words are known."""
    phone = Phone().starts()
    phone.says("no thanks")
    phone.says_goodbye("Goodbye.")
    phone.hears()
    phone.passes(0.9)
    phone.says("wait", seconds=2.5)
    assert phone.hang_up is None
    assert phone.question.occasion is Occasion.AFTER_FAREWELL


def test_second_goodbye_without_words_hangs_up_in_silence():
    """An empty reply that asks to end again adds no second farewell."""
    phone = Phone().starts()
    phone.says("no thanks")
    phone.says_goodbye("Goodbye.")
    phone.says("bye")
    phone.hears()
    phone.says_goodbye()
    phone.passes(1.0)
    assert phone.spoken == ["Goodbye."]
    assert phone.hang_up is not None


@pytest.mark.parametrize("reprieves", [0, 1, 2])
def test_reprieves_are_counted(reprieves):
    """After ending.reprieves farewells further words are recorded, and the call ends."""
    phone = Phone(reprieves=reprieves).starts()
    phone.says("no thanks")
    for _ in range(reprieves + 1):
        phone.says_goodbye("Goodbye.")
        phone.says("wait", seconds=0.1)
        phone.hears()
    phone.passes(1.0)
    assert phone.hang_up is not None
    assert phone.history[-1] == "< wait"
    assert len(phone.all(AskModel)) == 1 + reprieves


def test_caller_who_answers_the_closing_sentence_of_a_silence_is_heard():
    """The silence rule's own farewell can be talked out of as well."""
    phone = Phone(silence_warnings=0).starts()
    phone.passes(8.5)
    phone.says("I'm here!")
    phone.hears()
    assert phone.question.occasion is Occasion.AFTER_FAREWELL
    assert phone.call.ending is None


# --- the guard --------------------------------------------------------------------------------------
def test_lead_complete_needs_every_required_field():
    """The request is refused with the missing field's name, and the model is asked again at once."""
    phone = Phone(required=("name", "phone")).starts()
    phone.says("Dana")
    phone.replies("Thanks, goodbye.", end="lead_complete", status="complete", name="Dana")
    assert phone.question.occasion is Occasion.END_REFUSED
    assert phone.question.detail == "lead_complete needs phone, not captured or not valid yet"
    assert phone.question.missing == ("phone",)
    last = phone.question.history[-1]
    assert isinstance(last, BotSaid)
    assert (last.text, last.control.end_reason) == ("Thanks, goodbye.", "lead_complete")
    phone.replies("And your phone number?")
    assert phone.spoken == ["Thanks, goodbye.", "And your phone number?"]
    assert phone.notes("end_refused") == [
        {"turn": 1, "reason": "lead_complete", "why": phone.question.detail}
    ]


def test_second_refusal_is_not_asked_about():
    """A model that insists is refused again, and the call goes on."""
    phone = Phone(required=("name",)).starts()
    phone.says("hi")
    phone.replies("Bye.", end="lead_complete")
    phone.replies("Really, bye.", end="lead_complete")
    assert len(phone.all(AskModel)) == 2
    assert len(phone.notes("end_refused")) == 2
    phone.passes(5.0)
    assert phone.call.ending is None


def test_refusal_holds_for_one_reply_only():
    """The next thing the caller says gives the model a new chance to be corrected."""
    phone = Phone(required=("name",)).starts()
    for _ in range(2):
        phone.says("hi")
        phone.replies("Bye.", end="lead_complete")
        assert phone.question.occasion is Occasion.END_REFUSED
        phone.replies()
        phone.hears()


@pytest.mark.parametrize(
    ("end", "status", "lead", "accepted"),
    [
        ("lead_complete", "complete", {"name": "Dana"}, True),
        ("lead_complete", "complete", {}, False),
        ("customer_declined", "declined", {}, True),
        ("customer_declined", "in_progress", {}, False),
        ("no_response", "in_progress", {}, False),
        ("transfer", "in_progress", {}, True),
        ("booked", "in_progress", {"time": "9:00"}, True),
        ("booked", "in_progress", {"name": "Dana"}, False),
        ("bored", "in_progress", {}, False),
    ],
)
def test_guard(end, status, lead, accepted):
    """Each reason to end is accepted when it makes sense for what was captured, and only then."""
    phone = Phone(required=("name",), reasons={"transfer": (), "booked": ("time",)}).starts()
    phone.says("hi")
    phone.replies("Bye.", end=end, status=status, **lead)
    assert (phone.call.ending is not None) == accepted
    assert (phone.question.occasion is Occasion.END_REFUSED) != accepted


def test_request_to_end_without_a_reason_is_refused():
    """should_end_call alone ends nothing."""
    phone = Phone().starts()
    phone.says("hi")
    phone.feed(ev.ReplyDone(1, Control(should_end_call=True)))
    assert phone.question.detail == "a request to end needs an end_reason"


# --- the lead ---------------------------------------------------------------------------------------
def test_lead_grows_and_is_corrected_but_never_forgets():
    """New values are added, changed ones replaced; what a reply does not name stays."""
    phone = Phone(required=("name", "phone")).starts()
    for lead in ({"name": "Dana"}, {}, {"phone": "1"}, {"name": "Dina"}, {"name": "Dina"}):
        phone.says("hi")
        phone.replies("Yes.", **lead)
        phone.hears()
    assert phone.call.lead == {"name": "Dina", "phone": "1"}
    assert phone.all(SaveLead) == [
        SaveLead({"name": "Dana"}, "in_progress"),
        SaveLead({"name": "Dana", "phone": "1"}, "complete"),
        SaveLead({"name": "Dina", "phone": "1"}, "complete"),
    ]


def test_declined_is_the_models_word_and_complete_is_computed():
    """lead_status complete is not believed; declined is, while the lead is incomplete."""
    phone = Phone(required=("name",)).starts()
    phone.says("no")
    phone.replies("Fine.", status="complete")
    phone.hears()
    assert phone.all(SaveLead) == []
    phone.says("no")
    phone.replies("Fine.", status="declined")
    assert phone.all(SaveLead) == [SaveLead({}, "declined")]


@pytest.mark.parametrize(
    ("control", "lead", "drift"),
    [
        (Control(missing_fields=("name",)), {}, None),
        (
            Control(missing_fields=("phone",)),
            {},
            {"missing_fields": {"claimed": ["phone"], "computed": ["name"]}},
        ),
        (
            Control(lead_status="complete", missing_fields=("name",)),
            {},
            {"lead_status": {"claimed": "complete", "computed": "in_progress"}},
        ),
        (
            Control(lead_status="in_progress"),
            {"name": "Dana"},
            {"lead_status": {"claimed": "in_progress", "computed": "complete"}},
        ),
        (Control(lead_status="declined", missing_fields=("name",)), {}, None),
    ],
)
def test_drift_is_noted(control, lead, drift):
    """A model that claims another lead than was captured is recorded."""
    phone = Phone(required=("name",)).starts()
    phone.says("hi")
    phone.feed(ev.ReplyDone(1, control, lead))
    assert phone.notes("drift") == ([{"turn": 1, **drift}] if drift else [])


def test_stale_reply_loses_its_lead_too():
    """Nothing of a reply to a superseded turn counts."""
    phone = Phone(required=("name",)).starts()
    phone.says("Dana")
    phone.says("no, Dina")
    assert phone.feed(ev.ReplyDone(1, Control(True, "customer_declined", "declined"), {"name": "Dana"})) == []
    assert phone.call.lead == {}


# --- slow and failing models ------------------------------------------------------------------------
def test_filler_comes_once_while_the_model_is_slow():
    """After two seconds the bot asks for patience, once, and the reply follows."""
    phone = Phone(filler=("One moment",)).starts()
    phone.says("hello")
    phone.passes(1.99)
    assert phone.spoken == []
    phone.passes(7.0)
    assert phone.spoken == ["One moment"]
    phone.replies("Hello!")
    assert phone.spoken == ["One moment", "Hello!"]


def test_filler_never_comes_in_two_turns_in_a_row():
    """Three slow answers get a filler, none, and the other filler."""
    phone = Phone(filler=("One moment", "Let me see")).starts()
    fillers = []
    for _ in range(3):
        phone.says("hello")
        phone.passes(5.0)
        fillers.append(phone.spoken[-1])
        phone.replies("Hello!")
        phone.hears()
    assert fillers == ["One moment", "Hello!", "Let me see"]


def test_no_filler_over_a_caller_who_speaks_on():
    """While the caller's voice is on the line the bot does not fill anything."""
    phone = Phone().starts()
    phone.says("hello")
    phone.feed(ev.SpeechStarted())
    phone.passes(2.9)
    assert phone.spoken == []


def test_turn_without_an_answer_brings_the_apology_and_the_second_one_the_end():
    """A model that never answers: apology after the deadline, and a polite end after the second turn."""
    phone = Phone(apology="Sorry, again?", failure="Sorry, goodbye.", filler_after=99.0).starts()
    for _ in range(2):
        phone.says("hello")
        phone.passes(9.99)
        assert phone.all(ev.CancelModel) == [ev.CancelModel(n) for n in range(1, phone.question.turn)]
        phone.passes(0.02)
        phone.hears()
    assert phone.spoken == ["Sorry, again?", "Sorry, goodbye."]
    phone.says("no, wait")
    phone.passes(1.0)
    assert phone.hang_up == ev.HangUp(EndedBy.FAILURE, None)


def test_answer_in_between_forgives_a_failure():
    """Only failures in a row end the call."""
    phone = Phone().starts()
    for _ in range(3):
        phone.says("hello")
        phone.feed(ev.ReplyFailed(phone.question.turn, "boom"))
        phone.hears()
        phone.says("hello")
        phone.replies("Hello!")
        phone.hears()
    assert phone.call.ending is None


def test_fallback_is_asked_once_with_its_own_budget():
    """The fallback gets five seconds; when it fails too, that is one failed turn."""
    phone = Phone(has_fallback=True, apology="Sorry, again?").starts()
    phone.says("hello")
    phone.feed(ev.ReplyFailed(1, "boom"))
    assert (phone.question.turn, phone.question.fallback, phone.question.seconds_left) == (2, True, 5.0)
    assert phone.question.history == phone.all(AskModel)[0].history
    phone.feed(ev.ReplyDone(1, Control(), {}))
    assert len(phone.all(AskModel)) == 2
    phone.passes(5.0)
    assert phone.spoken[-1] == "Sorry, again?"
    assert len(phone.all(AskModel)) == 2


def test_reply_that_breaks_off_is_left_as_it_is():
    """Words that were spoken stand; nothing was decided, and the caller has the floor."""
    phone = Phone(has_fallback=True).starts()
    phone.says("hello")
    phone.feed(ev.SentenceReady(1, "Hello!"), ev.ReplyFailed(1, "boom"))
    phone.passes(3.0)
    assert phone.spoken == ["Hello!"]
    assert len(phone.all(AskModel)) == 1
    assert phone.call.is_quiet


# --- limits -----------------------------------------------------------------------------------------
def test_time_limit_ends_the_call_with_a_sentence_even_while_the_model_thinks():
    """After limits.seconds the question is taken back and a polite sentence ends the call."""
    phone = Phone(limit_seconds=5.0, limit="Time is up.", reply_deadline=30.0, filler_after=99.0).starts()
    phone.passes(3.0)
    phone.says("hello")
    phone.passes(20.0)
    assert phone.all(ev.CancelModel) == [ev.CancelModel(1)]
    assert phone.spoken == ["Time is up."]
    assert phone.hang_up == ev.HangUp(EndedBy.LIMIT, None)


def test_turn_limit_ends_the_call_with_a_sentence():
    """limits.turns turns are answered; the next one is answered with the end."""
    phone = Phone(limit_turns=2, limit="That's all.").starts()
    for _ in range(3):
        phone.says("and")
        if phone.call.phase is Phase.TALKING:
            phone.replies("Yes.")
        phone.hears()
    assert phone.spoken == ["Yes.", "Yes.", "That's all."]
    phone.says("but", seconds=0.1)
    phone.passes(3.0)
    assert phone.hang_up == ev.HangUp(EndedBy.LIMIT, None)
    assert phone.history[-1] == "< but"


def test_turn_limit_in_the_linger_lets_the_farewell_stand():
    """A caller who speaks after the farewell of the last turn is recorded and hung up on."""
    phone = Phone(limit_turns=1).starts()
    phone.says("no thanks")
    phone.says_goodbye("Goodbye.")
    phone.says("wait", seconds=0.1)
    phone.passes(3.0)
    assert phone.hang_up == ev.HangUp(EndedBy.MODEL, "customer_declined")


# --- crashes ----------------------------------------------------------------------------------------
def restored(phone: Phone, at: float = 100.0) -> Phone:
    """The call as another server goes on with it from a snapshot that went through JSON."""
    after = Phone(echo=False)
    after.now = at
    snapshot = json.loads(json.dumps(phone.call.snapshot(phone.now)))
    after.call = Call.restore(phone.call.rules, snapshot, at)
    after.feed(ev.CallResumed())
    return after


def test_resumed_call_asks_again_what_was_not_answered():
    """One resume sentence, no greeting, and the caller's last words are put to the model again."""
    phone = Phone(greeting_streamed=True, resume="We were cut off.").starts()
    phone.says("my name is Dana")
    phone.replies("Thank you Dana, what is your number please?", name="Dana")
    after = restored(phone)
    assert after.spoken == ["We were cut off."]
    assert after.question.occasion is Occasion.RESUMED
    assert after.question.turn == 2
    assert after.question.history[-1] == CallerSaid("my name is Dana")
    assert after.question.lead == {"name": "Dana"}
    assert after.all(ev.Speak)[0].mark == phone.all(ev.Speak)[-1].mark + 1


def test_resumed_call_that_was_answered_only_listens():
    """If everything had been answered and heard, the caller has the floor."""
    phone = Phone(resume="We were cut off.").starts()
    phone.says("hello")
    phone.replies("Hello!")
    phone.hears()
    after = restored(phone)
    assert after.spoken == ["We were cut off."]
    assert after.all(AskModel) == []


def test_resumed_call_keeps_its_limits():
    """Neither the time nor the turns nor the reprieves of a call start again."""
    phone = Phone(limit_seconds=60.0, limit_turns=2, limit="That's all.").starts()
    phone.says("hello")
    phone.replies("Hello!")
    phone.hears()
    after = restored(phone)
    assert after.call.limit_at == 100.0 + 60.0 - phone.now
    for _ in range(2):
        after.hears()
        after.says("and")
        if after.call.phase is Phase.TALKING:
            after.replies("Yes.")
    after.hears()
    assert after.spoken[-1] == "That's all."


def test_call_resumed_in_its_farewell_asks_the_model_again():
    """The end was not reached; the model decides anew, with its own words in front of it."""
    phone = Phone().starts()
    phone.says("no thanks")
    phone.says_goodbye("Goodbye.")
    phone.passes(1.2)
    assert phone.call.phase is Phase.LINGER
    after = restored(phone)
    assert after.call.ending is None
    assert after.question.occasion is Occasion.RESUMED


def test_running_call_is_not_resumed():
    """CallResumed on a call that runs changes nothing."""
    phone = Phone().starts()
    assert phone.feed(ev.CallResumed()) == []


# --- ticks ------------------------------------------------------------------------------------------
def test_early_and_extra_ticks_change_nothing():
    """A driver may tick as often as it likes."""
    phone = Phone().starts()
    phone.says("hello")
    phone.now += 1.0
    before = phone.call.deadline
    assert phone.feed(ev.Tick(), ev.Tick()) == []
    assert phone.call.deadline == before


def test_very_late_tick_meets_one_deadline_at_a_time():
    """A driver that slept for a minute warns once, not three times."""
    phone = Phone(warn=("Hello?",)).starts()
    phone.now = 60.0
    phone.feed(ev.Tick())
    assert phone.spoken == ["Hello?"]
