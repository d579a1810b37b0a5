"""Who is calling the control API, and whether they may: decided from the request's head, before its body is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi.routing import RouteContext
from starlette.types import Scope

from octavo_server.core.clock import Clock
from octavo_server.core.errors import Forbidden, NotFound, OctavoError, Unauthenticated
from octavo_server.edge.access import PERMISSION_KEY, Permission, Principal
from octavo_server.gateway.snapshot import SnapshotHolder
from octavo_server.governance.routes import SESSION_COOKIE
from octavo_server.governance.runtime import authenticate
from octavo_server.governance.service import Governance
from octavo_server.governance.service.sessions import is_csrf_token

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_EVERYBODY = frozenset({Permission.PUBLIC, Permission.ANY})


class UndeclaredRoute(OctavoError):
    """A route says not who may call it; the server refuses to start."""

    code = "undeclared_route"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call one route."""

    methods: frozenset[str]
    path: str
    pattern: re.Pattern[str]
    permission: Permission


def rules_of(routes: Iterable[RouteContext]) -> list[Rule]:
    """The rules that the routes declare, in the order in which the router tries them. Raises UndeclaredRoute."""
    rules = []
    for route in routes:
        declared = (getattr(route, "openapi_extra", None) or {}).get(PERMISSION_KEY)
        if declared is None or not route.methods or route.path is None:
            raise UndeclaredRoute(
                f"route {route.path!r} declares no permission: write @router.get(…, **allows(Permission.X))"
            )
        rules.append(Rule(frozenset(route.methods), route.path, route.path_regex, Permission(declared)))
    return rules


class Gate:
    """Lets a request through as its caller, or refuses it."""

    def __init__(
        self,
        rules: list[Rule],
        *,
        governance: Governance,
        snapshots: SnapshotHolder,
        clock: Clock,
        public_url: str,
        note_use: Callable[[str], None],
    ) -> None:
        self._rules = rules
        self._governance = governance
        self._snapshots = snapshots
        self._clock = clock
        self._public_host = urlsplit(public_url).netloc
        self._note_use = note_use

    def find(self, method: str, path: str) -> Rule | None:
        """The rule of the route that takes such a request, if one does."""
        return next((rule for rule in self._rules if method in rule.methods and rule.pattern.match(path)), None)

    async def admit(
        self, rule: Rule | None, scope: Scope, headers: dict[str, str], request_id: str
    ) -> Principal | None:
        """The caller of the request; None for public routes. A request that no route takes passes as it is: it is
        answered 404 or 405. Raises the reason of a refusal."""
        if rule is None:
            return None
        if rule.permission is Permission.PUBLIC:
            if scope["method"] not in _SAFE:
                self._check_origin(headers)
            return None
        found = rule.pattern.match(scope["path"])
        about = (found.groupdict() if found else {}).get("project_id") or headers.get("x-octavo-project") or None
        if headers.get("authorization") or headers.get("x-api-key"):
            principal = self._of_key(headers, about)
        else:
            principal = await self._of_session(scope["method"], headers, about, rule.permission)
        if not principal.may(rule.permission):
            raise Forbidden(_refusal(principal, rule.permission))
        return replace(principal, request_id=request_id)

    def _of_key(self, headers: dict[str, str], about: str | None) -> Principal:
        snapshot = self._snapshots.current
        grant = authenticate(snapshot.keys, headers.get("authorization"), headers.get("x-api-key"), self._clock.now())
        project = snapshot.projects.get(grant.project_id)
        if about is not None and about != grant.project_id and (project is None or about != project.slug):
            raise NotFound(
                f"The API key {grant.name!r} is not of the project {about[:60]!r}.", code="project_not_found"
            )
        self._note_use(grant.key_id)
        return Principal(
            kind="api_key",
            id=grant.key_id,
            name=grant.name,
            project_id=grant.project_id,
            environment=grant.environment,
            permissions=grant.scopes,
        )

    async def _of_session(
        self, method: str, headers: dict[str, str], about: str | None, permission: Permission
    ) -> Principal:
        token = _cookie(headers.get("cookie", ""))
        if token is None:
            raise Unauthenticated("This needs credentials: log in, or send an API key.", code="no_credentials")
        if method not in _SAFE:
            self._check_origin(headers)
            if not is_csrf_token(token, headers.get("x-octavo-csrf")):
                raise Forbidden(
                    "The header X-Octavo-CSRF is missing or old; GET /api/v1/session tells the present one.",
                    code="csrf_failed",
                )
        look_up = partial(self._governance.sessions.authenticate, token)
        try:
            return await to_thread.run_sync(look_up, about)
        except NotFound:
            if permission not in _EVERYBODY:
                raise
            # The console remembers a project that is gone: it may still ask who is logged in and what there is.
            return await to_thread.run_sync(look_up, None)

    def _check_origin(self, headers: dict[str, str]) -> None:
        """A browser says where a changing request comes from; it must come from here."""
        origin = headers.get("origin")
        if origin is None:
            if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                raise Forbidden("The request comes from another site.", code="wrong_origin")
            return
        if urlsplit(origin).netloc not in {headers.get("host"), self._public_host} - {None, ""}:
            raise Forbidden(
                f"The request comes from {origin[:100]!r}; set OCTAVO_PUBLIC_URL when this is where people reach Octavo.",
                code="wrong_origin",
            )


def _cookie(header: str) -> str | None:
    try:
        morsel = SimpleCookie(header).get(SESSION_COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None and morsel.value else None


def _refusal(principal: Principal, permission: Permission) -> str:
    if principal.kind == "api_key":
        return f"The API key {principal.name!r} lacks the scope {permission.value!r}; make a key that has it."
    if principal.project_id is None:
        return f"You lack the permission {permission.value!r}; choose a project with the header X-Octavo-Project."
    return f"Your role lacks the permission {permission.value!r} in this project; ask an administrator."
