"""The split is sticky, fair, and moves nobody whom it need not."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from octavo_server.evals.statistics.split import assign, is_sampled, uniform

USERS = [f"user-{number}" for number in range(20_000)]


def test_shares_are_the_weights() -> None:
    found = Counter(assign(user, {"canary": 10, "control": 60, "other": 30}, salt="x") for user in USERS)
    for arm, share in (("canary", 0.1), ("control", 0.6), ("other", 0.3)):
        assert abs(found[arm] / len(USERS) - share) < 0.01


def test_a_growing_canary_takes_the_added_share_and_no_more() -> None:
    before = {user: assign(user, {"canary": 0.1, "control": 0.9}, salt="x") for user in USERS}
    after = {user: assign(user, {"canary": 0.2, "control": 0.8}, salt="x") for user in USERS}
    moved = [user for user in USERS if before[user] != after[user]]
    assert all(after[user] == "canary" for user in moved)
    assert abs(len(moved) / len(USERS) - 0.1) < 0.01


@settings(max_examples=100, deadline=None)
@given(st.text(), st.dictionaries(st.text(max_size=5), st.floats(0.01, 100), min_size=2, max_size=5), st.floats(1, 50))
def test_only_the_arm_that_grows_gains(key: str, weights: dict[str, float], factor: float) -> None:
    grown = sorted(weights)[0]
    before = assign(key, weights, salt="x")
    after = assign(key, {**weights, grown: weights[grown] * factor}, salt="x")
    assert after in (before, grown)
    assert assign(key, dict(reversed(weights.items())), salt="x") == before


def test_every_process_says_the_same() -> None:
    code = (
        "from octavo_server.evals.statistics.split import assign;"
        "print(''.join(assign(f'user-{n}', {'a': 0.3, 'b': 0.7}, salt='s') for n in range(200)))"
    )
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        assert told.stdout.strip() == "".join(assign(f"user-{n}", {"a": 0.3, "b": 0.7}, salt="s") for n in range(200))


def test_experiments_do_not_share_their_guinea_pigs() -> None:
    both = sum(uniform(user, "x") < 0.1 and uniform(user, "y") < 0.1 for user in USERS)
    assert abs(both / len(USERS) - 0.01) < 0.004


@settings(deadline=None)
@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_who_is_sampled_stays_sampled_when_the_rate_grows(key: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert not is_sampled(key, low, salt="x") or is_sampled(key, high, salt="x")
    assert is_sampled(key, 1.0, salt="x")
    assert not is_sampled(key, 0.0, salt="x")
