"""The rules of a call as stories: greeting, one voice, history, silence, keys and noise."""

from __future__ import annotations

from phone import Phone

from callbot import events as ev
from callbot.call import Phase
from callbot.events import AskModel, CallerSaid, EndedBy, Occasion, SpeechKind

STREAMED = {"greeting": "Shalom, this is the clinic.", "greeting_streamed": True}


# --- the greeting -----------------------------------------------------------------------------------
def test_played_greeting_is_never_spoken_by_the_call():
    """With a greeting that the carrier has played, the call opens in silence, the greeting heard."""
    phone = Phone(greeting="Shalom.").starts()
    assert phone.log == []
    assert phone.history == ["> Shalom."]
    assert phone.call.phase is Phase.TALKING


def test_what_is_said_while_the_carrier_plays_reaches_nobody():
    """Words, an open speech and keys from before the call's start are forgotten."""
    phone = Phone()
    phone.feed(ev.SpeechStarted(), ev.UserSpoke("hello?"), ev.KeyPressed("1"), ev.SpeechStarted())
    phone.starts()
    phone.passes(7.0)
    assert phone.all(AskModel) == []
    assert phone.call.deadline == 8.0


def test_streamed_greeting_is_heard_whole_and_answered_after():
    """What the caller says over the greeting waits for its end, and is answered then."""
    phone = Phone(**STREAMED)
    phone.feed(ev.CallStarted())
    phone.says("hello?")
    assert phone.all(AskModel) == []
    phone.hears()
    assert phone.history == ["> Shalom, this is the clinic.", "< hello?"]
    assert phone.question.occasion is Occasion.CALLER_SPOKE
    assert phone.all(ev.ClearAudio) == []


def test_words_from_before_a_streamed_greeting_are_answered_after_it():
    """A caller who says hello before the line is up gets an answer after the greeting."""
    phone = Phone(**STREAMED)
    phone.feed(ev.UserSpoke("hello"))
    phone.starts()
    assert phone.history[-1] == "< hello"
    assert len(phone.all(AskModel)) == 1


def test_greeting_with_barge_in_stops_once_and_never_resumes():
    """The first voice stops it for good, also when it was only a cough."""
    phone = Phone(**STREAMED, greeting_barge_in=True)
    phone.feed(ev.CallStarted())
    phone.passes(0.5)
    phone.says("")
    phone.passes(5.0)
    assert phone.spoken == ["Shalom, this is the clinic."]
    assert phone.all(ev.ClearAudio) == [ev.ClearAudio()]
    assert phone.history == ["> /"]


def test_line_that_starts_twice_is_greeted_once():
    """A second start of the line changes nothing."""
    phone = Phone(**STREAMED).starts()
    assert phone.feed(ev.CallStarted()) == []
    assert phone.spoken == ["Shalom, this is the clinic."]


def test_greeting_without_a_voice_gives_the_caller_the_floor():
    """If the greeting cannot be voiced the call goes on; it is not tried again."""
    phone = Phone(**STREAMED)
    phone.feed(ev.CallStarted(), ev.VoiceFailed(1, "no voice"))
    assert phone.call.phase is Phase.TALKING
    assert phone.notes("voice_failed") == [{"mark": 1, "speech": "greeting", "error": "no voice"}]


def test_greeting_with_a_lost_mark_is_over_three_seconds_after_its_length():
    """A carrier that never returns the greeting's mark does not keep the caller waiting."""
    phone = Phone(**STREAMED, returns_marks=False)
    phone.feed(ev.CallStarted(), ev.AudioQueued(1, 2.0))
    phone.passes(4.99)
    assert phone.call.phase is Phase.GREETING
    phone.passes(0.02)
    assert phone.call.phase is Phase.TALKING
    assert phone.notes("mark_lost") == [{"mark": 1}]


# --- one voice --------------------------------------------------------------------------------------
def test_sentences_of_one_reply_are_queued_ahead_in_order():
    """A reply's sentences go to the line as they come, each behind the one before."""
    phone = Phone().starts()
    phone.says("hello")
    phone.replies("One.", "Two.", "Three.")
    assert [(speak.mark, speak.text) for speak in phone.all(ev.Speak)] == [
        (1, "One."),
        (2, "Two."),
        (3, "Three."),
    ]


def test_cough_makes_the_bot_say_its_sentence_again_from_its_start():
    """Speech without words stops the bot; what was cut is then said again, and nothing twice."""
    phone = Phone().starts()
    phone.says("hello")
    phone.replies("One.", "Two, which is longer.")
    phone.passes(1.0)
    phone.says("")
    phone.hears()
    assert phone.spoken == ["One.", "Two, which is longer.", "Two, which is longer."]
    assert phone.history[-1] == "> One. Two, which is longer."


def test_words_make_the_bot_drop_what_it_was_saying():
    """After a real interruption nothing of the old reply is said again; it is marked as cut."""
    phone = Phone().starts()
    phone.says("hello")
    phone.replies("One.", "Two, which is longer.")
    phone.passes(1.0)
    phone.says("wait")
    assert phone.history[-2:] == ["> One./", "< wait"]
    phone.replies("Yes?")
    phone.hears()
    assert phone.spoken == ["One.", "Two, which is longer.", "Yes?"]


def test_reply_of_which_nothing_was_heard_still_stands_as_interrupted():
    """A reply cut in its first sentence is in the history, empty."""
    phone = Phone().starts()
    phone.says("hello")
    phone.replies("One, which is rather long.")
    phone.says("wait", seconds=0.1)
    assert phone.history == ["> Shalom.", "< hello", "> /", "< wait"]


def test_caller_who_speaks_while_the_reply_is_still_written_interrupts_it():
    """What was heard of an unfinished reply is kept with the mark; its rest never comes."""
    phone = Phone().starts()
    phone.says("hello")
    first = phone.question.turn
    phone.feed(ev.SentenceReady(first, "One."))
    phone.hears()
    phone.says("wait")
    assert ev.CancelModel(first) in phone.all(ev.CancelModel)
    phone.feed(
        ev.SentenceReady(first, "Two."),
        ev.ReplyDone(first, ev.Control(True, "customer_declined", "declined")),
    )
    assert phone.spoken == ["One."]
    assert phone.history[-2:] == ["> One./", "< wait"]
    assert phone.call.ending is None


def test_nothing_is_said_while_the_caller_speaks():
    """A reply that comes while the caller is speaking waits, and is dropped if they say something."""
    phone = Phone().starts()
    phone.says("hello")
    phone.feed(ev.SpeechStarted())
    phone.replies("One.")
    assert phone.spoken == []
    phone.feed(ev.UserSpoke("wait"))
    phone.passes(1.0)
    assert phone.spoken == []
    assert phone.question.history[-2:] == (CallerSaid("hello"), CallerSaid("wait"))


def test_mark_of_cleared_audio_proves_nothing():
    """A carrier returns the marks of what it threw away; the history does not believe them."""
    phone = Phone(echo=False).starts()
    phone.says("hello")
    phone.replies("One, which is rather long.")
    phone.feed(ev.SpeechStarted(), ev.Played(1), ev.UserSpoke(""))
    assert phone.spoken == ["One, which is rather long."] * 2
    phone.feed(ev.Played(1))
    assert phone.history == ["> Shalom.", "< hello"]


def test_mark_proves_everything_before_it():
    """A lost mark is made good by the next one."""
    phone = Phone(returns_marks=False).starts()
    phone.says("hello")
    phone.replies("One.", "Two.")
    phone.feed(ev.Played(2))
    assert phone.history[-1] == "> One. Two."


def test_speech_without_a_sign_closes_after_three_seconds():
    """A transcript that never comes leaves the floor to the bot after 3 s."""
    phone = Phone().starts()
    phone.says("hello")
    phone.feed(ev.SpeechStarted())
    phone.replies("One.")
    phone.passes(2.99)
    assert phone.spoken == []
    phone.passes(0.02)
    assert phone.spoken == ["One."]
    assert phone.notes("speech_without_words") == [{"seconds": 3.0}]


def test_speech_that_goes_on_is_waited_for_but_not_for_ever():
    """Signs of speech keep it open, for thirty seconds at most: a radio must not hold the line."""
    phone = Phone().starts()
    phone.says("hello")
    phone.feed(ev.SpeechStarted())
    phone.replies("One.")
    began = phone.now
    while not phone.spoken:
        phone.passes(1.0)
        phone.feed(ev.SpeechContinues())
    assert phone.now == began + 30.0


def test_two_utterances_before_the_bot_can_answer_are_one_question():
    """What was said in pieces over the greeting is put to the model once, piece by piece."""
    phone = Phone(**STREAMED)
    phone.feed(ev.CallStarted())
    phone.says("hello")
    phone.says("anybody there?")
    phone.hears()
    assert phone.history[1:] == ["< hello", "< anybody there?"]
    assert len(phone.all(AskModel)) == 1


def test_reply_in_the_history_carries_its_control_and_lead():
    """What was heard before the control arrived gets it when it comes."""
    phone = Phone(required=("name",)).starts()
    phone.says("Dana")
    phone.feed(ev.SentenceReady(1, "Thanks."))
    phone.hears()
    phone.feed(ev.ReplyDone(1, ev.Control(notes="got it"), {"name": "Dana"}))
    entry = phone.call.history.entries[-1]
    assert isinstance(entry, ev.BotSaid)
    assert (entry.control.notes, entry.lead) == ("got it", {"name": "Dana"})


# --- keys -------------------------------------------------------------------------------------------
def test_keys_pressed_in_a_row_are_one_entry():
    """Two seconds after the last key the digits reach the model together."""
    phone = Phone().starts()
    for key in "0501":
        phone.feed(ev.KeyPressed(key))
        phone.passes(1.9)
    assert phone.all(AskModel) == []
    phone.passes(0.2)
    assert phone.question.history[-1] == CallerSaid("", "0501")


def test_key_stops_the_bot_and_holds_the_floor():
    """A key is a barge-in: the bot falls silent until the entry is complete."""
    phone = Phone().starts()
    phone.says("hello")
    phone.replies("Press one or two now please.")
    phone.feed(ev.KeyPressed("1"))
    assert phone.all(ev.ClearAudio) == [ev.ClearAudio()]
    phone.passes(2.0)
    assert phone.history[-2:] == ["> /", "< 1"]


# --- silence ----------------------------------------------------------------------------------------
def test_silent_caller_is_warned_twice_and_then_let_go():
    """Warning, warning, closing sentence, linger, end: no_response."""
    phone = Phone(warn=("Hello?", "Still there?"), close="Goodbye then.").starts()
    phone.passes(60.0)
    assert phone.spoken == ["Hello?", "Still there?", "Goodbye then."]
    assert phone.hang_up == ev.HangUp(EndedBy.SILENCE, "no_response")


def test_silence_is_counted_from_the_end_of_the_bots_words():
    """The clock runs from the end of playback on the carrier, not from when it was queued."""
    phone = Phone().starts()
    phone.says("hello")
    phone.replies("A sentence that takes quite a while to say, as sentences on the phone do.")
    phone.hears()
    assert phone.call.deadline == phone.now + 8.0


def test_noise_does_not_reset_the_silence_clock():
    """A cough in the silence is not an answer."""
    phone = Phone().starts()
    phone.passes(5.0)
    phone.says("")
    assert phone.call.deadline == 8.0


def test_word_resets_the_count_of_warnings():
    """Who answers after two warnings is warned twice again."""
    phone = Phone(warn=("Hello?",)).starts()
    phone.passes(20.0)
    assert phone.spoken == ["Hello?", "Hello?"]
    phone.says("here")
    phone.replies("Good.")
    phone.passes(20.0)
    assert phone.spoken == ["Hello?", "Hello?", "Good.", "Hello?", "Hello?"]
    assert phone.call.ending is None


def test_nobody_is_timed_out_while_the_bot_thinks():
    """A model slower than the silence interval brings no warning."""
    phone = Phone(reply_deadline=30.0, filler=("One moment",)).starts()
    phone.says("hello")
    phone.passes(29.0)
    assert phone.spoken == ["One moment"]


def test_no_warnings_means_the_first_silence_ends_the_call():
    """With silence.warnings 0 the closing sentence comes after one interval."""
    phone = Phone(silence_warnings=0, close="Goodbye then.").starts()
    phone.passes(8.0)
    assert phone.spoken == ["Goodbye then."]


def test_model_is_told_of_the_silence_and_may_end_it_in_time():
    """With silence.by model the model warns; no_response is accepted after the last warning only."""
    phone = Phone(silence_by_model=True, silence_warnings=1).starts()
    phone.passes(8.0)
    assert (phone.question.occasion, phone.question.detail) == (
        Occasion.SILENCE,
        "silent for 8 seconds, 1 in a row",
    )
    phone.replies("Are you there?", end="no_response")
    assert phone.question.occasion is Occasion.END_REFUSED
    phone.replies()
    phone.hears()
    phone.passes(8.0)
    assert phone.question.detail == "silent for 8 seconds, 2 in a row; no_response is allowed now"
    phone.replies("Goodbye.", end="no_response")
    phone.passes(5.0)
    assert phone.hang_up == ev.HangUp(EndedBy.MODEL, "no_response")


def test_backend_ends_a_silence_that_the_model_will_not_end():
    """A model that only ever asks whether anybody is there does not keep the line."""
    phone = Phone(silence_by_model=True, silence_warnings=0, close="Goodbye then.").starts()
    phone.passes(8.0)
    phone.replies("Are you there?")
    phone.passes(10.0)
    assert phone.spoken == ["Are you there?", "Goodbye then."]
    assert phone.hang_up == ev.HangUp(EndedBy.SILENCE, "no_response")


def test_failing_model_leaves_the_warnings_to_the_backend():
    """If the model cannot be reached about a silence, the business's own sentences are said."""
    phone = Phone(silence_by_model=True, silence_warnings=1, warn=("Hello?",), close="Bye.").starts()
    for _ in range(2):
        phone.passes(8.0)
        phone.feed(ev.ReplyFailed(phone.question.turn, "boom"))
        phone.hears()
    phone.passes(5.0)
    assert phone.spoken == ["Hello?", "Bye."]
    assert phone.hang_up == ev.HangUp(EndedBy.SILENCE, "no_response")


def test_empty_reply_leaves_a_silent_line_silent_but_not_a_caller_who_spoke():
    """No words are fine after a silence; after a question the bot asks for it again."""
    phone = Phone(silence_by_model=True, repeat="Sorry?").starts()
    phone.passes(8.0)
    phone.replies()
    assert phone.spoken == []
    phone.says("hello")
    phone.replies()
    assert [(speak.text, speak.speech) for speak in phone.all(ev.Speak)] == [("Sorry?", SpeechKind.APOLOGY)]
