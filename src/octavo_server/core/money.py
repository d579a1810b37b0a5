"""Money is an integer number of nano-US-dollars (1 USD = 1,000,000,000); it is never added up as a float."""

from __future__ import annotations

from decimal import Decimal

NANO_PER_USD = 1_000_000_000


def usd_to_nano(amount: Decimal | str | int) -> int:
    """Nano-USD of a decimal amount, rounded half to even. Floats are refused: pass `str(value)` where one arrives."""
    if isinstance(amount, float):
        raise TypeError(f"money given as float {amount!r}; pass a Decimal or a string")
    return int((Decimal(amount) * NANO_PER_USD).to_integral_value())


def nano_to_usd(nano: int) -> Decimal:
    """The exact decimal amount in USD."""
    return Decimal(nano) / NANO_PER_USD
