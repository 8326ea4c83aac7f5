"""Fixtures that several test files share."""

from openai_server import openai_server
from openai_talk import openai_model

__all__ = ["openai_model", "openai_server"]
