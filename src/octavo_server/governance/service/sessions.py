"""Console logins: a random token in the browser's cookie, its hash in the store."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple, Protocol

from octavo_server.core.clock import Clock
from octavo_server.core.errors import Forbidden, NotFound, RateLimited, Unauthenticated
from octavo_server.core.ids import new_id
from octavo_server.edge.access import Principal
from octavo_server.governance import store
from octavo_server.governance.model import Session, User, check_password, permissions_in_project
from octavo_server.governance.service.changes import event_of
from octavo_server.governance.service.passwords import Passwords
from octavo_server.stores.control import ControlStore

ATTEMPTS = 10
ATTEMPTS_OF_ADDRESS = 100
WINDOW_S = 900


class AttemptCounter(Protocol):
    """Counts what happened under a name within a window that begins with its first."""

    def add(self, name: str, window_s: int) -> int:
        """One more; how many there are now."""
        ...

    def clear(self, name: str) -> None: ...


class NewSession(NamedTuple):
    """A login just made; the token goes into the cookie and nowhere else."""

    session: Session
    token: str
    user: User


class Sessions:
    """The verbs of logging in and out."""

    def __init__(
        self, control: ControlStore, clock: Clock, passwords: Passwords, attempts: AttemptCounter, hours: int
    ) -> None:
        self._control = control
        self._clock = clock
        self._passwords = passwords
        self._attempts = attempts
        self._hours = hours

    def log_in(self, *, email: str, password: str, address: str, request_id: str | None = None) -> NewSession:
        """A new session. Unknown users and wrong passwords get the same answer after the same time. Raises
        Unauthenticated, and RateLimited after ten attempts on an account, or a hundred in all, from one address in a
        quarter of an hour."""
        email = email.strip().lower()
        account = f"login:{hashlib.sha256(email.encode()).hexdigest()[:32]}:{address}"
        if (
            self._attempts.add(account, WINDOW_S) > ATTEMPTS
            or self._attempts.add(f"login:{address}", WINDOW_S) > ATTEMPTS_OF_ADDRESS
        ):
            raise RateLimited(
                "Too many login attempts; wait a quarter of an hour and try again.", retry_after_s=float(WINDOW_S)
            )
        with self._control.read() as sql:
            login = store.find_login(sql, email)
        right = self._passwords.matches(login.password_hash if login else None, password)
        if login is None or not right or login.disabled:
            raise Unauthenticated("The email or the password is wrong.", code="wrong_login")
        now = self._clock.now()
        session = Session(
            id=new_id("ses"),
            user_id=login.user_id,
            created_at=now,
            expires_at=now + timedelta(hours=self._hours),
        )
        token = secrets.token_urlsafe(32)
        with self._control.transaction() as transaction:
            user = store.get_user(transaction.connection, login.user_id)
            store.insert_session(transaction.connection, session, _hash(token))
            by = replace(_principal(user), request_id=request_id)
            transaction.record(
                event_of(by, "user.logged_in", user.id, now, project_id=None, before=user.view(), after=user.view())
            )
        self._attempts.clear(account)
        return NewSession(session, token, user)

    def authenticate(self, token: str, project: str | None) -> Principal:
        """The user of a session's token as the caller of a request about `project` (id or slug). Raises
        Unauthenticated, and NotFound for a project that does not exist or is not theirs."""
        with self._control.read() as sql:
            session = store.find_session(sql, _hash(token), self._clock.now())
            if session is None:
                raise Unauthenticated("Your login has expired; log in again.", code="session_expired")
            user = store.get_user(sql, session.user_id)
            found = store.find_project(sql, project) if project is not None else None
        if user.disabled:
            raise Unauthenticated("Your login has expired; log in again.", code="session_expired")
        principal = replace(_principal(user), session_id=session.id)
        if project is None:
            return principal
        permissions = permissions_in_project(user.role, user.memberships.get(found.id) if found else None)
        if found is None or not permissions:
            raise NotFound(f"No project {project[:60]!r} that you may see.", code="project_not_found")
        return replace(principal, project_id=found.id, permissions=permissions)

    def log_out(self, by: Principal) -> None:
        """Ends the caller's session; without one nothing happens."""
        if by.session_id is None:
            return
        with self._control.transaction() as transaction:
            if store.delete_session(transaction.connection, by.session_id):
                view = store.get_user(transaction.connection, by.id).view()
                transaction.record(
                    event_of(by, "user.logged_out", by.id, self._clock.now(), project_id=None, before=view, after=view)
                )

    def change_password(self, by: Principal, *, old: str, new: str) -> None:
        """Sets the caller's own password and ends their other sessions. Raises Forbidden when `old` is wrong."""
        if by.kind != "user":
            raise Forbidden("Only a person has a password; log in to the console.")
        with self._control.read() as sql:
            login = store.get_login(sql, by.id)
        if self._attempts.add(f"password:{by.id}", WINDOW_S) > ATTEMPTS:
            raise RateLimited("Too many attempts; try again in a quarter of an hour.", retry_after_s=float(WINDOW_S))
        if not self._passwords.matches(login.password_hash if login else None, old):
            raise Forbidden("The present password is wrong.", code="wrong_password", param="old_password")
        password_hash = self._passwords.hash(check_password(new))
        with self._control.transaction() as transaction:
            view = store.get_user(transaction.connection, by.id).view()
            store.set_password(transaction.connection, by.id, password_hash)
            store.delete_sessions_of(transaction.connection, by.id, besides=by.session_id)
            transaction.record(
                event_of(
                    by,
                    "user.password_changed",
                    by.id,
                    self._clock.now(),
                    project_id=None,
                    before=view,
                    after=view,
                )
            )
        self._attempts.clear(f"password:{by.id}")


def forget_expired(control: ControlStore, clock: Clock) -> int:
    """Deletes sessions that have run out, and says how many. No event: nobody decided anything."""
    with control.transaction() as transaction:
        return store.delete_expired_sessions(transaction.connection, clock.now())


def csrf_token(token: str) -> str:
    """What a page must send along to change anything: derived from the session's token, which a page cannot read."""
    return hashlib.sha256(b"octavo-csrf\0" + token.encode()).hexdigest()[:43]


def is_csrf_token(token: str, given: str | None) -> bool:
    """Whether `given` belongs to the session, in constant time."""
    return given is not None and hmac.compare_digest(csrf_token(token).encode(), given.encode())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _principal(user: User) -> Principal:
    return Principal(
        kind="user",
        id=user.id,
        name=user.name,
        project_id=None,
        environment=None,
        permissions=permissions_in_project(user.role, None),
    )
