"""Cases that ask nearly the same: between splits they are leakage, within one they count twice.

Texts are compared by their sets of three-word shingles (Broder 1997). MinHash signatures in bands find the candidates,
whose Jaccard similarity is then computed exactly, so a reported pair is always true; a pair of similarity .8 is missed
with a chance of 1 in 5,000, one that is equal never. Deterministic, and in time proportional to the number of cases."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from zlib import crc32

import numpy as np
import orjson
from numpy.typing import NDArray

from octavo_server.core.digest import JSON

_WORDS = re.compile(r"\w+")
_SHINGLE = 3
_MOST_WORDS = 2_000
_BANDS, _ROWS = 16, 4
_PRIME = (1 << 31) - 1
_MOST_COMPARED = 300_000
_MOST_IN_BUCKET = 100
MOST_PAIRS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two cases that ask nearly the same, and their splits."""

    first: str
    second: str
    splits: tuple[str, str]
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Leakage:
    """What was found, the most alike first, between splits before within. `complete` is false when there were too many
    pairs to look at them all, or to tell."""

    cases: int
    leaks: int  # pairs of different splits
    near_duplicates: int  # pairs of the same split
    pairs: tuple[Pair, ...]
    complete: bool


def find_leaks(cases: Sequence[tuple[str, str, JSON]], *, similarity: float = 0.8) -> Leakage:
    """Pairs of `(id, split, inputs)` whose texts are at least so similar."""
    shingles = [_shingles(inputs) for _, _, inputs in cases]
    found: list[Pair] = []
    compared, complete = 0, True
    seen: set[tuple[int, int]] = set()
    for bucket in _buckets(shingles):
        if len(bucket) > _MOST_IN_BUCKET:
            bucket, complete = bucket[:_MOST_IN_BUCKET], False
        for pair in combinations(bucket, 2):
            if pair in seen:
                continue
            if compared == _MOST_COMPARED:
                complete = False
                break
            seen.add(pair)
            compared += 1
            one, other = pair
            alike = _jaccard(shingles[one], shingles[other])
            if alike >= similarity:
                splits = (cases[one][1], cases[other][1])
                found.append(Pair(first=cases[one][0], second=cases[other][0], splits=splits, similarity=alike))
    found.sort(key=lambda pair: (pair.splits[0] == pair.splits[1], -pair.similarity, pair.first, pair.second))
    leaks = sum(pair.splits[0] != pair.splits[1] for pair in found)
    return Leakage(
        cases=len(cases),
        leaks=leaks,
        near_duplicates=len(found) - leaks,
        pairs=tuple(found[:MOST_PAIRS]),
        complete=complete,
    )


def _shingles(inputs: JSON) -> NDArray[np.int64]:
    """The hashes of a text's three-word runs, each once; of all its words when it has fewer."""
    text = inputs if isinstance(inputs, str) else " ".join(_texts(inputs)) or orjson.dumps(inputs).decode()
    words = _WORDS.findall(text.casefold())[:_MOST_WORDS] or [text]
    runs = {" ".join(words[at : at + _SHINGLE]) for at in range(max(1, len(words) - _SHINGLE + 1))}
    return np.unique(np.array([crc32(one.encode(errors="surrogatepass")) % _PRIME for one in runs], dtype=np.int64))


def _texts(value: JSON) -> Iterator[str]:
    """The values of an object, without its names, which all cases share."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _texts(value[key])
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif value is not None:
        yield str(value)


def _buckets(shingles: Sequence[NDArray[np.int64]]) -> Iterator[list[int]]:
    """Groups of cases that a band of their signatures has alike."""
    random = np.random.default_rng(5)
    scale = random.integers(1, _PRIME, size=(_BANDS * _ROWS, 1), dtype=np.int64)
    shift = random.integers(0, _PRIME, size=(_BANDS * _ROWS, 1), dtype=np.int64)
    buckets: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)
    for at, one in enumerate(shingles):
        signature = ((scale * one + shift) % _PRIME).min(axis=1)
        for band in range(_BANDS):
            buckets[band, signature[band * _ROWS : (band + 1) * _ROWS].tobytes()].append(at)
    return (bucket for bucket in buckets.values() if len(bucket) > 1)


def _jaccard(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)
