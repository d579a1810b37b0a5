"""The verbs that speak HTTP, by noun."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from octavo.cli import EXIT_FAILED, EXIT_UNUSABLE
from octavo.cli.access import config_app, keys_app, login, projects_app
from octavo.cli.calls import chat, traces_app
from octavo.cli.costs import connections_app, models_app, prices_app, routes_app
from octavo.cli.showing import AsJson, Limit, server, show_json, show_one, show_rows

app = typer.Typer(
    name="octavo",
    help="Octavo: the LLMOps stack in one product.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(projects_app, name="projects")
app.add_typer(keys_app, name="keys")
app.add_typer(connections_app, name="connections")
app.add_typer(routes_app, name="routes")
app.add_typer(models_app, name="models")
app.add_typer(prices_app, name="prices")
app.add_typer(traces_app, name="traces")
app.add_typer(config_app, name="config")
app.command()(login)
app.command()(chat)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show whether the server works: its stores, its worker, its records. Exit code 1 when a part does not."""
    with server() as client:
        now = client.read_server()
    if as_json:
        show_json(now)
    else:
        stores = {f"store {name}": state for name, state in now["stores"].items()}
        flat: dict[str, Any] = {**now, **stores}
        members = {"version": "version", "up (s)": "uptime_s", **{name: name for name in stores}}
        members |= {"worker": "worker.state", "records stored": "accounting.stored", "waiting": "accounting.pending"}
        show_one(flat, {**members, "dropped": "accounting.dropped"}, as_json=False)
    raise typer.Exit(0 if now["ready"] else EXIT_FAILED)


@app.command()
def events(
    action: Annotated[str, typer.Option(help="As `api_key.created`.")] = "",
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List who changed what, newest first."""
    with server() as client:
        found = client.list_events(action=action, limit=limit)["data"]
    columns = {"at": "at", "who": "actor.name", "did": "action", "to": "subject_id", "request": "request_id"}
    show_rows(found, columns, as_json=as_json)


@app.command()
def users(as_json: AsJson = False) -> None:
    """List everybody who can log in."""
    with server() as client:
        found = client.list_users()["data"]
    show_rows(found, {"email": "email", "name": "name", "role": "role", "disabled": "disabled"}, as_json=as_json)


def _server_verb(name: str, help_text: str) -> None:
    # Listed here for the help; `octavo.cli.main` hands them to the server's program before they get here.
    app.command(name, help=help_text, rich_help_panel="The server, on this machine", add_help_option=False)(
        lambda: None
    )


_server_verb("serve", "Run the server and its worker.")
_server_verb("demo", "Run the server with a demo project on the local model.")
_server_verb("worker", "Run a worker apart from the server.")
_server_verb("db", "Care for the stores: `db migrate`, `db backup`, `db restore`.")
_server_verb("openapi", "Print the API's description.")


def run() -> None:
    """Runs the command line, and ends the process."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(EXIT_UNUSABLE)
