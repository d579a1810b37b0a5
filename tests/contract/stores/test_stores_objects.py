"""Parts keep their content, refs move one step at a time, blobs are whole or absent."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo_server.core.digest import digest
from octavo_server.core.errors import NotFound
from octavo_server.core.events import SYSTEM, Event
from octavo_server.stores.control import ControlStore, metadata, sqlite_url
from octavo_server.stores.objects import BlobStore, RefMoved, get_part, get_ref, list_refs, move_ref, put_part

AT = datetime(2026, 11, 23, tzinfo=UTC)
NAME = "support-bot/production"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_a_part_is_found_under_its_digest_in_its_project_only(control_store: ControlStore) -> None:
    value: Any = {"b": [1, 2.5, None, "größe\n"], "a": {"z": True, "y": ""}}
    with control_store.transaction() as transaction:
        name = put_part(transaction, "prj_a", value, at=AT)
        assert put_part(transaction, "prj_a", {"a": value["a"], "b": value["b"]}, at=AT) == name == digest(value)
    with control_store.read() as connection:
        assert get_part(connection, "prj_a", name) == value
        with pytest.raises(NotFound, match=name):
            get_part(connection, "prj_b", name)


def test_a_ref_is_made_moved_and_removed_from_where_it_was_seen(control_store: ControlStore) -> None:
    steps = [(None, "sha256:1"), ("sha256:1", "sha256:2"), ("sha256:2", None), (None, "sha256:3")]
    for expected, new in steps:
        with control_store.transaction() as transaction:
            move_ref(transaction, "prj_a", NAME, expected=expected, new=new, at=AT)
        with control_store.read() as connection:
            ref = get_ref(connection, "prj_a", NAME)
            assert (ref.digest if ref else None) == new
            assert get_ref(connection, "prj_b", NAME) is None


@pytest.mark.parametrize("expected", [None, "sha256:2"])
def test_a_ref_that_has_moved_stays_where_it_is(control_store: ControlStore, expected: str | None) -> None:
    with control_store.transaction() as transaction:
        move_ref(transaction, "prj_a", NAME, expected=None, new="sha256:1", at=AT)
    with pytest.raises(RefMoved, match="read it again") as caught, control_store.transaction() as transaction:
        move_ref(transaction, "prj_a", NAME, expected=expected, new="sha256:3", at=AT)
    assert (caught.value.actual, caught.value.status) == ("sha256:1", 409)
    with control_store.read() as connection:
        assert [(ref.name, ref.digest) for ref in list_refs(connection, "prj_a")] == [(NAME, "sha256:1")]


def test_refs_are_listed_by_prefix_taken_literally(control_store: ControlStore) -> None:
    with control_store.transaction() as transaction:
        for name in ("a_b/x", "aXb/x", "a_b/y", "a_b%"):
            move_ref(transaction, "prj_a", name, expected=None, new="sha256:1", at=AT)
    with control_store.read() as connection:
        assert [ref.name for ref in list_refs(connection, "prj_a", "a_b/")] == ["a_b/x", "a_b/y"]
        assert [ref.name for ref in list_refs(connection, "prj_a", "a_b%")] == ["a_b%"]


RACER = """
    import sys
    from datetime import UTC, datetime
    from octavo_server.stores.control import ControlStore
    from octavo_server.stores.objects import RefMoved, get_ref, move_ref

    store = ControlStore(sys.argv[1])
    for number in range(10):
        while True:
            with store.read() as connection:
                seen = get_ref(connection, "prj_a", "race")
            expected = seen.digest if seen else None
            try:
                with store.transaction() as transaction:
                    new = f"{int(expected or 0) + 1}"
                    move_ref(transaction, "prj_a", "race", expected=expected, new=new, at=datetime.now(UTC))
                break
            except RefMoved:
                pass
    store.close()
"""


def test_of_racing_processes_each_move_wins_once(control_store: ControlStore) -> None:
    """A lost update would leave the count short."""
    url = control_store.engine.url.render_as_string(hide_password=False)
    arguments = [sys.executable, "-c", textwrap.dedent(RACER), url]
    racers = [subprocess.Popen(arguments) for _ in range(3)]
    assert [racer.wait() for racer in racers] == [0, 0, 0]
    with control_store.read() as connection:
        ref = get_ref(connection, "prj_a", "race")
    assert ref is not None
    assert ref.digest == "30"


def test_of_racing_threads_one_moves_the_ref_and_one_event_tells(control_store: ControlStore) -> None:
    moved: list[int] = []

    def move(number: int) -> None:
        try:
            with control_store.transaction() as transaction:
                move_ref(transaction, "prj_a", NAME, expected=None, new=f"sha256:{number}", at=AT)
                transaction.record(_moved(NAME, None, f"sha256:{number}", number))
        except RefMoved:
            return
        moved.append(number)

    threads = [threading.Thread(target=move, args=(number,)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [stored.event.after_digest for stored in control_store.events_after(0)] == [f"sha256:{n}" for n in moved]
    assert len(moved) == 1


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from([None, "1", "2"]), st.sampled_from([None, "1", "2"])),
        max_size=15,
    )
)
def test_the_events_of_moves_replay_to_the_refs(moves: list[tuple[str, str | None, str | None]]) -> None:
    with _fresh_store() as store:
        for number, (name, expected, new) in enumerate(moves):
            try:
                with store.transaction() as transaction:
                    move_ref(transaction, "prj_a", name, expected=expected, new=new, at=AT)
                    transaction.record(_moved(name, expected, new, number))
            except RefMoved:
                pass
        replayed = {one.event.subject_id: one.event.after_digest for one in store.events_after(0)}
        with store.read() as connection:
            refs = {ref.name: ref.digest for ref in list_refs(connection, "prj_a")}
    assert refs == {name: there for name, there in replayed.items() if there is not None}


@settings(deadline=None, max_examples=15)
@given(st.lists(JSON, max_size=5))
def test_any_part_comes_back_under_its_digest(values: list[Any]) -> None:
    with _fresh_store() as store:
        with store.transaction() as transaction:
            names = [put_part(transaction, "prj_a", value, at=AT) for value in values]
        with store.read() as connection:
            assert [get_part(connection, "prj_a", name) for name in names] == values


def test_a_blob_comes_back_and_is_kept_once(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    data = bytes(range(256)) * 1000
    name = blobs.put("prj_a", data)
    assert blobs.put("prj_a", data) == name
    assert blobs.get("prj_a", name) == data
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    with pytest.raises(NotFound):
        blobs.get("prj_b", name)


@pytest.mark.parametrize("name", ["", "sha256:", "sha256:../../etc/passwd", "sha256:" + "G" * 64, "sha256:" + "0" * 64])
def test_what_is_no_blob_is_not_found(tmp_path: Path, name: str) -> None:
    blobs = BlobStore(tmp_path)
    with pytest.raises(NotFound):
        blobs.get("prj_a", name)
    with pytest.raises(NotFound):
        blobs.get("../prj_a", "sha256:" + "0" * 64)


def _moved(name: str, before: str | None, after: str | None, number: int) -> Event:
    return Event(
        id=f"evt_{number}",
        at=AT,
        actor=SYSTEM,
        action="ref.moved",
        subject_kind="ref",
        subject_id=name,
        project_id="prj_a",
        before_digest=before,
        after_digest=after,
    )


@contextmanager
def _fresh_store() -> Iterator[ControlStore]:
    """A store for one example of a property."""
    with tempfile.TemporaryDirectory() as folder:
        store = ControlStore(sqlite_url(Path(folder) / "control.db"))
        metadata.create_all(store.engine)
        yield store
        store.close()
