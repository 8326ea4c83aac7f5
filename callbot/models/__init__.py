"""Dialogue models: who decides what is said."""
