"""Settings: defaults, below ``callbot.toml``, below ``CALLBOT_*`` variables, below the command line.

Importing this costs pydantic-settings (0.2 s), so commands import it when they run. Relative paths
are relative to the current folder, whichever file or variable names them.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from callbot.errors import CallbotError, InvalidInput, Problem
from callbot.prices import Price

PREFIX = "CALLBOT_"
CONFIG_VARIABLE = "CALLBOT_CONFIG"
CONFIG_FILE = Path("callbot.toml")
ADMIN_TOKEN_VARIABLE = "CALLBOT_ADMIN_TOKEN"  # noqa: S105 - a name
"""A secret: read by ``serve`` from the environment, and no key of the file."""

# Kubernetes announces a service named "callbot" to every pod by variables like these.
_OF_KUBERNETES = re.compile(r"CALLBOT_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_\d+_(TCP|UDP)(_.+)?)")

_Name = Annotated[str, Field(min_length=1)]
_Folder = Annotated[Path, AfterValidator(Path.expanduser)]


class Settings(BaseSettings):
    """What commands run with. Made by ``load_settings``; None means that nothing was chosen."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    database: _Name = "sqlite:///callbot.db"
    """SQLAlchemy URL of the store."""
    model: _Name | None = None
    fallback: _Name | None = None
    prompts_dir: _Folder | None = None
    """Folder of business files; None: ``prompts/`` in the current folder."""
    reports_dir: _Folder = Path("reports")
    recordings_dir: _Folder = Path("recordings")
    tts: _Name | None = None
    """The voice of businesses that name none."""
    stt: _Name | None = None
    """The recogniser of businesses that name none."""
    public_url: _Name | None = None
    """The address that Twilio reaches ``serve`` by."""
    twilio_api_url: _Name | None = None
    """A simulated carrier's REST address; None: Twilio's own."""
    bidi: Literal["auto", "visual", "logical"] = "auto"
    """How right-to-left text is written to a terminal."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """By the model's name, as ``--model`` has it. As a variable: JSON."""
    currency: _Name = "USD"
    """Of the prices."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command line over the environment over the file, which ``load_settings`` has read."""
        assert isinstance(init_settings, InitSettingsSource)
        given = dict(init_settings.init_kwargs)
        from_file = given.pop(_FILE, {})
        return (
            InitSettingsSource(settings_cls, given),
            env_settings,
            InitSettingsSource(settings_cls, from_file),
        )


_FILE = "_callbot_file"


def load_settings(**overrides: object) -> Settings:
    """Settings from every source; an override that is None was not given on the command line.

    Raises CallbotError (InvalidInput for the file) naming the place, the key and the nearest known key.
    """
    path = _config_path()
    lines, from_file = _read(path) if path else ([], {})
    _refuse_unknown_variables()
    given: dict[str, Any] = {key: value for key, value in overrides.items() if value is not None}
    sources: dict[str, Any] = {**given, _FILE: from_file}
    try:
        return Settings(**sources)
    except ValidationError as error:
        problems = [_problem(fault, given, path, lines) for fault in error.errors(include_url=False)]
        raise InvalidInput(problems) from error
    except SettingsError as error:  # of these settings only the prices are more than a text
        example = """'{"openai:NAME": {"input": 1, "output": 4}}'"""
        raise CallbotError(f"{PREFIX}PRICES must be JSON such as {example}: {error.__cause__}") from error


def _config_path() -> Path | None:
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise CallbotError(f"{CONFIG_VARIABLE}: there is no file {named}")
        return Path(named)
    return CONFIG_FILE if CONFIG_FILE.is_file() else None


def _read(path: Path) -> tuple[list[str], dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = tomllib.loads(text)
    except OSError as error:
        raise InvalidInput([Problem(path, None, "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise InvalidInput([Problem(path, None, "", "is not UTF-8 text; save it as UTF-8")]) from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput([Problem(path, None, "", f"not valid TOML: {error}")]) from error
    lines = text.splitlines()
    unknown = [key for key in data if key not in Settings.model_fields]
    if unknown:
        raise InvalidInput(
            [Problem(path, _line(lines, key), key, f"unknown key{_nearest(key)}") for key in unknown]
        )
    return lines, data


def _refuse_unknown_variables() -> None:
    known = {CONFIG_VARIABLE, ADMIN_TOKEN_VARIABLE, *(PREFIX + key.upper() for key in Settings.model_fields)}
    for name in sorted(os.environ):
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known and not _OF_KUBERNETES.fullmatch(upper):
            near = difflib.get_close_matches(upper, sorted(known), n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(known))}"
            raise CallbotError(f"{name}: unknown environment variable{hint}")


def _nearest(key: str) -> str:
    known = sorted(Settings.model_fields)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else f"; known keys: {', '.join(known)}"


def _line(lines: list[str], key: str) -> int | None:
    """1-based line on which a top-level key or table of the file stands, as near as text tells."""
    written = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[]=.]""")
    return next((number for number, line in enumerate(lines, 1) if written.match(line)), None)


def _problem(
    fault: Mapping[str, Any], given: Mapping[str, object], path: Path | None, lines: list[str]
) -> Problem:
    """Say where a bad value came from: the highest source that has the key is the one that was used."""
    key, dotted = str(fault["loc"][0]), ".".join(map(str, fault["loc"]))
    message = str(fault["msg"]).removeprefix("Value error, ")
    if message.startswith("Input should be "):
        message = "must be " + message.removeprefix("Input should be ")
    if key == "prices" and fault["type"] == "extra_forbidden":
        message = f"unknown key; known keys: {', '.join(Price.model_fields)}"
    elif fault["type"] == "missing":
        message = "is missing"
    elif fault["type"] != "extra_forbidden":
        message = f"{message[0].lower()}{message[1:]}; found {fault['input']!r}"
    if key in given:
        return Problem(Path(f"--{key.replace('_', '-')}"), None, "", message)
    variable = next((name for name in os.environ if name.upper() == PREFIX + key.upper()), None)
    if variable and os.environ[variable]:
        return Problem(Path(variable), None, dotted.partition(".")[2], message)
    return Problem(path, _line(lines, key), dotted, message)
