"""Verbs about calls: making one, and reading the traces of those that were made."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from octavo.cli.showing import AsJson, Limit, server, show_json, show_one, show_rows

traces_app = typer.Typer(help="Traces: what happened, call by call.", no_args_is_help=True)


def chat(
    prompt: Annotated[str, typer.Argument(help="What to say.")],
    model: Annotated[str, typer.Option(help="Any model of the project.")] = "smollm2-135m-instruct",
    system: Annotated[str, typer.Option(help="System message.")] = "",
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Most tokens of the answer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model through the gateway; the answer comes as it is written."""
    messages = [{"role": "system", "content": system}] if system else []
    body: dict[str, Any] = {"model": model, "messages": [*messages, {"role": "user", "content": prompt}]}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    with server() as client:
        if as_json:
            show_json(client.request("POST", "/v1/chat/completions", body=body))
            return
        for chunk in client.stream("/v1/chat/completions", {**body, "stream": True}):
            for choice in chunk["choices"]:
                typer.echo(choice["delta"].get("content") or "", nl=False)
        typer.echo()


@traces_app.command("list")
def list_traces(
    search: Annotated[str, typer.Option(help="Text that the trace contains.")] = "",
    wanted: Annotated[str, typer.Option("--filter", help="As in the console's filter box.")] = "",
    environment: Annotated[str, typer.Option(help="Only this one's.")] = "",
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List traces, newest first."""
    with server() as client:
        found = client.list_traces(search=search, filter=wanted, environment=environment, limit=limit)["data"]
    columns = {
        "trace": "trace_id",
        "at": "start_time",
        "name": "name",
        "models": "models",
        "status": "status",
        "ms": "duration_ms",
        "tokens": "total_tokens",
        "cost (USD)": "cost_usd",
    }
    show_rows(found, columns, as_json=as_json)


@traces_app.command("show")
def show_trace(trace_id: Annotated[str, typer.Argument()], as_json: AsJson = False) -> None:
    """Show a trace and its spans."""
    with server() as client:
        found = client.read_trace(trace_id)
    if as_json:
        show_json(found)
        return
    members = {"trace": "trace_id", "name": "name", "user": "user_id", "session": "session_id", "cost": "cost_usd"}
    show_one(found["trace"], members, as_json=False)
    typer.echo()
    columns = {
        "span": "name",
        "kind": "kind",
        "model": "model",
        "status": "status",
        "ms": "duration_ms",
        "tokens": "total_tokens",
        "cost (USD)": "cost_usd",
    }
    show_rows(found["spans"], columns, as_json=False)
