"""Any value as text: JSON where it is data, never raising, never endless."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from octavo.config import DEFAULT_URL, Config
from octavo.observing import usage_attributes
from octavo.serialising import plain_of, text_of


class Colour(Enum):
    RED = "red"


@dataclass
class Page:
    number: int
    notes: list[str] = field(default_factory=list)


class Book(BaseModel):
    title: str
    printed: date


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class BrokenDict(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no items")


class Headers(Mapping[str, str]):
    def __getitem__(self, name: str) -> str:
        return "sk-secret"

    def __iter__(self) -> Iterator[str]:
        return iter(["authorization"])

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "<Headers>"


class Array:
    def __init__(self, size: int = 2) -> None:
        self.size = size

    def __repr__(self) -> str:
        return "array([…])"

    def tolist(self) -> list[float]:
        return [1.5, 2.5]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        ((1, 2.5, "x"), [1, 2.5, "x"]),
        ({"a": {1: None}}, {"a": {"1": None}}),
        ({Colour.RED: Colour.RED}, {"red": "red"}),
        (frozenset([1]), [1]),
        (Page(3, ["n"]), {"number": 3, "notes": ["n"]}),
        (Book(title="t", printed=date(2026, 1, 2)), {"title": "t", "printed": "2026-01-02"}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.10"), "1.10"),
        (b"abc", {"bytes": 3, "base64": "YWJj"}),
        (float("inf"), "inf"),
        (2**80, "<a number of 81 bits>"),
        (ValueError("no"), "ValueError: no"),
        (Array(), [1.5, 2.5]),
        (Array(10**9), "array([…])"),
        (Config(api_key="sk-secret"), {"url": DEFAULT_URL, "project": "", "environment": ""}),
        (Headers(), "<Headers>"),
        (Page, "<Page>"),
        (len, "<len>"),
        (Broken(), "<Broken>"),
        (object(), "<object>"),
        (iter([1]), "<list_iterator>"),
        (BrokenDict(a=1), "<BrokenDict>"),
    ],
)
def test_values(value: Any, plain: Any) -> None:
    assert plain_of(value) == plain


def test_circles_and_depth_have_an_end() -> None:
    circle: list[Any] = [1]
    circle.append(circle)
    assert plain_of(circle) == [1, "<the list that this is in>"]
    same = ["shared"]
    assert plain_of([same, same]) == [same, same]
    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]
    assert "nested too deep" in text_of(deep)


def test_long_values_are_cut() -> None:
    assert text_of("x" * 50, 10) == "x" * 10 + "… (40 characters more)"
    assert len(text_of(["x" * 100] * 10_000, 1000)) < 3000
    assert len(text_of(dict.fromkeys(range(10**6), 1.5), 1000)) < 3000
    assert len(text_of([range(10**9)], 1000)) < 3000
    assert len(text_of([0.0] * 10**6, 1000)) < 3000


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.binary() | st.integers(), st.lists))
def test_whatever_it_is_the_text_can_be_sent(value: Any) -> None:
    text = text_of(value)
    text.encode()
    if not isinstance(value, str):
        json.loads(text)


def test_a_lone_surrogate_can_be_sent() -> None:
    text_of("\ud800").encode()
    text_of(["\ud800"]).encode()


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (
            {"input": 3, "output": 4, "reasoning": 1},
            {"input_tokens": 3, "output_tokens": 4, "reasoning.output_tokens": 1},
        ),
        (
            {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 2, "audio_tokens": 1}},
            {"input_tokens": 3, "cache_read.input_tokens": 2, "audio.input_tokens": 1},
        ),
        ({"total_tokens": 9, "service_tier": "default", "other": None}, {"total_tokens": 9}),
        (None, {}),
        ("many", {}),
    ],
)
def test_usage_by_whichever_name(usage: Any, told: dict[str, int]) -> None:
    assert usage_attributes(usage) == {f"gen_ai.usage.{name}": count for name, count in told.items()}
