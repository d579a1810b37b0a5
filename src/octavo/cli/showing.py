"""What the verbs print: tables for people, JSON for programs; and how a refusal is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

import octavo
from octavo.cli import EXIT_FAILED, EXIT_UNUSABLE
from octavo.errors import AuthenticationError, ConfigError, ConnectionFailed, OctavoError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="Most results to show.")]


@contextmanager
def server() -> Iterator[octavo.Octavo]:
    """The configured server. What it refuses is told in one line, and ends the command."""
    try:
        with octavo.Octavo() as client:
            yield client
    except AuthenticationError as error:
        fail(f"{error.message} Run `octavo login`, or set OCTAVO_API_KEY.", EXIT_UNUSABLE)
    except (ConfigError, ConnectionFailed) as error:
        fail(error.message, EXIT_UNUSABLE)
    except OctavoError as error:
        fail(error.message, EXIT_FAILED)


def fail(message: str, code: int) -> None:
    """Ends the command."""
    typer.echo(f"octavo: {message}", err=True)
    raise typer.Exit(code)


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool) -> None:
    """A table with a column for each of `columns`: heading to name of the member (`a.b` for a member of a member)."""
    if as_json:
        show_json(rows)
        return
    from rich.console import Console  # `--help` and `--json` need no tables
    from rich.table import Table

    if not rows:
        typer.echo("Nothing yet.", err=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(_text(_member(row, name)) for name in columns.values()))
    # In a pipe a line is a row, however long.
    Console(width=None if sys.stdout.isatty() else 10_000, highlight=False, markup=False).print(table)


def show_one(value: Mapping[str, Any], members: Mapping[str, str], *, as_json: bool) -> None:
    """One thing, a line for each of `members`."""
    if as_json:
        show_json(value)
        return
    width = max(map(len, members))
    for heading, name in members.items():
        typer.echo(f"{heading:<{width}}  {_text(_member(value, name))}")


def show_json(value: Any) -> None:
    """JSON, indented."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _member(row: Mapping[str, Any], name: str) -> Any:
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
