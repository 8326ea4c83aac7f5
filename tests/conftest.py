"""Fixtures that several test files share."""

from openai_server import openai_server

__all__ = ["openai_server"]
