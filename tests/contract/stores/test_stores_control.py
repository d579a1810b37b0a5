"""The control store keeps its word on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, insert, text, update
from sqlalchemy.exc import DBAPIError, StatementError

from octavo_server.core.errors import Unavailable
from octavo_server.core.events import Actor, Event
from octavo_server.stores import SchemaTooNew
from octavo_server.stores.control import ControlStore, events, metadata, sqlite_url
from octavo_server.stores.migrations import current, head, upgrade

AT = datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=UTC)


def event(number: int, **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "id": f"evt_{number}",
        "at": AT,
        "actor": Actor(kind="user", id="usr_1", name="Ada"),
        "action": "project.created",
        "subject_kind": "project",
        "subject_id": "prj_1",
        "project_id": "prj_1",
        "before_digest": None,
        "after_digest": "sha256:00",
        "reason": "why not",
        "details": {"name": "größe", "n": [1, None, True, 1.5], "deep": {"a": ""}},
        "request_id": "req_1",
    }
    return Event(**{**fields, **changes})


def in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def test_an_event_comes_back_as_it_was_recorded(control_store: ControlStore) -> None:
    with control_store.transaction() as transaction:
        seq = transaction.record(event(1))
    [stored] = control_store.events_after(0)
    assert (stored.seq, stored.event) == (seq, event(1))
    assert control_store.last_event_seq() == seq


def test_a_failed_change_leaves_no_event_and_calls_nobody(control_store: ControlStore) -> None:
    called: list[int] = []
    control_store.on_commit(lambda: called.append(1))
    with pytest.raises(RuntimeError), control_store.transaction() as transaction:
        transaction.record(event(1))
        raise RuntimeError
    assert control_store.last_event_seq() == 0
    assert called == []


def test_listeners_hear_of_commits_with_events_after_the_commit(control_store: ControlStore) -> None:
    heard: list[int] = []
    control_store.on_commit(lambda: heard.append(control_store.last_event_seq()))
    with control_store.transaction():
        pass
    with control_store.transaction() as transaction:
        seq = transaction.record(event(1))
        transaction.record(event(2))
    assert heard == [seq + 1]


@pytest.mark.parametrize("statement", [delete(events), update(events).values(reason="nothing happened")])
def test_events_can_be_neither_changed_nor_removed(control_store: ControlStore, statement: Any) -> None:
    with control_store.transaction() as transaction:
        transaction.record(event(1))
    with pytest.raises(DBAPIError, match="append-only"), control_store.transaction() as transaction:
        transaction.connection.execute(statement)
    assert [one.event for one in control_store.events_after(0)] == [event(1)]


def test_an_event_id_is_recorded_once(control_store: ControlStore) -> None:
    with control_store.transaction() as transaction:
        transaction.record(event(1))
    with pytest.raises(DBAPIError), control_store.transaction() as transaction:
        transaction.record(event(1))
    assert len(control_store.events_after(0)) == 1


def test_events_after_pages_through_all_of_them(control_store: ControlStore) -> None:
    with control_store.transaction() as transaction:
        for number in range(7):
            transaction.record(event(number))
    seen: list[str] = []
    seq = 0
    while page := control_store.events_after(seq, limit=3):
        seen += [one.event.id for one in page]
        seq = page[-1].seq
    assert seen == [f"evt_{number}" for number in range(7)]


def test_writers_at_once_lose_nothing_and_commit_in_the_order_of_their_numbers(control_store: ControlStore) -> None:
    """Each writer reads, decides and writes; whoever read a number before another wrote would repeat it. Meanwhile a
    reader that remembers the last number it saw must miss none."""
    seen: list[int] = []
    done = threading.Event()

    def follow() -> None:
        while True:
            last = done.is_set()
            while page := control_store.events_after(seen[-1] if seen else 0):
                seen.extend(one.seq for one in page)
            if last:
                return

    def write(writer: int) -> None:
        for number in range(10):
            with control_store.transaction() as transaction:
                count = transaction.connection.execute(text("SELECT count(*) FROM events")).scalar_one()
                transaction.record(event(writer * 100 + number, reason=str(count)))

    follower = threading.Thread(target=follow)
    follower.start()
    in_threads(4, write)
    done.set()
    follower.join()
    stored = control_store.events_after(0)
    assert sorted(int(one.event.reason or "") for one in stored) == list(range(40))
    assert seen == [one.seq for one in stored]


def test_a_reader_sees_one_state(control_store: ControlStore) -> None:
    with control_store.read() as connection:
        before = connection.execute(text("SELECT count(*) FROM events")).scalar_one()
        with control_store.transaction() as transaction:
            transaction.record(event(1))
        assert connection.execute(text("SELECT count(*) FROM events")).scalar_one() == before == 0


def test_times_keep_their_instant_and_naive_ones_are_refused(control_store: ControlStore) -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=-7)))
    with control_store.transaction() as transaction:
        transaction.record(event(1, at=elsewhere))
    [stored] = control_store.events_after(0)
    assert stored.event.at == AT
    assert stored.event.at.tzinfo is UTC
    with pytest.raises(StatementError, match="naive"), control_store.transaction() as transaction:
        transaction.connection.execute(insert(events).values(at=AT.replace(tzinfo=None)))


def test_the_migrated_schema_is_the_one_the_program_expects(control_store: ControlStore) -> None:
    from octavo_server.http import wiring

    assert wiring  # it imports every room's store, which put their tables on the metadata
    with control_store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrations_run_once_and_again_without_effect(empty_control_url: str) -> None:
    assert current(empty_control_url) is None
    assert upgrade(empty_control_url) == head()
    assert upgrade(empty_control_url) == head() == current(empty_control_url)


def test_replicas_that_start_at_once_migrate_once(empty_control_url: str) -> None:
    reached: list[str] = []
    in_threads(3, lambda _: reached.append(upgrade(empty_control_url)))
    assert reached == [head()] * 3


def test_a_newer_schema_is_refused_in_one_line_and_left_alone(empty_control_url: str) -> None:
    upgrade(empty_control_url)
    store = ControlStore(empty_control_url)
    with store.transaction() as transaction:
        transaction.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(SchemaTooNew, match=r"schema 9999.*start the newer Octavo") as caught:
        upgrade(empty_control_url)
    assert "\n" not in caught.value.message
    assert current(empty_control_url) == "9999"


def test_a_database_that_is_not_there_is_unavailable() -> None:
    store = ControlStore("postgresql://nobody@127.0.0.1:4629/nothing")
    with pytest.raises(Unavailable, match="control store does not answer"):
        store.check()
    store.close()
    store = ControlStore(sqlite_url(__import__("pathlib").Path("/nonexistent/folder/control.db")))
    with pytest.raises(Unavailable, match="control store does not answer"):
        store.check()
    store.close()
