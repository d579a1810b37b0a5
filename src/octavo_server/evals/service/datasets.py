"""The verbs of datasets. Each change is one transaction with its event and makes the next version; writers are serial,
so versions have no gaps and nobody's cases are lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from octavo_server.core.clock import Clock
from octavo_server.core.digest import JSON
from octavo_server.core.errors import Conflict, Invalid
from octavo_server.core.events import Actor
from octavo_server.core.ids import new_id
from octavo_server.edge.access import Principal
from octavo_server.edge.changes import event_of
from octavo_server.evals import datasets as nouns
from octavo_server.evals.datasets import Case, Dataset, DatasetNotFound, Draft, Item, Schemas, Version, case_of
from octavo_server.evals.duplicates import Leakage, find_leaks
from octavo_server.evals.store import datasets as store
from octavo_server.evals.store import langfuse as runs
from octavo_server.stores.control import ControlStore, Transaction
from octavo_server.stores.objects import get_parts, put_parts

MOST_DATASETS = 10_000
_PAGE = 1_000
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An item with its case, and the split it belongs to in the version that was asked for."""

    item: Item
    case: Case
    split: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which cases of a version are wanted: those of a split, with all these tags."""

    version: int | str | None = None
    split: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """What came of putting cases: the version that has them, the ids in the order of the drafts, and how many were new,
    changed, there already under their id, or left out as duplicates (`duplicates` names some)."""

    version: Version
    ids: tuple[str, ...] = ()
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicates: tuple[str, ...] = ()
    duplicate_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The cases in which two versions differ, by id: content before and after, None where there is none."""

    id: str
    before: Case | None
    after: Case | None


class Datasets:
    """Datasets of the caller's project. A dataset is named by its id or its name."""

    def __init__(self, control: ControlStore, clock: Clock) -> None:
        self._control = control
        self._clock = clock

    def find(
        self, by: Principal, *, search: str = "", after: str = "", limit: int, skip: int = 0
    ) -> tuple[list[tuple[Dataset, Version]], int]:
        """Datasets by name with their newest versions, and how many there are in all."""
        with self._control.read() as sql:
            found = store.list_datasets(sql, by.project, search=search, after=after, limit=limit, skip=skip)
            newest = store.newest_versions(sql, found)
            return [(one, newest[one.id]) for one in found], store.count_datasets(sql, by.project, search=search)

    def get(self, by: Principal, reference: str) -> tuple[Dataset, Version]:
        """A dataset and its newest version. Raises DatasetNotFound."""
        with self._control.read() as sql:
            found = dataset_of(sql, by.project, reference)
            return found, _version(sql, found, None)

    def create(self, by: Principal, name: str, **fields: Any) -> tuple[Dataset, Version]:
        """Makes a dataset, whose version 1 is empty. `fields` are those of Dataset. Raises Invalid, Conflict."""
        now = self._clock.now()
        made = Dataset(
            id=new_id("dst"),
            project_id=by.project,
            name=nouns.check_name(name),
            version=1,
            created_at=now,
            updated_at=now,
            **_checked(fields),
        )
        version = _first(made, by, now)
        with self._control.transaction() as tx:
            if store.find_dataset(tx.connection, by.project, name) is not None:
                raise Conflict(f"There is a dataset {name[:80]!r} already; choose another name.", param="name")
            if store.count_datasets(tx.connection, by.project) >= MOST_DATASETS:
                raise Invalid(f"This project has {MOST_DATASETS} datasets, the most there may be; delete some.")
            store.put_dataset(tx.connection, made)
            store.insert_version(tx.connection, version)
            tx.record(event_of(by, "dataset.created", made.id, now, before=None, after=made.view()))
        return made, version

    def change(self, by: Principal, reference: str, changes: Mapping[str, Any]) -> tuple[Dataset, Version]:
        """Changes what is told of a dataset; other splits make another version. Raises DatasetNotFound, Invalid,
        Conflict."""
        given = _checked(changes)
        with self._control.transaction() as tx:
            sql, now = tx.connection, self._clock.now()
            before = dataset_of(sql, by.project, reference)
            after = replace(before, **given, updated_at=now)
            if after.name != before.name and store.find_dataset(sql, by.project, after.name) is not None:
                raise Conflict(f"There is a dataset {after.name[:80]!r} already; choose another name.", param="name")
            if after.splits == before.splits:
                store.put_dataset(sql, after)
            else:
                after, _ = self._freeze(tx, by, after, message="Splits changed", added=0, removed=0)
            tx.record(event_of(by, "dataset.changed", before.id, now, before=before.view(), after=after.view()))
            return after, _version(sql, after, None)

    def delete(self, by: Principal, reference: str) -> None:
        """Forgets a dataset with all its versions. Raises DatasetNotFound."""
        with self._control.transaction() as tx:
            found = dataset_of(tx.connection, by.project, reference)
            store.delete_dataset(tx.connection, found.id)
            runs.delete_links(tx.connection, by.project, found.id)
            tx.record(event_of(by, "dataset.deleted", found.id, self._clock.now(), before=found.view(), after=None))

    def versions(self, by: Principal, reference: str, *, below: int = 2**31 - 1, limit: int) -> list[Version]:
        """Versions, the newest first. Raises DatasetNotFound."""
        with self._control.read() as sql:
            return store.list_versions(sql, dataset_of(sql, by.project, reference).id, below=below, limit=limit)

    def version(
        self, by: Principal, reference: str, wanted: int | str | None, *, until: datetime | None = None
    ) -> tuple[Dataset, Version]:
        """A version by number or digest, or the newest; of those made until a time. Raises DatasetNotFound."""
        with self._control.read() as sql:
            found = dataset_of(sql, by.project, reference)
            return found, _version(sql, found, wanted, until=until)

    def put(
        self,
        by: Principal,
        reference: str,
        drafts: Sequence[Draft],
        *,
        message: str = "",
        expected: int | None = None,
        skip_duplicates: bool = True,
    ) -> Put:
        """Puts cases in, all or none. One whose content is there already under another id is left out, unless
        `skip_duplicates` is off. `expected` is the version that the caller looked at, if that matters. Raises
        DatasetNotFound, Invalid (with the places of the cases that cannot be kept), Conflict."""
        _refuse_twice(drafts)
        with self._control.read() as sql:
            schemas = _schemas(dataset_of(sql, by.project, reference))
        # All that takes time is done before the transaction: writers wait for each other.
        frozen = _all(drafts, lambda draft: _frozen(draft, schemas))
        with self._control.transaction() as tx:
            sql, now = tx.connection, self._clock.now()
            dataset = dataset_of(sql, by.project, reference)
            if expected is not None and expected != dataset.version:
                raise Conflict(
                    f"{dataset.name!r} has version {dataset.version} by now, not {expected}; look at it, then try again.",
                    param="expected",
                )
            sorted_out = _sort_out(sql, dataset, drafts, [digest for digest, _ in frozen], skip_duplicates, now)
            if not sorted_out.items:
                return replace(sorted_out.told, version=_version(sql, dataset, None))
            wanted = {one.digest for one in sorted_out.items}
            put_parts(tx, by.project, {digest: body for digest, body in frozen if digest in wanted}, at=now)
            store.end_items(sql, by.project, sorted_out.replaced, removed=dataset.version + 1, archived=False)
            store.insert_items(sql, by.project, sorted_out.items)
            grown = replace(dataset, next_position=sorted_out.next_position, updated_at=now)
            after, version = self._freeze(
                tx, by, grown, message=message, added=len(sorted_out.items), removed=len(sorted_out.replaced)
            )
            _record(tx, by, dataset, after, version, now)
            return replace(sorted_out.told, version=version)

    def remove(
        self, by: Principal, reference: str, ids: Sequence[str], *, message: str = "", archive: bool = False
    ) -> Version:
        """Takes cases out of the versions to come; those that had them keep them. Raises DatasetNotFound."""
        with self._control.transaction() as tx:
            sql, now = tx.connection, self._clock.now()
            dataset = dataset_of(sql, by.project, reference)
            there = store.find_items(sql, by.project, ids)
            for one in ids:
                if one not in there or there[one].dataset_id != dataset.id or there[one].removed is not None:
                    raise DatasetNotFound(f"There is no case {one[:80]!r} in {dataset.name!r} now.")
            store.end_items(sql, by.project, list(there), removed=dataset.version + 1, archived=archive)
            after, version = self._freeze(
                tx, by, replace(dataset, updated_at=now), message=message, added=0, removed=len(there)
            )
            _record(tx, by, dataset, after, version, now)
            return version

    def cases(
        self, by: Principal, reference: str, wanted: Selection, *, after: int = -1, limit: int
    ) -> tuple[Version, list[Found]]:
        """A page of a version's cases, in their order, behind a position. Raises DatasetNotFound."""
        with self._control.read() as sql:
            dataset = dataset_of(sql, by.project, reference)
            version = _version(sql, dataset, wanted.version)
            page: list[Found] = []
            for found in _selected(sql, dataset, version, wanted, after):
                page.append(found)
                if len(page) == limit:
                    break
            return version, page

    def each(self, by: Principal, reference: str, wanted: Selection) -> Iterator[Found]:
        """All cases of a version that are wanted, in their order, a page in memory at a time. Raises
        DatasetNotFound."""
        after = -1
        while True:
            _, page = self.cases(by, reference, wanted, after=after, limit=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].item.position

    def case(self, by: Principal, reference: str, item_id: str) -> Found:
        """A case as it is now, or was last. Raises DatasetNotFound."""
        with self._control.read() as sql:
            dataset = dataset_of(sql, by.project, reference)
            found = store.find_items(sql, by.project, [item_id]).get(item_id)
            if found is None or found.dataset_id != dataset.id:
                raise DatasetNotFound(f"There is no case {item_id[:80]!r} in {dataset.name!r}.")
            return _with_cases(sql, dataset, dataset.splits, [found])[0]

    def compare(
        self, by: Principal, reference: str, before: int | str | None, after: int | str | None
    ) -> list[Difference]:
        """The cases in which two versions differ, in the order of the dataset. Raises DatasetNotFound."""
        with self._control.read() as sql:
            dataset = dataset_of(sql, by.project, reference)
            states = []
            for wanted in (before, after):
                number = _version(sql, dataset, wanted).number
                listed = store.list_items(sql, dataset.id, number, limit=nouns.MOST_CASES)
                states.append({one.id: one for one in listed})
            old, new = states
            ids = [
                one for one in {**old, **new} if one not in old or one not in new or old[one].digest != new[one].digest
            ]
            ids.sort(key=lambda one: (new.get(one) or old[one]).position)
            digests = [state[one].digest for one in ids for state in states if one in state]
            parts: Mapping[str, Any] = get_parts(sql, by.project, digests)
            return [
                Difference(
                    id=one,
                    before=case_of(parts[old[one].digest]) if one in old else None,
                    after=case_of(parts[new[one].digest]) if one in new else None,
                )
                for one in ids
            ]

    def leakage(self, by: Principal, reference: str, wanted: int | str | None, *, similarity: float) -> Leakage:
        """The cases of a version that ask nearly the same, between its splits and within them. Raises
        DatasetNotFound."""
        with self._control.read() as sql:
            dataset = dataset_of(sql, by.project, reference)
            version = _version(sql, dataset, wanted)
            found = list(_selected(sql, dataset, version, Selection(version=version.number), -1))
        return find_leaks([(one.item.id, one.split, one.case.inputs) for one in found], similarity=similarity)

    def _freeze(
        self, tx: Transaction, by: Principal, dataset: Dataset, *, message: str, added: int, removed: int
    ) -> tuple[Dataset, Version]:
        """The next version of a dataset as its items are now."""
        digests = store.digests_now(tx.connection, dataset.id)
        if len(digests) > nouns.MOST_CASES:
            raise Invalid(
                f"{dataset.name!r} would have {len(digests):,} cases; at most {nouns.MOST_CASES:,} are kept in one dataset."
            )
        after = replace(dataset, version=dataset.version + 1)
        version = Version(
            dataset_id=dataset.id,
            number=after.version,
            digest=nouns.version_digest(digests, dataset.splits),
            cases=len(digests),
            added=added,
            removed=removed,
            splits=dataset.splits,
            author=by.actor,
            message=message,
            created_at=after.updated_at,
        )
        store.put_dataset(tx.connection, after)
        store.insert_version(tx.connection, version)
        return after, version


@dataclass(slots=True)
class _SortedOut:
    told: Put
    items: list[Item]  # to be written
    replaced: list[str]  # ids of those among them that are there with another content
    next_position: int


def _sort_out(
    sql: Connection, dataset: Dataset, drafts: Sequence[Draft], digests: Sequence[str], skip: bool, now: datetime
) -> _SortedOut:
    """Which drafts are new, which replace a case, and which bring nothing."""
    known = set(store.digests_now(sql, dataset.id)) if skip else set()
    there = store.find_items(sql, dataset.project_id, [one.id for one in drafts if one.id])
    told = _SortedOut(Put(version=_first(dataset, None, now)), [], [], dataset.next_position)
    ids, duplicates, changed, unchanged = [], [], 0, 0
    for draft, digest in zip(drafts, digests, strict=True):
        old = there.get(draft.id) if draft.id else None
        if old is not None and old.dataset_id != dataset.id:
            raise Invalid(f"{draft.place or 'A case'}: the id {old.id[:80]!r} is that of a case of another dataset.")
        if old is not None and old.removed is None and old.digest == digest:
            unchanged += 1
            ids.append(old.id)
            continue
        if old is None and digest in known:
            duplicates.append(draft.place or draft.id or digest)
            continue
        if skip:
            known.add(digest)
        item_id = draft.id or new_id("cse")
        ids.append(item_id)
        if old is not None and old.removed is None:
            changed += 1
            told.replaced.append(item_id)
        told.items.append(
            Item(
                id=item_id,
                dataset_id=dataset.id,
                position=told.next_position if old is None else old.position,
                digest=digest,
                source=draft.source if draft.source != nouns.Source() or old is None else old.source,
                added=dataset.version + 1,
                removed=None,
                is_archived=False,
                created_at=now if old is None else old.created_at,
                updated_at=now,
            )
        )
        told.next_position += old is None
    told.told = replace(
        told.told,
        ids=tuple(ids),
        added=len(told.items) - changed,
        changed=changed,
        unchanged=unchanged,
        duplicates=tuple(duplicates[:_MOST_TOLD]),
        duplicate_count=len(duplicates),
    )
    return told


def _selected(sql: Connection, dataset: Dataset, version: Version, wanted: Selection, after: int) -> Iterator[Found]:
    while True:
        listed = store.list_items(sql, dataset.id, version.number, after=after, limit=_PAGE)
        for found in _with_cases(sql, dataset, version.splits, listed):
            if (not wanted.split or found.split == wanted.split) and set(wanted.tags) <= set(found.case.tags):
                yield found
        if len(listed) < _PAGE:
            return
        after = listed[-1].position


def _with_cases(sql: Connection, dataset: Dataset, splits: Mapping[str, int], listed: Sequence[Item]) -> list[Found]:
    parts: Mapping[str, Any] = get_parts(sql, dataset.project_id, [one.digest for one in listed])
    cases = [case_of(parts[one.digest]) for one in listed]
    return [Found(item=item, case=case, split=case.split_in(splits)) for item, case in zip(listed, cases, strict=True)]


def _frozen(draft: Draft, schemas: Schemas) -> tuple[str, bytes]:
    if draft.id:
        nouns.check_item_id(draft.id)
    schemas.check(draft.case)
    return nouns.freeze(draft.case)


def _all(drafts: Sequence[Draft], freeze: Callable[[Draft], tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Freezes every draft, or says what is wrong with those that cannot be."""
    frozen, problems = [], []
    for draft in drafts:
        try:
            frozen.append(freeze(draft))
        except Invalid as error:
            problems.append(f"{draft.place}: {error.message}" if draft.place else error.message)
    if problems:
        raise Invalid(told_problems(problems), code="invalid_cases")
    return frozen


def told_problems(problems: Sequence[str]) -> str:
    """What is wrong with some cases, in one text."""
    more = f" … and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
    count = "One case" if len(problems) == 1 else f"{len(problems)} cases"
    return f"{count} cannot be kept, so nothing was written. " + "; ".join(problems[:_MOST_TOLD]) + more


def _refuse_twice(drafts: Sequence[Draft]) -> None:
    seen: set[str] = set()
    for one in drafts:
        if one.id and one.id in seen:
            raise Invalid(f"{one.place or 'A case'}: the id {one.id[:80]!r} comes twice.", param="id")
        seen.add(one.id or "")


def _record(tx: Transaction, by: Principal, before: Dataset, after: Dataset, version: Version, now: datetime) -> None:
    details: dict[str, JSON] = {"added": version.added, "removed": version.removed, **version.view()}
    tx.record(
        event_of(
            by, "dataset_version.created", after.id, now, before=before.view(), after=after.view(), details=details
        )
    )


def _first(dataset: Dataset, by: Principal | None, now: datetime) -> Version:
    """The empty version with which a dataset begins."""
    return Version(
        dataset_id=dataset.id,
        number=1,
        digest=nouns.version_digest((), dataset.splits),
        cases=0,
        added=0,
        removed=0,
        splits=dataset.splits,
        author=by.actor if by else Actor(kind="", id="", name=""),
        message="",
        created_at=now,
    )


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(fields)
    if "name" in given:
        nouns.check_name(given["name"])
    if "splits" in given:
        given["splits"] = nouns.check_splits(given["splits"])
    for name in ("metadata", "input_schema", "expected_schema"):
        nouns.canonical(given.get(name))
    Schemas(inputs=given.get("input_schema"), expected=given.get("expected_schema"))
    return given


def _schemas(dataset: Dataset) -> Schemas:
    return Schemas(inputs=dataset.input_schema, expected=dataset.expected_schema)


def dataset_of(sql: Connection, project_id: str, reference: str) -> Dataset:
    """The dataset of this id or name. Raises DatasetNotFound."""
    found = store.find_dataset(sql, project_id, reference)
    if found is None:
        raise DatasetNotFound(f"There is no dataset {reference[:80]!r} in this project.")
    return found


def _version(sql: Connection, dataset: Dataset, wanted: int | str | None, *, until: datetime | None = None) -> Version:
    found = store.find_version(sql, dataset.id, wanted, until=until)
    if found is None:
        raise DatasetNotFound(f"{dataset.name!r} has no such version; the newest is {dataset.version}.")
    return found
