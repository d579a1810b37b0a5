"""The nouns of datasets: cases named by their content, and versions named by their cases.

A version is the digest of the ordered digests of its cases, with the shares of its splits: whoever evaluates on
`sha256:…` evaluates on the very same cases, in the same order and the same splits, whenever and wherever."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jsonschema_rs
import orjson
import rfc8785

from octavo_server.core.digest import JSON, PREFIX, digest, digest_bytes
from octavo_server.core.errors import Invalid, NotFound
from octavo_server.core.events import Actor
from octavo_server.evals.statistics.split import assign

MOST_CASES = 100_000
"""Of one dataset: every version's digest is computed from all its cases, and a run goes through them all."""
MOST_CASE_BYTES = 1_000_000
_MOST_CONTEXTS = 200
_MOST_TAGS = 50
_MOST_SPLITS = 10
_SALT = "octavo-split"
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_ITEM_ID = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_SPLIT = re.compile(r"[A-Za-z0-9_.-]{1,40}")


class DatasetNotFound(NotFound):
    """There is no such dataset, or no such version or case of it."""

    code = "dataset_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What an application is asked, and what is known of a good answer. Its digest is that of all its fields."""

    inputs: JSON
    expected: JSON = None
    context: tuple[str, ...] = ()
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    split: str = ""  # "": by the hash of its inputs

    def value(self) -> dict[str, JSON]:
        """What is stored, and digested."""
        return {
            "inputs": self.inputs,
            "expected": self.expected,
            "context": list(self.context),
            "metadata": dict(self.metadata),
            "tags": list(self.tags),
            "split": self.split,
        }

    def split_in(self, shares: Mapping[str, int]) -> str:
        """The split it belongs to: its own, else the one that the hash of its inputs falls to, else none. Cases that
        ask the same are always on the same side."""
        if self.split or not shares:
            return self.split
        return assign(digest(self.inputs), shares, salt=_SALT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a case was seen."""

    trace_id: str = ""
    span_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A case that is to be put into a dataset: under the id of one that is there it replaces that one. `place` says
    where it was read, for refusals: "line 7"."""

    case: Case
    id: str | None = None
    source: Source = Source()
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A case as a member of a dataset. It was in the versions from `added` until before `removed`."""

    id: str
    dataset_id: str
    position: int
    digest: str
    source: Source
    added: int
    removed: int | None
    is_archived: bool  # removed, but not forgotten: Langfuse's clients read it by its id, and bring it back
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A named, growing set of cases; its versions never change."""

    id: str
    project_id: str
    name: str
    description: str = ""
    metadata: JSON = None
    input_schema: JSON = None
    expected_schema: JSON = None
    splits: Mapping[str, int] = field(default_factory=dict)  # name to weight
    version: int = 0  # the newest
    next_position: int = 0
    created_at: datetime
    updated_at: datetime

    def view(self) -> dict[str, JSON]:
        """What events digest."""
        return {
            "name": self.name,
            "description": self.description,
            "metadata": self.metadata,
            "input_schema": self.input_schema,
            "expected_schema": self.expected_schema,
            "splits": dict(self.splits),
            "version": self.version,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A state of a dataset, for ever."""

    dataset_id: str
    number: int
    digest: str
    cases: int
    added: int  # cases that the version before did not have
    removed: int  # cases that it had
    splits: Mapping[str, int]
    author: Actor
    message: str
    created_at: datetime

    def view(self) -> dict[str, JSON]:
        """What events digest."""
        return {"number": self.number, "digest": self.digest, "cases": self.cases, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLink:
    """A trace in which a client ran an item, as one of a named run."""

    id: str
    dataset_id: str
    run_id: str
    run_name: str
    description: str
    metadata: JSON
    item_id: str
    trace_id: str
    span_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A client's run over a dataset."""

    id: str
    name: str
    description: str
    metadata: JSON
    created_at: datetime
    updated_at: datetime


def case_of(value: Mapping[str, Any]) -> Case:
    """A case as callers and files give it. Raises Invalid."""
    context = value.get("context")
    context = [] if context is None else [context] if isinstance(context, str) else context
    if not isinstance(context, list) or len(context) > _MOST_CONTEXTS:
        raise Invalid(f"`context` is a text, or a list of up to {_MOST_CONTEXTS} texts.", param="context")
    metadata = value.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        metadata = {"value": metadata}
    split = value.get("split") or ""
    if split:
        check_split(split)
    return Case(
        inputs=value.get("inputs"),
        expected=value.get("expected"),
        context=tuple(one if isinstance(one, str) else orjson.dumps(one).decode() for one in context),
        metadata=metadata or {},
        tags=_tags(value.get("tags")),
        split=split,
    )


def freeze(case: Case) -> tuple[str, bytes]:
    """The digest of a case, and the bytes it is of. Raises Invalid when it is too large or is no plain JSON."""
    body = canonical(case.value())
    if len(body) > MOST_CASE_BYTES:
        raise Invalid(f"The case has {len(body):,} bytes as JSON; at most {MOST_CASE_BYTES:,} are kept.")
    return digest_bytes(body), body


def canonical(value: JSON) -> bytes:
    """The canonical JSON of what a caller gave. Raises Invalid for what JSON cannot carry everywhere."""
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError as error:
        raise Invalid(f"{error}: integers go up to 2**53 in JSON; write larger ones as texts.") from error
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise Invalid(f"That is no JSON value: {str(error)[:200]}") from error


def version_digest(cases: Sequence[str], splits: Mapping[str, int]) -> str:
    """The digest of a version: of its cases' digests in their order, and the shares of its splits."""
    # Digests and names of splits are plain ASCII and shares are small integers, so this is their canonical JSON.
    value = {"cases": list(cases), "splits": dict(splits)}
    return digest_bytes(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def check_name(name: str) -> str:
    """Raises Invalid."""
    if not _NAME.fullmatch(name) or name != name.strip():
        raise Invalid(
            f"A dataset cannot be named {name[:80]!r}; expected 1 to 255 characters, no control characters, no blanks "
            "at the ends.",
            param="name",
        )
    return name


def check_item_id(item_id: str) -> str:
    """Raises Invalid."""
    if not _ITEM_ID.fullmatch(item_id):
        raise Invalid(f"A case cannot have the id {item_id[:80]!r}; expected 1 to 200 characters.", param="id")
    return item_id


def check_split(name: Any) -> str:
    """Raises Invalid."""
    if not isinstance(name, str) or not _SPLIT.fullmatch(name):
        raise Invalid(
            f"A split cannot be named {str(name)[:60]!r}; expected up to 40 letters, digits, '_', '.' and '-'.",
            param="split",
        )
    return name


def check_splits(shares: Mapping[str, int]) -> dict[str, int]:
    """The shares of splits in the order of their names. Raises Invalid."""
    if len(shares) > _MOST_SPLITS:
        raise Invalid(f"There are {len(shares)} splits; at most {_MOST_SPLITS} are kept.", param="splits")
    for name, weight in shares.items():
        check_split(name)
        if not 1 <= weight <= 1_000_000:
            raise Invalid(f"The split {name!r} has the share {weight}; expected 1 to 1,000,000.", param="splits")
    return dict(sorted(shares.items()))


class Schemas:
    """What a dataset asks of its cases' inputs and expected outputs."""

    def __init__(self, *, inputs: JSON, expected: JSON) -> None:
        self._inputs = _validator(inputs, "input_schema")
        self._expected = _validator(expected, "expected_schema")

    def check(self, case: Case) -> None:
        """Raises Invalid when a case is not what the dataset asks for; a case without expected output may be."""
        _check(self._inputs, case.inputs, "inputs")
        if case.expected is not None:
            _check(self._expected, case.expected, "expected")


def parse_version(text: str) -> int | str | None:
    """The number or digest that a caller names a version by; None is the newest. Raises Invalid."""
    if text in ("", "latest"):
        return None
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return int(text)
    if text.startswith(PREFIX) and len(text) == len(PREFIX) + 64:
        return text
    raise Invalid(f"version is {text[:80]!r}; expected a number, `latest` or a digest `sha256:…`.", param="version")


def _validator(schema: JSON, name: str) -> Any:
    if schema is None:
        return None
    if not isinstance(schema, dict | bool):
        raise Invalid(f"`{name}` is no JSON schema; expected an object.", param=name)
    try:
        # Nothing is fetched: a schema that points elsewhere is refused.
        return jsonschema_rs.validator_for(schema, retriever=_refuse)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise Invalid(f"`{name}` is no JSON schema: {str(error).splitlines()[0][:200]}", param=name) from error


def _refuse(uri: str) -> Any:
    raise ValueError(f"a schema cannot refer to {uri[:100]}")


def _check(validator: Any, value: JSON, name: str) -> None:
    error = next(iter(validator.iter_errors(value)), None) if validator else None
    if error is not None:
        where = "/".join((name, *(str(part) for part in error.instance_path)))
        raise Invalid(f"{where}: {error.message[:200]} (the dataset's schema asks for it)", param=name)


def _tags(tags: Any) -> tuple[str, ...]:
    given = [] if tags is None else [one.strip() for one in tags.split(",")] if isinstance(tags, str) else tags
    if not isinstance(given, list) or not all(isinstance(one, str) and len(one) <= 100 for one in given):
        raise Invalid("`tags` is a list of texts of up to 100 characters.", param="tags")
    kept = tuple(sorted({one for one in given if one}))
    if len(kept) > _MOST_TAGS:
        raise Invalid(f"There are {len(kept)} tags; at most {_MOST_TAGS} are kept.", param="tags")
    return kept
