"""Seconds that each deterministic evaluator takes over 10,000 cases, and the number extraction on GSM8K."""

from __future__ import annotations

import argparse
import gzip
import json
import time
from pathlib import Path

from octavo_server.evals.evaluators import compile_evaluator
from octavo_server.evals.evaluators.texts import last_number
from octavo_server.evals.model import Sample, ToolCall

TEXT = "The city council approved the new budget of 1,250,000 dollars on Tuesday after a long debate, case {n}."
SPECS = (
    {"type": "exact", "normalised": True},
    {"type": "contains", "values": ["budget", "debate"]},
    {"type": "regex", "pattern": r"case \d+"},
    {"type": "numeric"},
    {"type": "refusal"},
    {"type": "edit_distance"},
    {"type": "rouge"},
    {"type": "bleu"},
    {"type": "chrf"},
    {"type": "json", "schema": {"type": "object"}},
    {"type": "tool_calls"},
    {"type": "retrieval"},
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gsm8k", type=Path)
    given = parser.parse_args()
    call = ToolCall(name="search", arguments={"q": "budget"})
    samples = [
        Sample(
            output=TEXT.format(n=n),
            expected=TEXT.format(n=n + n % 2),
            tool_calls=(call, call),
            expected_tool_calls=(call,),
            retrieved=tuple(map(str, range(10))),
            relevant={"3": 1, "7": 2},
        )
        for n in range(10_000)
    ]
    for spec in SPECS:
        evaluate = compile_evaluator(spec)
        began = time.perf_counter()
        for sample in samples:
            evaluate(sample)
        print(f"{spec['type']:14} {time.perf_counter() - began:6.3f} s for {len(samples):,} cases")
    if given.gsm8k:
        rows = [json.loads(line) for line in gzip.decompress(given.gsm8k.read_bytes()).splitlines()]
        right = sum(last_number(row["rationale"]) == last_number(str(row["answer"])) for row in rows)
        print(f"number extraction: {right} of {len(rows)} rationales end in their answer")


if __name__ == "__main__":
    main()
