"""Ways to reach a caller. Lines do not know models, speech or the store."""
