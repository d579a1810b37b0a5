"""What Octavo shows of a client, in words. `shown.txt` beside each recording holds it, so that a change of the mapping
shows as a difference that can be read; what is right is asserted in test_clients.py.

    python -m tests.contract.clients.show NAME …      # writes them anew; then look at the difference
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.contract.clients.replay import RECORDED, Replay, Span
from tests.e2e.stack import Stack

LONGEST = 240


def shown(scenes: dict[str, list[Span]]) -> str:
    """The spans of each scene as a tree."""
    return "".join(f"# {scene}\n\n{''.join(tree(spans))}\n" for scene, spans in scenes.items())


def tree(spans: list[Span]) -> Iterator[str]:
    """Lines of a scene's spans, each under its parent."""
    ids = {one["span_id"] for one in spans}
    below: dict[str, list[Span]] = {}
    for one in sorted(spans, key=lambda one: (one["start_time"], one["span_id"])):
        below.setdefault(one["parent_span_id"] if one["parent_span_id"] in ids else "", []).append(one)

    def lines(parent: str, indent: str) -> Iterator[str]:
        for one in below.get(parent, ()):
            yield from (f"{indent}{line}\n" for line in told(one))
            yield from lines(one["span_id"], f"{indent}    ")

    return lines("", "")


def told(span: Span) -> Iterator[str]:
    """A span in lines: what it is, then what it carries."""
    called = span["model"] and f" · {span['provider'] or '?'} {span['model']}"
    yield f"{span['kind']} {span['name']}{called}"
    for name, value in facts(span):
        text = str(value)
        yield f"  {name}: {text[:LONGEST]!r} …" if len(text) > LONGEST else f"  {name}: {text}"


def facts(span: Span) -> Iterator[tuple[str, object]]:
    """What of a span is not empty."""
    if span["status"] == "error":
        yield "error", f"{span['error_class']} · {span['error_type']} · {span['status_message'].partition(chr(10))[0]}"
    if span["model_requested"] != span["model"]:
        yield "asked for", span["model_requested"]
    tokens = {name: count for name, count in (span["usage"] or {}).items() if count and name != "total"}
    if tokens:
        yield "tokens" if span["counted"] else "tokens of its steps", tokens
    if span["cost_usd"] is not None:
        yield "cost", f"{span['cost_usd']} USD, {span['cost_source']}"
    if span["ttft_ms"] is not None:
        yield "first token", f"{span['ttft_ms']:.1f} ms"
    for name, field in {
        "session": "session_id",
        "user": "user_id",
        "tags": "tags",
        "parameters": "parameters",
        "streaming": "streaming",
        "finish": "finish_reason",
        "tools": "tools",
        "in": "input",
        "out": "output",
        "documents": "documents",
    }.items():
        if span[field]:
            yield name, span[field]


def main(names: Iterable[str]) -> None:
    """Replays the named recordings, or all, and writes what is shown of them."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "data")
        stack.start()
        try:
            replay = Replay(stack, names)
        finally:
            stack.stop()
    for name in replay.names:
        (RECORDED / name / "shown.txt").write_text(shown(replay.seen[name]))


if __name__ == "__main__":
    main(sys.argv[1:])
