"""Who is calling: every shape of credentials that clients send, and what the wrong ones are told."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.core.errors import Forbidden, Unauthenticated
from octavo_server.edge.access import Permission
from octavo_server.governance.model import KeyGrant
from octavo_server.governance.runtime import authenticate, hash_secret, hint_of, require_scope

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SECRET = "sk-oct-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
PUBLIC = "pk-oct-abcdefghijklmnopqrstuv"
GRANT = KeyGrant(
    key_id="key_1",
    public_key=PUBLIC,
    secret_hash=hash_secret(SECRET),
    name="app",
    project_id="prj_1",
    environment="production",
    scopes=frozenset({Permission.GATEWAY_CALL}),
)
KEYS = {GRANT.secret_hash: GRANT}


def basic(public: str, secret: str) -> str:
    return "Basic " + b64encode(f"{public}:{secret}".encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "x_api_key"),
    [
        (f"Bearer {SECRET}", None),
        (f"bearer  {SECRET} ", None),
        (basic(PUBLIC, SECRET), None),
        (None, SECRET),
        ("Digest nothing", SECRET),
    ],
)
def test_the_ways_to_send_a_key(authorization: str | None, x_api_key: str | None) -> None:
    assert authenticate(KEYS, authorization, x_api_key, NOW) is GRANT


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "told"),
    [
        (None, None, "No API key was sent"),
        ("", "", "No API key was sent"),
        ("Digest x", None, "neither 'Bearer"),
        ("Bearer", None, "neither 'Bearer"),
        ("Basic !!!", None, "not base64"),
        ("Basic " + b64encode(b"\xff\xfe").decode(), None, "not base64"),
        ("Bearer sk-other", None, "begin with 'sk-oct-'"),
        (f"Bearer {PUBLIC}", None, "public key"),
        ("Bearer sk-oct-wrongwrongwrongwrong1234", None, "sk-oct-…1234 is not known"),
        (basic("pk-oct-other", SECRET), None, "does not belong"),
        (basic("", SECRET), None, "does not belong"),
    ],
)
def test_a_wrong_key_is_told_what_is_wrong(authorization: str | None, x_api_key: str | None, told: str) -> None:
    with pytest.raises(Unauthenticated, match=told) as refused:
        authenticate(KEYS, authorization, x_api_key, NOW)
    assert refused.value.code == "invalid_api_key"


def test_an_expired_and_a_revoked_key_say_so() -> None:
    expired = replace(GRANT, expires_at=NOW)
    with pytest.raises(Unauthenticated, match="expired on 2026-11-23"):
        authenticate({GRANT.secret_hash: expired}, f"Bearer {SECRET}", None, NOW)
    assert authenticate({GRANT.secret_hash: expired}, f"Bearer {SECRET}", None, NOW - timedelta(seconds=1)) is expired
    revoked = replace(GRANT, revoked_at=NOW)
    with pytest.raises(Unauthenticated, match="revoked on 2026-11-23"):
        authenticate({GRANT.secret_hash: revoked}, f"Bearer {SECRET}", None, NOW)


def test_a_scope_is_held_or_refused() -> None:
    require_scope(GRANT, Permission.GATEWAY_CALL)
    with pytest.raises(Forbidden, match=r"traces\.read"):
        require_scope(GRANT, Permission.TRACES_READ)


@given(st.text(), st.one_of(st.none(), st.text()))
def test_no_credentials_but_the_right_ones_pass_and_none_is_shown(authorization: str, x_api_key: str | None) -> None:
    with pytest.raises(Unauthenticated) as refused:
        authenticate(KEYS, authorization, x_api_key, NOW)
    secret = authorization.partition(" ")[2].strip()
    if len(secret) > 12:
        assert secret not in refused.value.message


def test_a_hint_shows_four_characters() -> None:
    assert hint_of(SECRET) == "sk-oct-…DEFG"
