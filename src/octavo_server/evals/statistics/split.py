"""Sticky traffic split: which arm a user falls to, the same in every process, with no state and no network.

Weighted rendezvous hashing (Thaler & Ravishankar 1998; Schindelhauer & Schomaker 2005): each arm draws
`-ln(u) / weight` from the hash of user and arm, and the least wins. An arm's share is its weight's; when one arm grows
from 10 to 20 %, only the added share moves, and all of it to that arm."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

from octavo_server.core.errors import Invalid


def uniform(key: str, salt: str) -> float:
    """A number in (0, 1) that depends on nothing but the key and the salt."""
    hashed = hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8, key=_salt(salt)).digest()
    return ((int.from_bytes(hashed, "big") >> 12) + 0.5) / (1 << 52)


def assign(key: str, weights: Mapping[str, float], *, salt: str) -> str:
    """The arm of `key`. Weights need not add up to 1; an arm of weight 0 gets nobody. Give each experiment a salt of
    its own, lest the same users be the guinea pigs every time."""
    best: str | None = None
    least = math.inf
    for arm, weight in weights.items():
        if not (weight >= 0 and math.isfinite(weight)):
            raise Invalid(f"Got weight {weight!r} of arm {arm!r}; expected a number from 0.")
        if weight > 0:
            draw = -math.log(uniform(key, f"{salt}\0{arm}")) / weight
            if draw < least or (draw == least and best is not None and arm < best):
                best, least = arm, draw
    if best is None:
        raise Invalid("Got no arm with a weight above 0; expected at least one.")
    return best


def is_sampled(key: str, rate: float, *, salt: str) -> bool:
    """Whether `key` is of the sampled share; who is sampled at a low rate is sampled at every higher one."""
    return uniform(key, salt) < rate


def _salt(salt: str) -> bytes:
    raw = salt.encode(errors="surrogatepass")
    return raw if len(raw) <= 64 else hashlib.blake2b(raw).digest()
