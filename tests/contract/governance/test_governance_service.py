"""Projects, users, logins and keys: what is kept, what is refused, and that every change is told once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from governance_room import OWNER_PASSWORD, HandClock
from sqlalchemy import text

from octavo_server.core.digest import digest
from octavo_server.core.errors import Conflict, Forbidden, Invalid, NotFound, RateLimited, Unauthenticated
from octavo_server.core.events import Event
from octavo_server.edge.access import Permission, Principal
from octavo_server.governance.model import ROLE_PERMISSIONS, KeySpec, Project, Role
from octavo_server.governance.runtime import hash_secret
from octavo_server.governance.service import Governance
from octavo_server.governance.service.changes import SYSTEM_PRINCIPAL
from octavo_server.governance.service.projects import ProjectChange
from octavo_server.governance.service.sessions import forget_expired
from octavo_server.governance.service.users import UserChange, UserSpec
from octavo_server.governance.store import EventFilter
from octavo_server.stores.control import ControlStore
from octavo_server.traces.model import CaptureMode

ADDRESS = "192.0.2.1"


def events_of(control: ControlStore) -> list[Event]:
    return [stored.event for stored in control.events_after(0)]


def add_user(governance: Governance, by: Principal, email: str, **fields: Any) -> Principal:
    """A user with the password `password`, logged in."""
    governance.users.create(by, UserSpec(email=email, password="password", **fields))
    login = governance.sessions.log_in(email=email, password="password", address=ADDRESS)
    return governance.sessions.authenticate(login.token, None)


# ---- every change, one event ------------------------------------------------------------------------------------

VERBS: dict[str, Callable[[Governance, Principal], Any]] = {
    "project.created": lambda g, by: g.projects.create(by, name="Another"),
    "project.changed": lambda g, by: g.projects.change(by, ProjectChange(capture=CaptureMode.METADATA)),
    "environment.created": lambda g, by: g.projects.add_environment(by, "qa"),
    "user.created": lambda g, by: g.users.create(by, UserSpec(email="new@example.com", password="password")),
    "user.changed": lambda g, by: g.users.change(by, other_user(g), UserChange(name="Robert")),
    "user.deleted": lambda g, by: g.users.remove(by, other_user(g)),
    "user.logged_in": lambda g, by: g.sessions.log_in(email="ada@example.com", password=OWNER_PASSWORD, address="-"),
    "user.logged_out": lambda g, by: g.sessions.log_out(by),
    "user.password_changed": lambda g, by: g.sessions.change_password(by, old=OWNER_PASSWORD, new="another password"),
    "api_key.created": lambda g, by: g.keys.create(by, KeySpec(name="ci", environment="staging")),
    "api_key.revoked": lambda g, by: g.keys.revoke(by, g.keys.of_project(by)[0].grant.key_id),
}


NO_EVENTS = {
    "sqlite": ["CREATE TRIGGER no_events BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'full'); END"],
    "postgresql": [
        "CREATE FUNCTION no_events() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full'; END $$",
        "CREATE TRIGGER no_events BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION no_events()",
    ],
}


def other_user(governance: Governance) -> str:
    return next(user.id for user in governance.users.everybody() if user.email == "bob@example.com")


@pytest.mark.parametrize("action", VERBS)
def test_every_verb_records_exactly_one_event(
    governance: Governance, control: ControlStore, ada: Principal, action: str
) -> None:
    governance.users.create(ada, UserSpec(email="bob@example.com", password="password"))
    governance.keys.create(ada, KeySpec(name="app", environment="production"))
    before = len(events_of(control))
    VERBS[action](governance, ada)
    made = events_of(control)[before:]
    assert [event.action for event in made] == [action]
    event = made[0]
    assert (event.actor.kind, event.actor.id) == ("user", ada.id)
    assert event.before_digest or event.after_digest
    assert (event.before_digest is None) == action.endswith(".created")
    assert (event.after_digest is None) == action.endswith(".deleted")


@pytest.mark.parametrize("action", VERBS)
def test_a_change_and_its_event_fail_together(
    governance: Governance, control: ControlStore, ada: Principal, action: str
) -> None:
    governance.users.create(ada, UserSpec(email="bob@example.com", password="password"))
    governance.keys.create(ada, KeySpec(name="app", environment="production"))
    with control.transaction() as transaction:
        for statement in NO_EVENTS[control.dialect]:
            transaction.connection.execute(text(statement))
    kept = everything(control)
    with pytest.raises(Exception, match="full"):
        VERBS[action](governance, ada)
    assert everything(control) == kept


def everything(control: ControlStore) -> dict[str, list[Any]]:
    tables = ("projects", "environments", "users", "memberships", "sessions", "api_keys", "events")
    with control.read() as sql:
        return {table: [tuple(row) for row in sql.execute(text(f"SELECT * FROM {table}"))] for table in tables}


def test_digests_are_of_the_public_view(governance: Governance, control: ControlStore, ada: Principal) -> None:
    before = governance.projects.get(ada)
    after = governance.projects.change(ada, ProjectChange(name="New name"))
    event = events_of(control)[-1]
    assert (event.before_digest, event.after_digest) == (digest(before.view()), digest(after.view()))
    assert event.details["changed"] == ["name"]


def test_a_change_to_what_is_already_so_is_no_change(
    governance: Governance, control: ControlStore, ada: Principal, project: Project
) -> None:
    before = len(events_of(control))
    governance.projects.change(ada, ProjectChange(name=project.name))
    assert len(events_of(control)) == before


# ---- the first start --------------------------------------------------------------------------------------------


def test_the_first_owner_gets_a_password_once(governance: Governance) -> None:
    made_up = governance.create_first_user(email="Ada@Example.com", password="")
    assert made_up is not None
    assert governance.create_first_user(email="ada@example.com", password="") is None
    login = governance.sessions.log_in(email="ada@example.com", password=made_up, address=ADDRESS)
    assert login.user.role is Role.OWNER


def test_a_given_password_is_not_told_back(governance: Governance) -> None:
    assert governance.create_first_user(email="ada@example.com", password=OWNER_PASSWORD) is None
    assert governance.sessions.log_in(email="ada@example.com", password=OWNER_PASSWORD, address=ADDRESS)


def test_two_processes_that_start_at_once_make_one_owner(governance: Governance) -> None:
    barrier = threading.Barrier(2)
    made: list[str | None] = []

    def start() -> None:
        barrier.wait()
        made.append(governance.create_first_user(email="ada@example.com", password=""))

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(governance.users.everybody()) == 1
    assert sorted(password is None for password in made) == [False, True]


# ---- projects ---------------------------------------------------------------------------------------------------


def test_a_project_has_its_environments(governance: Governance, ada: Principal, project: Project) -> None:
    assert project.slug == "support-bot"
    assert [one.name for one in governance.projects.environments(ada)] == ["development", "production", "staging"]
    governance.projects.add_environment(ada, "qa_2")
    with pytest.raises(Conflict):
        governance.projects.add_environment(ada, "qa_2")


def test_slugs_are_unique(governance: Governance, owner: Principal, project: Project) -> None:
    with pytest.raises(Conflict):
        governance.projects.create(owner, name="support bot")
    assert governance.projects.create(owner, name="support bot", slug="support-bot-2").slug == "support-bot-2"


# ---- users and logins -------------------------------------------------------------------------------------------


def test_unknown_user_and_wrong_password_are_the_same_to_a_stranger(governance: Governance, owner: Principal) -> None:
    refusals = []
    for email in ("ada@example.com", "nobody@example.com"):
        with pytest.raises(Unauthenticated) as refused:
            governance.sessions.log_in(email=email, password="wrong", address=ADDRESS)
        refusals.append((refused.value.code, refused.value.message))
    assert refusals[0] == refusals[1]


def test_guessing_is_stopped_per_account_and_address(governance: Governance, owner: Principal) -> None:
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            governance.sessions.log_in(email="ada@example.com", password="wrong", address=ADDRESS)
    with pytest.raises(RateLimited):
        governance.sessions.log_in(email="ada@example.com", password=OWNER_PASSWORD, address=ADDRESS)
    assert governance.sessions.log_in(email="ada@example.com", password=OWNER_PASSWORD, address="192.0.2.9")


def test_a_session_ends(governance: Governance, control: ControlStore, clock: HandClock, owner: Principal) -> None:
    login = governance.sessions.log_in(email="ada@example.com", password=OWNER_PASSWORD, address=ADDRESS)
    clock.pass_by(hours=25)
    with pytest.raises(Unauthenticated):
        governance.sessions.authenticate(login.token, None)
    assert forget_expired(control, clock) == 2


def test_logging_out_ends_this_session_only(governance: Governance, owner: Principal) -> None:
    login = governance.sessions.log_in(email="ada@example.com", password=OWNER_PASSWORD, address=ADDRESS)
    governance.sessions.log_out(owner)
    assert governance.sessions.authenticate(login.token, None).id == owner.id


def test_a_new_password_ends_the_other_sessions(governance: Governance, owner: Principal) -> None:
    login = governance.sessions.log_in(email="ada@example.com", password=OWNER_PASSWORD, address=ADDRESS)
    with pytest.raises(Forbidden):
        governance.sessions.change_password(owner, old="wrong", new="another password")
    governance.sessions.change_password(owner, old=OWNER_PASSWORD, new="another password")
    with pytest.raises(Unauthenticated):
        governance.sessions.authenticate(login.token, None)
    assert governance.sessions.log_in(email="ada@example.com", password="another password", address=ADDRESS)


def test_a_disabled_user_is_out_at_once(governance: Governance, owner: Principal) -> None:
    bob = add_user(governance, owner, "bob@example.com", role=Role.VIEWER)
    governance.users.change(owner, bob.id, UserChange(disabled=True))
    with pytest.raises(Unauthenticated):
        governance.sessions.log_in(email="bob@example.com", password="password", address=ADDRESS)


def test_the_last_owner_stays(governance: Governance, owner: Principal) -> None:
    for change in (UserChange(role=Role.ADMIN), UserChange(disabled=True)):
        with pytest.raises(Conflict, match="last owner"):
            governance.users.change(owner, owner.id, change)
    with pytest.raises(Conflict, match="last owner"):
        governance.users.remove(owner, owner.id)
    add_user(governance, owner, "eve@example.com", role=Role.OWNER)
    governance.users.change(owner, owner.id, UserChange(role=Role.ADMIN))


def test_nobody_makes_or_touches_a_higher_rank(governance: Governance, owner: Principal) -> None:
    admin = add_user(governance, owner, "bob@example.com", role=Role.ADMIN)
    for act in (
        lambda: governance.users.create(admin, UserSpec(email="x@example.com", password="password", role=Role.OWNER)),
        lambda: governance.users.change(admin, admin.id, UserChange(role=Role.OWNER)),
        lambda: governance.users.change(admin, owner.id, UserChange(password="taken over")),
        lambda: governance.users.remove(admin, owner.id),
    ):
        with pytest.raises(Forbidden):
            act()


def test_a_membership_gives_rights_in_its_project_only(
    governance: Governance, owner: Principal, project: Project
) -> None:
    other = governance.projects.create(owner, name="Other")
    governance.users.create(
        owner,
        UserSpec(email="bob@example.com", password="password", memberships={project.id: Role.ADMIN}),
    )
    token = governance.sessions.log_in(email="bob@example.com", password="password", address=ADDRESS).token
    here = governance.sessions.authenticate(token, project.slug)
    assert here.project_id == project.id
    assert here.may(Permission.COSTS_WRITE) and here.may(Permission.KEYS_WRITE)
    assert not here.may(Permission.USERS_WRITE) and not here.may(Permission.PROJECTS_CREATE)
    with pytest.raises(NotFound):
        governance.sessions.authenticate(token, other.id)
    assert [one.id for one in governance.projects.visible(here)] == [project.id]


# ---- keys -------------------------------------------------------------------------------------------------------


def test_a_secret_is_shown_once_and_kept_hashed(governance: Governance, control: ControlStore, ada: Principal) -> None:
    made = governance.keys.create(ada, KeySpec(name="app", environment="production"))
    assert made.secret.startswith("sk-oct-") and len(made.secret) == 50
    with control.read() as sql:
        for table in ("api_keys", "events"):
            assert made.secret not in repr(sql.execute(text(f"SELECT * FROM {table}")).all())
    assert governance.snapshot_parts().keys[hash_secret(made.secret)] == made.key.grant


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"environment": "nowhere"}, Invalid),
        ({"name": ""}, Invalid),
        ({"scopes": frozenset()}, Invalid),
        ({"scopes": frozenset({Permission.USERS_WRITE})}, Invalid),
        ({"allowed_models": ("",)}, Invalid),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    governance: Governance, ada: Principal, change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        governance.keys.create(ada, replace(KeySpec(name="app", environment="production"), **change))


def test_a_key_cannot_have_expired_already(governance: Governance, clock: HandClock, ada: Principal) -> None:
    with pytest.raises(Invalid, match="past"):
        governance.keys.create(ada, KeySpec(name="app", environment="production", expires_at=clock.now()))


def test_a_key_can_do_no_more_than_its_maker(governance: Governance, ada: Principal) -> None:
    limited = replace(ada, permissions=frozenset({Permission.KEYS_WRITE, Permission.TRACES_READ}))
    with pytest.raises(Forbidden, match=r"gateway\.call"):
        governance.keys.create(limited, KeySpec(name="app", environment="production"))


def test_a_key_made_with_a_key_inherits_its_limits(governance: Governance, clock: HandClock, ada: Principal) -> None:
    scopes = frozenset({Permission.KEYS_WRITE, Permission.GATEWAY_CALL})
    until = clock.now() + timedelta(days=1)
    parent = governance.keys.create(
        ada,
        KeySpec(name="p", environment="staging", scopes=scopes, allowed_models=("gpt-4.1-*", "o3"), expires_at=until),
    ).key
    by = Principal(
        kind="api_key",
        id=parent.grant.key_id,
        name="p",
        project_id=ada.project,
        environment="staging",
        permissions=scopes,
    )
    child = KeySpec(name="c", environment="staging", scopes=scopes, allowed_models=("o3",), expires_at=until)
    assert governance.keys.create(by, child)
    for wider in (
        replace(child, allowed_models=()),
        replace(child, allowed_models=("*",)),
        replace(child, environment="production"),
        replace(child, expires_at=None),
    ):
        with pytest.raises(Forbidden, match="narrow"):
            governance.keys.create(by, wider)


def test_a_key_is_revoked_once_however_many_try(governance: Governance, control: ControlStore, ada: Principal) -> None:
    key_id = governance.keys.create(ada, KeySpec(name="app", environment="production")).key.grant.key_id
    barrier = threading.Barrier(8)
    refused: list[str] = []

    def revoke() -> None:
        barrier.wait()
        try:
            governance.keys.revoke(ada, key_id)
        except Conflict as error:
            refused.append(error.code)

    threads = [threading.Thread(target=revoke) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["already_revoked"] * 7
    assert [event.action for event in events_of(control)].count("api_key.revoked") == 1


def test_last_use_only_moves_forward_and_tells_nobody(
    governance: Governance, control: ControlStore, clock: HandClock, ada: Principal
) -> None:
    key_id = governance.keys.create(ada, KeySpec(name="app", environment="production")).key.grant.key_id
    before = len(events_of(control))
    now = clock.now()
    governance.keys.note_use({key_id: now})
    governance.keys.note_use({key_id: now - timedelta(hours=1)})
    assert governance.keys.get(ada, key_id).last_used_at == now
    assert len(events_of(control)) == before


# ---- reading events ---------------------------------------------------------------------------------------------


def test_events_are_paged_newest_first(governance: Governance, ada: Principal) -> None:
    for number in range(5):
        governance.projects.add_environment(ada, f"env-{number}")
    wanted = EventFilter(project_id=ada.project, action="environment.created")
    first = governance.events(ada, wanted, everywhere=False, cursor=None, limit=3)
    second = governance.events(ada, wanted, everywhere=False, cursor=first.next_cursor, limit=3)
    assert [one.event.subject_id for one in (*first.data, *second.data)] == [f"env-{n}" for n in range(4, -1, -1)]
    assert second.next_cursor is None


def test_the_whole_servers_events_are_for_who_administers_users(governance: Governance, ada: Principal) -> None:
    developer = replace(ada, permissions=ROLE_PERMISSIONS[Role.DEVELOPER])
    wanted = EventFilter(project_id=None)
    with pytest.raises(Forbidden):
        governance.events(developer, wanted, everywhere=True, cursor=None, limit=10)
    found = governance.events(ada, wanted, everywhere=True, cursor=None, limit=100)
    assert found.data[-1].event.actor.id == SYSTEM_PRINCIPAL.id
