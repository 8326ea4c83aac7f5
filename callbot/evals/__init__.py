"""Evaluation: scenarios, simulated callers, verdicts, statistics."""
