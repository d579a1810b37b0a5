"""What is on its way to the server, and scores, with a server that does as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.integration.gateway_server import ModelServer
from tests.unit.sdk.conftest import Spans

import octavo
from octavo.outbox import Later, Outbox, Sent


def test_in_order_and_in_batches() -> None:
    taken: list[list[int]] = []

    def send(batch: list[int]) -> Sent | Later:
        taken.append(batch)
        return Sent.TAKEN

    outbox: Outbox[int] = Outbox("numbers", send, batch=4, gather_s=60)
    assert all(outbox.put(number) for number in range(10))
    assert outbox.flush(20)
    assert [number for batch in taken for number in batch] == list(range(10))
    assert max(map(len, taken)) == 4
    outbox.close()


def test_a_batch_is_no_heavier_than_it_may_be() -> None:
    taken: list[list[str]] = []

    def send(batch: list[str]) -> Sent | Later:
        taken.append(batch)
        return Sent.TAKEN

    outbox: Outbox[str] = Outbox("texts", send, weigh=len, batch_weight=4, most_weight=100, gather_s=60)
    for text in ("aa", "bb", "cccccc", "d"):
        outbox.put(text)
    assert not outbox.put("x" * 100)
    assert outbox.flush(20)
    assert taken == [["aa", "bb"], ["cccccc"], ["d"]]
    assert outbox.dropped == 1
    outbox.close()


def test_a_full_queue_drops_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    away = threading.Event()
    away.set()

    def send(batch: list[int]) -> Sent | Later:
        return Later(0) if away.is_set() else Sent.TAKEN

    outbox: Outbox[int] = Outbox("numbers", send, most=5, batch=2, gather_s=0)
    kept = sum(outbox.put(number) for number in range(100))
    assert kept <= 7  # two may be on their way
    assert outbox.dropped == 100 - kept
    assert caplog.text.count("queue is full") == 1
    assert not outbox.flush(20, patient=False)
    away.clear()
    assert outbox.flush(20)
    assert (outbox.sent, outbox.dropped) == (kept, 100 - kept)
    assert f"{100 - kept} were dropped" in caplog.text
    outbox.close()
    assert not outbox.put(1)


def test_what_fails_is_refused_and_the_rest_goes_on() -> None:
    def send(batch: list[int]) -> Sent | Later:
        if batch == [1]:
            raise ZeroDivisionError
        return Sent.TAKEN

    outbox: Outbox[int] = Outbox("numbers", send, batch=1, gather_s=0)
    for number in range(3):
        outbox.put(number)
    assert not outbox.flush(20)
    assert (outbox.sent, outbox.refused) == (2, 1)
    outbox.put(3)
    assert outbox.flush(20)
    outbox.close()


@pytest.fixture
def server(spans: Spans) -> Iterator[ModelServer]:
    one = ModelServer()
    octavo.configure(url=one.url.removesuffix("/v1"), api_key="sk-oct-x", environment="test")
    yield one
    octavo.configure(url="http://127.0.0.1:9", api_key="", environment="", enabled=False)
    one.close()


def sent_scores(server: ModelServer) -> list[dict[str, Any]]:
    import json

    return [json.loads(body) for path, _, body in server.requests if path == "/api/v1/scores"]


def test_scores_are_sent_again_under_their_id(server: ModelServer) -> None:
    server.scripts = [
        lambda handler: handler.answer(503, {}, retry_after="0"),
        lambda handler: handler.drop(),
        lambda handler: handler.answer(201, {}),
    ]
    id = octavo.score(name="tone", value="kind", trace_id="ab" * 16, data_type="CATEGORICAL", comment="c")
    assert octavo.flush(20)
    scores = sent_scores(server)
    assert len(scores) == 3
    assert scores[0] == scores[1] == scores[2]
    assert scores[0] == {
        "id": id,
        "name": "tone",
        "value": "kind",
        "trace_id": "ab" * 16,
        "comment": "c",
        "data_type": "CATEGORICAL",
        "environment": "test",
    }
    (key,) = {headers["authorization"] for _, headers, _ in server.requests}
    assert key == "Bearer sk-oct-x"


def test_a_refused_score_is_told_and_holds_nothing_up(server: ModelServer, caplog: pytest.LogCaptureFixture) -> None:
    server.scripts = [
        lambda handler: handler.answer(422, {"detail": "The value is too small."}),
        lambda handler: handler.answer(201, {}),
    ]
    octavo.score(name="refused", value=1, session_id="s")
    octavo.score(name="taken", value=2, session_id="s")
    assert not octavo.flush(20)
    assert [score["name"] for score in sent_scores(server)] == ["refused", "taken"]
    assert "too small" in caplog.text


def test_scores_of_what_is_current(server: ModelServer, caplog: pytest.LogCaptureFixture) -> None:
    server.scripts = [lambda handler: handler.answer(200, b"")]
    assert octavo.score(name="lost", value=1) is None
    assert "nothing to score" in caplog.text
    with octavo.span("outer") as outer, octavo.span("inner") as inner:
        octavo.score_current_span("a", 1)
        octavo.score_current_trace("b", 2)
        octavo.score("c", True)
        outer.score("d", 0.5, id="mine")
    assert octavo.flush(20)
    told = {score["name"]: score.get("span_id") for score in sent_scores(server)}
    assert told == {"a": inner.span_id, "b": None, "c": None, "d": outer.span_id}
    assert {score["trace_id"] for score in sent_scores(server)} == {outer.trace_id}
    assert [score["id"] for score in sent_scores(server) if score["name"] == "d"] == ["mine"]


def test_a_sample_of_traces_with_their_scores(server: ModelServer, spans: Spans) -> None:
    server.scripts = [lambda handler: handler.answer(200, b"")]
    octavo.configure(sample_rate=0.5)
    kept = 0
    for _ in range(40):
        with octavo.span("one"):
            kept += octavo.score_current_trace("n", 1) is not None
    assert octavo.flush(20)
    assert 0 < kept < 40  # each with a chance of 2^-40 to be wrong
    assert len(sent_scores(server)) == kept
    assert len(spans.all()) == 40  # other exporters have their own sampling
    octavo.configure(sample_rate=0.0)
    server.requests.clear()
    with octavo.span("none"):
        assert octavo.score_current_trace("n", 1) is None
    assert octavo.flush(20)
    assert server.requests == []


def test_a_server_that_finds_it_too_large_gets_halves(server: ModelServer) -> None:
    server.scripts = [
        lambda handler: handler.answer(413, {}),
        lambda handler: handler.answer(200, b""),
    ]
    for _ in range(4):
        octavo.span("one").start().end()
    assert octavo.flush(20)
    assert len(server.requests) == 3
    assert {headers["content-encoding"] for _, headers, _ in server.requests} == {"gzip"}


def test_another_configuration_takes_over(server: ModelServer, spans: Spans) -> None:
    server.scripts = [lambda handler: handler.answer(200, b"")]
    octavo.span("first").start().end()
    octavo.configure(environment="other")
    octavo.span("second").start().end()
    assert octavo.flush(20)
    assert len(server.requests) == 2
    assert spans.one("second").attributes["deployment.environment.name"] == "other"
