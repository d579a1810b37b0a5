"""Whatever a client writes into a span's attributes, the span becomes a row that the store takes, loses nothing, and
becomes the same row again when it is made of what was stored."""

from __future__ import annotations

import re
from typing import Any

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.traces.spans import ORIGIN, START_NS, raw
from tests.unit.traces.test_traces_mapping import ATTRIBUTES, NAMES

from octavo_server.costs.runtime import normalise_usage
from octavo_server.traces import dialects
from octavo_server.traces.mapping import Mapper
from octavo_server.traces.masking import MASK, masker_of
from octavo_server.traces.model import CaptureMode, ProjectRules, SpanEvent, SpanLink
from octavo_server.traces.service.ingest import _raw_of
from octavo_server.traces.store import draft_of
from octavo_server.traces.store.schema import MIGRATIONS

RANGES = {"UInt8": 2**8, "UInt16": 2**16, "UInt32": 2**32, "UInt64": 2**64}
COLUMNS = dict(re.findall(r"^ +(\w+) (?:Nullable\()?(\w+)", MIGRATIONS[0][1], re.MULTILINE)) | dict(
    re.findall(r"^(tokens_\w+) (\w+)", MIGRATIONS[0][1], re.MULTILINE)
)

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
objects = st.dictionaries(
    st.sampled_from([*dialects.LANGFUSE_USAGE, "total", "prompt_tokens", "completion_tokens", "input_tokens", "x"])
    | st.text(max_size=5),
    numbers | numbers.map(str) | st.none() | st.dictionaries(st.text(max_size=5), numbers, max_size=2),
    max_size=6,
)
written = (numbers | objects | st.lists(objects, max_size=3)).map(lambda value: orjson.dumps(value).decode())
attributes = st.builds(
    lambda some, more: {**some, **more},
    ATTRIBUTES,
    st.dictionaries(st.sampled_from(NAMES), numbers | written | st.text(max_size=20), max_size=8),
)
spans = st.builds(
    lambda said, events, links, times, code, message: raw(
        said,
        start_ns=START_NS,
        end_ns=times,
        status_code=code,
        status_message=message,
        events=[SpanEvent(name=name, time_ns=at, attributes=more) for name, at, more in events],
        links=[SpanLink(trace_id="a", span_id="b", attributes=more) for more in links],
    ),
    attributes,
    st.lists(
        st.tuples(
            st.sampled_from([*dialects.MESSAGE_EVENTS, *dialects.DETAILS_EVENTS, *dialects.FIRST_TOKEN_EVENTS])
            | st.sampled_from([dialects.CHOICE_EVENT, "exception", "other"]),
            st.integers(0, 2**64 - 1),
            ATTRIBUTES,
        ),
        max_size=3,
    ),
    st.lists(ATTRIBUTES, max_size=2),
    st.integers(0, 3_786_912_000 * 10**9),
    st.integers(0, 2),
    st.text(max_size=30),
)


def row_of(span: Any) -> dict[str, Any]:
    row: dict[str, Any] = orjson.loads(draft_of(span, 90).encoded()[1])
    return row


EVERY_BUCKET = raw(
    {"langfuse.observation.usage_details": orjson.dumps(dict.fromkeys(dialects.LANGFUSE_USAGE, 2**62)).decode()}
)


@settings(max_examples=120, deadline=None)
@example(span=EVERY_BUCKET, capture=CaptureMode.FULL)
@given(span=spans, capture=st.sampled_from(CaptureMode))
def test_every_span_is_a_row_that_fits_its_columns(span: Any, capture: CaptureMode) -> None:
    row = row_of(Mapper(normalise_usage).span(span, ORIGIN, ProjectRules(capture=capture)))

    assert set(row) <= set(COLUMNS)
    for name, value in row.items():
        if (limit := RANGES.get(COLUMNS[name])) is not None and value is not None:
            assert 0 <= value < limit, (name, value)
        elif COLUMNS[name] == "Int64":
            assert value is None or -(2**63) <= value < 2**63, (name, value)


@settings(max_examples=120, deadline=None)
@given(span=spans)
def test_what_was_stored_becomes_the_same_row_again(span: Any) -> None:
    mapper = Mapper(normalise_usage)
    row = row_of(mapper.span(span, ORIGIN, ProjectRules()))
    again, _ = _raw_of({**row, "start_ns": row["start"]}, [])

    its = row_of(mapper.span(again, ORIGIN, ProjectRules()))

    del row["content_hash"], its["content_hash"]
    assert its == row


@given(text=st.text(max_size=40), number=st.integers(0, 9999))
def test_masks_find_what_json_escapes_and_do_nothing_twice(text: str, number: int) -> None:
    masker = masker_of(("gehe[ií]m-[0-9]+",))
    secret = f"geheím-{number}"
    value = {"a": [orjson.dumps({"b": text + secret}).decode(), f'{{"c": "gehe\\u00edm-{number}"}}', text]}

    masked = masker.value(value)

    assert secret not in orjson.dumps(masked).decode() and f"m-{number}" not in masked["a"][1]
    assert masked["a"][1] == f'{{"c":"{MASK}"}}'
    assert masker.value(masked) == masked


def test_counted_numbers_are_not_masked() -> None:
    masked = masker_of(("[0-9]{4,}",)).attributes(
        {"gen_ai.usage.input_tokens": 12345, "langfuse.observation.usage_details": '{"input":12345}', "card": 4111222}
    )

    assert masked == {
        "gen_ai.usage.input_tokens": 12345,
        "langfuse.observation.usage_details": '{"input":12345}',
        "card": MASK,
    }
