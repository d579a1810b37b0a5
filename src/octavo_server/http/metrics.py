"""Counters of this process, in Prometheus' text format. Recording one is a dictionary addition."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

MAX_MODELS = 200
"""Models counted by name; clients choose the names, so the ones beyond are counted together as `other`."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """How often values fell into each bucket."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(BUCKETS_S, value)] += 1
        self.sum += value


class Metrics:
    """Requests of the control API and calls of the gateway since the process started."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], int] = {}
        self.request_seconds = Histogram()
        self.calls: dict[tuple[str, int], int] = {}
        self.call_seconds = Histogram()
        self.first_token_seconds = Histogram()
        self.tokens: dict[tuple[str, str], int] = {}
        self.cost_nano: dict[str, int] = {}
        self.unpriced: dict[str, int] = {}
        self._models: set[str] = set()

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request of the control API."""
        key = (method, route, status)
        self.requests[key] = self.requests.get(key, 0) + 1
        self.request_seconds.observe(seconds)

    def call(
        self,
        model: str,
        status: int,
        seconds: float,
        *,
        first_token_s: float | None,
        input_tokens: int,
        output_tokens: int,
        cost_nano: int | None,
    ) -> None:
        """One call of the gateway."""
        model = self._known(model)
        self.calls[model, status] = self.calls.get((model, status), 0) + 1
        self.call_seconds.observe(seconds)
        if first_token_s is not None:
            self.first_token_seconds.observe(first_token_s)
        if input_tokens:
            self.tokens[model, "input"] = self.tokens.get((model, "input"), 0) + input_tokens
        if output_tokens:
            self.tokens[model, "output"] = self.tokens.get((model, "output"), 0) + output_tokens
        if cost_nano is not None:
            self.cost_nano[model] = self.cost_nano.get(model, 0) + cost_nano
        elif status < 400:
            self.unpriced[model] = self.unpriced.get(model, 0) + 1

    def render(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """All of it, and `gauges`: help text and value by name."""
        return "\n".join(self._lines(gauges)) + "\n"

    def _known(self, model: str) -> str:
        if model in self._models:
            return model
        if len(self._models) >= MAX_MODELS:
            return "other"
        self._models.add(model)
        return model

    def _lines(self, gauges: Mapping[str, tuple[str, float]]) -> Iterator[str]:
        yield from _head("octavo_requests_total", "counter", "Requests of the control API.")
        for (method, route, status), count in list(self.requests.items()):
            labels = f'method="{_text(method)}",route="{_text(route)}",status="{status}"'
            yield f"octavo_requests_total{{{labels}}} {count}"
        yield from _histogram("octavo_request_seconds", "Time of a control API request.", self.request_seconds)
        yield from _head("octavo_gateway_calls_total", "counter", "Calls of the gateway.")
        for (model, status), count in list(self.calls.items()):
            yield f'octavo_gateway_calls_total{{model="{_text(model)}",status="{status}"}} {count}'
        yield from _histogram("octavo_gateway_call_seconds", "Time of a gateway call.", self.call_seconds)
        yield from _histogram(
            "octavo_gateway_first_token_seconds", "Time to the first token of a stream.", self.first_token_seconds
        )
        yield from _head("octavo_gateway_tokens_total", "counter", "Tokens of gateway calls.")
        for (model, kind), count in list(self.tokens.items()):
            yield f'octavo_gateway_tokens_total{{model="{_text(model)}",kind="{kind}"}} {count}'
        yield from _head("octavo_gateway_cost_usd_total", "counter", "Cost of gateway calls whose price is known.")
        for model, nano in list(self.cost_nano.items()):
            yield f'octavo_gateway_cost_usd_total{{model="{_text(model)}"}} {nano / 1e9:.9f}'
        yield from _head("octavo_gateway_unpriced_calls_total", "counter", "Answered calls whose price is unknown.")
        for model, count in list(self.unpriced.items()):
            yield f'octavo_gateway_unpriced_calls_total{{model="{_text(model)}"}} {count}'
        for name, (help_text, value) in gauges.items():
            yield from _head(name, "counter" if name.endswith("_total") else "gauge", help_text)
            yield f"{name} {value:g}" if value != int(value) else f"{name} {int(value)}"


def _head(name: str, kind: str, help_text: str) -> tuple[str, str]:
    return f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"


def _histogram(name: str, help_text: str, histogram: Histogram) -> Iterator[str]:
    yield from _head(name, "histogram", help_text)
    total = 0
    for bound, count in zip((*BUCKETS_S, "+Inf"), histogram.counts, strict=True):
        total += count
        yield f'{name}_bucket{{le="{bound}"}} {total}'
    yield f"{name}_sum {histogram.sum:.6f}"
    yield f"{name}_count {total}"


def _text(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
