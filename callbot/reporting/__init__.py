"""Showing a run to people and to CI."""
