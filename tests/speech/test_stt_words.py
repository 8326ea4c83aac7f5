"""What recognisers write becomes what was said: no sounds, no full stops, numbers in digits."""

from __future__ import annotations

import pytest

from callbot.speech.stt.words import clean_words


@pytest.mark.parametrize(
    ("written", "language", "said"),
    [
        (" Hello, I need a plumber. ", "en", "Hello, I need a plumber"),
        ("Do you work on Fridays?", "en", "Do you work on Fridays?"),
        ("[noise]", "en", ""),
        ("(music) yes [laughter] please.", "en", "yes please"),
        ("...", "en", ""),
        ("♪♪", "he", ""),
        ("\u200fשלום,  אני דנה.", "he", "שלום, אני דנה"),
        ('"כן"', "he", "כן"),
        ("my number is zero five two, one two three, four five six seven.", "en", "my number is 0521234567"),
        ("Oh five two 1 2 3 four", "en", "0521234"),
        ("one or two rooms", "en", "one or two rooms"),
        ("three two one", "en", "three two one"),
        ("הטלפון אפס חמש שתיים אחת שתיים שלוש ארבע", "he", "הטלפון 0521234"),
        ("שתיים או שלוש", "he", "שתיים או שלוש"),
        ("052-123-4567", "he", "052-123-4567"),
    ],
)
def test_words(written, language, said):
    """Nothing that a caller meant is lost."""
    assert clean_words(written, language) == said
