"""What datasets look like over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from octavo_server.evals import datasets as nouns
from octavo_server.evals.datasets import Draft, Source, case_of
from octavo_server.evals.duplicates import Leakage
from octavo_server.evals.formats import Columns, Format
from octavo_server.evals.service.datasets import Difference, Found, Put
from octavo_server.evals.service.harvest import MOST_TRACES, Expected

Name = Annotated[str, Field(min_length=1, max_length=255)]
Note = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
Description = Annotated[str, Field(max_length=20_000, pattern=r"^[^\x00]*$")]
Tag = Annotated[str, Field(max_length=100)]
Tags = Annotated[list[Tag], Field(max_length=50)]
SplitName = Annotated[str, Field(max_length=40)]
Splits = Annotated[dict[SplitName, Annotated[int, Field(ge=1, le=1_000_000)]], Field(max_length=10)]
ItemId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
TraceId = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Column = Annotated[str, Field(max_length=200)]
ColumnOrSeveral = Column | Annotated[list[Column], Field(min_length=1, max_length=50)]
Schema = dict[str, Any] | None


class Author(BaseModel):
    """Who did it."""

    kind: str
    id: str
    name: str


class DatasetVersion(BaseModel):
    """A state of a dataset, which never changes. `digest` is that of its cases' digests and its splits."""

    number: int
    digest: str
    cases: int
    added: int
    removed: int
    splits: dict[str, int]
    author: Author
    message: str
    created_at: datetime


class Dataset(BaseModel):
    """A dataset and its newest version."""

    id: str
    name: str
    description: str
    metadata: Any
    input_schema: Any
    expected_schema: Any
    splits: dict[str, int]
    version: DatasetVersion
    created_at: datetime
    updated_at: datetime


class DatasetIn(BaseModel):
    """A new dataset. `splits` share its cases out by the hash of their inputs: `{"test": 20, "train": 80}`. The JSON
    schemas are what inputs and expected outputs have to be."""

    name: Name
    description: Description = ""
    metadata: Any = None
    input_schema: Schema = None
    expected_schema: Schema = None
    splits: Splits = {}


class DatasetChange(BaseModel):
    """What is to be changed of a dataset; the rest stays."""

    name: Name = ""
    description: Description = ""
    metadata: Any = None
    input_schema: Schema = None
    expected_schema: Schema = None
    splits: Splits = {}


class CaseContent(BaseModel):
    """What an application is asked, and what is known of a good answer. `split` "" is that of the inputs' hash."""

    inputs: Any
    expected: Any = None
    context: Annotated[list[str], Field(max_length=200)] = []
    metadata: dict[str, Any] = {}
    tags: Tags = []
    split: SplitName = ""


class CaseIn(CaseContent):
    """A case to put in. Under the `id` of one that is there it replaces that one."""

    id: ItemId | None = None
    source_trace_id: TraceId = ""
    source_span_id: TraceId = ""

    def draft(self, place: str) -> Draft:
        """As the room knows it. Raises Invalid."""
        return Draft(
            case=case_of(self.model_dump()),
            id=self.id,
            source=Source(trace_id=self.source_trace_id, span_id=self.source_span_id),
            place=place,
        )


class DatasetCase(CaseContent):
    """A case of a dataset. `split` is the one it belongs to; `digest` is that of its content."""

    id: str
    digest: str
    source_trace_id: str
    source_span_id: str
    in_dataset: bool
    created_at: datetime
    updated_at: datetime


class CasesPage(BaseModel):
    """A page of a version's cases."""

    data: list[DatasetCase]
    version: DatasetVersion
    next_cursor: str | None


class PutIn(BaseModel):
    """Cases to put in, all or none. `expected` is the version that the caller looked at, if that matters."""

    cases: Annotated[list[CaseIn], Field(min_length=1, max_length=10_000)]
    message: Note = ""
    expected: Number | None = None
    skip_duplicates: bool = True


class PutOut(BaseModel):
    """What came of it: the version that has the cases, their ids in order, and how many were new, changed, there
    already under their id, or left out because the same content is there (`duplicates` names some of them)."""

    version: DatasetVersion
    ids: list[str]
    added: int
    changed: int
    unchanged: int
    duplicate_count: int
    duplicates: list[str]


class ColumnsIn(BaseModel):
    """Which column of a file is what; what is not said goes by the columns' names. Several columns become an object.
    `metadata` [] drops what is left; not said, it is kept."""

    inputs: ColumnOrSeveral | None = None
    expected: ColumnOrSeveral | None = None
    context: Column | None = None
    metadata: Annotated[list[Column], Field(max_length=200)] | None = None
    tags: Column | None = None
    split: Column | None = None
    id: Column | None = None

    def columns(self) -> Columns:
        """As the room knows it."""
        return Columns(
            inputs=_several(self.inputs),
            expected=_several(self.expected),
            context=self.context,
            metadata=None if self.metadata is None else tuple(self.metadata),
            tags=self.tags,
            split=self.split,
            id=self.id,
        )


class DatasetImport(BaseModel):
    """A file of cases: JSON lines, CSV with a first line of names, or JSON (a list of objects, an object of columns, or
    the answer of Hugging Face's dataset viewer)."""

    format: Format
    content: Annotated[str, Field(min_length=1, max_length=64_000_000)]
    mapping: ColumnsIn = ColumnsIn()
    split: SplitName = ""
    tags: Tags = []
    message: Note = ""
    expected: Number | None = None
    skip_duplicates: bool = True


class FromTraces(BaseModel):
    """Which traces or spans to take: by id, or the newest that a search finds (`filter`, `start`, `end`,
    `environment`: times as 2026-01-31T12:00:00Z or -24h).
    `expected` is the correction that a person wrote (`correction`), what came out (`output`), or left open (`none`)."""

    trace_ids: Annotated[list[TraceId], Field(max_length=MOST_TRACES)] = []
    span_ids: Annotated[list[TraceId], Field(max_length=MOST_TRACES)] = []
    filter: Annotated[str, Field(max_length=4000)] = ""
    start: Annotated[str, Field(max_length=40)] = ""
    end: Annotated[str, Field(max_length=40)] = ""
    environment: Annotated[str, Field(max_length=40)] = ""
    limit: Annotated[int, Field(ge=1, le=MOST_TRACES)] = 100
    expected: Expected = "correction"
    tags: Tags = []
    split: SplitName = ""
    message: Note = ""


class CaseDifference(BaseModel):
    """A case in which two versions differ: its content before and after, null where it was not there."""

    id: str
    before: CaseContent | None
    after: CaseContent | None


class CasePair(BaseModel):
    """Two cases that ask nearly the same, and the splits they are in."""

    first: str
    second: str
    first_split: str
    second_split: str
    similarity: float


class LeakageReport(BaseModel):
    """Pairs of cases that ask nearly the same: `leaks` between splits, `near_duplicates` within one. `complete` is
    false when there were too many to look at, or to tell, all of them."""

    version: int
    cases: int
    leaks: int
    near_duplicates: int
    pairs: list[CasePair]
    complete: bool


def version_out(one: nouns.Version) -> DatasetVersion:
    return DatasetVersion(
        number=one.number,
        digest=one.digest,
        cases=one.cases,
        added=one.added,
        removed=one.removed,
        splits=dict(one.splits),
        author=Author(kind=one.author.kind, id=one.author.id, name=one.author.name),
        message=one.message,
        created_at=one.created_at,
    )


def dataset_out(found: tuple[nouns.Dataset, nouns.Version]) -> Dataset:
    one, version = found
    return Dataset(
        id=one.id,
        name=one.name,
        description=one.description,
        metadata=one.metadata,
        input_schema=one.input_schema,
        expected_schema=one.expected_schema,
        splits=dict(one.splits),
        version=version_out(version),
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def content_out(case: nouns.Case) -> CaseContent:
    return CaseContent.model_validate(case.value())


def case_out(found: Found) -> DatasetCase:
    item = found.item
    return DatasetCase.model_validate(
        {
            **found.case.value(),
            "split": found.split,
            "id": item.id,
            "digest": item.digest,
            "source_trace_id": item.source.trace_id,
            "source_span_id": item.source.span_id,
            "in_dataset": item.removed is None,
            "created_at": item.created_at,
            "updated_at": item.updated_at,
        }
    )


def put_out(done: Put) -> PutOut:
    return PutOut(
        version=version_out(done.version),
        ids=list(done.ids),
        added=done.added,
        changed=done.changed,
        unchanged=done.unchanged,
        duplicate_count=done.duplicate_count,
        duplicates=list(done.duplicates),
    )


def difference_out(one: Difference) -> CaseDifference:
    return CaseDifference(
        id=one.id,
        before=content_out(one.before) if one.before else None,
        after=content_out(one.after) if one.after else None,
    )


def leakage_out(version: int, found: Leakage) -> LeakageReport:
    return LeakageReport(
        version=version,
        cases=found.cases,
        leaks=found.leaks,
        near_duplicates=found.near_duplicates,
        pairs=[
            CasePair(
                first=one.first,
                second=one.second,
                first_split=one.splits[0],
                second_split=one.splits[1],
                similarity=round(one.similarity, 4),
            )
            for one in found.pairs
        ],
        complete=found.complete,
    )


def _several(given: str | list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else (given,) if isinstance(given, str) else tuple(given)
