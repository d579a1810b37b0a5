"""A reader of the GBNF that `json_grammar` writes, to draw answers from a grammar without a model."""

from __future__ import annotations

import re
from random import Random
from typing import Any

_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:\\.|[^"\\])*")|(?P<set>\[(?:\\.|[^\]\\])*\])|(?P<repeat>\{\d+,?\d*\}|\?)|(?P<mark>[()|]))'
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class Sampler:
    """Draws texts of a grammar: at random, or as long as it allows."""

    def __init__(self, grammar: str) -> None:
        head, _, rule = grammar.strip().partition("::=")
        assert head.strip() == "root"
        self._tokens = [(match.lastgroup or "", match[match.lastgroup or ""]) for match in _TOKEN.finditer(rule)]
        assert "".join(text for _, text in self._tokens) == re.sub(
            r'("(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\])|\s+', lambda match: match[1] or "", rule
        )
        self._position = 0
        self._tree = self._alternatives()
        assert self._position == len(self._tokens)

    def draw(self, random: Random, *, longest: bool = False) -> str:
        return self._draw(self._tree, random, longest)

    def _alternatives(self) -> Any:
        options = [self._sequence()]
        while self._peek() == "|":
            self._position += 1
            options.append(self._sequence())
        return ("or", options)

    def _sequence(self) -> Any:
        items: list[Any] = []
        while self._position < len(self._tokens) and self._peek() not in ("|", ")"):
            kind, text = self._tokens[self._position]
            self._position += 1
            if kind == "text":
                items.append(("text", self._unescape(text[1:-1])))
            elif kind == "set":
                items.append(("set", self._ranges(text[1:-1])))
            elif kind == "repeat":
                low, _, high = text.strip("{}").partition(",") if text != "?" else ("0", ",", "1")
                items.append(("repeat", items.pop(), int(low), int(high or low)))
            else:
                assert text == "("
                items.append(self._alternatives())
                assert self._peek() == ")"
                self._position += 1
        return ("and", items)

    def _peek(self) -> str:
        return self._tokens[self._position][1] if self._position < len(self._tokens) else ""

    @staticmethod
    def _unescape(text: str) -> str:
        pattern = r"\\(?:x([0-9A-F]{2})|u([0-9A-F]{4})|(.))"
        return re.sub(
            pattern,
            lambda found: (
                chr(int(found[1] or found[2], 16)) if found[1] or found[2] else _ESCAPES.get(found[3], found[3])
            ),
            text,
        )

    def _ranges(self, text: str) -> list[tuple[str, str]]:
        plain = re.findall(r"\\x[0-9A-F]{2}|\\u[0-9A-F]{4}|\\.|.", text)
        ranges, position = [], 0
        while position < len(plain):
            first = last = self._unescape(plain[position])
            if position + 2 < len(plain) and plain[position + 1] == "-":
                last = self._unescape(plain[position + 2])
                position += 2
            ranges.append((first, last))
            position += 1
        return ranges

    def _draw(self, node: Any, random: Random, longest: bool) -> str:
        match node[0]:
            case "text":
                return str(node[1])
            case "set":
                low, high = node[1][-1] if longest else random.choice(node[1])
                return high if longest else chr(random.randint(ord(low), ord(high)))
            case "and":
                return "".join(self._draw(item, random, longest) for item in node[1])
            case "or" if longest:
                return max((self._draw(item, random, True) for item in node[1]), key=lambda text: len(text.encode()))
            case "or":
                return self._draw(random.choice(node[1]), random, longest)
        _, inner, low, high = node
        count = high if longest else random.randint(low, high)
        return "".join(self._draw(inner, random, longest) for _ in range(count))
