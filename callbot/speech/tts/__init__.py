"""Voices: text to speech, each behind ``sound.Voice``, found by name in ``registry``."""
