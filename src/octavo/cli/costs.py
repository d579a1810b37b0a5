"""Verbs of cost control: connections, routes, models, prices."""

from __future__ import annotations

from typing import Annotated

import typer

from octavo.cli import EXIT_FAILED
from octavo.cli.showing import AsJson, Limit, server, show_one, show_rows

connections_app = typer.Typer(help="Connections to model providers.", no_args_is_help=True)
routes_app = typer.Typer(help="Routes: which connections serve which models.", no_args_is_help=True)
models_app = typer.Typer(help="Models, and the local one's weights.", no_args_is_help=True)
prices_app = typer.Typer(help="The price table.", no_args_is_help=True)

_CONNECTION = {
    "id": "id",
    "name": "name",
    "provider": "provider",
    "address": "base_url",
    "key ends": "secret_last4",
    "default": "is_default",
}


@connections_app.command("list")
def list_connections(as_json: AsJson = False) -> None:
    """List the project's connections."""
    with server() as client:
        found = client.list_connections()["data"]
    show_rows(found, _CONNECTION, as_json=as_json)


@connections_app.command("providers")
def list_providers(as_json: AsJson = False) -> None:
    """List the kinds of provider there are."""
    with server() as client:
        found = client.list_providers()["data"]
    columns = {"kind": "kind", "title": "title", "address": "default_base_url", "needs a key": "needs_secret"}
    show_rows(found, columns, as_json=as_json)


@connections_app.command("create")
def create_connection(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
    provider: Annotated[str, typer.Argument(help="A kind, as `octavo connections providers` lists them.")],
    base_url: Annotated[str, typer.Option(help="Address, when it is not the provider's own.")] = "",
    ask_secret: Annotated[
        bool, typer.Option("--secret", help="Ask for the provider's key (or read it from a pipe).")
    ] = False,
    is_default: Annotated[bool, typer.Option("--default", help="Take the models that nobody else claims.")] = False,
    as_json: AsJson = False,
) -> None:
    """Connect the project to a provider."""
    secret = typer.prompt("Key", hide_input=True, err=True) if ask_secret else ""
    with server() as client:
        made = client.create_connection(
            name=name,
            provider=provider,
            base_url=base_url,
            secret=secret,
            is_default=is_default or None,
        )
    show_one(made, _CONNECTION, as_json=as_json)


@connections_app.command("test")
def test_connection(connection_id: Annotated[str, typer.Argument()], as_json: AsJson = False) -> None:
    """Ask the provider for its models, which is free. Exit code 1 when it does not answer well."""
    with server() as client:
        probe = client.test_connection(connection_id)
    show_one(probe, {"ok": "ok", "status": "status", "ms": "latency_ms", "": "message"}, as_json=as_json)
    raise typer.Exit(0 if probe["ok"] else EXIT_FAILED)


@connections_app.command("delete")
def delete_connection(connection_id: Annotated[str, typer.Argument()]) -> None:
    """Delete a connection that no route leads to."""
    with server() as client:
        client.delete_connection(connection_id)


@routes_app.command("list")
def list_routes(as_json: AsJson = False) -> None:
    """List the project's routes."""
    with server() as client:
        found = client.list_routes()["data"]
    shown = [
        {**route, "to": [f"{one['connection_id']} {one.get('model', '')}".strip() for one in route["targets"]]}
        for route in found
    ]
    columns = {"id": "id", "model": "pattern", "to": "to", "strategy": "strategy", "retries": "retries"}
    show_rows(found if as_json else shown, columns, as_json=as_json)


@routes_app.command("create")
def create_route(
    pattern: Annotated[str, typer.Argument(help="Name of a model, or a glob.")],
    target: Annotated[list[str], typer.Argument(help="CONNECTION_ID or CONNECTION_ID=MODEL, in order of fallback.")],
    as_json: AsJson = False,
) -> None:
    """Send calls for a model to connections, the next when one fails."""
    with server() as client:
        made = client.create_route(
            pattern=pattern,
            targets=[
                {"connection_id": connection, "model": model}
                for connection, _, model in (one.partition("=") for one in target)
            ],
        )
    show_one(made, {"id": "id", "model": "pattern", "strategy": "strategy"}, as_json=as_json)


@routes_app.command("delete")
def delete_route(route_id: Annotated[str, typer.Argument()]) -> None:
    """Delete a route."""
    with server() as client:
        client.delete_route(route_id)


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models that the project can call, and what they cost in USD per million tokens."""
    with server() as client:
        found = client.list_models()["data"]
    columns = {
        "model": "model",
        "connection": "connection",
        "input": "rates.input",
        "output": "rates.output",
        "price from": "price_source",
    }
    show_rows(found, columns, as_json=as_json)


@models_app.command("pull", add_help_option=False, help="Fetch the local model's weights (on this machine).")
def _pull() -> None:
    """Handed to the server's program before it gets here."""


@prices_app.command("list")
def list_prices(
    provider: Annotated[str, typer.Option(help="Part of the provider's name.")] = "",
    model: Annotated[str, typer.Option(help="Part of the model's name.")] = "",
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Search the shipped price table, in USD per million tokens."""
    with server() as client:
        found = client.list_prices(provider=provider, model=model, limit=limit)["data"]
    columns = {"provider": "provider", "model": "model", "input": "rates.input", "output": "rates.output"}
    show_rows(found, columns, as_json=as_json)
