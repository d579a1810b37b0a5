"""API keys: a public and a secret key, the secret shown once and stored hashed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from octavo_server.core.clock import Clock
from octavo_server.core.errors import Conflict, Forbidden, Invalid
from octavo_server.core.ids import new_id
from octavo_server.edge.access import SERVER_PERMISSIONS, Permission, Principal
from octavo_server.governance import store
from octavo_server.governance.model import ApiKey, KeyGrant, KeySpec
from octavo_server.governance.runtime import PUBLIC_PREFIX, SECRET_PREFIX, hash_secret, hint_of
from octavo_server.governance.service.changes import event_of
from octavo_server.stores.control import ControlStore

KEY_SCOPES = frozenset(Permission) - SERVER_PERMISSIONS - {Permission.PUBLIC, Permission.ANY} | {Permission.SERVER_READ}
"""What a key may be allowed at all: its project's permissions, and to read the server's health and metrics."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class NewKey(NamedTuple):
    """A key just made, with the secret that is never seen again."""

    key: ApiKey
    secret: str


class Keys:
    """The verbs of API keys."""

    def __init__(self, control: ControlStore, clock: Clock) -> None:
        self._control = control
        self._clock = clock

    def of_project(self, by: Principal) -> list[ApiKey]:
        """The project's keys, newest first, revoked ones included."""
        with self._control.read() as sql:
            return store.list_keys(sql, by.project)

    def get(self, by: Principal, key_id: str) -> ApiKey:
        """Raises NotFound."""
        with self._control.read() as sql:
            return store.get_key(sql, by.project, key_id)

    def create(self, by: Principal, spec: KeySpec) -> NewKey:
        """A new key of the project. It can do no more than its maker. Raises Invalid and Forbidden."""
        now = self._clock.now()
        _check_spec(spec, now)
        if spec.scopes - by.permissions:
            raise Forbidden(
                f"You cannot give a key what you may not do yourself: {_names(spec.scopes - by.permissions)}.",
                code="scope_above_own",
            )
        secret = SECRET_PREFIX + _random(43)
        key = ApiKey(
            grant=KeyGrant(
                key_id=new_id("key"),
                public_key=PUBLIC_PREFIX + _random(22),
                secret_hash=hash_secret(secret),
                name=spec.name.strip(),
                project_id=by.project,
                environment=spec.environment,
                scopes=spec.scopes,
                allowed_apps=spec.allowed_apps,
                allowed_models=spec.allowed_models,
                expires_at=spec.expires_at,
            ),
            secret_hint=hint_of(secret),
            created_at=now,
            created_by=by.name,
        )
        with self._control.transaction() as transaction:
            sql = transaction.connection
            known = [one.name for one in store.list_environments(sql, by.project)]
            if spec.environment not in known:
                raise Invalid(
                    f"environment {spec.environment[:60]!r} is not one of this project's: {', '.join(known)}",
                    param="environment",
                )
            if by.kind == "api_key":
                _check_within(key.grant, store.get_key(sql, by.project, by.id).grant)
            store.insert_key(sql, key)
            transaction.record(
                event_of(
                    by,
                    "api_key.created",
                    key.grant.key_id,
                    now,
                    project_id=by.project,
                    before=None,
                    after=key.view(),
                )
            )
        return NewKey(key, secret)

    def revoke(self, by: Principal, key_id: str) -> ApiKey:
        """Ends a key for good. Raises NotFound, and Conflict when it was revoked before."""
        now = self._clock.now()
        with self._control.transaction() as transaction:
            before = store.get_key(transaction.connection, by.project, key_id)
            if before.grant.revoked_at is not None:
                raise Conflict(
                    f"The API key {before.grant.name!r} was revoked before, on {before.grant.revoked_at:%Y-%m-%d}.",
                    code="already_revoked",
                )
            after = replace(before, grant=replace(before.grant, revoked_at=now))
            store.revoke_key(transaction.connection, key_id, now)
            transaction.record(
                event_of(
                    by,
                    "api_key.revoked",
                    key_id,
                    now,
                    project_id=by.project,
                    before=before.view(),
                    after=after.view(),
                )
            )
        return after

    def note_use(self, used: Mapping[str, datetime]) -> None:
        """Remembers when keys were last used. No event: nobody decided anything."""
        with self._control.transaction() as transaction:
            store.touch_keys(transaction.connection, used)


def _check_spec(spec: KeySpec, now: datetime) -> None:
    if not 1 <= len(spec.name.strip()) <= 80 or not spec.name.isprintable():
        raise Invalid("name: expected 1 to 80 printable characters", param="name")
    if spec.scopes - KEY_SCOPES:
        raise Invalid(
            f"scopes {_names(spec.scopes - KEY_SCOPES)} cannot be given to a key; possible: {_names(KEY_SCOPES)}",
            param="scopes",
        )
    if not spec.scopes:
        raise Invalid("scopes: expected at least one; a key without scopes can do nothing", param="scopes")
    if spec.expires_at is not None and spec.expires_at <= now:
        raise Invalid(f"expires_at {spec.expires_at.isoformat()} is past; choose a time to come", param="expires_at")
    for param, names in (("allowed_apps", spec.allowed_apps), ("allowed_models", spec.allowed_models)):
        if len(names) > 200 or not all(1 <= len(name) <= 200 and name.isprintable() for name in names):
            raise Invalid(f"{param}: expected up to 200 names of 1 to 200 printable characters", param=param)


def _check_within(child: KeyGrant, parent: KeyGrant) -> None:
    """A key made with a key inherits its limits."""
    wider = [
        field
        for field, mine, theirs in (
            ("allowed_apps", child.allowed_apps, parent.allowed_apps),
            ("allowed_models", child.allowed_models, parent.allowed_models),
        )
        if theirs and (not mine or set(mine) - set(theirs))
    ]
    if child.environment != parent.environment:
        wider.append("environment")
    if parent.expires_at is not None and (child.expires_at is None or child.expires_at > parent.expires_at):
        wider.append("expires_at")
    if wider:
        raise Forbidden(
            f"A key made with an API key cannot reach further than it: narrow {', '.join(wider)}.",
            code="scope_above_own",
        )


def _names(permissions: frozenset[Permission]) -> str:
    return ", ".join(sorted(permissions))


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
