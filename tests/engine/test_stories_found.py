"""Faults of the engine that these tests found, each as the story that showed it."""

from __future__ import annotations

from phone import Phone

from callbot import events as ev
from callbot.events import EndedBy, Occasion


def test_fallback_is_told_why_it_is_asked():
    """The fallback that answers for a slow model is told of the silence, as the model was."""
    phone = Phone(silence_by_model=True, has_fallback=True).starts()
    phone.passes(8.0)
    asked = phone.question
    phone.feed(ev.ReplyFailed(asked.turn, "boom"))
    assert phone.question.fallback
    assert phone.question.occasion is Occasion.SILENCE
    assert phone.question.detail == asked.detail != ""


def test_noise_does_not_use_up_the_budget_for_asking_again():
    """A cough of ten seconds while a refused request waits leaves the second question its time."""
    phone = Phone(required=("name",)).starts()
    phone.says("bye")
    phone.feed(ev.SpeechStarted())
    phone.replies("Goodbye.", end="lead_complete")
    for _ in range(6):
        phone.passes(2.0)
        phone.feed(ev.SpeechContinues())
    phone.feed(ev.UserSpoke(""))
    assert phone.question.occasion is Occasion.END_REFUSED
    assert phone.question.seconds_left == 10.0
    phone.replies("What is your name?")
    assert phone.spoken[-2:] == ["Goodbye.", "What is your name?"]


def test_noise_over_the_end_of_a_reply_does_not_restart_the_silence_clock():
    """What the caller heard to its end was over then, whatever was coughed while its control arrived."""
    phone = Phone().starts()
    phone.says("hello")
    phone.feed(ev.SentenceReady(phone.question.turn, "Hello!"))
    phone.hears()
    over = phone.now
    phone.feed(ev.SpeechStarted(), ev.ReplyDone(phone.question.turn))
    phone.passes(2.0)
    phone.feed(ev.UserSpoke(""))
    assert phone.call.deadline == over + 8.0


def test_sentence_that_waits_for_a_long_noise_is_said_before_anybody_is_timed_out():
    """A noise longer than the silence interval, cut off by its limit, brings no warning: the bot was speaking."""
    phone = Phone(silence_warnings=0).starts()
    phone.says("hello")
    phone.replies("How can I help?")
    phone.feed(ev.SpeechStarted())
    for _ in range(5):
        phone.passes(1.9)
        phone.feed(ev.SpeechContinues())
    phone.passes(3.0)
    assert phone.spoken[-1] == "How can I help?"
    assert phone.call.ending is None


def test_filler_waits_behind_a_sentence_that_is_still_owed():
    """After a crash the cut resume sentence is said again before any filler."""
    before = Phone().starts()
    before.says("hello")
    phone = Phone()
    phone.call = type(before.call).restore(before.call.rules, before.call.snapshot(before.now), 0.0)
    phone.feed(ev.CallResumed(), ev.SpeechStarted())
    phone.passes(4.0)
    resume = before.call.rules.resume
    assert phone.spoken[:2] == [resume, resume]


def test_resume_sentence_waits_for_a_caller_who_is_speaking():
    """A caller heard before the line was resumed is not spoken over."""
    before = Phone().starts()
    phone = Phone()
    phone.call = type(before.call).restore(before.call.rules, before.call.snapshot(before.now), 0.0)
    phone.feed(ev.SpeechStarted(), ev.CallResumed())
    assert phone.spoken == []
    phone.feed(ev.UserSpoke(""))
    assert phone.spoken == [before.call.rules.resume]


def test_words_before_the_limit_sentence_stand_before_it():
    """What the caller was saying when the time was up comes before the sentence that says so."""
    phone = Phone(limit_seconds=5.0, limit="Time is up.").starts()
    phone.feed(ev.SpeechStarted())
    phone.passes(2.5)
    phone.feed(ev.SpeechContinues())
    phone.passes(2.9)
    phone.feed(ev.UserSpoke("and another thing"))
    phone.passes(30.0)
    assert phone.history == ["> Shalom.", "< and another thing", "> Time is up."]


def test_reply_cut_when_the_time_is_up_is_marked_as_interrupted():
    """A reply that the caller cut with words is interrupted, also when the limit came in between."""
    phone = Phone(limit_seconds=5.0, limit="Time is up.").starts()
    phone.says("hello")
    phone.replies("One.", "Two, which is longer.")
    phone.passes(1.0)
    phone.feed(ev.SpeechStarted())
    phone.passes(2.5)
    phone.feed(ev.SpeechContinues())
    phone.passes(2.0)
    phone.feed(ev.UserSpoke("wait"))
    phone.passes(30.0)
    assert phone.history == ["> Shalom.", "< hello", "> One./", "< wait", "> Time is up."]


def test_reply_cut_by_a_noise_is_said_again_before_the_limit_sentence():
    """A cough that is still open when the time is up costs the caller no answer."""
    phone = Phone(limit_seconds=5.0, limit="Time is up.").starts()
    phone.says("hello")
    phone.replies("Your appointment is at nine.")
    phone.passes(1.0)
    phone.feed(ev.SpeechStarted())
    phone.passes(2.5)
    phone.feed(ev.SpeechContinues())
    phone.passes(2.0)
    phone.feed(ev.UserSpoke(""))
    phone.passes(30.0)
    assert phone.history[2:] == ["> Your appointment is at nine.", "> Time is up."]


def test_model_that_breaks_off_at_the_last_silence_does_not_keep_the_call():
    """The backend ends a silent call also when the model says something and then fails, every time."""
    phone = Phone(silence_by_model=True, silence_warnings=0).starts()
    phone.passes(8.0)
    turn = phone.question.turn
    phone.feed(ev.SentenceReady(turn, "Are you there?"), ev.ReplyFailed(turn, "boom"))
    phone.passes(30.0)
    assert phone.hang_up is not None
    assert phone.spoken[-2:] == ["Are you there?", phone.call.rules.close]


def test_keys_pressed_just_before_hanging_up_are_kept():
    """Keys that were not yet an entry of their own when the caller left stand in the history."""
    phone = Phone().starts()
    phone.feed(ev.KeyPressed("4"), ev.KeyPressed("2"), ev.CallerHungUp())
    assert phone.history == ["> Shalom.", "< 42"]


def test_hanging_up_on_a_reply_interrupts_it():
    """Of a reply that the caller hung up on, the history keeps what was heard, and that it was cut."""
    phone = Phone().starts()
    phone.says("hello")
    phone.replies("One.", "Two, which is longer.")
    phone.passes(1.0)
    phone.feed(ev.CallerHungUp())
    assert phone.history == ["> Shalom.", "< hello", "> One./"]


def test_hanging_up_on_the_greeting_interrupts_it():
    """A caller who leaves during the greeting has not heard it."""
    phone = Phone(greeting_streamed=True)
    phone.feed(ev.CallStarted(), ev.CallerHungUp())
    assert phone.history == ["> /"]


def test_refused_request_after_a_farewell_does_not_bring_a_second_farewell():
    """A model that was told it has said goodbye, and is corrected by the guard, hangs up in silence."""
    phone = Phone(goodbye="Thanks, goodbye.").starts()
    phone.says("no thanks")
    phone.says_goodbye("Goodbye.")
    phone.says("bye")
    phone.passes(1.0)
    phone.replies(end="customer_declined")
    assert phone.question.occasion is Occasion.END_REFUSED
    phone.says_goodbye()
    phone.passes(2.0)
    assert phone.hang_up is not None
    assert phone.spoken == ["Goodbye."]


def test_refused_request_after_a_silence_leaves_the_line_silent():
    """A model that may stay silent after a silence may do so also after the guard's refusal."""
    phone = Phone(silence_by_model=True).starts()
    phone.passes(8.0)
    phone.replies(end="no_response")
    phone.replies()
    assert phone.spoken == []


def test_late_tick_does_not_cut_what_must_have_been_heard():
    """A driver that comes late with its Tick finds a sentence with a lost mark heard, not cut by old keys."""
    phone = Phone(greeting="Hi.", greeting_streamed=True, greeting_barge_in=True)
    phone.feed(ev.KeyPressed("1"), ev.CallStarted())
    phone.now = 60.0
    assert ev.ClearAudio() not in phone.feed(ev.Tick())
    assert phone.history == ["> Hi.", "< 1"]


def test_stuck_key_does_not_hold_a_call_past_its_limit():
    """Keys without end are cut into entries, and the call ends at its limit."""
    phone = Phone(limit_seconds=60.0).starts()
    for _ in range(200):
        phone.feed(ev.KeyPressed("5"))
        phone.passes(1.0)
    assert phone.hang_up is not None
    assert phone.hang_up.by is EndedBy.LIMIT
