"""The hot path's share of cost control, pure and without I/O: count tokens, plan the route, price the call."""

from octavo_server.costs.model import NO_COST
from octavo_server.costs.runtime.prices import PriceBook, Pricer, Quote, cost, cost_details
from octavo_server.costs.runtime.routing import Hop, RoutePlan, Router, callable_models, plan_route
from octavo_server.costs.runtime.shipped import ShippedTable
from octavo_server.costs.runtime.usage import normalise_usage

__all__ = [
    "NO_COST",
    "Hop",
    "PriceBook",
    "Pricer",
    "Quote",
    "RoutePlan",
    "Router",
    "ShippedTable",
    "callable_models",
    "cost",
    "cost_details",
    "normalise_usage",
    "plan_route",
]
