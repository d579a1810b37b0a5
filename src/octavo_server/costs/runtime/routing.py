"""Where a call goes: the project's routes first, then its connections by the models they claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from octavo_server.core.errors import NotFound
from octavo_server.costs.model import Connection, Route, Timeouts, glob_matches, is_glob, specificity
from octavo_server.costs.runtime.prices import PriceBook

_CACHED = 4096  # plans; a client may ask for any number of models
_SUGGESTED = 5
_LONGEST_MODEL = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One attempt's destination: a connection and the model to ask it for."""

    connection: Connection
    model: str
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePlan:
    """Where to send a call, and where next when that fails. Immutable: fit to be cached and shared."""

    hops: tuple[Hop, ...]
    weighted: bool = False
    retries: int = 2  # of each hop
    timeouts: Timeouts = field(default_factory=Timeouts)
    route_id: str = ""  # "" when no route was needed

    def order(self, draw: float) -> tuple[Hop, ...]:
        """The chain to try. For a weighted route `draw`, a random number in [0, 1), picks the first hop in proportion
        to the weights; the others follow as its fallbacks, in the route's order. Hops of weight 0 only ever follow."""
        if not self.weighted or len(self.hops) == 1:
            return self.hops
        left = draw * sum(hop.weight for hop in self.hops)
        for index, hop in enumerate(self.hops):
            if left < hop.weight:
                return (hop, *self.hops[:index], *self.hops[index + 1 :])
            left -= hop.weight
        return self.hops


class Router:
    """Plans for the models of all projects, made once for each and kept. Safe to share between threads."""

    def __init__(
        self,
        routes: Mapping[str, Sequence[Route]],
        connections: Mapping[str, Connection],
        provider_models: Mapping[str, Sequence[str]],
    ) -> None:
        """`routes` by project id, `connections` by their id, `provider_models` the globs that each kind of provider
        serves unless its connection names its own."""
        self._routes = routes
        self._connections = connections
        self._provider_models = provider_models
        self._by_project: dict[str, list[Connection]] = {}
        for connection in connections.values():
            self._by_project.setdefault(connection.project_id, []).append(connection)
        self._plans: dict[tuple[str, str], RoutePlan] = {}

    def plan(self, project_id: str, model: str) -> RoutePlan:
        """The plan for a model as a client asks for it. Raises NotFound (`model_not_found`)."""
        key = (project_id, model)
        found = self._plans.get(key)
        if found is None:
            if len(model) > _LONGEST_MODEL:
                raise NotFound(
                    f"No model has a name of {len(model)} characters; {model[:80]!r}… was asked for.",
                    code="model_not_found",
                    param="model",
                )
            found = plan_route(
                self._routes.get(project_id, ()),
                self._by_project.get(project_id, ()),
                model,
                provider_models=self._provider_models,
            )
            if len(self._plans) >= _CACHED:
                self._plans.clear()
            self._plans[key] = found
        return found


def plan_route(
    routes: Iterable[Route],
    connections: Iterable[Connection],
    model: str,
    *,
    provider_models: Mapping[str, Sequence[str]],
) -> RoutePlan:
    """The plan for `model` from one project's routes and connections. In this order: the route of exactly this name;
    the route with the most specific glob; `connection-name/model`; the connection with the most specific claim on the
    model; the default connection. Raises NotFound (`model_not_found`) with what to do."""
    routes = list(routes)
    by_id = {connection.id: connection for connection in connections}
    if not model:
        raise NotFound("The request names no model; send `model`.", code="model_not_found", param="model")

    matching = [route for route in routes if glob_matches(route.pattern, model)]
    for route in sorted(matching, key=lambda route: (specificity(route.pattern), route.id), reverse=True):
        hops = tuple(
            Hop(connection=by_id[target.connection_id], model=target.model or model, weight=target.weight)
            for target in route.targets
            if target.connection_id in by_id
        )
        if hops:
            return RoutePlan(
                hops=hops,
                weighted=route.strategy == "weighted",
                retries=route.retries,
                timeouts=route.timeouts,
                route_id=route.id,
            )

    named, slash, rest = model.partition("/")
    if slash and rest:
        for connection in by_id.values():
            if connection.name == named:
                return RoutePlan(hops=(Hop(connection=connection, model=rest),))

    claims = [
        ((specificity(claim), connection.is_default, _backwards(connection.name)), connection)
        for connection in by_id.values()
        for claim in connection.models or provider_models.get(connection.provider, ())
        if glob_matches(claim, model)
    ]
    if claims:
        return RoutePlan(hops=(Hop(connection=max(claims, key=lambda claim: claim[0])[1], model=model),))

    for connection in by_id.values():
        if connection.is_default:
            return RoutePlan(hops=(Hop(connection=connection, model=model),))
    raise _not_found(routes, list(by_id.values()), model, provider_models)


def callable_models(
    routes: Iterable[Route],
    connections: Iterable[Connection],
    *,
    provider_models: Mapping[str, Sequence[str]],
    book: PriceBook,
) -> list[str]:
    """Names by which models of one project can be called: those of its routes, of its connections and of their last
    tests, and for a connection never tested those that the price table knows of its provider. Sorted."""
    names = {route.pattern for route in routes if not is_glob(route.pattern)}
    for connection in connections:
        claims = connection.models or provider_models.get(connection.provider, ())
        names.update(claim for claim in claims if not is_glob(claim))
        for name in connection.known_models or book.models_of(connection):
            if any(glob_matches(claim, name) for claim in claims) or (
                connection.is_default and connection.known_models
            ):
                names.add(name)
    return sorted(names)


def _backwards(name: str) -> tuple[int, ...]:
    """Sorts names the other way round, so that the first in the alphabet is the greatest."""
    return (*(-ord(character) for character in name), 1)


def _not_found(
    routes: Sequence[Route],
    connections: Sequence[Connection],
    model: str,
    provider_models: Mapping[str, Sequence[str]],
) -> NotFound:
    if not connections:
        return NotFound(
            f"No connection serves model {model[:200]!r}: this project has none yet. Add a provider connection first.",
            code="model_not_found",
            param="model",
        )
    known = {route.pattern for route in routes if not is_glob(route.pattern)}
    for connection in connections:
        known.update(connection.known_models)
        known.update(
            name for name in connection.models or provider_models.get(connection.provider, ()) if not is_glob(name)
        )
    close = get_close_matches(model[:200], sorted(known), n=_SUGGESTED, cutoff=0.6)
    meant = f" Did you mean {', '.join(close)}?" if close else ""
    names = ", ".join(sorted(connection.name for connection in connections)[:_SUGGESTED])
    return NotFound(
        f"No route or connection serves model {model[:200]!r}.{meant} Add a route for it, name a connection "
        f"(<connection>/{model[:200]}; connections here: {names}), or make one connection the default.",
        code="model_not_found",
        param="model",
    )
