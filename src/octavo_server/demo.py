"""`octavo demo`: the server, and beside it a thread that fills a demo project with real calls to the local model.

All of it goes through the front door, as an application would: the thread logs in, makes the project and a key, and
sends its calls over HTTP. A second start finds them again and sends a few fresh calls.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.table import Table

from octavo.client import Octavo
from octavo.errors import APIError, AuthenticationError, ConnectionFailed
from octavo_server.core.errors import OctavoError, Unavailable
from octavo_server.http.serve import base_url, serve
from octavo_server.local_model import find_weights
from octavo_server.settings import Settings

PROJECT = "demo"
PRICE_NOTE = "Demo price, so that costs show: the local model is free. Delete this rule when you like."
_MODEL_START_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the demo has to know at its next start; kept in the data folder, for its owner's eyes only."""

    email: str
    password: str = field(repr=False)
    public_key: str = ""
    secret_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One call of the sample applications."""

    title: str
    body: Mapping[str, Any]
    context: Mapping[str, Any]
    fails: bool = False


class Stopped(Exception):
    """The server is going down; so does the demo."""


def demo(settings: Settings, *, started: float) -> int:
    """Serves until Ctrl-C. Raises OctavoError when the server cannot start, or the demo cannot be set up."""
    find_weights(settings)  # rather now than after a minute
    kept = _read(settings)
    settings = replace(settings, admin_password=kept.password)
    stopping = threading.Event()
    failures: list[OctavoError] = []
    with ThreadPoolExecutor(1, thread_name_prefix="octavo-demo") as threads:
        visit = _Visit(settings, kept, stopping, started)
        threads.submit(visit.run).add_done_callback(lambda done: _after(done, failures))
        try:
            code = serve(settings, started=started, on_ready=visit.ready.set)
        finally:
            stopping.set()
    if failures:
        raise failures[0]
    return code


def _after(visit: Future[None], failures: list[OctavoError]) -> None:
    """A demo that cannot be set up takes the server down with it; one that the server left does not."""
    error = visit.exception()
    if error is None or isinstance(error, Stopped):
        return
    failures.append(error if isinstance(error, OctavoError) else Unavailable(f"the demo failed: {error}"))
    os.kill(os.getpid(), signal.SIGINT)


class _Visit:
    """What the demo does while the server runs."""

    def __init__(self, settings: Settings, kept: Kept, stopping: threading.Event, started: float) -> None:
        self._settings = settings
        self._kept = kept
        self._stopping = stopping
        self._started = started
        self._url = base_url(settings)
        self._near_url = base_url(replace(settings, public_url=""))
        self.ready = threading.Event()
        self._console = Console(highlight=False)

    def run(self) -> None:
        try:
            with Octavo(self._near_url, api_key="", project="", environment="") as admin, self._progress() as progress:
                task = progress.add_task("Starting the server", total=None)
                self._wait_for_server()
                progress.update(task, description="Setting up the project")
                self._log_in(admin)
                connection = self._set_up(admin)
                progress.update(task, description="Loading the local model")
                self._wait_for_model(admin, connection)
                samples = list(_samples())
                progress.update(task, total=len(samples), completed=0)
                with Octavo(self._near_url, api_key=self._kept.secret_key, project="", timeout_s=120.0) as app:
                    for sample in samples:
                        progress.update(task, description=sample.title)
                        _send(app, sample)
                        progress.advance(task)
                progress.update(task, description="Recording")
                self._wait_for_traces(admin)
        except ConnectionFailed as error:
            if self._stopping.wait(2.0):
                raise Stopped from error
            raise
        self._show()

    def _progress(self) -> Progress:
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<32}"),
            BarColumn(28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            # Its writes and the server's share a terminal: lines of the log go above the bar.
            redirect_stdout=True,
            redirect_stderr=True,
        )

    def _pause(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Stopped

    def _wait_for_server(self) -> None:
        # Not by asking who answers at the address: that may be another server.
        while not self.ready.wait(0.1):
            self._pause(0.0)

    def _log_in(self, admin: Octavo) -> None:
        try:
            admin.log_in(email=self._kept.email, password=self._kept.password)
        except AuthenticationError:
            raise Unavailable(
                f"the demo cannot log in as {self._kept.email}: this data folder has users already. "
                "Set OCTAVO_ADMIN_EMAIL and OCTAVO_ADMIN_PASSWORD, or use another --data-dir"
            ) from None
        _write(self._settings, self._kept)

    def _set_up(self, admin: Octavo) -> str:
        """The project with its connection, price and key, each made when it is missing; returns the connection."""
        if not any(one["slug"] == PROJECT for one in admin.list_projects()["data"]):
            admin.create_project(name="Demo", slug=PROJECT)
        admin.use_project(PROJECT)
        ours = [one for one in admin.list_connections()["data"] if one["provider"] == "local"]
        connection = ours[0] if ours else admin.create_connection(name="local", provider="local")
        if not any(rule["note"] == PRICE_NOTE for rule in admin.list_price_rules()["data"]) and not ours:
            admin.create_price_rule(
                provider="local", model="*", rates={"input": "0.15", "output": "0.6"}, note=PRICE_NOTE
            )
        self._find_key(admin)
        return connection["id"]

    def _find_key(self, admin: Octavo) -> None:
        keys = admin.list_keys()["data"]
        if any(one["public_key"] == self._kept.public_key and one["revoked_at"] is None for one in keys):
            return
        made = admin.create_key(name="demo application", environment="development")
        self._kept = replace(self._kept, public_key=made["public_key"], secret_key=made["secret_key"])
        _write(self._settings, self._kept)

    def _wait_for_model(self, admin: Octavo, connection: str) -> None:
        deadline = time.monotonic() + _MODEL_START_S
        self._pause(1.0)  # it takes that long, and each test is an event
        while not (probe := admin.test_connection(connection))["ok"]:
            if time.monotonic() > deadline:
                raise Unavailable(f"the local model did not start within {_MODEL_START_S:g} s: {probe['message']}")
            self._pause(0.7)

    def _wait_for_traces(self, admin: Octavo) -> None:
        """Until what was sent can be seen; a slow store is not the demo's failure."""
        deadline = time.monotonic() + 15.0
        while time.monotonic() < deadline:
            accounting = admin.read_server()["accounting"]
            if accounting is None or not accounting["pending"]:
                return
            self._pause(0.2)

    def _show(self) -> None:
        kept, console = self._kept, self._console
        facts = Table.grid(padding=(0, 2))
        facts.add_column(style="dim")
        facts.add_column(style="bold", overflow="fold")
        facts.add_row("Console", self._url)
        facts.add_row("Login", f"{kept.email}  {kept.password}")
        facts.add_row("API key", kept.secret_key)
        facts.add_row("Public key", f"{kept.public_key}  (with the API key: Langfuse clients)")
        facts.add_row("Data", str(self._settings.data_dir.resolve()))
        took = time.monotonic() - self._started
        console.print(Panel(facts, title=f"Octavo is running; first traces after {took:.0f} s", expand=False))
        for title, language, text in _snippets(self._url, kept.secret_key):
            console.print(f"\n[bold]{title}[/bold]")
            # Without line numbers, padding or a background: what is copied is what runs.
            console.print(Syntax(text, language, background_color="default", word_wrap=False), soft_wrap=True)
        console.print("\nCtrl-C stops it. `octavo serve` runs the same data without the demo.", style="dim")


def _send(app: Octavo, sample: Sample) -> None:
    body = {**sample.body, "octavo": dict(sample.context)}
    try:
        if body.get("stream"):
            for _ in app.stream("/v1/chat/completions", body):
                pass
        else:
            app.request("POST", "/v1/chat/completions", body=body)
    except APIError:
        if not sample.fails:
            raise


def _samples() -> Iterator[Sample]:
    """What two sample applications ask: a support bot with a user and a session, and a checker of answers."""
    session = f"support-{secrets.token_hex(3)}"
    talk: list[Mapping[str, str]] = [
        {"role": "system", "content": "You are the support bot of a bicycle shop. Answer in one or two sentences."}
    ]
    for turn, question in enumerate(
        ("My chain keeps falling off. What should I check first?", "And how often should I oil it?", "Thank you!"), 1
    ):
        # What the bot said before is scripted: a model this small would not keep to the subject.
        talk.append({"role": "user", "content": question})
        yield Sample(
            title=f"Support bot, turn {turn} of 3",
            body=_chat("gpt-4o", talk, max_tokens=60, stream=turn == 2),
            context=_context("support-bot", "ada@example.com", session, "support"),
        )
        talk.append({"role": "assistant", "content": _BOT_SAID[turn - 1]})
    yield Sample(
        title="Summary, streamed",
        body=_chat("gpt-4.1-mini", _ask(f"Summarise in one sentence: {_REVIEW}"), max_tokens=60, stream=True),
        context=_context("summarise-review", "grace@example.com", "", "reviews"),
    )
    yield Sample(
        title="Judge, JSON mode",
        body=_chat(
            "gpt-4o-mini",
            _ask(
                'You are a judge. Return JSON {"score": 0.0-1.0, "reason": "..."}.\n'
                "Question: How do I fix a flat tyre?\nAnswer: Replace or patch the inner tube."
            ),
            response_format={"type": "json_object"},
            temperature=0,
            max_tokens=80,
        ),
        context=_context("judge-answer", "grace@example.com", "", "evaluation"),
    )
    yield Sample(
        title="Tool call",
        body=_chat(
            "gpt-4o",
            _ask("Is the city bike model C7 in stock in Lyon?"),
            tools=[_STOCK_TOOL],
            tool_choice="required",
            max_tokens=80,
        ),
        context=_context("stock-agent", "ada@example.com", session, "support"),
    )
    yield Sample(
        title="A call that fails, on purpose",
        body=_chat("gpt-4o", _ask("This call asks for an impossible temperature."), temperature="very hot"),
        context=_context("support-bot", "linus@example.com", "", "support"),
        fails=True,
    )


_REVIEW = (
    "I bought the touring bike in May and have ridden 1,200 km since. The frame is light and the gears shift well, "
    "but the saddle was too hard for long days and I replaced it within a week."
)
_BOT_SAID = (
    "Check whether the rear derailleur is bent and whether the chain is worn or too long.",
    "Every 150 to 200 km, and after each ride in the rain.",
    "You are welcome. Ride safely!",
)
_STOCK_TOOL = {
    "type": "function",
    "function": {
        "name": "check_stock",
        "description": "How many of a product a shop has",
        "parameters": {
            "type": "object",
            "properties": {"product": {"type": "string", "maxLength": 20}, "city": {"type": "string", "maxLength": 20}},
            "required": ["product", "city"],
        },
    },
}


def _ask(text: str) -> list[Mapping[str, str]]:
    return [{"role": "user", "content": text}]


def _chat(model: str, messages: Sequence[Mapping[str, str]], **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": list(messages), **more}


def _context(name: str, user: str, session: str, tag: str) -> dict[str, Any]:
    context = {"name": name, "trace_name": name, "user_id": user, "tags": ["demo", tag]}
    return {**context, "session_id": session} if session else context


def _snippets(url: str, key: str) -> Iterator[tuple[str, str, str]]:
    yield (
        "curl",
        "bash",
        f"curl {url}/v1/chat/completions \\\n"
        f'  -H "Authorization: Bearer {key}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        """  -d '{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]}'""",
    )
    yield (
        "Python (pip install openai)",
        "python",
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{url}/v1", api_key="{key}")\n'
        'answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello!"}])\n'
        "print(answer.choices[0].message.content)",
    )


def _file(settings: Settings) -> Path:
    return settings.data_dir / "demo.json"


def _read(settings: Settings) -> Kept:
    """What an earlier start kept, or a new login."""
    try:
        kept = Kept(**json.loads(_file(settings).read_text()))
    except FileNotFoundError:
        return Kept(email=settings.admin_email, password=settings.admin_password or secrets.token_urlsafe(12))
    except (OSError, ValueError, TypeError) as error:
        raise Unavailable(f"{_file(settings)} cannot be read ({error}): delete it, or use another --data-dir") from None
    return replace(kept, password=settings.admin_password) if settings.admin_password else kept


def _write(settings: Settings, kept: Kept) -> None:
    path = _file(settings)
    draft = path.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(kept)))
    draft.replace(path)
