"""Prices for a process that has no snapshot: the worker, which prices spans that arrive without a cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from octavo_server.core.clock import Clock
from octavo_server.costs import store
from octavo_server.costs.model import PriceRule
from octavo_server.costs.runtime import PriceBook, ShippedTable
from octavo_server.stores.control import ControlStore
from octavo_server.traces.model import Usage

_LOOK_EVERY_NS = 2_000_000_000


class CurrentPrices:
    """The price book as the control store has it, at most two seconds late. Its `price_span` is a `Pricer`. Blocks
    when it looks; for one thread at a time."""

    def __init__(self, control: ControlStore, *, clock: Clock, table: ShippedTable | None = None) -> None:
        self._control = control
        self._clock = clock
        self._table = table or ShippedTable()
        self._book = PriceBook({}, self._table)
        self._seen_seq = -1
        self._looked_ns = -_LOOK_EVERY_NS

    def price_span(self, project_id: str, provider: str, model: str, usage: Usage, at_ns: int) -> int | None:
        """See `PriceBook.price_span`. Raises Unavailable when the control store cannot be read."""
        return self.book().price_span(project_id, provider, model, usage, at_ns)

    def book(self) -> PriceBook:
        """The prices as they are now. Raises Unavailable when the control store cannot be read."""
        now_ns = self._clock.now_ns()
        if now_ns - self._looked_ns >= _LOOK_EVERY_NS:
            seq = self._control.last_event_seq()
            if seq != self._seen_seq:
                with self._control.read() as sql:
                    self._book = PriceBook(by_their_project(store.list_price_rules(sql)), self._table)
                self._seen_seq = seq
            self._looked_ns = now_ns
        return self._book


def by_their_project(rules: Iterable[PriceRule]) -> Mapping[str, tuple[PriceRule, ...]]:
    """Price rules by project id, in the order given."""
    projects: dict[str, list[PriceRule]] = {}
    for rule in rules:
        projects.setdefault(rule.project_id, []).append(rule)
    return {project: tuple(ours) for project, ours in projects.items()}
