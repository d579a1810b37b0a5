"""The people who log in to the console."""

from __future__ import annotations

from dataclasses import dataclass, replace

from octavo_server.core.clock import Clock
from octavo_server.core.digest import JSON
from octavo_server.core.errors import Conflict, Forbidden, Invalid
from octavo_server.core.ids import new_id
from octavo_server.edge.access import Principal
from octavo_server.governance import store
from octavo_server.governance.model import Role, User, check_email, check_password, outranks
from octavo_server.governance.service.changes import event_of
from octavo_server.governance.service.passwords import Passwords
from octavo_server.stores.control import ControlStore, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSpec:
    """What a new user shall be."""

    email: str
    password: str
    name: str = ""
    role: Role = Role.MEMBER
    memberships: dict[str, Role] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """The fields of a user to change; None leaves one as it is."""

    name: str | None = None
    role: Role | None = None
    memberships: dict[str, Role] | None = None
    disabled: bool | None = None
    password: str | None = None


class Users:
    """The verbs of users."""

    def __init__(self, control: ControlStore, clock: Clock, passwords: Passwords) -> None:
        self._control = control
        self._clock = clock
        self._passwords = passwords

    def everybody(self) -> list[User]:
        """Everybody, by email."""
        with self._control.read() as sql:
            return store.list_users(sql)

    def get(self, user_id: str) -> User:
        """Raises NotFound."""
        with self._control.read() as sql:
            return store.get_user(sql, user_id)

    def create(self, by: Principal, spec: UserSpec) -> User:
        """A new user, of a rank not above the maker's. Raises Conflict when the email is taken."""
        now = self._clock.now()
        email = check_email(spec.email)
        user = User(
            id=new_id("usr"),
            email=email,
            name=_name(spec.name) or email.partition("@")[0],
            role=spec.role,
            memberships=_memberships(spec.memberships or {}),
            created_at=now,
        )
        password_hash = self._passwords.hash(check_password(spec.password))
        with self._control.transaction() as transaction:
            _check_rank(transaction, by, user)
            store.insert_user(transaction.connection, user, password_hash)
            transaction.record(
                event_of(by, "user.created", user.id, now, project_id=None, before=None, after=user.view())
            )
        return user

    def create_first(self, by: Principal, *, email: str, password: str) -> User | None:
        """The first owner; None when there are users already, also when another process was faster."""
        now = self._clock.now()
        email = check_email(email)
        user = User(id=new_id("usr"), email=email, name=email.partition("@")[0], role=Role.OWNER, created_at=now)
        password_hash = self._passwords.hash(check_password(password))
        with self._control.transaction() as transaction:
            if store.has_users(transaction.connection):
                return None
            store.insert_user(transaction.connection, user, password_hash)
            transaction.record(
                event_of(by, "user.created", user.id, now, project_id=None, before=None, after=user.view())
            )
        return user

    def change(self, by: Principal, user_id: str, change: UserChange) -> User:
        """Changes a user; a new password or a disabling ends their sessions. Raises NotFound, and Conflict when no
        owner would be left."""
        password_hash = None if change.password is None else self._passwords.hash(check_password(change.password))
        with self._control.transaction() as transaction:
            sql = transaction.connection
            before = store.get_user(sql, user_id)
            after = replace(
                before,
                name=before.name if change.name is None else _name(change.name) or before.name,
                role=before.role if change.role is None else change.role,
                memberships=before.memberships if change.memberships is None else _memberships(change.memberships),
                disabled=before.disabled if change.disabled is None else change.disabled,
            )
            if after == before and password_hash is None:
                return after
            _check_rank(transaction, by, before)
            _check_rank(transaction, by, after)
            if after.role is not Role.OWNER or after.disabled:
                _check_owner_remains(transaction, before)
            store.update_user(sql, after)
            details: dict[str, JSON] = {}
            if password_hash is not None:
                store.set_password(sql, user_id, password_hash)
                details["new_password"] = True
            if password_hash is not None or after.disabled:
                store.delete_sessions_of(sql, user_id)
            transaction.record(
                event_of(
                    by,
                    "user.changed",
                    user_id,
                    self._clock.now(),
                    project_id=None,
                    before=before.view(),
                    after=after.view(),
                    details=details,
                )
            )
        return after

    def remove(self, by: Principal, user_id: str) -> None:
        """Deletes a user with their sessions; what they did stays in the events. Raises NotFound, and Conflict when
        no owner would be left."""
        with self._control.transaction() as transaction:
            before = store.get_user(transaction.connection, user_id)
            _check_rank(transaction, by, before)
            _check_owner_remains(transaction, before)
            store.delete_user(transaction.connection, user_id)
            transaction.record(
                event_of(
                    by,
                    "user.deleted",
                    user_id,
                    self._clock.now(),
                    project_id=None,
                    before=before.view(),
                    after=None,
                )
            )


def _check_rank(transaction: Transaction, by: Principal, user: User) -> None:
    if by.kind != "user":
        return
    own = store.get_user(transaction.connection, by.id).role
    if outranks(user.role, own):
        raise Forbidden(f"You are {own.value}: you cannot make, change or delete an {user.role.value}.")


def _check_owner_remains(transaction: Transaction, user: User) -> None:
    if user.role is Role.OWNER and not store.count_active_owners(transaction.connection, besides=user.id):
        raise Conflict(
            f"{user.email} is the last owner: make somebody else an owner first.", code="last_owner", param="role"
        )


def _memberships(memberships: dict[str, Role]) -> dict[str, Role]:
    if Role.OWNER in memberships.values() or Role.MEMBER in memberships.values():
        raise Invalid("memberships: expected the roles admin, developer or viewer", param="memberships")
    if not all(project_id.isprintable() for project_id in memberships):
        raise Invalid("memberships: expected project ids", param="memberships")
    return memberships


def _name(name: str) -> str:
    name = name.strip()
    if len(name) > 80 or not name.isprintable():
        raise Invalid("name: expected up to 80 printable characters", param="name")
    return name
