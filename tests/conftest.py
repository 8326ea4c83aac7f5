"""Fixtures that several test files share, and the rule that CI skips nothing."""

import os

import pytest
from openai_server import openai_server
from openai_talk import openai_model
from postgres import empty_url, postgres_server, postgres_url, store, store_url
from recognition import neural_voice, whisper

__all__ = [
    "empty_url",
    "neural_voice",
    "openai_model",
    "openai_server",
    "postgres_server",
    "postgres_url",
    "store",
    "store_url",
    "whisper",
]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test is a failure: something it needs was not installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line("tests were skipped, and CI skips nothing", red=True)
