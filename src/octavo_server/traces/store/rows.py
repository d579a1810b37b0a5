"""Spans as rows of the table: what has its default is left out, which is most of a row."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
import orjson

from octavo_server.traces.counting import Seen
from octavo_server.traces.model import Span
from octavo_server.traces.store.schema import TOKENS

_MOST = 2**32 - 1  # of a column of tokens


class Draft(msgspec.Struct, gc=False):
    """A row to be written: a new span's, or a stored one's that is changed."""

    seen: Seen
    project_id: str
    row: dict[str, Any]
    start_ns: int

    def encoded(self) -> tuple[int, bytes]:
        """The hash that names the row, and the row as JSON."""
        seen = self.seen
        row = self.row
        row["trace_id"] = seen.trace_id
        if seen.parent_span_id:
            row["parent_span_id"] = seen.parent_span_id
            if seen.source == "gateway":
                row["is_root"] = False
        for name, value, default in (
            ("counted", seen.counted, True),
            ("duplicate_of", seen.duplicate_of, ""),
            ("match", seen.match, ""),
        ):
            if value != default:
                row[name] = value
            else:
                row.pop(name, None)
        row.pop("content_hash", None)
        content = orjson.dumps(row)
        digest = int.from_bytes(blake2b(content, digest_size=8).digest(), "little") | 1
        return digest, b'%s,"content_hash":%d}' % (content[:-1], digest)


def draft_of(span: Span, retention_days: int) -> Draft:
    """The row of a new span."""
    row: dict[str, Any] = msgspec.to_builtins(span)
    usage = span.usage
    start_ns, end_ns = row.pop("start_ns"), row.pop("end_ns")
    row["start"] = start_ns
    row["duration_ns"] = max(0, end_ns - start_ns)
    row["retention_days"] = retention_days
    if usage is not None:
        counts: dict[str, int] = row.pop("usage")
        row["usage_known"] = True
        row["tokens_total"] = min(usage.total, _MOST)
        for name in TOKENS:
            if count := counts[name]:
                row[f"tokens_{name}"] = count
        if usage.details and "usage_extra" not in row:
            row["usage_extra"] = usage.details
    seen = Seen(
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        span.kind.value,
        span.source,
        start_ns,
        max(end_ns, start_ns),
        usage is not None and (usage.total > 0 or bool(span.cost_nano)),
        span.status == "error",
        True,
        "",
        "",
        span.call_digest,
        span.response_id,
    )
    return Draft(seen, span.project_id, row, start_ns)
