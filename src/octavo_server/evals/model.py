"""The nouns of evaluation: the sample that is scored, the score, and the three-valued verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from octavo_server.core.digest import JSON


class Verdict(StrEnum):
    """What a gate says. What could not be decided has not passed."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNDECIDED = "undecided"


class Change(StrEnum):
    """What a comparison of a candidate with its baseline says. `NOT_WORSE`: not worse by more than the margin."""

    BETTER = "better"
    NOT_WORSE = "not_worse"
    WORSE = "worse"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a tool as the model asked for it."""

    name: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer to one case: all that an evaluator may look at. None: not known."""

    output: str
    expected: JSON = None
    input: JSON = None
    context: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    expected_tool_calls: tuple[ToolCall, ...] = ()
    retrieved: tuple[str, ...] = ()  # ids, best first
    relevant: Mapping[str, float] = field(default_factory=dict)  # id to grade; 0 is irrelevant
    latency_ms: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What an evaluator says of a sample. `value` is None, and `passed` too, when nothing could be said: such a score
    is an error, counts as missing, and never passes a gate."""

    name: str
    value: float | bool | str | None
    passed: bool | None = None
    reason: str = ""
    evidence: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def is_missing(self) -> bool:
        """Whether nothing was measured; NaN is nothing, too."""
        return self.value is None or self.value != self.value
