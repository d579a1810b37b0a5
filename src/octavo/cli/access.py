"""Verbs of access: logging in, projects, API keys, the kept configuration."""

from __future__ import annotations

import socket
from dataclasses import asdict
from typing import Annotated

import typer

import octavo
from octavo.cli import EXIT_UNUSABLE
from octavo.cli.showing import AsJson, fail, server, show_json, show_one, show_rows
from octavo.config import NAMES, Config, change_config, config_path, read_config, write_config
from octavo.errors import ConfigError, OctavoError

projects_app = typer.Typer(help="Projects: each has its own keys, connections and traces.", no_args_is_help=True)
keys_app = typer.Typer(help="API keys of the project.", no_args_is_help=True)
config_app = typer.Typer(help="What `octavo login` kept.", no_args_is_help=True)

_KEY_COLUMNS = {
    "id": "id",
    "name": "name",
    "environment": "environment",
    "public key": "public_key",
    "last used": "last_used_at",
    "revoked": "revoked_at",
}


def login(
    url: Annotated[str | None, typer.Option(help="Address of the server (OCTAVO_URL).")] = None,
    email: Annotated[str, typer.Option(prompt=True, help="Who logs in.")] = ...,  # type: ignore[assignment]
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, help="Asked for when left out, as it should be.")
    ] = ...,  # type: ignore[assignment]
    project: Annotated[str | None, typer.Option(help="Slug or id; needed when there are several.")] = None,
) -> None:
    """Log in, make a key that may do what you may in a project, and keep it on this machine."""
    try:
        with octavo.Octavo(url, api_key="", project="") as client:
            session = client.log_in(email=email, password=password)
            chosen = _choose_project([one["slug"] for one in client.list_projects()["data"]], project)
            client.use_project(chosen)
            allowed = client.read_session()["permissions"]
            name = f"CLI of {session['user']['email']} on {socket.gethostname()}"[:80]
            scopes = [one for one in allowed if one not in ("public", "any", *_OF_THE_SERVER)]
            key = client.create_key(name=name, scopes=scopes)  # type: ignore[arg-type]
            client.log_out()
        path = write_config(
            Config(url=client.config.url, api_key=key["secret_key"], project=chosen, environment=key["environment"])
        )
    except OctavoError as error:
        fail(error.message, EXIT_UNUSABLE)
        return
    typer.echo(f"Logged in to {client.config.url}, project {chosen}. The key {key['id']} is kept in {path}.")


_OF_THE_SERVER = ("projects.create", "users.read", "users.write")
"""Permissions that no key can have."""


def _choose_project(slugs: list[str], asked: str | None) -> str:
    if asked is not None:
        return asked
    if len(slugs) != 1:
        raise ConfigError(f"choose a project with --project: {', '.join(slugs) or 'there is none yet'}")
    return slugs[0]


@config_app.command("show")
def show_config(as_json: AsJson = False) -> None:
    """Show the configuration in force; the key is cut short."""
    try:
        values = asdict(read_config())
    except ConfigError as error:
        fail(error.message, EXIT_UNUSABLE)
        return
    key = values["api_key"]
    values["api_key"] = f"{key[:10]}…{key[-4:]}" if key else ""
    values["file"] = str(config_path())
    if as_json:
        show_json(values)
    else:
        show_one(values, {name: name for name in values}, as_json=False)


@config_app.command("set")
def set_config(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.")],
    value: Annotated[str, typer.Argument()],
) -> None:
    """Keep one value, as `octavo config set environment production`."""
    if name not in NAMES:
        fail(f"{name!r} is no setting of the client; expected one of {', '.join(NAMES)}", EXIT_UNUSABLE)
    typer.echo(f"Kept in {change_config({name: value})}.")


@projects_app.command("list")
def list_projects(as_json: AsJson = False) -> None:
    """List the projects you may see."""
    with server() as client:
        found = client.list_projects()["data"]
    columns = {"slug": "slug", "name": "name", "captures": "capture", "keeps (days)": "retention_days", "id": "id"}
    show_rows(found, columns, as_json=as_json)


@projects_app.command("environments")
def list_environments(as_json: AsJson = False) -> None:
    """List the project's environments."""
    with server() as client:
        found = client.list_environments()["data"]
    show_rows(found, {"name": "name", "since": "created_at"}, as_json=as_json)


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the project's keys, revoked ones included."""
    with server() as client:
        found = client.list_keys()["data"]
    show_rows(found, _KEY_COLUMNS, as_json=as_json)


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    environment: Annotated[str, typer.Option(help="Environment that its calls are of.")] = "development",
    model: Annotated[list[str] | None, typer.Option(help="Model or glob it may call; repeat for more.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. Its secret is shown this once."""
    with server() as client:
        made = client.create_key(name=name, environment=environment, allowed_models=model or [])
    members = {"id": "id", "environment": "environment", "public key": "public_key", "secret key": "secret_key"}
    show_one(made, members, as_json=as_json)


@keys_app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument()], as_json: AsJson = False) -> None:
    """Revoke a key for good."""
    with server() as client:
        revoked = client.revoke_key(key_id)
    show_one(revoked, {"id": "id", "name": "name", "revoked": "revoked_at"}, as_json=as_json)
