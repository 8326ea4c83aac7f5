"""Calls held aloud in one process: a simulated carrier and the phone's own line, on virtual time."""
