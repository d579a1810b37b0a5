"""ROUGE, BLEU and chrF of one output and one reference, equal to `rouge-score` and `sacrebleu` but with no state."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from rapidfuzz.distance import LCSseq

Gram = TypeVar("Gram", bound=Hashable)

_WORDS = re.compile(r"[^a-z0-9]+")
_BLEU_13A = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def rouge_words(text: str) -> list[str]:
    """Lower-case words of ASCII letters and digits."""
    return [word for word in _WORDS.split(text.lower()) if word]


def rouge_n(output: str, reference: str, n: int) -> float:
    """F-measure of common n-grams of words."""
    given, wanted = _grams(rouge_words(output), n), _grams(rouge_words(reference), n)
    return _f1(_common(given, wanted), given.total(), wanted.total())


def rouge_l(output: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words."""
    given, wanted = rouge_words(output), rouge_words(reference)
    return _f1(LCSseq.similarity(given, wanted), len(given), len(wanted))


def bleu(output: str, reference: str) -> float:
    """Sentence BLEU in [0, 1]: up to 4-grams, exponential smoothing, effective order, brevity penalty."""
    given, wanted = bleu_words(output), bleu_words(reference)
    if not given or not wanted:
        return 0.0
    logs, smooth = [], 1.0
    for n in range(1, min(4, len(given)) + 1):
        grams = _grams(given, n)
        hits, total = _common(grams, _grams(wanted, n)), len(given) - n + 1
        if n == 1 and hits == 0:
            return 0.0
        if hits == 0:
            smooth *= 2
        logs.append(math.log(hits / total if hits else 1 / (smooth * total)))
    brevity = 1.0 if len(given) >= len(wanted) else math.exp(1 - len(wanted) / len(given))
    return brevity * math.exp(sum(logs) / len(logs))


def bleu_words(text: str) -> list[str]:
    """Words as mteval-v13a cuts them."""
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, letter in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        text = text.replace(entity, letter)
    text = f" {text} "
    for pattern, replacement in _BLEU_13A:
        text = pattern.sub(replacement, text)
    return text.split()


def chrf(output: str, reference: str) -> float:
    """chrF2 in [0, 1]: character n-grams up to 6, recall twice as weighty, orders without n-grams left out."""
    given, wanted = "".join(output.split()), "".join(reference.split())
    precision = recall = 0.0
    orders = 0
    for n in range(1, 7):
        if min(len(given), len(wanted)) >= n:
            hits = _common(_pieces(given, n), _pieces(wanted, n))
            precision += hits / (len(given) - n + 1)
            recall += hits / (len(wanted) - n + 1)
            orders += 1
    if not orders or not precision + recall:
        return 0.0
    precision, recall = precision / orders, recall / orders
    return 5 * precision * recall / (4 * precision + recall)


def _grams(items: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(items[start:] for start in range(n)), strict=False))


def _pieces(text: str, n: int) -> Counter[str]:
    return Counter([text[start : start + n] for start in range(len(text) - n + 1)])


def _common(first: Mapping[Gram, int], second: Mapping[Gram, int]) -> int:
    return sum(min(count, second[gram]) for gram, count in first.items() if gram in second)


def _f1(common: int, given: int, wanted: int) -> float:
    return 2 * common / (given + wanted) if common else 0.0
