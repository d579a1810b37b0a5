"""The wires underneath: SSE, AWS's event stream and signature, against published vectors; and however bytes are cut."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import orjson
import pytest
from corridor import CHAT, MESSAGES, RESPONSES, StreamEvent, call, drain, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo_server.core.errors import UpstreamError
from octavo_server.gateway.providers import sse
from octavo_server.gateway.providers.anthropic_chat import FenceFilter, without_fence
from octavo_server.gateway.providers.eventstream import Decoder, Frame, encode
from octavo_server.gateway.providers.registry import open_exchange
from octavo_server.gateway.providers.sigv4 import Credentials, sign

WHEN = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

# The first three are of AWS's Signature Version 4 test suite, the fourth is the worked example of its documentation.
VECTORS = [
    ("GET", "https://example.amazonaws.com/", {}, "service", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1", {}, "service", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ("POST", "https://example.amazonaws.com/", {}, "service", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, "iam", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "url", "headers", "service", "signature"), VECTORS)
def test_published_signatures(method: str, url: str, headers: dict[str, str], service: str, signature: str) -> None:
    signed = sign(
        KEYS, method=method, url=url, headers=headers, body=b"", region="us-east-1", service=service, now=WHEN
    )
    assert signed["authorization"].endswith(f"Signature={signature}")
    assert signed["x-amz-date"] == "20150830T123600Z"


def test_bedrock_signs_with_a_key_pair() -> None:
    body = {"model": "anthropic.claude-opus-5-v1:0", "messages": [{"role": "user", "content": "hi"}]}
    secret = "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:token=="
    request = open_exchange(call("bedrock", CHAT, body, secret=secret, options={"region": "eu-west-1"})).request
    authorization = request.headers["authorization"]
    assert "AKIAIOSFODNN7EXAMPLE/20261123/eu-west-1/bedrock/aws4_request" in authorization
    assert "SignedHeaders=accept;content-type;host;x-amz-date;x-amz-security-token" in authorization
    assert request.headers["x-amz-security-token"] == "token=="
    assert "wJalrX" not in str(request.headers)


def test_published_frames() -> None:
    """From AWS's event stream test vectors: an empty message, and a payload without headers."""
    empty = bytes.fromhex("000000100000000005c248eb7d98c8ff")
    payload = bytes.fromhex("0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936")
    assert Decoder().feed(empty + payload) == [Frame({}, b""), Frame({}, b"{'foo':'bar'}")]
    assert encode({}, b"{'foo':'bar'}") == payload


@given(st.data())
def test_a_damaged_frame_is_noticed(data: st.DataObject) -> None:
    frame = bytearray(encode({":event-type": "contentBlockDelta"}, b'{"delta":{"text":"x"}}'))
    position = data.draw(st.integers(8, len(frame) - 1))
    frame[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(UpstreamError):
        Decoder().feed(bytes(frame))


STREAMS = [
    ("openai", CHAT, "openai/chat.sse"),
    ("openai", CHAT, "openai/chat_tools.sse"),
    ("openai", RESPONSES, "openai/responses.sse"),
    ("vllm", MESSAGES, "openai/chat_tools.sse"),
    ("vllm", RESPONSES, "openai/chat_tools.sse"),
    ("anthropic", MESSAGES, "anthropic/stream_tools.sse"),
    ("anthropic", CHAT, "anthropic/stream_tools.sse"),
    ("gemini", CHAT, "gemini/stream.sse"),
    ("gemini", MESSAGES, "gemini/stream_tools.sse"),
    ("bedrock", CHAT, "bedrock/stream_tools.jsonl"),
]
CASES = {case: recorded(case[2]) for case in STREAMS}


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from(STREAMS), cuts=st.lists(st.integers(0, 6000), max_size=12), crlf=st.booleans())
def test_however_a_stream_is_cut_the_events_are_the_same(
    case: tuple[str, str, str], cuts: list[int], crlf: bool
) -> None:
    kind, endpoint, name = case
    data = CASES[case]
    if crlf and name.endswith(".sse"):
        data = data.replace(b"\n", b"\r\n")
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True, "max_tokens": 5}
    if endpoint == RESPONSES:
        body = {"model": "m", "input": "x", "stream": True}
    whole = open_exchange(call(kind, endpoint, body)).stream()
    expected = drain(whole, data)
    stream = open_exchange(call(kind, endpoint, body)).stream()
    events: list[StreamEvent] = []
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(edges):
        events.extend(stream.feed(data[start:end]))
    events.extend(stream.finish())
    assert events == expected
    assert stream.facts == whole.facts
    assert stream.complete
    assert [event.kind for event in events].count("done") == 1
    assert "content" in {event.kind for event in events}


@given(st.lists(st.text(alphabet=st.characters(blacklist_categories=["Cs"])), max_size=5), st.integers(1, 9))
def test_sse_round_trip(texts: list[str], size: int) -> None:
    data = b"".join(sse.write({"t": text}) for text in texts)
    splitter = sse.Splitter()
    events = [event for start in range(0, len(data), size) for event in splitter.feed(data[start : start + size])]
    assert [orjson.loads(sse.read(event)[1])["t"] for event in events] == texts
    assert splitter.finish() == []


def test_sse_oddities() -> None:
    assert sse.read(b"data:x\r\n\r\n") == ("", b"x")
    assert sse.read(b": keep-alive\n\n") == ("", b"")
    assert sse.read(b"event: a\ndata: 1\ndata: 2\n\n") == ("a", b"1\n2")


@given(st.text(alphabet='`{}"a \n', max_size=40), st.booleans(), st.integers(1, 5))
def test_a_fence_comes_off_whole_or_in_pieces(inside: str, fenced: bool, size: int) -> None:
    answer = '{"a": ' + orjson.dumps(inside).decode() + "}"
    text = f"```json\n{answer}\n```" if fenced else answer
    fence = FenceFilter()
    out = "".join(fence.feed(text[start : start + size]) for start in range(0, len(text), size)) + fence.close()
    assert out.strip() == answer
    assert without_fence(text).strip() == answer
