"""Observing in the console, each test the path of a person with a job: find a cause, follow a talk, see what got slower."""

from __future__ import annotations

import json
import re
import threading
import time
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

WAIT_MS = 20_000
MANY = 5_000
MS = 1_000_000


class Sender:
    """Sends spans over OTLP as an instrumented application does; times run from half an hour ago."""

    def __init__(self, url: str, secret: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {secret}"}, timeout=30.0)
        self._start_ns = time.time_ns() - 1_800_000 * MS

    @property
    def now_ms(self) -> float:
        """What is now, as `span` takes it."""
        return (time.time_ns() - self._start_ns) / MS

    def send(self, *spans: dict[str, Any]) -> None:
        for first in range(0, len(spans), 1000):
            scope = {"spans": spans[first : first + 1000]}
            answer = self._http.post("/v1/traces", json={"resourceSpans": [{"scopeSpans": [scope]}]})
            assert answer.is_success, answer.text

    def span(
        self,
        trace: int,
        place: int,
        name: str,
        at_ms: float,
        ms: float,
        *,
        below: int = 0,
        error: str = "",
        **said: str,
    ) -> dict[str, Any]:
        """Span `place` of a trace, below another of its places; `said` are attributes, `__` for their dots."""
        start = self._start_ns + int(at_ms * MS)
        made: dict[str, Any] = {
            "traceId": f"{trace:032x}",
            "spanId": f"{trace:08x}{place:08x}",
            "name": name,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + int(ms * MS)),
            "attributes": [
                {"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in said.items()
            ],
        }
        if below:
            made["parentSpanId"] = f"{trace:08x}{below:08x}"
        if error:
            made["status"] = {"code": 2, "message": error}
        return made

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("observing") / "data", OCTAVO_ALERTS_EVERY_S="1")
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def filled(stack: Stack) -> Stack:
    """A project `Shop` with an agent that fails once and once does not, a conversation of two turns, a slow model and a
    trace of 5,000 spans."""
    admin = Admin(stack.url)
    sender = Sender(stack.url, admin.new_project("Shop", "http://127.0.0.1:9/v1"))
    llm: dict[str, Any] = {"gen_ai__operation__name": "chat", "gen_ai__provider__name": "openai"}
    sender.send(
        sender.span(1, 1, "answer ticket", 0, 900, error="no answer"),
        sender.span(1, 2, "retrieve", 10, 100, below=1, openinference__span__kind="RETRIEVER"),
        sender.span(1, 3, "lookup order", 120, 700, below=1, error="orders_db: connection to 10.0.3.7 refused"),
        sender.span(4, 1, "answer ticket", 5000, 300),
        sender.span(4, 3, "lookup order", 5100, 100, below=1),
        *(
            sender.span(
                trace,
                1,
                "chat",
                1000 * trace,
                400,
                **llm,
                gen_ai__response__model="model-a",
                session__id="talk-1",
                user__id="ada",
                input__value=asked,
                output__value=said,
            )
            for trace, asked, said in (
                (2, "Where is my parcel?", "In Leipzig."),
                (3, "And when is it here?", "Tomorrow."),
            )
        ),
        *(
            sender.span(10 + n, 1, "chat", 60_000 * n, 9000, **llm, gen_ai__response__model="model-slow")
            for n in range(3)
        ),
    )
    deep = [sender.span(99, 1, "deep research", 0, MANY)]
    deep += [
        sender.span(
            99, place, f"step {place % 7}", place, 5, below=1 + place // 9, error="lost" if place == 4321 else ""
        )
        for place in range(2, MANY + 1)
    ]
    sender.send(*deep)
    deadline = time.monotonic() + 30
    while admin.call("GET", "/metrics/count")["spans"] < MANY + 10 and time.monotonic() < deadline:
        time.sleep(0.1)
    sender.close()
    admin.close()
    return stack


class _Pager(BaseHTTPRequestHandler):
    """Takes what alerts tell."""

    told: list[dict[str, Any]] = []  # noqa: RUF012 (one receiver for the whole module)

    def do_POST(self) -> None:
        self.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def pager() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pager)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/page"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def sender(stack: Stack, filled: Stack) -> Iterator[Sender]:
    """Sends to the project `Shop`."""
    admin = Admin(stack.url, "shop")
    sender = Sender(
        stack.url, admin.call("POST", "/api-keys", {"name": "more", "environment": "production"})["secret_key"]
    )
    admin.close()
    yield sender
    sender.close()


@pytest.fixture
def page(browser: Browser, filled: Stack) -> Iterator[Page]:
    """Logged in, in the project; the page must throw nothing while the test runs."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(filled.url)
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    yield page
    context.close()
    assert errors == []


def _open(page: Page, stack: Stack, path: str) -> None:
    page.goto(f"{stack.url}{path}{'&' if '?' in path else '?'}project=shop")


def test_a_failing_call_leads_to_the_step_that_caused_it(page: Page, filled: Stack) -> None:
    _open(page, filled, "/traces?filter=status+%3D+%22error%22")
    page.locator("a[role=row]").filter(has_text="answer ticket").click()
    tree = page.get_by_role("tree", name="Spans of the trace")
    expect(tree.get_by_role("treeitem")).to_have_count(3)
    page.get_by_label("Find in trace").fill("lookup")
    page.get_by_label("Find in trace").press("Enter")
    expect(tree.locator("[aria-selected=true]")).to_contain_text("lookup order")
    expect(page.get_by_role("note")).to_contain_text("orders_db: connection to 10.0.3.7 refused")
    expect(page).to_have_url(re.compile("span="))


def test_a_conversation_is_followed_turn_by_turn(page: Page, filled: Stack) -> None:
    _open(page, filled, "/sessions")
    page.get_by_role("link", name="talk-1").click()
    turns = page.get_by_role("region", name=re.compile(r"Turn \d"))
    expect(turns).to_have_count(2)
    expect(turns.nth(0)).to_contain_text("Where is my parcel?")
    expect(turns.nth(1)).to_contain_text("Tomorrow.")
    turns.nth(1).get_by_role("link").first.click()
    expect(page.get_by_role("treeitem")).to_have_count(1)


def test_what_got_slower_is_seen_and_its_traces_are_a_click_away(page: Page, filled: Stack) -> None:
    _open(page, filled, "/explore")
    page.get_by_role("button", name="What got slower?").click()
    row = page.get_by_role("row").filter(has_text="model-slow")
    expect(row).to_contain_text("9.00")
    row.get_by_role("button").click()
    expect(page).to_have_url(re.compile("/traces.*model-slow"))
    expect(page.locator("a[role=row]")).to_have_count(3)


def test_a_trace_is_annotated(page: Page, filled: Stack) -> None:
    _open(page, filled, f"/traces/{2:032x}?tab=feedback")
    form = page.get_by_role("form", name="Add a score")
    form.get_by_label("Name of the score").fill("helpful")
    form.get_by_label("Value").fill("0.75")
    form.get_by_label("Reason").fill("short and right")
    form.get_by_role("button", name="Score").click()
    scores = page.get_by_role("region", name="Scores")
    expect(scores).to_contain_text("0.75")
    expect(scores).to_contain_text("short and right")
    page.get_by_role("textbox", name="Comment").fill("Keep this one as an example.")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.get_by_role("region", name="Comments")).to_contain_text("Keep this one as an example.")


def test_five_thousand_spans_are_walked_by_keyboard(page: Page, filled: Stack) -> None:
    _open(page, filled, f"/traces/{99:032x}")
    tree = page.get_by_role("tree", name="Spans of the trace")
    expect(tree.locator("[aria-selected=true]")).to_contain_text("deep research")
    page.keyboard.press("e")
    expect(tree.locator("[aria-selected=true][data-error=true]")).to_have_count(1)
    expect(page.get_by_role("note")).to_contain_text("lost")
    assert tree.get_by_role("treeitem").count() < 120, "rows that are not on screen are drawn"
    page.keyboard.press("3")
    expect(page.get_by_role("application", name="Timeline of the trace")).to_be_visible()
    page.keyboard.press("2")
    expect(tree.locator("[aria-selected=true]")).to_be_visible()
    expect(page).to_have_url(re.compile("view=tree"))


def test_a_failure_is_followed_to_a_trace_and_compared_with_one_that_worked(page: Page, filled: Stack) -> None:
    _open(page, filled, "/failures")
    page.get_by_role("link", name=re.compile("orders_db")).click()
    expect(page).to_have_url(re.compile("/failures/[0-9a-f]{16}"))
    expect(page.get_by_role("img", name="How often it happened")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="lookup order")).to_contain_text("100%")
    page.get_by_role("row").get_by_role("link", name="answer ticket").click()
    expect(page.get_by_role("treeitem")).to_have_count(3)
    page.get_by_role("button", name="Compare with another trace").click()
    page.get_by_role("dialog").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(f"/traces/{1:032x}/diff/{4:032x}"))
    lookup = page.get_by_role("row").filter(has_text="lookup order")
    expect(lookup).to_contain_text("fails on the left only")
    expect(page.get_by_role("row").filter(has_text="retrieve")).to_contain_text("removed")
    lookup.get_by_role("button").click()
    expect(page.get_by_text("connection to 10.0.3.7 refused")).to_be_visible()


def test_a_live_tail_shows_what_arrives_and_holds_still_to_be_read(page: Page, filled: Stack, sender: Sender) -> None:
    _open(page, filled, "/traces?filter=name+~+%22live%22")
    page.get_by_role("button", name="Live tail").click()
    expect(page.get_by_text("Waiting for the next trace")).to_be_visible()
    rows = page.locator("a[role=row]")
    sender.send(sender.span(50, 1, "live one", sender.now_ms, 20), sender.span(51, 1, "another", sender.now_ms, 20))
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("live one")
    page.get_by_role("button", name="Pause").click()
    sender.send(sender.span(52, 1, "live two", sender.now_ms, 20))
    expect(page.get_by_text("1 new trace")).to_be_visible()
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Resume").click()
    expect(rows.first).to_contain_text("live two")
    expect(page).to_have_url(re.compile("live=true"))


def test_a_rule_is_made_and_its_incident_seen_and_told(page: Page, filled: Stack, pager: str) -> None:
    _open(page, filled, "/alerts?tab=channels")
    page.get_by_role("button", name="New channel").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("on-call")
    dialog.get_by_label("URL").fill(pager)
    dialog.get_by_role("button", name="Create channel").click()
    expect(page.get_by_test_id("channel-secret")).to_contain_text("whsec_")
    page.get_by_role("button", name="I have copied it").click()
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_text("arrived")).to_be_visible()
    page.get_by_role("tab", name="Rules").click()
    page.get_by_role("button", name="New rule").first.click()
    dialog.get_by_label("Name").fill("Lookups fail")
    dialog.get_by_role("combobox", name="Measure").click()
    page.get_by_role("option", name="Errors", exact=True).click()
    dialog.get_by_label("Filter").fill('name = "lookup order"')
    dialog.get_by_label("Threshold").fill("0")
    dialog.get_by_label("Over (minutes)").fill("120")
    expect(dialog.get_by_text("would fire")).to_be_visible()
    dialog.get_by_role("combobox", name="Notify").click()
    page.get_by_role("option", name="on-call").click()
    dialog.get_by_role("button", name="Create rule").click()
    expect(page.get_by_role("row").filter(has_text="Lookups fail")).to_contain_text("Errors above 0")
    page.get_by_role("tab", name="Incidents").click()
    incident = page.get_by_role("row").filter(has_text="Lookups fail")
    expect(incident).to_contain_text("1 message delivered", timeout=WAIT_MS)
    incident.get_by_role("link").click()
    expect(page.get_by_role("img", name="Errors")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="on-call")).to_contain_text("delivered")
    assert [one["type"] for one in _Pager.told][-1] == "alert.firing"
    page.get_by_role("link", name="Traces behind it").click()
    expect(page.locator("a[role=row]")).to_have_count(1)
