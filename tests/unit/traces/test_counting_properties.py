"""What counts in a trace does not depend on the order in which its spans are looked at, nor on how often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octavo_server.traces.counting import Seen, count_once, join_calls

MS = 1_000_000


@st.composite
def seen(draw: st.DrawFn, number: int) -> Seen:
    start = draw(st.integers(0, 20))
    return Seen(
        "t",
        str(number),
        draw(st.sampled_from(["", "missing", *"01234567"])),
        draw(st.sampled_from(["llm", "agent", "tool", "span"])),
        draw(st.sampled_from(["otlp", "otlp", "gateway"])),
        start,
        start + draw(st.integers(0, 20)),
        draw(st.booleans()),
        False,
        True,
        "",
        "",
        0,
        "",
    )


traces = st.integers(1, 8).flatmap(lambda many: st.tuples(*(seen(number) for number in range(many)))).map(list)


def outcome(spans: list[Seen]) -> dict[str, tuple[bool, str]]:
    return {one.span_id: (one.counted, one.duplicate_of) for one in spans}


def fresh(spans: list[Seen]) -> list[Seen]:
    return [Seen(**{name: getattr(one, name) for name in Seen.__struct_fields__}) for one in spans]


@given(spans=traces, data=st.data())
def test_the_order_of_spans_does_not_matter(spans: list[Seen], data: st.DataObject) -> None:
    again = fresh(data.draw(st.permutations(spans)))
    count_once(spans)
    count_once(again)

    assert outcome(again) == outcome(spans)
    assert count_once(spans) == []


def test_a_circle_of_parents_counts_and_ends() -> None:
    def one(span_id: str, parent: str) -> Seen:
        return Seen("t", span_id, parent, "llm", "otlp", 0, 9, True, False, True, "", "", 0, "")

    circle = [one("a", "c"), one("b", "a"), one("c", "b"), one("d", "a"), one("self", "self")]
    count_once(circle)

    assert {span.span_id for span in circle if span.counted} == {"d", "self"}


def test_a_chain_of_a_hundred_thousand_is_counted() -> None:
    chain = [
        Seen("t", str(number), str(number - 1), "span", "otlp", 0, 9, number % 2 == 0, False, True, "", "", 0, "")
        for number in range(1, 100_000)
    ]
    count_once(chain[::-1])

    assert [span.span_id for span in chain if span.counted and span.has_usage] == ["99998"]


def test_of_two_equal_calls_in_a_row_each_has_its_own() -> None:
    """The first record of the gateway begins nearer to the second client's span than to its own."""

    def client(span_id: str, start_ms: int, end_ms: int) -> Seen:
        return Seen("t", span_id, "", "llm", "otlp", start_ms * MS, end_ms * MS, True, False, True, "", "", 7, "")

    def call(span_id: str, start_ms: int, end_ms: int) -> Seen:
        return Seen(
            span_id, span_id, "", "llm", "gateway", start_ms * MS, end_ms * MS, True, False, True, "", "", 7, ""
        )

    joined = join_calls([client("a", 82, 121), client("b", 122, 172)], [call("1", 104, 110), call("2", 146, 150)])
    assert [(one.client.span_id, one.gateway.span_id) for one in joined] == [("a", "1"), ("b", "2")]
