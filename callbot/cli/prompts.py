"""``callbot prompts``: businesses in the store against their files on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callbot.cli.storing import DatabaseOption, PromptsOption

if TYPE_CHECKING:
    import datetime as dt

    from callbot.business import Business
    from callbot.config import Settings
    from callbot.models.base import Request
    from callbot.store.database import Store
    from callbot.yamlfile import Document

app = typer.Typer(no_args_is_help=True, help="Import, compare, activate and render the businesses' prompts.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Business id.")]


@app.command("import")
def import_(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Business files, or folders of them.")
    ],
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why, for the list of versions.")] = "",
    activate: Annotated[
        bool, typer.Option("--activate/--no-activate", help="Let the imported versions answer calls.")
    ] = True,
    database: DatabaseOption = None,
) -> None:
    """Store business files as versions, each whole with what it extends; all of them or none.

    A file that has not changed makes no new version. The first version of a business is active in
    any case.
    """
    from callbot.cli.storing import store_of
    from callbot.config import load_settings

    documents = _documents(paths)
    with store_of(load_settings(database=database), create=True) as store:
        for done in store.businesses.import_versions(documents, comment=comment, activate=activate):
            state = "imported" if done.new else "known already"
            active = "active" if done.active else "not active"
            typer.echo(f"{done.business_id}: version {done.version} {state}, {active}")


@app.command("list")
def list_(
    business: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="List this business's versions instead.")
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """List the stored businesses, or the versions of one."""
    from callbot.cli.storing import local, print_table, store_of
    from callbot.config import load_settings

    settings = load_settings(database=database)
    with store_of(settings) as store:
        if business is None:
            print_table(
                ("business", "active", "newest", "answers", "changed"),
                (
                    (info.id, info.active, info.newest, " ".join(info.numbers), local(info.changed_at))
                    for info in store.businesses.list()
                ),
                settings.bidi,
            )
            return
        print_table(
            ("version", "active", "created", "sha256", "comment"),
            (
                (v.number, "active" if v.active else "", local(v.created_at), v.sha256[:12], v.comment)
                for v in store.businesses.versions(business)
            ),
            settings.bidi,
        )


@app.command()
def show(
    business: IdArgument,
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", help="Which one.  [default: the active one]")
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Print a stored version as a business file."""
    from callbot.cli.storing import store_of
    from callbot.config import load_settings

    with store_of(load_settings(database=database)) as store:
        typer.echo(store.businesses.version(business, version).yaml, nl=False)


@app.command()
def diff(
    business: IdArgument,
    a: Annotated[
        int | None, typer.Argument(metavar="[A]", help="A version.  [default: the active one]")
    ] = None,
    b: Annotated[
        int | None,
        typer.Argument(metavar="[B]", help="Another.  [default: the file on disk, else the active version]"),
    ] = None,
    prompts_dir: PromptsOption = None,
    database: DatabaseOption = None,
) -> None:
    """Show how two versions of a business differ, or the active one and the file on disk."""
    import difflib

    from callbot.cli.storing import store_of
    from callbot.config import load_settings
    from callbot.errors import CallbotError
    from callbot.store.documents import canonical_yaml

    settings = load_settings(database=database, prompts_dir=prompts_dir)
    with store_of(settings) as store:
        old = store.businesses.version(business, a)
        new_name, new_text = f"version {b}", ""
        path = None if b is not None else _files(settings).get(business)
        if path is not None:
            new_name, new_text = str(path), canonical_yaml(_document(path))
        elif a is None and b is None:
            raise CallbotError(f"{business}: has no file on disk to compare with; name two versions")
        else:
            new = store.businesses.version(business, b)
            new_name, new_text = f"version {new.number}", new.yaml
    lines = difflib.unified_diff(
        old.yaml.splitlines(),
        new_text.splitlines(),
        f"{business} version {old.number}",
        f"{business} {new_name}",
        lineterm="",
    )
    typer.echo("\n".join(lines) or f"{business}: version {old.number} and {new_name} are the same")


@app.command()
def activate(
    business: IdArgument,
    version: Annotated[int, typer.Argument(metavar="VERSION")],
    database: DatabaseOption = None,
) -> None:
    """Let a version answer the business's calls."""
    from callbot.cli.storing import store_of
    from callbot.config import load_settings

    with store_of(load_settings(database=database)) as store:
        store.businesses.activate(business, version)
    typer.echo(f"{business}: version {version} is active")


@app.command()
def rollback(business: IdArgument, database: DatabaseOption = None) -> None:
    """Undo the newest activation; again, the one before it."""
    from callbot.cli.storing import store_of
    from callbot.config import load_settings

    with store_of(load_settings(database=database)) as store:
        version = store.businesses.rollback(business)
    typer.echo(f"{business}: version {version} is active again")


@app.command()
def status(prompts_dir: PromptsOption = None, database: DatabaseOption = None) -> None:
    """Compare files with what is active; exit with 1 if anything differs."""
    from callbot.cli.storing import print_table, store_of
    from callbot.config import load_settings
    from callbot.store.engine import database_exists

    settings = load_settings(database=database, prompts_dir=prompts_dir)
    files = {name: _document(path) for name, path in _files(settings).items()}
    if database_exists(settings.database):
        with store_of(settings) as store:
            states = _states(files, store)
    else:
        states = dict.fromkeys(files, "not imported")
    print_table(("business", "state"), sorted(states.items()), settings.bidi)
    if any(state != "same" for state in states.values()):
        raise typer.Exit(1)


@app.command()
def render(
    business: IdArgument,
    prompts_dir: PromptsOption = None,
    active: Annotated[
        bool, typer.Option("--active", help="The active version in the database, whatever is on disk.")
    ] = False,
    now: Annotated[
        str | None,
        typer.Option(metavar="ISO", help="When the call is, in the business's zone.  [default: now]"),
    ] = None,
    caller: Annotated[
        str | None,
        typer.Option("--from", metavar="NUMBER", help="The caller's number; withheld if left out."),
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Print exactly what a model is told as a call begins: the system prompt and the reply's JSON Schema."""
    import json

    from callbot.cli.storing import store_of
    from callbot.config import load_settings
    from callbot.fields import check_caller_number
    from callbot.lookup import find_business
    from callbot.models.messages import chat_messages
    from callbot.reply import reply_schema

    check_caller_number(caller)
    settings = load_settings(database=database, prompts_dir=prompts_dir)
    if active:
        with store_of(settings) as store:
            found = store.businesses.get(business)
    else:
        found = find_business(business, settings.prompts_dir, settings.database)
    for message in chat_messages(_request(found, _time(now), caller)):
        typer.echo(message["content"])
    typer.echo("\n--- JSON Schema of the reply ---")
    typer.echo(json.dumps(reply_schema(found), ensure_ascii=False, indent=2))


# --- what they share ----------------------------------------------------------------------------
def _files(settings: Settings) -> dict[str, Path]:
    from callbot.lookup import DEFAULT_PROMPTS_DIR, business_files

    return business_files(settings.prompts_dir or DEFAULT_PROMPTS_DIR)


def _document(path: Path, *, named: bool = True) -> Document:
    """A file's merged document, known to be a business, of its file's name if ``named``. Raises InvalidInput."""
    from callbot.business import business_of, read_document
    from callbot.lookup import check_named

    document = read_document(path)
    business = business_of(document)
    if named:
        check_named(business, path)
    return document


def _documents(paths: list[Path]) -> list[Document]:
    """Every business that the paths name, all validated: what is wrong with any is said at once."""
    from callbot.errors import CallbotError, InvalidInput, Problem
    from callbot.lookup import business_files

    files: list[tuple[Path, bool]] = []
    for path in paths:
        found = business_files(path).values() if path.is_dir() else [path]
        if not found:
            raise CallbotError(f"{path}: no business files (*.yaml) in this folder")
        files += [(file, path.is_dir()) for file in found]
    documents: list[Document] = []
    problems: list[Problem] = []
    for file, in_folder in files:
        try:
            documents.append(_document(file, named=in_folder))
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(problems)
    return documents


def _states(files: dict[str, Document], store: Store) -> dict[str, str]:
    from callbot.store.documents import canonical_yaml, sha256_of

    stored = {info.id: info for info in store.businesses.list()}
    states = {name: "only in the database" for name in stored if name not in files}
    for name, document in files.items():
        if name not in stored:
            states[name] = "not imported"
        elif stored[name].sha256 == sha256_of(canonical_yaml(document)):
            states[name] = "same"
        else:
            states[name] = f"differs from the active version {stored[name].active}"
    return states


def _time(text: str | None) -> dt.datetime:
    import datetime as dt

    from callbot.errors import CallbotError

    if text is None:
        return dt.datetime.now(dt.UTC)
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise CallbotError(f'--now: "{text}" is no time; write 2026-11-27T10:00') from error


def _request(business: Business, now: dt.datetime, caller: str | None) -> Request:
    from callbot.events import Occasion
    from callbot.models.base import Request

    return Request(
        business=business,
        history=(),
        lead={},
        missing=business.required,
        occasion=Occasion.CALLER_SPOKE,
        detail="",
        now=now,
        caller_number=caller,
        seconds_left=10.0,
    )
