"""Who is calling the gateway: an API key's grant by the credentials of a request. Pure; the hot path runs it."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime

from octavo_server.core.errors import Forbidden, Unauthenticated
from octavo_server.edge.access import Permission
from octavo_server.governance.model import KeyGrant

SECRET_PREFIX = "sk-oct-"  # noqa: S105
PUBLIC_PREFIX = "pk-oct-"

_HOW = "Send 'Authorization: Bearer sk-oct-…' with an API key of this server (console: Settings, API keys)."


def hash_secret(secret: str) -> str:
    """The hex SHA-256 by which a secret is stored and found. The lookup by hash tells an attacker's clock nothing of
    the secret, since nobody can choose a hash's beginning at will."""
    return hashlib.sha256(secret.encode()).hexdigest()


def hint_of(secret: str) -> str:
    """What is shown of a secret: its prefix and last four characters."""
    return f"{SECRET_PREFIX}…{secret[-4:]}"


def authenticate(
    keys: Mapping[str, KeyGrant], authorization: str | None, x_api_key: str | None, now: datetime
) -> KeyGrant:
    """The grant of the key in `Authorization: Bearer sk-oct-…`, `Authorization: Basic base64(pk-oct-…:sk-oct-…)` or
    `x-api-key: sk-oct-…`. `keys` is by secret hash. Raises Unauthenticated, saying what is wrong, with code
    invalid_api_key."""
    public, secret = _credentials(authorization, x_api_key)
    grant = keys.get(hash_secret(secret))
    if grant is None or (public is not None and not hmac.compare_digest(public.encode(), grant.public_key.encode())):
        raise Unauthenticated(_unknown(secret, grant is not None))
    if grant.revoked_at is not None:
        raise Unauthenticated(
            f"The API key {grant.name!r} ({hint_of(secret)}) was revoked on {grant.revoked_at:%Y-%m-%d}; use another key."
        )
    if grant.expires_at is not None and grant.expires_at <= now:
        raise Unauthenticated(
            f"The API key {grant.name!r} ({hint_of(secret)}) expired on {grant.expires_at:%Y-%m-%d}; make a new one."
        )
    return grant


def require_scope(grant: KeyGrant, permission: Permission) -> None:
    """Raises Forbidden when the key has not the scope `permission`."""
    if permission not in grant.scopes:
        raise Forbidden(
            f"The API key {grant.name!r} lacks the scope {permission.value!r}; make a key that has it.",
            code="missing_scope",
        )


def _credentials(authorization: str | None, x_api_key: str | None) -> tuple[str | None, str]:
    """Public key, when one came along, and secret."""
    if authorization:
        scheme, _, value = authorization.partition(" ")
        value = value.strip()
        if scheme.lower() == "bearer" and value:
            return None, value
        if scheme.lower() == "basic" and value:
            try:
                public, _, secret = b64decode(value, validate=True).decode().partition(":")
            except ValueError:
                raise Unauthenticated(f"The Basic credentials are not base64 of 'pk-oct-…:sk-oct-…'. {_HOW}") from None
            return public, secret
        if not x_api_key:
            raise Unauthenticated(f"The Authorization header is neither 'Bearer …' nor 'Basic …'. {_HOW}")
    if x_api_key:
        return None, x_api_key.strip()
    raise Unauthenticated(f"No API key was sent. {_HOW}")


def _unknown(secret: str, public_differs: bool) -> str:
    if public_differs:
        return "The public key does not belong to the secret key; copy both from the same API key."
    if secret.startswith(PUBLIC_PREFIX):
        return f"This is a public key (pk-oct-…); the secret one is needed. {_HOW}"
    if secret.startswith(SECRET_PREFIX):
        return f"The API key {hint_of(secret)} is not known here: mistyped, of another server, or deleted."
    return f"This is not an API key of this server, which begin with 'sk-oct-'. {_HOW}"
