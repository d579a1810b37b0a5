"""The verbs of prompts. Each change is one transaction with its event; writers are serial, so numbers have no gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from octavo_server.core.clock import Clock
from octavo_server.core.digest import JSON
from octavo_server.core.errors import Conflict, Forbidden, Invalid
from octavo_server.edge.access import Permission, Principal
from octavo_server.edge.changes import event_of
from octavo_server.prompts import model, runtime, store
from octavo_server.prompts.formats import Draft
from octavo_server.prompts.model import LATEST, Body, Move, Origin, Prompt, PromptNotFound, Reference, Version
from octavo_server.stores.control import ControlStore, Transaction
from octavo_server.stores.objects import get_part, put_part

_MOST_TAGS = 50
_MOST_DRAFTS = 1000
_ANY: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A version with its body as it was written, and expanded with what it includes."""

    version: Version
    body: Body
    expanded: Body


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A prompt in a list."""

    prompt: Prompt
    numbers: list[int]
    labels: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which prompts are wanted. `search` looks into names and tags, `name` is the whole name."""

    name: str = ""
    search: str = ""
    tags: tuple[str, ...] = ()
    label: str = ""
    updated_from: datetime | None = None
    updated_to: datetime | None = None

    def fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class Prompts:
    """Prompts of the caller's project."""

    def __init__(self, control: ControlStore, clock: Clock) -> None:
        self._control = control
        self._clock = clock

    def find(
        self, by: Principal, search: Search, *, limit: int, after: str = "", skip: int = 0
    ) -> tuple[list[Listed], int]:
        """Prompts by name, and how many there are in all."""
        with self._control.read() as sql:
            found = store.list_prompts(sql, by.project, **search.fields(), after=after, limit=limit, skip=skip)
            names = [one.name for one in found]
            numbers = store.numbers_of(sql, by.project, names)
            labels = store.labels_by_name(sql, by.project, names)
            listed = [Listed(prompt=one, numbers=numbers[one.name], labels=labels[one.name]) for one in found]
            return listed, store.count_prompts(sql, by.project, **search.fields())

    def get(self, by: Principal, reference: Reference) -> Found:
        """What a reference means now. Raises PromptNotFound, also for a label that is not there."""
        with self._control.read() as sql:
            return _read(sql, by.project, reference)

    def versions(self, by: Principal, name: str, *, limit: int, below: int = 2**31 - 1) -> list[Version]:
        """Versions, the newest first. Raises PromptNotFound."""
        with self._control.read() as sql:
            _prompt(sql, by.project, name)
            return store.list_versions(sql, by.project, name, below=below, limit=limit)

    def history(self, by: Principal, name: str, *, label: str, limit: int) -> list[Move]:
        """How labels moved, the newest first."""
        with self._control.read() as sql:
            return store.list_moves(sql, by.project, name, label=label, limit=limit)

    def create(
        self,
        by: Principal,
        name: str,
        body: Body,
        *,
        message: str = "",
        labels: Sequence[str] = (),
        tags: Sequence[str] | None = None,
        expected: int | None = None,
    ) -> Found:
        """Freezes a body as the next version. `tags` None keeps those of the prompt; `expected` is the number of the
        version that the author began with, if that matters. Raises Invalid, Forbidden, PromptNotFound, Conflict."""
        with self._control.transaction() as tx:
            return self._create(
                tx, by, name, body, message=message, labels=labels, tags=tags, expected=expected, origin=None
            )

    def create_all(self, by: Principal, drafts: Sequence[Draft]) -> list[Found]:
        """Freezes several versions, all or none."""
        if not 0 < len(drafts) <= _MOST_DRAFTS:
            raise Invalid(f"The file holds {len(drafts)} versions; expected 1 to {_MOST_DRAFTS}.", param="content")
        with self._control.transaction() as tx:
            return [
                self._create(
                    tx,
                    by,
                    one.name,
                    one.body,
                    message=one.message,
                    labels=one.labels,
                    tags=one.tags or None,
                    expected=None,
                    origin=None,
                )
                for one in drafts
            ]

    def move(
        self, by: Principal, name: str, label: str, number: int | None, *, reason: str = "", expected: Any = _ANY
    ) -> dict[str, int]:
        """Points a label at a version, or forgets it (None); `expected` is the number it is thought to point at. Tells
        where the labels point then. Raises LabelMoved, Forbidden, PromptNotFound."""
        with self._control.transaction() as tx:
            prompt = _prompt(tx.connection, by.project, name)
            self._move(tx, by, name, label, number, reason=reason, expected=expected)
            store.put_prompt(tx.connection, replace(prompt, updated_at=self._clock.now()))
            return store.labels_of(tx.connection, by.project, name)

    def label(self, by: Principal, name: str, number: int, wanted: Sequence[str], *, reason: str = "") -> Found:
        """Points several labels at a version at once."""
        with self._control.transaction() as tx:
            prompt = _prompt(tx.connection, by.project, name)
            for one in dict.fromkeys(wanted):
                self._move(tx, by, name, one, number, reason=reason)
            store.put_prompt(tx.connection, replace(prompt, updated_at=self._clock.now()))
            return _read(tx.connection, by.project, Reference(name, number=number))

    def tag(self, by: Principal, name: str, tags: Sequence[str]) -> Prompt:
        """Changes the tags of a prompt. Raises PromptNotFound, Invalid."""
        with self._control.transaction() as tx:
            before = _prompt(tx.connection, by.project, name)
            after = replace(before, tags=_tags(tags), updated_at=self._clock.now())
            store.put_prompt(tx.connection, after)
            told: list[dict[str, JSON]] = [{"name": name, "tags": list(one.tags)} for one in (before, after)]
            tx.record(event_of(by, "prompt.tagged", name, after.updated_at, before=told[0], after=told[1]))
            return after

    def delete(self, by: Principal, name: str, *, number: int | None = None, label: str | None = None) -> None:
        """Forgets versions of a prompt: one, that of a label, or all. Numbers are not given again as long as one
        version is left. What other versions include stays readable to them. Raises PromptNotFound, Forbidden."""
        with self._control.transaction() as tx:
            sql, now = tx.connection, self._clock.now()
            prompt = _prompt(sql, by.project, name)
            if number is None and label is None:
                gone = store.list_versions(sql, by.project, name, limit=prompt.last_number)
            else:
                gone = [_version(sql, by.project, Reference(name, number=number, label=label))]
            for version in gone:
                for one in version.labels:
                    if one != LATEST:
                        self._move(tx, by, name, one, None, reason="its version was deleted")
                store.delete_version(sql, by.project, name, version.number)
                event = event_of(by, "prompt_version.deleted", name, now, before=version.view(), after=None)
                tx.record(event)
            if LATEST not in store.labels_of(sql, by.project, name):
                store.delete_prompt(sql, by.project, name)

    def compare(self, by: Principal, before: Reference, after: Reference) -> list[model.Change]:
        """The parts in which two versions differ. Raises PromptNotFound."""
        with self._control.read() as sql:
            return model.compare(_read(sql, by.project, before).body, _read(sql, by.project, after).body)

    def render(
        self,
        by: Principal,
        prompt: Reference | Body,
        variables: Mapping[str, JSON],
        placeholders: Mapping[str, Sequence[dict[str, Any]]],
    ) -> runtime.Rendered:
        """A version, or a body that is not saved, filled. Raises Invalid, PromptNotFound."""
        try:
            orjson.dumps([variables, placeholders])
        except TypeError as error:
            raise Invalid(f"The variables cannot be written as JSON: {error}", param="variables") from error
        with self._control.read() as sql:
            if isinstance(prompt, Body):
                model.check_body(prompt)
                expanded = _expanded(sql, by.project, _frozen(sql, by.project, "", prompt))
            else:
                expanded = _read(sql, by.project, prompt).expanded
        return runtime.render(expanded, variables, placeholders)

    def fork(self, by: Principal, source: Reference, name: str, *, message: str = "") -> Found:
        """Begins another prompt with a version of one. Raises Conflict when the name is taken, PromptNotFound."""
        with self._control.transaction() as tx:
            found = _read(tx.connection, by.project, source)
            if store.find_prompt(tx.connection, by.project, name) is not None:
                raise Conflict(f"There is a prompt {name[:80]!r} already; choose another name for the fork.")
            began = Origin(name=found.version.name, number=found.version.number, digest=found.version.digest)
            return self._create(
                tx,
                by,
                name,
                found.body,
                message=message or f"Forked from {found.version.name}@{found.version.number}",
                labels=(),
                tags=found.version.tags,
                expected=None,
                origin=began,
            )

    def merge(self, by: Principal, fork: Reference, *, message: str = "") -> Found:
        """Brings what a fork changed into the newest version of the prompt it began with, as a version of that one.
        Raises MergeConflict with the parts that both changed, Invalid when it is no fork."""
        with self._control.transaction() as tx:
            sql = tx.connection
            source = _read(sql, by.project, fork)
            prompt = _prompt(sql, by.project, fork.name)
            if prompt.origin is None:
                raise Invalid(f"{fork.name!r} is no fork of another prompt; fork one first.")
            target = _read(sql, by.project, Reference(prompt.origin.name, label=LATEST))
            base = model.body_of(_part(sql, by.project, prompt.origin.digest))
            merged = model.merge(base, source.body, target.body)
            made = self._create(
                tx,
                by,
                target.version.name,
                merged,
                message=message or f"Merged {fork.name}@{source.version.number}",
                labels=(),
                tags=None,
                expected=target.version.number,
                origin=None,
            )
            met = Origin(name=prompt.origin.name, number=made.version.number, digest=source.version.digest)
            store.put_prompt(sql, replace(prompt, origin=met, updated_at=self._clock.now()))
            return made

    def protected(self, by: Principal) -> list[str]:
        """The labels of the project that only some may move."""
        with self._control.read() as sql:
            return store.protected_labels(sql, by.project)

    def protect(self, by: Principal, wanted: Sequence[str]) -> list[str]:
        """Says which labels only who has `prompts.protect` may move."""
        after = sorted({model.check_label(one) for one in wanted} - {LATEST})
        with self._control.transaction() as tx:
            before = store.protected_labels(tx.connection, by.project)
            store.protect(tx.connection, by.project, after)
            told: list[dict[str, JSON]] = [{"labels": list(one)} for one in (before, after)]
            now = self._clock.now()
            tx.record(event_of(by, "prompt_labels.protected", by.project, now, before=told[0], after=told[1]))
        return after

    def _create(
        self,
        tx: Transaction,
        by: Principal,
        name: str,
        body: Body,
        *,
        message: str,
        labels: Sequence[str],
        tags: Sequence[str] | None,
        expected: int | None,
        origin: Origin | None,
    ) -> Found:
        sql, now = tx.connection, self._clock.now()
        model.check_name(name)
        model.check_body(body)
        frozen = _frozen(sql, by.project, name, body)
        runtime.check_templates(_expanded(sql, by.project, frozen))
        before = store.find_prompt(sql, by.project, name)
        if before is not None and before.kind != body.kind:
            raise Invalid(f"{name!r} is a {before.kind} prompt; this version is {body.kind}. Use another name.")
        if expected is not None and expected != (before.last_number if before else 0):
            raise Conflict(
                f"{name!r} has version {before.last_number if before else 0} by now, not {expected}; compare with that "
                "one, then save again."
            )
        prompt = before or Prompt(
            project_id=by.project, name=name, kind=body.kind, origin=origin, created_at=now, updated_at=now
        )
        number = prompt.last_number + 1
        kept = prompt.tags if tags is None else _tags(tags)
        store.put_prompt(sql, replace(prompt, last_number=number, updated_at=now, tags=kept))
        version = Version(
            name=name,
            number=number,
            digest=put_part(tx, by.project, frozen.value(), at=now),
            author=by.actor,
            message=message,
            created_at=now,
        )
        store.insert_version(sql, by.project, version)
        details: dict[str, JSON] = {"number": number}
        tx.record(event_of(by, "prompt_version.created", name, now, before=None, after=version.view(), details=details))
        for label in dict.fromkeys(labels):
            self._move(tx, by, name, label, number, reason=message)
        return _read(sql, by.project, Reference(name, number=number))

    def _move(
        self,
        tx: Transaction,
        by: Principal,
        name: str,
        label: str,
        number: int | None,
        *,
        reason: str,
        expected: Any = _ANY,
    ) -> None:
        sql, now = tx.connection, self._clock.now()
        if label == LATEST:
            # Langfuse's clients name it among the labels of a new version, where it is true.
            if number != store.labels_of(sql, by.project, name).get(LATEST):
                raise Invalid(f"{LATEST!r} moves by itself to the newest version; use another label.", param="label")
            return
        model.check_label(label)
        if label in store.protected_labels(sql, by.project) and not by.may(Permission.PROMPTS_PROTECT):
            raise Forbidden(f"The label {label!r} is protected; moving it needs {Permission.PROMPTS_PROTECT.value!r}.")
        if number is not None:
            _version(sql, by.project, Reference(name, number=number))
        before = store.labels_of(sql, by.project, name).get(label)
        if expected is not _ANY and expected != before:
            raise model.LabelMoved(
                f"{name}@{label} points at {before or 'nothing'}, not {expected or 'nothing'}: somebody moved it first. "
                "Look at its history, then try again."
            )
        if before == number:
            return
        store.point(sql, by.project, name, label, number)
        move = Move(label=label, at=now, actor=by.actor, from_number=before, to_number=number, reason=reason)
        store.insert_move(sql, by.project, name, move)
        told: list[dict[str, JSON] | None] = [
            None if one is None else {"name": name, "label": label, "number": one} for one in (before, number)
        ]
        details: dict[str, JSON] = {"label": label, "from": before, "to": number}
        event = event_of(by, "prompt_label.moved", name, now, before=told[0], after=told[1], details=details)
        tx.record(replace(event, reason=reason or None))


def _tags(tags: Sequence[str]) -> tuple[str, ...]:
    kept = tuple(sorted(set(tags)))
    if len(kept) > _MOST_TAGS or any(not one.strip() or len(one) > 100 or {'"', "\\", "\0"} & set(one) for one in kept):
        raise Invalid(f"Up to {_MOST_TAGS} tags of 1 to 100 characters, without quotes and backslashes.", param="tags")
    return kept


def _prompt(sql: Connection, project_id: str, name: str) -> Prompt:
    found = store.find_prompt(sql, project_id, name)
    if found is None:
        raise PromptNotFound(f"There is no prompt {name[:80]!r} in this project.", param="name")
    return found


def _version(sql: Connection, project_id: str, reference: Reference) -> Version:
    found = store.find_version(sql, project_id, reference)
    if found is None:
        pointing = store.labels_of(sql, project_id, _prompt(sql, project_id, reference.name).name)
        there = ", ".join(f"{label} (version {number})" for label, number in pointing.items())
        raise PromptNotFound(f"There is no {str(reference)[:340]!r}; labels of this prompt: {there}.")
    return found


def _read(sql: Connection, project_id: str, reference: Reference) -> Found:
    version = _version(sql, project_id, reference)
    body = model.body_of(_part(sql, project_id, version.digest))
    return Found(version=version, body=body, expanded=_expanded(sql, project_id, body))


def _part(sql: Connection, project_id: str, digest_: str) -> Any:
    return get_part(sql, project_id, digest_)


def _expanded(sql: Connection, project_id: str, body: Body) -> Body:
    return model.expand(body, lambda found: model.body_of(_part(sql, project_id, found)))


def _frozen(sql: Connection, project_id: str, name: str, body: Body) -> Body:
    """The body with the digest of each prompt it includes: those it was frozen with, else what they mean now."""
    includes = {}
    for written, reference in model.references_in(body).items():
        includes[written] = body.includes.get(written) or _version(sql, project_id, reference).digest
        _refuse_cycle(sql, project_id, name, reference.name, includes[written])
    return replace(body, includes=includes)


def _refuse_cycle(sql: Connection, project_id: str, name: str, child: str, digest_: str) -> None:
    # Digests cannot form a circle, but a prompt that includes an older self is one nobody can follow.
    waiting, seen = [(child, digest_)], set()
    while waiting:
        child, found = waiting.pop()
        if child == name:
            raise Invalid(f"{name!r} would include itself; take the reference out.", code="prompt_cycle")
        if found not in seen:
            seen.add(found)
            inner = model.body_of(_part(sql, project_id, found))
            waiting += [(one.name, inner.includes[written]) for written, one in model.references_in(inner).items()]
