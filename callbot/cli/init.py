"""``callbot init``: a starter project in an empty folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

# Names in the package, where a dot file would be lost on the way, and in the project.
_RENAMED = {"gitignore": ".gitignore", "github/callbot.yml": ".github/workflows/callbot.yml"}


class Language(StrEnum):
    """Languages that the starter project comes in."""

    he = "he"
    en = "en"


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="An empty folder, or one to be made.")] = Path(),
    language: Annotated[Language, typer.Option(help="Language of the business.")] = Language.he,
) -> None:
    """Write a starter project into an empty folder: a business, its prompt, scenarios and a CI file."""
    from callbot.errors import CallbotError
    from callbot.files import write_whole

    if folder.exists() and not folder.is_dir():
        raise CallbotError(f"{folder} is a file; name an empty folder")
    if folder.is_dir() and any(path.name != ".git" for path in folder.iterdir()):
        raise CallbotError(f"{folder} is not empty; name an empty folder, so that nothing is overwritten")
    for name, content in _starter_files(language).items():
        write_whole(folder / name, content)
        typer.echo(f"wrote {folder / name}")
    where = "" if folder == Path() else f"cd {folder} && "
    typer.echo(f"\nTry it:  {where}callbot eval scenarios/   and   callbot chat my-business")


def _starter_files(language: Language) -> dict[str, str]:
    starter = Path(__file__).parent / "starter"
    files = {}
    for part in ("common", language.value):
        for path in sorted(p for p in (starter / part).rglob("*") if p.is_file()):
            name = path.relative_to(starter / part).as_posix()
            files[_RENAMED.get(name, name)] = path.read_text(encoding="utf-8")
    return files
