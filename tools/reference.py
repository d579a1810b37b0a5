"""Writes the reference pages that are made from the code: `python -m tools.reference [--check]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

import typer
import typer.core
from typer.cli import get_docs_for_click
from typer.main import get_command

from octavo.cli import SERVER_VERBS
from octavo.cli.app import app
from octavo_server.main import build_parser
from octavo_server.settings import Settings

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"

_MADE = "<!-- Made by `make docs`; do not edit. -->\n"

_CLIENT = """\
## The client's environment

| Variable | Meaning |
| --- | --- |
| `OCTAVO_URL` | Address of the server. Default: what `octavo login` kept, else `http://127.0.0.1:4400`. |
| `OCTAVO_API_KEY` | Secret key (`sk-oct-…`). Default: what `octavo login` kept for that address. |
| `OCTAVO_PROJECT` | Project that calls are about, by slug or id. A key knows its own. |
| `OCTAVO_ENVIRONMENT` | Environment that the application's traces are of. |
| `OCTAVO_CONFIG` | File of `octavo login`. Default: `~/.config/octavo/config.json`. |
"""


def settings_page() -> str:
    """Every setting of the server."""
    rows = []
    for one in fields(Settings):
        assert one.default is not MISSING
        default = str(one.default).lower() if isinstance(one.default, bool) else str(one.default)
        shown = f"`{default}`" if default else "empty"
        choices = (
            f" One of {', '.join(f'`{choice}`' for choice in one.metadata['choices'])}."
            if one.metadata["choices"]
            else ""
        )
        secret = " Secret." if one.metadata["secret"] else ""
        text = one.metadata["help"].replace("|", "\\|")
        rows.append(f"| `OCTAVO_{one.name.upper()}` | {shown} | {text}{choices}{secret} |")
    return "\n".join(
        [
            _MADE,
            "# Settings\n",
            "The server is set up by environment variables; flags of the command line win over them. A value that cannot",
            "be used stops the server with one line that says why.\n",
            "| Variable | Default | Meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
            _CLIENT,
        ]
    )


def cli_page() -> str:
    """Every verb of the command line."""
    command = get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    for verb in SERVER_VERBS:
        command.commands.pop(verb, None)  # told above
    client = get_docs_for_click(obj=command, ctx=typer.Context(command), name="octavo", title="Client verbs")
    return "\n".join(
        [
            _MADE,
            "# Command line\n",
            "Verbs of the server run in its own program on this machine; all others speak HTTP to the server of",
            "`OCTAVO_URL`. Exit codes: 0 it went well; 1 it failed, or the server refused; 2 it cannot be told (a wrong",
            "flag, no server, no credentials). `--json` prints what the API answered.\n",
            "# Server verbs\n",
            *_verbs(build_parser(), "octavo"),
            client.rstrip() + "\n",
        ]
    )


def _verbs(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {one.dest: one.help or "" for one in action._choices_actions}
            for verb, inner in action.choices.items():
                if verb in helps:
                    yield from _verb(inner, f"{name} {verb}", helps[verb])


def _verb(parser: argparse.ArgumentParser, name: str, about: str) -> Iterator[str]:
    inner = list(_verbs(parser, name))
    if inner:
        yield from inner
        return
    yield f"## `{name}`\n"
    yield f"{about[:1].upper()}{about[1:]}.\n"
    for action in parser._actions:
        if action.help not in (argparse.SUPPRESS, "show this help message and exit"):
            takes = "" if action.nargs == 0 else f" {action.dest.upper()}"
            shown = f"{action.option_strings[0]}{takes}" if action.option_strings else action.dest.upper()
            yield f"* `{shown}`" + (f": {action.help}" if action.help else "")
    yield ""


def main() -> int:
    pages = {FOLDER / "settings.md": settings_page(), FOLDER / "cli.md": cli_page()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)} is stale: run `make docs`")
        else:
            path.write_text(pages[path])
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
