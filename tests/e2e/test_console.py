"""The console's journeys in a real browser, against a real server with a scripted model provider behind it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from octavo_server.http.console import CONSOLE
from tests.e2e.stack import EMAIL, PASSWORD, Admin, Stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CONSOLE / "index.html").is_file(), reason="the console is not built: run `make console`"),
]

MODEL = "gpt-4.1-mini"
WAIT_MS = 20_000


class _Model(BaseHTTPRequestHandler):
    """OpenAI's wire: a list of models, an answer that repeats the question, plain or streamed, and one refusal."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._json(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        question = body["messages"][-1]["content"]
        if "refuse" in question:
            self._json(
                400, {"error": {"message": "That is refused.", "type": "invalid_request_error", "code": "refused"}}
            )
            return
        usage = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
        start = {"id": "chatcmpl-1", "created": 1700000000, "model": body["model"]}
        if not body.get("stream"):
            message = {"role": "assistant", "content": f"You said: **{question}**"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._json(200, {**start, "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "You said: "}, {"content": f"**{question}**"}]
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
        ]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        chunks.append({"choices": [], "usage": usage})
        text = "".join(f"data: {json.dumps({**start, 'object': 'chat.completion.chunk', **one})}\n\n" for one in chunks)
        self._send(200, "text/event-stream", f"{text}data: [DONE]\n\n".encode())

    def _json(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("console") / "data")
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def secret(stack: Stack, provider: str) -> str:
    """A key of the project `Shop`, whose models `provider` serves."""
    admin = Admin(stack.url)
    made = admin.new_project("Shop", provider)
    admin.close()
    return made


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A fresh profile before the login page. The page must log no error while the test runs."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request", lambda request: errors.append(f"left for {request.url}") if _leaves(request.url, stack) else None
    )
    page.goto(stack.url)
    yield page
    context.close()
    assert errors == []


def _leaves(url: str, stack: Stack) -> bool:
    return url.startswith("http") and not url.startswith(stack.url)


def _log_in(page: Page, project: str = "shop") -> None:
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    page.goto(f"{page.url.split('?')[0]}?project={project}")
    expect(page.get_by_role("button", name="Project Shop")).to_be_visible()


def _call(stack: Stack, secret: str, text: str, **parameters: Any) -> str:
    """A call through the gateway as an application makes it; returns its trace's id."""
    answer = httpx.post(
        f"{stack.url}/v1/chat/completions",
        headers={"authorization": f"Bearer {secret}"},
        json={"model": MODEL, "messages": [{"role": "user", "content": text}], **parameters},
        timeout=30.0,
    )
    return answer.headers["x-octavo-trace-id"]


def test_a_wrong_password_is_told_kindly_and_the_right_one_opens_the_console(page: Page, secret: str) -> None:
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_role("textbox", name="Password").fill("not this one")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    _log_in(page)
    expect(page.get_by_role("heading", name="Shop")).to_be_visible()


def test_a_call_is_found_by_filter_and_read_as_a_conversation(page: Page, stack: Stack, secret: str) -> None:
    _call(stack, secret, "Where is my parcel?")
    failed = _call(stack, secret, "Please refuse this.")
    _log_in(page)
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page.get_by_label("Search or filter traces")).to_be_visible()
    rows = page.locator("a[role=row]")
    expect(page.locator(f"a[href*='{failed}']")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("status = err")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("filter="))
    expect(rows.filter(has_text="Where is my parcel?")).to_have_count(0)
    expect(page.locator(f"a[href*='{failed}']")).to_contain_text("That is refused.")
    page.get_by_role("button", name="Clear search and filters").click()
    rows.filter(has_text="Where is my parcel?").first.click()
    expect(page.get_by_role("treeitem")).to_have_count(1)
    expect(page.locator("article[data-role=user]")).to_contain_text("Where is my parcel?")
    expect(page.locator("article[data-role=assistant] strong")).to_have_text("Where is my parcel?")
    shared = page.url
    page.goto(shared)
    expect(page.locator("article[data-role=assistant]")).to_be_visible()


def test_a_new_key_calls_the_gateway_and_its_trace_appears_by_itself(page: Page, stack: Stack, secret: str) -> None:
    _log_in(page)
    page.get_by_role("link", name="API keys").click()
    page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("checkout service")
    dialog.get_by_role("button", name="Create key").click()
    made = page.get_by_test_id("secret-key").inner_text()
    assert made.startswith("sk-oct-")
    expect(dialog.locator("pre")).to_contain_text(made)
    page.get_by_role("button", name="I have copied it").click()
    expect(page.get_by_role("row").filter(has_text="checkout service")).to_be_visible()
    page.get_by_role("link", name="Traces", exact=True).click()
    expect(page.get_by_label("Search or filter traces")).to_be_visible()
    trace_id = _call(stack, made, "Sent with the new key")
    expect(page.locator(f"a[href*='{trace_id}']")).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("link", name="API keys").click()
    page.get_by_role("button", name="Revoke checkout service").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_role("row").filter(has_text="checkout service")).to_contain_text("revoked")


def test_a_provider_is_connected_and_tested(page: Page, provider: str, secret: str) -> None:
    _log_in(page)
    page.get_by_role("link", name="Providers").click()
    page.get_by_role("button", name="OpenAI-compatible").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("second")
    dialog.get_by_label("Base URL").fill(provider)
    dialog.get_by_role("button", name="Connect", exact=True).click()
    card = page.get_by_role("article", name="Connection second")
    card.get_by_role("button", name="Test").click()
    expect(card.get_by_role("status")).to_have_attribute("data-ok", "true")
    expect(card).to_contain_text("1 model known")


def test_the_playground_streams_an_answer_and_leads_to_its_trace(page: Page, secret: str) -> None:
    _log_in(page)
    page.goto(page.url.replace("/?", f"/playground?model={MODEL}&"))
    page.get_by_label("Message 2 (user)").fill("Tell me something")
    page.get_by_role("button", name="Run").click()
    lane = page.get_by_role("region", name=f"Answer of {MODEL}")
    expect(lane.locator("strong")).to_have_text("Tell me something")
    expect(lane).to_contain_text("12 in 5 out")
    lane.get_by_role("link", name="Open trace").click()
    expect(page).to_have_url(re.compile("/traces/[0-9a-f]{32}"))


def test_a_call_is_opened_in_the_playground_as_it_was_made_and_run_again(page: Page, stack: Stack, secret: str) -> None:
    made = _call(stack, secret, "Say it again", temperature=0.2, max_tokens=99, seed=7)
    _log_in(page)
    page.goto(page.url.replace("/?", f"/traces/{made}?"))
    page.get_by_role("link", name="Open in playground").first.click()
    expect(page.get_by_label("Message 1 (user)")).to_have_value("Say it again")
    expect(page.get_by_role("combobox", name="Model")).to_have_value(MODEL)
    expect(page.get_by_label("Temperature")).to_have_value("0.2")
    expect(page.get_by_label("Max tokens")).to_have_value("99")
    expect(page.get_by_label("Other parameters")).to_have_value('{"seed":7}')
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("region", name=f"Answer of {MODEL}").locator("strong")).to_have_text("Say it again")
