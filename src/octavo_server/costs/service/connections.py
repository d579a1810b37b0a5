"""Connections to model providers. Secrets go in and never come out: they are sealed with the connection's id, and
views, digests and events know only that there is one, its last four characters and how often it changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import urlsplit

import anyio.to_thread
import orjson

from octavo_server.core.clock import Clock
from octavo_server.core.digest import JSON
from octavo_server.core.errors import Conflict, Invalid
from octavo_server.costs import store
from octavo_server.costs.model import FREE, Connection, OptionField, Probe, Prober, ProviderKind
from octavo_server.costs.runtime import ShippedTable
from octavo_server.costs.service.addresses import Addresses
from octavo_server.costs.store import StoredConnection
from octavo_server.edge.access import Principal
from octavo_server.edge.changes import event_of
from octavo_server.stores.control import ControlStore, Transaction

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_LONGEST_SECRET = 16_384  # service account files are a few thousand characters
_MOST_MODELS = 500
_LONGEST_MODEL = 200


class Sealer(Protocol):
    """Encrypts what may be read only with the master key and for the same `context` (`stores.secrets.SecretBox`)."""

    def seal(self, plain: bytes, context: str) -> bytes: ...

    def open(self, sealed: bytes, context: str) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSpec:
    """What a caller says of a connection. On a change, None keeps what there is."""

    name: str | None = None
    provider: str | None = None
    base_url: str | None = None
    secret: str | None = field(default=None, repr=False)  # "" removes it
    options: Mapping[str, JSON] | None = field(default=None, repr=False)
    models: Sequence[str] | None = None
    prices_as: str | None = None
    is_default: bool | None = None


class Connections:
    """The verbs on connections of one control store."""

    def __init__(
        self,
        control: ControlStore,
        *,
        secrets: Sealer,
        clock: Clock,
        catalogue: Mapping[str, ProviderKind],
        prober: Prober,
        addresses: Addresses,
        table: ShippedTable,
        local_url: str,
        make_id: Callable[[str], str],
    ) -> None:
        self._control = control
        self._secrets = secrets
        self._clock = clock
        self._prober = prober
        self._addresses = addresses
        self._table = table
        self._local_url = local_url
        self._make_id = make_id
        self.catalogue = catalogue

    def list(self, by: Principal) -> list[StoredConnection]:
        """The project's connections, by name."""
        with self._control.read() as sql:
            return store.list_connections(sql, by.project)

    def get(self, by: Principal, connection_id: str) -> StoredConnection:
        """Raises NotFound."""
        with self._control.read() as sql:
            return store.get_connection(sql, by.project, connection_id)

    def create(self, by: Principal, spec: ConnectionSpec) -> StoredConnection:
        """A new connection. The first of a project becomes its default unless the caller says otherwise. Raises
        Invalid, or Conflict when the name is taken."""
        now = self._clock.now()
        blank = StoredConnection(
            id=self._make_id("con"),
            project_id=by.project,
            name="",
            provider=spec.provider or "",
            base_url="",
            sealed=None,
            has_secret=False,
            secret_version=0,
            secret_last4="",
            secret_options=(),
            options={},
            models=(),
            known_models=(),
            prices_as="",
            is_default=False,
            created_at=now,
            updated_at=now,
        )
        made = self._changed(blank, replace(spec, name=spec.name or "", base_url=spec.base_url or ""))
        with self._control.transaction() as transaction:
            if spec.is_default is None and store.default_connection(transaction.connection, by.project) is None:
                made = replace(made, is_default=True)
            self._make_way(transaction, by, made)
            store.insert_connection(transaction.connection, made)
            transaction.record(event_of(by, "connection.created", made.id, now, before=None, after=view_of(made)))
        return made

    def update(self, by: Principal, connection_id: str, spec: ConnectionSpec) -> StoredConnection:
        """Changes what `spec` names. Raises NotFound, Invalid, or Conflict when the name is taken."""
        with self._control.read() as sql:
            self._changed(store.get_connection(sql, by.project, connection_id), spec)  # slow checks before the lock
        now = self._clock.now()
        with self._control.transaction() as transaction:
            before = store.get_connection(transaction.connection, by.project, connection_id)
            after = replace(self._changed(before, spec, check_address=False), updated_at=now)
            self._make_way(transaction, by, after)
            store.update_connection(transaction.connection, after)
            transaction.record(
                event_of(by, "connection.updated", after.id, now, before=view_of(before), after=view_of(after))
            )
        return after

    def delete(self, by: Principal, connection_id: str) -> None:
        """Raises NotFound, or Conflict when routes lead here."""
        with self._control.transaction() as transaction:
            before = store.get_connection(transaction.connection, by.project, connection_id)
            using = [
                stored.route.pattern
                for stored in store.list_routes(transaction.connection, by.project)
                if any(target.connection_id == before.id for target in stored.route.targets)
            ]
            if using:
                raise Conflict(
                    f"The connection {before.name!r} is a target of the routes {', '.join(using[:5])}; change them first."
                )
            store.delete_connection(transaction.connection, before.id)
            transaction.record(
                event_of(by, "connection.deleted", before.id, self._clock.now(), before=view_of(before), after=None)
            )

    async def test(self, by: Principal, connection_id: str) -> Probe:
        """Asks the provider for its models, and remembers them when it answers. Raises NotFound, or Invalid when the
        address may no longer be called."""
        opened = await anyio.to_thread.run_sync(self._ready, by, connection_id)
        probe = await self._prober.probe(opened)
        await anyio.to_thread.run_sync(self._tested, by, connection_id, probe)
        return probe

    def opened(self, stored: StoredConnection) -> Connection:
        """A connection with its secrets in clear, for the gateway."""
        sealed = {} if stored.sealed is None else orjson.loads(self._open(stored.id, stored.sealed))
        return Connection(
            id=stored.id,
            project_id=stored.project_id,
            name=stored.name,
            provider=stored.provider,
            base_url=self._local_url if self._is_own_model(stored.provider, stored.base_url) else stored.base_url,
            secret=sealed.get("secret", ""),
            options={**stored.options, **sealed.get("options", {})},
            models=stored.models,
            prices_as=stored.prices_as,
            is_default=stored.is_default,
            known_models=stored.known_models,
        )

    def _ready(self, by: Principal, connection_id: str) -> Connection:
        stored = self.get(by, connection_id)
        self._check_address(stored.provider, stored.base_url)
        return self.opened(stored)

    def _tested(self, by: Principal, connection_id: str, probe: Probe) -> None:
        with self._control.transaction() as transaction:
            before = store.get_connection(transaction.connection, by.project, connection_id)
            known = before.known_models
            if probe.ok:
                known = tuple(name for name in probe.models if 0 < len(name) <= _LONGEST_MODEL)[:_MOST_MODELS]
            after = replace(before, known_models=known)
            if after != before:
                store.update_connection(transaction.connection, after)
            transaction.record(
                event_of(
                    by,
                    "connection.tested",
                    after.id,
                    self._clock.now(),
                    before=view_of(before),
                    after=view_of(after),
                    details={"ok": probe.ok, "status": probe.status},
                )
            )

    def _make_way(self, transaction: Transaction, by: Principal, coming: StoredConnection) -> None:
        """There is one default: another one stops being it."""
        if not coming.is_default:
            return
        before = store.default_connection(transaction.connection, by.project)
        if before is None or before.id == coming.id:
            return
        now = self._clock.now()
        after = replace(before, is_default=False, updated_at=now)
        store.update_connection(transaction.connection, after)
        transaction.record(
            event_of(by, "connection.updated", after.id, now, before=view_of(before), after=view_of(after))
        )

    def _changed(
        self, before: StoredConnection, spec: ConnectionSpec, *, check_address: bool = True
    ) -> StoredConnection:
        if spec.provider is not None and before.name and spec.provider != before.provider:
            raise Invalid("The provider of a connection cannot change; add another connection.", param="provider")
        kind = self.catalogue.get(before.provider)
        if kind is None:
            known = ", ".join(self.catalogue)
            raise Invalid(f"Unknown provider {before.provider!r}; expected one of {known}.", param="provider")
        after = before
        if spec.name is not None:
            after = replace(after, name=_name(spec.name))
        if spec.base_url is not None:
            base_url = spec.base_url.strip() or kind.default_base_url
            if not base_url:
                raise Invalid(f"{kind.title} has no default address; give `base_url`.", param="base_url")
            if check_address:
                base_url = self._check_address(kind.kind, base_url)
            after = replace(after, base_url=base_url.rstrip("/"))
        if spec.models is not None:
            after = replace(after, models=_models(spec.models))
        if spec.prices_as is not None:
            after = replace(after, prices_as=self._prices_as(spec.prices_as))
        if spec.is_default is not None:
            after = replace(after, is_default=spec.is_default)
        return self._with_secrets(after, kind, spec, moved=_origin(after.base_url) != _origin(before.base_url))

    def _with_secrets(
        self, before: StoredConnection, kind: ProviderKind, spec: ConnectionSpec, *, moved: bool
    ) -> StoredConnection:
        """Seals what of `spec` is secret. A secret option that is left out of `options` keeps its value.

        Secrets are for the host they were given for: who may change the address must not thereby learn them."""
        held = {} if before.sealed is None else orjson.loads(self._open(before.id, before.sealed))
        if moved and held.get("secret") and spec.secret is None:
            raise Invalid("The address moves to another host; give the `secret` again.", param="secret")
        if moved and any(name not in (spec.options or {}) for name in held.get("options", {})):
            names = ", ".join(before.secret_options)
            raise Invalid(f"The address moves to another host; give the options {names} again.", param="options")
        secret: str = held.get("secret", "")
        options: dict[str, JSON] = held.get("options", {})
        plain = before.options
        if spec.secret is not None:
            secret = _secret(spec.secret)
        if spec.options is not None:
            given = _options(kind, spec.options)
            hidden = {option.name for option in kind.options if _is_hidden(option)}
            plain = {name: value for name, value in given.items() if name not in hidden}
            options = {
                name: value
                for name, value in {**options, **{name: given[name] for name in hidden & given.keys()}}.items()
                if value != ""
            }
        for option in kind.options:
            if option.required and option.name not in plain and option.name not in options:
                raise Invalid(f"{kind.title} needs the option {option.name!r} ({option.title}).", param="options")
        if kind.needs_secret and not secret:
            raise Invalid(f"{kind.title} needs a key; give `secret`.", param="secret")
        after = replace(before, options=plain)
        if secret == held.get("secret", "") and options == held.get("options", {}):
            return after
        sealed = {"secret": secret, "options": options} if secret or options else None
        return replace(
            after,
            sealed=None if sealed is None else self._seal(before.id, orjson.dumps(sealed)),
            has_secret=bool(secret),
            secret_version=before.secret_version + 1,
            secret_last4=secret[-4:] if len(secret) >= 12 else "",
            secret_options=tuple(sorted(options)),
        )

    def _check_address(self, provider: str, base_url: str) -> str:
        # The local model is this server's own child, on the loopback whoever the users are.
        if self._is_own_model(provider, base_url):
            return base_url
        return self._addresses.check(base_url)

    def _is_own_model(self, provider: str, base_url: str) -> bool:
        return provider == "local" and base_url == self.catalogue["local"].default_base_url

    def _prices_as(self, name: str) -> str:
        if name in ("", FREE):
            return name
        table_id = self._table.provider_named(name)
        if table_id is None:
            raise Invalid(
                f"{name[:80]!r} is no provider of the price table; see GET /prices, or use {FREE!r}.", param="prices_as"
            )
        return table_id

    def _seal(self, connection_id: str, data: bytes) -> bytes:
        return self._secrets.seal(data, connection_id)

    def _open(self, connection_id: str, sealed: bytes) -> bytes:
        return self._secrets.open(sealed, connection_id)


def view_of(stored: StoredConnection) -> dict[str, JSON]:
    """What anybody may see of a connection."""
    return {
        "id": stored.id,
        "name": stored.name,
        "provider": stored.provider,
        "base_url": stored.base_url,
        "has_secret": stored.has_secret,
        "secret_last4": stored.secret_last4,
        "secret_version": stored.secret_version,
        "secret_options": list(stored.secret_options),
        "options": stored.options,
        "models": list(stored.models),
        "known_models": list(stored.known_models),
        "prices_as": stored.prices_as,
        "is_default": stored.is_default,
    }


def _origin(base_url: str) -> str:
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{name[:80]!r} is no connection name; use 1 to 64 small letters, digits and dashes, such as openai-eu.",
            param="name",
        )
    return name


def _models(models: Sequence[str]) -> tuple[str, ...]:
    if len(models) > _MOST_MODELS:
        raise Invalid(f"{len(models)} models are too many; at most {_MOST_MODELS}, or use globs.", param="models")
    for model in models:
        if not 0 < len(model) <= _LONGEST_MODEL or not model.isprintable():
            raise Invalid(f"{model[:80]!r} is no model name or glob.", param="models")
    return tuple(dict.fromkeys(models))


def _secret(secret: str) -> str:
    secret = secret.strip()
    if len(secret) > _LONGEST_SECRET:
        raise Invalid(f"The secret is longer than {_LONGEST_SECRET} characters.", param="secret")
    return secret


def _options(kind: ProviderKind, given: Mapping[str, JSON]) -> dict[str, JSON]:
    fields = {option.name: option for option in kind.options}
    checked: dict[str, JSON] = {}
    for name, value in given.items():
        option = fields.get(name)
        if option is None:
            known = ", ".join(fields) or "none"
            raise Invalid(f"{kind.title} has no option {name[:80]!r}; it has: {known}.", param="options")
        if value is None or value == "" or value == {}:
            if _is_hidden(option):
                checked[name] = ""
            continue
        if not _fits(option, value):
            expected = f"one of {', '.join(option.choices)}" if option.kind == "choice" else f"a {option.kind}"
            raise Invalid(
                f"The option {name!r} of {kind.title} has a wrong value; expected {expected}.", param="options"
            )
        checked[name] = value
    return checked


def _is_hidden(option: OptionField) -> bool:
    """Whether the option's value is kept as a secret is: a header of one's own is a credential more often than not."""
    return option.kind == "secret" or option.name == "headers"


def _fits(option: OptionField, value: JSON) -> bool:
    match option.kind:
        case "map":
            return (
                isinstance(value, dict) and all(_is_text(one) for one in value.values()) and all(map(_is_text, value))
            )
        case "list":
            return isinstance(value, list) and all(_is_text(one) for one in value)
        case "choice":
            return value in option.choices
        case "flag":
            return isinstance(value, bool)
        case "number":
            if isinstance(value, str):
                return re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", value) is not None
            return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**15
        case "secret":
            return isinstance(value, str) and len(value) <= _LONGEST_SECRET and value.replace("\n", "").isprintable()
        case _:
            return _is_text(value)


def _is_text(value: JSON) -> bool:
    return isinstance(value, str) and len(value) <= 2000 and value.isprintable()
