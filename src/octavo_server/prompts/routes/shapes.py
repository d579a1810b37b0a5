"""What prompts look like over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from octavo_server.prompts import runtime
from octavo_server.prompts.formats import Format
from octavo_server.prompts.model import Body, Change, Engine, Kind, Move, Variable, VariableType, body_of, item_value
from octavo_server.prompts.model import Version as Frozen
from octavo_server.prompts.service import Found, Listed

Name = Annotated[str, Field(min_length=1, max_length=255)]
Label = Annotated[str, Field(min_length=1, max_length=36)]
Tags = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=50)]
Labels = Annotated[list[Label], Field(max_length=50)]
ReferenceText = Annotated[str, Field(min_length=1, max_length=400)]
Note = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Text = Annotated[str, Field(max_length=1_000_000)]
Messages = Annotated[list[dict[str, Any]], Field(max_length=1000)]


class PromptVariable(BaseModel):
    """A variable of a prompt. It must be given unless it has a default or is not required."""

    name: Annotated[str, Field(max_length=64)]
    type: VariableType = "any"
    description: Annotated[str, Field(max_length=2000)] = ""
    required: bool = True
    default: Any = None


class PromptBody(BaseModel):
    """What a version freezes. `template` is a text, or a list of `{"role", "content"}` and `{"placeholder"}`."""

    template: Text | Messages
    engine: Engine = "mustache"
    variables: Annotated[list[PromptVariable], Field(max_length=200)] = []
    model: Annotated[str, Field(max_length=200)] | None = None
    parameters: dict[str, Any] = {}
    tools: Annotated[list[Any], Field(max_length=200)] = []
    response_schema: dict[str, Any] | None = None
    config: Any = None

    def body(self) -> Body:
        """As the room knows it. Raises Invalid."""
        return body_of(self.model_dump())


class PromptIn(PromptBody):
    """A new version. `expected` is the version that its author began with (0: none), if others may save as well;
    `tags` null keeps those of the prompt."""

    name: Name
    message: Note = ""
    labels: Labels = []
    tags: Tags | None = None
    expected: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class Author(BaseModel):
    """Who did it."""

    kind: str
    id: str
    name: str


class PromptVersion(BaseModel):
    """A frozen version without its content."""

    name: str
    number: int
    digest: str
    author: Author
    message: str
    created_at: datetime
    labels: list[str]
    tags: list[str]


class Prompt(PromptVersion):
    """A version with its content. `expanded` is the template with what it includes (`includes`: reference to digest),
    `variables` are those of the whole."""

    kind: Kind
    body: PromptBody
    includes: dict[str, str]
    expanded: str | list[dict[str, Any]]
    variables: list[PromptVariable]


class PromptSummary(BaseModel):
    """A prompt in a list."""

    name: str
    kind: Kind
    tags: list[str]
    versions: list[int]
    labels: dict[str, int]
    forked_from: str | None
    created_at: datetime
    updated_at: datetime


class PromptChange(BaseModel):
    """One part that differs, with a unified diff of its lines."""

    part: str
    before: Any
    after: Any
    diff: str


class LabelIn(BaseModel):
    """Where a label is to point: at a version, or nowhere (null). `expected` is where it is thought to point now (null:
    nowhere); left out, it is moved from wherever it is."""

    name: Name
    label: Label
    number: Number | None
    expected: Number | None = None
    reason: Note = ""


class LabelMove(BaseModel):
    """One step of a label."""

    label: str
    at: datetime
    actor: Author
    from_number: int | None
    to_number: int | None
    reason: str


class RenderIn(BaseModel):
    """What to fill: a saved version by reference, or a body that is not saved."""

    reference: ReferenceText | None = None
    body: PromptBody | None = None
    variables: Annotated[dict[str, Any], Field(max_length=200)] = {}
    placeholders: Annotated[dict[str, Messages], Field(max_length=50)] = {}


class Rendered(BaseModel):
    """The filled prompt: a text, or messages."""

    text: str | None
    messages: list[dict[str, Any]] | None


class TagsIn(BaseModel):
    """The tags a prompt is to have."""

    name: Name
    tags: Tags


class ForkIn(BaseModel):
    """Which version to begin with, and the name of the fork."""

    reference: ReferenceText
    name: Name
    message: Note = ""


class MergeIn(BaseModel):
    """Which version of a fork to bring back into the prompt it began with."""

    reference: ReferenceText
    message: Note = ""


class ProtectedLabels(BaseModel):
    """The labels that only who has `prompts.protect` may move."""

    labels: Labels


class ImportIn(BaseModel):
    """A file of another tool. `name` is for files that tell none, or to give another."""

    format: Format
    content: Annotated[str, Field(min_length=1, max_length=4_000_000)]
    name: Annotated[str, Field(max_length=255)] = ""


def version_out(one: Frozen) -> PromptVersion:
    return PromptVersion(
        name=one.name,
        number=one.number,
        digest=one.digest,
        author=Author(kind=one.author.kind, id=one.author.id, name=one.author.name),
        message=one.message,
        created_at=one.created_at,
        labels=list(one.labels),
        tags=list(one.tags),
    )


def prompt_out(found: Found) -> Prompt:
    value = found.body.value()
    template = found.expanded.template
    return Prompt(
        **version_out(found.version).model_dump(),
        kind=found.body.kind,
        body=PromptBody.model_validate({key: value[key] for key in PromptBody.model_fields}),
        includes=dict(found.body.includes),
        expanded=template if isinstance(template, str) else [item_value(one) for one in template],
        variables=[_variable(one) for one in runtime.variables_of(found.expanded)],
    )


def summary_out(one: Listed) -> PromptSummary:
    origin = one.prompt.origin
    return PromptSummary(
        name=one.prompt.name,
        kind=one.prompt.kind,
        tags=list(one.prompt.tags),
        versions=one.numbers,
        labels=one.labels,
        forked_from=None if origin is None else f"{origin.name}@{origin.number}",
        created_at=one.prompt.created_at,
        updated_at=one.prompt.updated_at,
    )


def change_out(one: Change) -> PromptChange:
    return PromptChange(part=one.part, before=one.before, after=one.after, diff=one.diff)


def move_out(one: Move) -> LabelMove:
    return LabelMove(
        label=one.label,
        at=one.at,
        actor=Author(kind=one.actor.kind, id=one.actor.id, name=one.actor.name),
        from_number=one.from_number,
        to_number=one.to_number,
        reason=one.reason,
    )


def _variable(one: Variable) -> PromptVariable:
    return PromptVariable(
        name=one.name, type=one.type, description=one.description, required=one.required, default=one.default
    )
