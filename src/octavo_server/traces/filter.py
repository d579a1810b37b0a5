"""The filter language over spans, compiled to SQL with bound parameters.

    model = "gpt-4.1" and latency_ms > 500 and metadata.team = "x" and (status = error or output ~ "refund")

Comparisons: = != > >= < <= ~ (contains, any case) !~ starts_with ends_with matches (a regular expression) and
`in (a, b)`. Values: numbers, quoted texts, bare words, true and false. They are joined by `and`, `or`, `not` and
parentheses. `metadata.NAME` and `attributes.NAME` reach into JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from octavo_server.core.errors import Invalid
from octavo_server.traces import dialects

MAX_CHARS = 4000
MAX_DEPTH = 50
MAX_PATTERN = 500
"""Patterns are RE2's, which need time in proportion to the text, whatever they are; the store refuses others."""

_OPERATORS = "= != > >= < <= ~ !~ starts_with ends_with matches in"
_TEXT_TESTS = {"starts_with": "startsWith", "ends_with": "endsWith", "matches": "match"}

_TEXT = "String"
_NUMBER = "Float64"

# What is the same failure: its class, where it happened, and its message without what differs each time (numbers, ids,
# quoted texts, addresses, paths).
SIGNATURE = (
    "lower(hex(sipHash64(error_class, kind, provider, replaceRegexpAll(lower(substringUTF8(status_message, 1, 500)),"
    " 'https?://\\\\S+|\"[^\"]*\"|\\'[^\\']*\\'|/[\\\\w./-]+|[0-9a-f-]{8,}|[0-9]+', '?'))))"
)

FIELDS: dict[str, tuple[str, str]] = {
    "trace_id": ("trace_id", _TEXT),
    "span_id": ("span_id", _TEXT),
    "parent_span_id": ("parent_span_id", _TEXT),
    "name": ("name", _TEXT),
    "trace_name": ("trace_name", _TEXT),
    "kind": ("kind", _TEXT),
    "source": ("source", _TEXT),
    "status": ("status", _TEXT),
    "status_message": ("status_message", _TEXT),
    "level": ("level", _TEXT),
    "error_type": ("error_type", _TEXT),
    "error_class": ("error_class", _TEXT),
    "signature": (SIGNATURE, _TEXT),
    "environment": ("environment", _TEXT),
    "service": ("service", _TEXT),
    "app": ("app", _TEXT),
    "release": ("release", _TEXT),
    "version": ("version", _TEXT),
    "session_id": ("session_id", _TEXT),
    "user_id": ("user_id", _TEXT),
    "provider": ("provider", _TEXT),
    "connection_id": ("connection_id", _TEXT),
    "model": ("model", _TEXT),
    "model_requested": ("model_requested", _TEXT),
    "finish_reason": ("finish_reason", _TEXT),
    "response_id": ("response_id", _TEXT),
    "request_id": ("request_id", _TEXT),
    "api_key_id": ("api_key_id", _TEXT),
    "prompt_name": ("prompt_name", _TEXT),
    "prompt_version": ("prompt_version", _TEXT),
    "input": ("input", _TEXT),
    "output": ("output", _TEXT),
    "tools": ("tools", _TEXT),
    "documents": ("documents", _TEXT),
    "events": ("events", _TEXT),
    "links": ("links", _TEXT),
    "cache_status": ("cache_status", _TEXT),
    "cost_source": ("cost_source", _TEXT),
    "captured": ("captured", _TEXT),
    "duplicate_of": ("duplicate_of", _TEXT),
    "match": ("match", _TEXT),
    "scope_name": ("scope_name", _TEXT),
    "scope_version": ("scope_version", _TEXT),
    "trace_state": ("trace_state", _TEXT),
    "tags": ("tags", "Array"),
    "latency_ms": ("duration_ns / 1e6", _NUMBER),
    "ttft_ms": ("ttft_ns / 1e6", _NUMBER),
    "input_tokens": ("(tokens_input + tokens_cache_read + tokens_cache_write + tokens_input_audio)", _NUMBER),
    "output_tokens": ("(tokens_output + tokens_reasoning + tokens_output_audio)", _NUMBER),
    "cached_tokens": ("tokens_cache_read", _NUMBER),
    "cache_write_tokens": ("tokens_cache_write", _NUMBER),
    "reasoning_tokens": ("tokens_reasoning", _NUMBER),
    "audio_tokens": ("(tokens_input_audio + tokens_output_audio)", _NUMBER),
    "total_tokens": ("tokens_total", _NUMBER),
    "cost_usd": ("cost_nano / 1e9", _NUMBER),
    "attempts": ("attempts", _NUMBER),
    "streaming": ("streaming", _NUMBER),
    "is_root": ("is_root", _NUMBER),
    "counted": ("counted", _NUMBER),
    "otel_kind": ("otel_kind", _NUMBER),
}
JSON_FIELDS = {
    "metadata": "metadata",
    "attributes": "attributes",
    "parameters": "parameters",
    "resource": "resource",
    "scope": "scope_attributes",
    "usage": "usage_extra",
    "costs": "cost_details",
}

_TOKEN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<comma>,)|(?P<op>!=|>=|<=|!~|=|>|<|~)"""
    r"""|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'"""
    r"""|(?P<number>-?\d+(?:\.\d+)?(?![\w.:-]))|(?P<word>[A-Za-z0-9_][\w.:/@+-]*))"""
)


class FilterError(Invalid):
    """The filter cannot be understood; the message says where and what was expected."""

    code = "invalid_filter"


@dataclass(frozen=True, slots=True)
class Condition:
    """A WHERE clause and its parameters."""

    sql: str
    params: dict[str, Any]


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def compile_filter(text: str) -> Condition:
    """Raises FilterError. An empty text is no condition (`1`)."""
    if len(text) > MAX_CHARS:
        raise FilterError(f"the filter has {len(text)} characters; at most {MAX_CHARS} are read", param="filter")
    tokens = list(_tokens(text))
    if not tokens:
        return Condition("1", {})
    parser = _Parser(tokens, len(text))
    sql = parser.disjunction(0)
    parser.expect_end()
    return Condition(sql, parser.params)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            raise FilterError(f"{text[start : start + 10]!r} at position {start} is not understood", param="filter")
        kind = match.lastgroup or ""
        value = match.group(kind)
        if kind in ("double", "single"):
            kind, value = "text", re.sub(r"\\([\\\"'])", r"\1", value)  # other backslashes are a pattern's
        tokens.append(_Token(kind, value, match.start(match.lastgroup or 0)))
        at = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens = [*tokens, _Token("end", "the end", length)]
        self._next = 0
        self.params: dict[str, Any] = {}

    def expect_end(self) -> None:
        if self._peek().kind != "end":
            raise self._error("'and', 'or' or the end")

    def disjunction(self, depth: int) -> str:
        parts = [self._conjunction(depth)]
        while self._take_word("or"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else "(" + " OR ".join(parts) + ")"

    def _conjunction(self, depth: int) -> str:
        parts = [self._factor(depth)]
        while self._take_word("and"):
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else "(" + " AND ".join(parts) + ")"

    def _factor(self, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise FilterError(f"the filter is nested deeper than {MAX_DEPTH}", param="filter")
        if self._take_word("not"):
            return f"NOT ({self._factor(depth + 1)})"
        if self._peek().kind == "open":
            self._next += 1
            inner = self.disjunction(depth + 1)
            if self._peek().kind != "close":
                raise self._error("')'")
            self._next += 1
            return inner
        return self._comparison()

    def _comparison(self) -> str:
        field = self._peek()
        if field.kind != "word":
            raise self._error("a field's name")
        self._next += 1
        sql, kind = self._field(field)
        if self._take_word("in"):
            return self._membership(sql, kind)
        for word, test in _TEXT_TESTS.items():
            if self._take_word(word):
                return self._text_test(sql, kind, test)
        operator = self._peek()
        if operator.kind != "op":
            raise self._error(f"one of {_OPERATORS}")
        self._next += 1
        value = self._value()
        if operator.text in ("~", "!~"):
            source = "arrayStringConcat(tags, '\\n')" if kind == "Array" else f"ifNull(toString({sql}), '')"
            found = f"positionCaseInsensitiveUTF8({source}, {self._bind(value.text, _TEXT)}) > 0"
            return found if operator.text == "~" else f"NOT ({found})"
        if kind == "Array":
            if operator.text not in ("=", "!="):
                raise FilterError(
                    f"{field.text} takes =, !=, ~, !~, starts_with, ends_with, matches or in, not {operator.text}",
                    param="filter",
                )
            has = f"has({sql}, {self._bind(value.text, _TEXT)})"
            return has if operator.text == "=" else f"NOT {has}"
        if kind == "JSON":
            if operator.text in ("=", "!="):
                return f"({sql} {operator.text} {self._bind(value.text, _TEXT)})"
            return f"(toFloat64OrNull({sql}) {operator.text} {self._number(value)})"
        bound = self._number(value) if kind == _NUMBER else self._bind(value.text, _TEXT)
        return f"({sql} {operator.text} {bound})"

    def _text_test(self, sql: str, kind: str, test: str) -> str:
        value = self._value()
        if test == "match" and len(value.text) > MAX_PATTERN:
            raise FilterError(
                f"the pattern at position {value.at} has {len(value.text)} characters; at most {MAX_PATTERN} are read",
                param="filter",
            )
        bound = self._bind(value.text, _TEXT)
        if kind == "Array":
            return f"arrayExists(one -> {test}(toString(one), {bound}), {sql})"
        # What a span has no value of is no text that a pattern could match; `not` then holds for it.
        return f"{test}(ifNull(toString({sql}), ''), {bound})"

    def _membership(self, sql: str, kind: str) -> str:
        if self._peek().kind != "open":
            raise self._error("'(' after in")
        self._next += 1
        values = [self._value()]
        while self._peek().kind == "comma":
            self._next += 1
            values.append(self._value())
        if self._peek().kind != "close":
            raise self._error("',' or ')'")
        self._next += 1
        if kind == "Array":
            return f"hasAny({sql}, [{', '.join(self._bind(value.text, _TEXT) for value in values)}])"
        bound = [self._number(value) if kind == _NUMBER else self._bind(value.text, _TEXT) for value in values]
        return f"({sql} IN ({', '.join(bound)}))"

    def _field(self, token: _Token) -> tuple[str, str]:
        found = FIELDS.get(token.text)
        if found is not None:
            return found
        base, dot, path = token.text.partition(".")
        column = JSON_FIELDS.get(base)
        if column is None or not dot or not path:
            raise FilterError(
                f"{token.text!r} at position {token.at} is no field; there are {', '.join(sorted(FIELDS))}, "
                f"and {', '.join(f'{name}.NAME' for name in sorted(JSON_FIELDS))}",
                param="filter",
            )
        # One key for the whole dotted name: attribute names hold dots themselves.
        key = self._bind(path, _TEXT)
        sql = f"if(JSONType({column}, {key}) = 'String', JSONExtractString({column}, {key}), JSONExtractRaw({column}, {key}))"
        if base == "attributes":
            for moved in ("input", "output"):
                if path in dialects.FIELDS[moved]:
                    # An attribute that is the whole text of a column is kept there.
                    sql = f"if({moved}_from = {key}, {moved}, {sql})"
        return sql, "JSON"

    def _value(self) -> _Token:
        token = self._peek()
        if token.kind not in ("text", "number", "word"):
            raise self._error("a value")
        self._next += 1
        return token

    def _number(self, token: _Token) -> str:
        words = {"true": 1.0, "false": 0.0}
        if token.kind == "number":
            return self._bind(float(token.text), _NUMBER)
        if token.text in words:
            return self._bind(words[token.text], _NUMBER)
        raise FilterError(f"{token.text!r} at position {token.at} is no number", param="filter")

    def _bind(self, value: Any, kind: str) -> str:
        name = f"f{len(self.params)}"
        self.params[name] = value
        return f"{{{name}:{kind}}}"

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take_word(self, word: str) -> bool:
        token = self._peek()
        if token.kind == "word" and token.text.lower() == word:
            self._next += 1
            return True
        return False

    def _error(self, expected: str) -> FilterError:
        token = self._peek()
        return FilterError(f"expected {expected} at position {token.at}, found {token.text[:40]!r}", param="filter")
