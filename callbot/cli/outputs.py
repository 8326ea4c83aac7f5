"""What runs leave on disk: a folder of their own, and the files that a command was asked for."""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass
from pathlib import Path

from callbot.errors import CallbotError
from callbot.evals.report import Report
from callbot.files import write_whole


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a report goes beside its own folder."""

    json: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None

    def check(self) -> None:
        """Find out before any request is paid for. Raises CallbotError."""
        check_writable(self.json, self.junit, self.markdown)


def check_writable(*paths: Path | None) -> None:
    """Find out before anything is run or paid for. None: not asked for. Raises CallbotError."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise CallbotError(f"{path} cannot be written: it is a folder")
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise CallbotError(f"{path} cannot be written: nothing can be written in {parent}")


def new_folder(reports_dir: Path, started_at: dt.datetime, model: str) -> Path:
    """A folder of its own for a run, made. Raises CallbotError."""
    short = re.sub(r"[^A-Za-z0-9._-]+", "-", model)[:40].strip("-")
    base = f"{started_at:%Y%m%d-%H%M%S}-{short}"
    for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
        folder = reports_dir / (base + suffix)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise CallbotError(f"the report folder {folder} cannot be made: {error.strerror}") from error
        return folder
    raise CallbotError(f"too many runs named {base} in {reports_dir}")


def write_report(report: Report, folder: Path, outputs: Outputs) -> None:
    """Write a run's report into its folder and wherever else it was asked for. Raises CallbotError."""
    from callbot.reporting.html import write_html

    _write_json(report, folder / "report.json")
    write_html(report, folder / "report.html")
    write_copies(report, folder, outputs)


def write_copies(report: Report, folder: Path, outputs: Outputs) -> None:
    """Write a report wherever it was asked for; ``folder``: the run's own. Raises CallbotError."""
    if outputs.json is not None:
        _write_json(report, outputs.json)
    if outputs.junit is not None:
        from callbot.reporting.junit import write_junit

        write_junit(report, outputs.junit)
    if outputs.markdown is not None:
        from callbot.reporting.markdown import write_markdown

        write_markdown(report, outputs.markdown, folder)


def _write_json(report: Report, path: Path) -> None:
    write_whole(path, report.model_dump_json(indent=2, by_alias=True) + "\n")
