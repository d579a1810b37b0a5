"""Made from openapi.json by `make openapi`; do not edit."""

from __future__ import annotations

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

T = TypeVar("T")


class Page(TypedDict, Generic[T]):
    """One page of results, and the cursor of the next or None on the last."""

    data: list[T]
    next_cursor: str | None


class Accounting(TypedDict):
    """What became of the records. accepted = stored + rejected + pending; dropped ones were never accepted."""

    accepted: int
    dropped: int
    oldest_pending_s: float
    pending: int
    pending_bytes: int
    rejected: int
    stored: int


class Actor(TypedDict):
    id: str
    kind: str
    name: str


class Alert(TypedDict):
    """A rule that was breached."""

    deliveries: list[Delivery]
    id: str
    resolved_at: str | None
    rule_id: str
    rule_name: str
    started_at: str
    state: str
    threshold: float
    value: float | None


class AlertRuleChange(TypedDict):
    """What is to be another; the rest stays."""

    channel_ids: NotRequired[list[str] | None]
    direction: NotRequired[Literal["above", "below"] | None]
    enabled: NotRequired[bool | None]
    environment: NotRequired[str | None]
    filter: NotRequired[str | None]
    measure: NotRequired[str | None]
    name: NotRequired[str | None]
    threshold: NotRequired[float | None]
    window_minutes: NotRequired[int | None]


class AlertRuleIn(TypedDict):
    """A measure of `GET /metrics`, looked at every minute over the last `window_minutes`."""

    channel_ids: NotRequired[list[str]]
    direction: NotRequired[Literal["above", "below"]]
    enabled: NotRequired[bool]
    environment: NotRequired[str]
    filter: NotRequired[str]
    measure: str
    name: str
    threshold: float
    window_minutes: NotRequired[int]


class AlertRule(TypedDict):
    """A rule."""

    channel_ids: NotRequired[list[str]]
    direction: NotRequired[Literal["above", "below"]]
    enabled: NotRequired[bool]
    environment: NotRequired[str]
    filter: NotRequired[str]
    id: str
    measure: str
    name: str
    threshold: float
    window_minutes: NotRequired[int]


class Author(TypedDict):
    """Who did it."""

    id: str
    kind: str
    name: str


CaptureMode = Literal["full", "metadata", "none"]
"""How much of a call is kept: everything, all but the contents, or nothing but the count."""


class CaseContent(TypedDict):
    """What an application is asked, and what is known of a good answer. `split` "" is that of the inputs' hash."""

    context: NotRequired[list[str]]
    expected: NotRequired[Any]
    inputs: Any
    metadata: NotRequired[dict[str, Any]]
    split: NotRequired[str]
    tags: NotRequired[list[str]]


class CaseDifference(TypedDict):
    """A case in which two versions differ: its content before and after, null where it was not there."""

    after: CaseContent | None
    before: CaseContent | None
    id: str


class CaseIn(TypedDict):
    """A case to put in. Under the `id` of one that is there it replaces that one."""

    context: NotRequired[list[str]]
    expected: NotRequired[Any]
    id: NotRequired[str | None]
    inputs: Any
    metadata: NotRequired[dict[str, Any]]
    source_span_id: NotRequired[str]
    source_trace_id: NotRequired[str]
    split: NotRequired[str]
    tags: NotRequired[list[str]]


class CasePair(TypedDict):
    """Two cases that ask nearly the same, and the splits they are in."""

    first: str
    first_split: str
    second: str
    second_split: str
    similarity: float


class CasesPage(TypedDict):
    """A page of a version's cases."""

    data: list[DatasetCase]
    next_cursor: str | None
    version: DatasetVersion


class Category(TypedDict):
    """One of the values that a score may have."""

    label: str
    value: float


class Change(TypedDict):
    """A total of both traces."""

    left: float | str | None
    right: float | str | None


class ChannelChange(TypedDict):
    """What is to be another; the rest stays."""

    addresses: NotRequired[list[str] | None]
    name: NotRequired[str | None]
    url: NotRequired[str | None]


class ChannelIn(TypedDict):
    """Where to tell alerts: a webhook's `url`, or e-mail `addresses`."""

    addresses: NotRequired[list[str]]
    kind: Literal["webhook", "email"]
    name: str
    url: NotRequired[str]


class Channel(TypedDict):
    """A channel. `secret`, which webhooks are signed with, is told once, when the channel is made."""

    addresses: NotRequired[list[str]]
    id: str
    kind: Literal["webhook", "email"]
    name: str
    secret: NotRequired[str | None]
    url: NotRequired[str]


class ChannelTest(TypedDict):
    """What came of telling a channel."""

    message: str
    ok: bool
    status: int


class ColumnsIn(TypedDict):
    """Which column of a file is what; what is not said goes by the columns' names. Several columns become an object. `metadata` [] drops what is left; not said, it is kept."""

    context: NotRequired[str | None]
    expected: NotRequired[str | list[str] | None]
    id: NotRequired[str | None]
    inputs: NotRequired[str | list[str] | None]
    metadata: NotRequired[list[str] | None]
    split: NotRequired[str | None]
    tags: NotRequired[str | None]


class CommentIn(TypedDict):
    """What to say about a trace or a span."""

    span_id: NotRequired[str]
    text: str
    trace_id: str


class Comment(TypedDict):
    """What a person said."""

    author: str
    author_name: str
    created_at: str
    id: str
    span_id: str
    text: str
    trace_id: str


class ConnectionChange(TypedDict):
    """What to change of a connection; what is left out stays. `secret` is write-only: "" removes it."""

    base_url: NotRequired[str | None]
    is_default: NotRequired[bool | None]
    models: NotRequired[list[str] | None]
    name: NotRequired[str | None]
    options: NotRequired[dict[str, Any] | None]
    prices_as: NotRequired[str | None]
    secret: NotRequired[str | None]


class ConnectionIn(TypedDict):
    """A connection to be made. `models` are globs (empty: the provider's own), `prices_as` a provider of the price table or `free`."""

    base_url: NotRequired[str | None]
    is_default: NotRequired[bool | None]
    models: NotRequired[list[str] | None]
    name: str
    options: NotRequired[dict[str, Any] | None]
    prices_as: NotRequired[str | None]
    provider: str
    secret: NotRequired[str | None]


class Connection(TypedDict):
    """A connection; of its secret only that there is one, and its end."""

    base_url: str
    created_at: str
    has_secret: bool
    id: str
    is_default: bool
    known_models: list[str]
    models: list[str]
    name: str
    options: dict[str, Any]
    prices_as: str
    provider: str
    secret_last4: str
    secret_options: list[str]
    updated_at: str


class Count(TypedDict):
    """What can be queried now, exactly."""

    spans: int
    traces: int


class CriticalPath(TypedDict):
    """The steps of the critical path in order of time; `owner` is the one with the greatest share."""

    owner: str
    steps: list[PathStep]
    total_ns: int


class Dataset(TypedDict):
    """A dataset and its newest version."""

    created_at: str
    description: str
    expected_schema: Any
    id: str
    input_schema: Any
    metadata: Any
    name: str
    splits: dict[str, int]
    updated_at: str
    version: DatasetVersion


class DatasetCase(TypedDict):
    """A case of a dataset. `split` is the one it belongs to; `digest` is that of its content."""

    context: NotRequired[list[str]]
    created_at: str
    digest: str
    expected: NotRequired[Any]
    id: str
    in_dataset: bool
    inputs: Any
    metadata: NotRequired[dict[str, Any]]
    source_span_id: str
    source_trace_id: str
    split: NotRequired[str]
    tags: NotRequired[list[str]]
    updated_at: str


class DatasetChange(TypedDict):
    """What is to be changed of a dataset; the rest stays."""

    description: NotRequired[str]
    expected_schema: NotRequired[dict[str, Any] | None]
    input_schema: NotRequired[dict[str, Any] | None]
    metadata: NotRequired[Any]
    name: NotRequired[str]
    splits: NotRequired[dict[str, int]]


class DatasetImport(TypedDict):
    """A file of cases: JSON lines, CSV with a first line of names, or JSON (a list of objects, an object of columns, or the answer of Hugging Face's dataset viewer)."""

    content: str
    expected: NotRequired[int | None]
    format: Literal["jsonl", "csv", "json"]
    mapping: NotRequired[ColumnsIn]
    message: NotRequired[str]
    skip_duplicates: NotRequired[bool]
    split: NotRequired[str]
    tags: NotRequired[list[str]]


class DatasetIn(TypedDict):
    """A new dataset. `splits` share its cases out by the hash of their inputs: `{"test": 20, "train": 80}`. The JSON schemas are what inputs and expected outputs have to be."""

    description: NotRequired[str]
    expected_schema: NotRequired[dict[str, Any] | None]
    input_schema: NotRequired[dict[str, Any] | None]
    metadata: NotRequired[Any]
    name: str
    splits: NotRequired[dict[str, int]]


class DatasetVersion(TypedDict):
    """A state of a dataset, which never changes. `digest` is that of its cases' digests and its splits."""

    added: int
    author: Author
    cases: int
    created_at: str
    digest: str
    message: str
    number: int
    removed: int
    splits: dict[str, int]


class Delivery(TypedDict):
    """One telling: pending, delivered, or failed when it was given up."""

    at: str
    attempts: int
    channel: str
    event: str
    last_error: str | None
    state: str


class DiffedSpan(TypedDict):
    """A span as a difference shows it."""

    cost_usd: str | None
    duration_ms: float
    kind: str
    model: str
    name: str
    span_id: str
    status: str
    total_tokens: int


class EnvironmentBody(TypedDict):
    name: str


class Environment(TypedDict):
    created_at: str
    name: str
    project_id: str


class Event(TypedDict):
    """Who changed what, when. The digests are of the subject's canonical JSON before and after."""

    action: str
    actor: Actor
    after_digest: str | None
    at: str
    before_digest: str | None
    details: dict[str, Any]
    id: str
    project_id: str | None
    reason: str | None
    request_id: str | None
    seq: int
    subject_id: str
    subject_kind: str


class FailureDetail(TypedDict):
    """A failure, and how it is spread."""

    breakdown: dict[str, list[Share]]
    count: int
    error_class: str
    example: FailureExample
    first_seen: str
    interval_s: int
    is_new: bool
    last_seen: str
    models: list[str]
    series: list[list[Any]]
    signature: str
    title: str
    traces: int
    users: int


class FailureExample(TypedDict):
    """The newest of its kind."""

    message: str
    span_id: str
    trace_id: str


class Failure(TypedDict):
    """Failures that are the same: class, place, and message but for its numbers and names. `is_new`: there was none before the time asked for, as far back as spans are kept. `series`: how many in the `interval_s` after each time."""

    count: int
    error_class: str
    example: FailureExample
    first_seen: str
    interval_s: int
    is_new: bool
    last_seen: str
    models: list[str]
    series: list[list[Any]]
    signature: str
    title: str
    traces: int
    users: int


class FieldProblem(TypedDict):
    """One field that does not fit."""

    field: str
    message: str


class FlatRates(TypedDict):
    """USD per million tokens of each bucket. null is unknown for `input` and `output`, and for the others the rate of `input` or `output`. `request` is USD a call; `details` USD per million of what is priced apart."""

    cache_read: NotRequired[str | None]
    cache_write: NotRequired[str | None]
    details: NotRequired[dict[str, str]]
    input: NotRequired[str | None]
    input_audio: NotRequired[str | None]
    output: NotRequired[str | None]
    output_audio: NotRequired[str | None]
    reasoning: NotRequired[str | None]
    request: NotRequired[str]


class ForkIn(TypedDict):
    """Which version to begin with, and the name of the fork."""

    message: NotRequired[str]
    name: str
    reference: str


class FromTraces(TypedDict):
    """Which traces or spans to take: by id, or the newest that a search finds (`filter`, `start`, `end`, `environment`: times as 2026-01-31T12:00:00Z or -24h). `expected` is the correction that a person wrote (`correction`), what came out (`output`), or left open (`none`)."""

    end: NotRequired[str]
    environment: NotRequired[str]
    expected: NotRequired[Literal["correction", "output", "none"]]
    filter: NotRequired[str]
    limit: NotRequired[int]
    message: NotRequired[str]
    span_ids: NotRequired[list[str]]
    split: NotRequired[str]
    start: NotRequired[str]
    tags: NotRequired[list[str]]
    trace_ids: NotRequired[list[str]]


class Group(TypedDict):
    """What happened under one session or end user."""

    cost_usd: str | None
    errors: int
    first_seen: str
    id: str
    last_seen: str
    spans: int
    total_tokens: int
    traces: int


class ImportIn(TypedDict):
    """A file of another tool. `name` is for files that tell none, or to give another."""

    content: str
    format: Literal["langfuse", "mlflow", "promptfoo", "dotprompt", "prompty"]
    name: NotRequired[str]


class KeyBody(TypedDict):
    allowed_apps: NotRequired[list[str]]
    allowed_models: NotRequired[list[str]]
    environment: NotRequired[str]
    expires_at: NotRequired[str | None]
    name: str
    scopes: NotRequired[list[Permission] | None]


class Key(TypedDict):
    allowed_apps: list[str]
    allowed_models: list[str]
    created_at: str
    created_by: str
    environment: str
    expires_at: str | None
    id: str
    last_used_at: str | None
    name: str
    project_id: str
    public_key: str
    revoked_at: str | None
    scopes: list[str]
    secret_hint: str


class LabelIn(TypedDict):
    """Where a label is to point: at a version, or nowhere (null). `expected` is where it is thought to point now (null: nowhere); left out, it is moved from wherever it is."""

    expected: NotRequired[int | None]
    label: str
    name: str
    number: int | None
    reason: NotRequired[str]


class LabelMove(TypedDict):
    """One step of a label."""

    actor: Author
    at: str
    from_number: int | None
    label: str
    reason: str
    to_number: int | None


class LatencyOwner(TypedDict):
    """Steps of one name and kind, and their part of the critical paths of the newest traces (500 at most)."""

    kind: str
    name: str
    own_ms: float
    own_ms_per_trace: float
    share: float
    traces: int


class LeakageReport(TypedDict):
    """Pairs of cases that ask nearly the same: `leaks` between splits, `near_duplicates` within one. `complete` is false when there were too many to look at, or to tell, all of them."""

    cases: int
    complete: bool
    leaks: int
    near_duplicates: int
    pairs: list[CasePair]
    version: int


class LoginBody(TypedDict):
    email: str
    password: str


class MergeIn(TypedDict):
    """Which version of a fork to bring back into the prompt it began with."""

    message: NotRequired[str]
    reference: str


class Metrics(TypedDict):
    """A table of measures; `time` is the start of a bucket of `interval_s` seconds."""

    columns: list[str]
    interval_s: int | None
    rows: list[dict[str, Any]]


class Model(TypedDict):
    """A model the project can call. `rates` is null, and `price_source` empty, when its price is unknown."""

    connection: str
    model: str
    price_source: str
    provider: str
    rates: RatesBody | None
    route_id: str
    upstream_model: str


class NewKey(TypedDict):
    """A key just made. `secret_key` is shown this once and stored nowhere."""

    allowed_apps: list[str]
    allowed_models: list[str]
    created_at: str
    created_by: str
    environment: str
    expires_at: str | None
    id: str
    last_used_at: str | None
    name: str
    project_id: str
    public_key: str
    revoked_at: str | None
    scopes: list[str]
    secret_hint: str
    secret_key: str


class Option(TypedDict):
    """A provider's own field of a connection."""

    choices: list[str]
    default: str
    help: str
    kind: str
    name: str
    required: bool
    title: str


class PasswordBody(TypedDict):
    new_password: str
    old_password: str


class PathStep(TypedDict):
    """A step that the trace waited for: `own_ns` is the time that it alone accounts for, `share` its part of all."""

    kind: str
    name: str
    own_ns: int
    share: float
    span_id: str


Permission = Literal[
    "public",
    "any",
    "gateway.call",
    "traces.read",
    "traces.write",
    "traces.delete",
    "scores.write",
    "costs.read",
    "costs.write",
    "keys.read",
    "keys.write",
    "projects.read",
    "projects.write",
    "events.read",
    "prompts.read",
    "prompts.write",
    "prompts.protect",
    "releases.read",
    "releases.write",
    "releases.promote",
    "evals.read",
    "evals.write",
    "projects.create",
    "users.read",
    "users.write",
    "server.read",
]
"""What a route asks of its caller. PUBLIC asks nothing; ANY asks only for valid credentials."""


class Price(TypedDict):
    """A line of the price table."""

    model: str
    provider: str
    rates: RatesBody
    source: str


class PriceRuleIn(TypedDict):
    """A price of the project's own. `provider` is a kind of provider, a provider of the price table, the name of a connection or `*`; `model` a name or glob. In force from now unless said otherwise."""

    batch: NotRequired[bool]
    effective_from: NotRequired[str | None]
    effective_to: NotRequired[str | None]
    model: str
    note: NotRequired[str]
    provider: NotRequired[str]
    rates: RatesBody


class PriceRule(TypedDict):
    """A price of the project's own."""

    batch: bool
    effective_from: str
    effective_to: str | None
    id: str
    model: str
    note: str
    provider: str
    rates: RatesBody


class Probe(TypedDict):
    """What came of testing a connection."""

    latency_ms: int
    message: str
    models: list[str]
    ok: bool
    status: int | None


class Problem(TypedDict):
    """What went wrong. `code` is for programs, `detail` for people, `request_id` for whoever looks into the log."""

    code: str
    detail: str
    errors: NotRequired[list[FieldProblem] | None]
    param: NotRequired[str | None]
    request_id: NotRequired[str | None]
    status: int
    title: str
    type: str


class ProjectBody(TypedDict):
    name: str
    slug: NotRequired[str | None]


class ProjectPatch(TypedDict):
    capture: NotRequired[CaptureMode | None]
    masks: NotRequired[list[str] | None]
    name: NotRequired[str | None]
    retention_days: NotRequired[int | None]


class Project(TypedDict):
    capture: CaptureMode
    created_at: str
    id: str
    masks: list[str]
    name: str
    retention_days: int
    slug: str


class Prompt(TypedDict):
    """A version with its content. `expanded` is the template with what it includes (`includes`: reference to digest), `variables` are those of the whole."""

    author: Author
    body: PromptBody
    created_at: str
    digest: str
    expanded: str | list[dict[str, Any]]
    includes: dict[str, str]
    kind: Literal["text", "chat"]
    labels: list[str]
    message: str
    name: str
    number: int
    tags: list[str]
    variables: list[PromptVariable]


class PromptBody(TypedDict):
    """What a version freezes. `template` is a text, or a list of `{"role", "content"}` and `{"placeholder"}`."""

    config: NotRequired[Any]
    engine: NotRequired[Literal["mustache", "jinja2"]]
    model: NotRequired[str | None]
    parameters: NotRequired[dict[str, Any]]
    response_schema: NotRequired[dict[str, Any] | None]
    template: str | list[dict[str, Any]]
    tools: NotRequired[list[Any]]
    variables: NotRequired[list[PromptVariable]]


class PromptChange(TypedDict):
    """One part that differs, with a unified diff of its lines."""

    after: Any
    before: Any
    diff: str
    part: str


class PromptIn(TypedDict):
    """A new version. `expected` is the version that its author began with (0: none), if others may save as well; `tags` null keeps those of the prompt."""

    config: NotRequired[Any]
    engine: NotRequired[Literal["mustache", "jinja2"]]
    expected: NotRequired[int | None]
    labels: NotRequired[list[str]]
    message: NotRequired[str]
    model: NotRequired[str | None]
    name: str
    parameters: NotRequired[dict[str, Any]]
    response_schema: NotRequired[dict[str, Any] | None]
    tags: NotRequired[list[str] | None]
    template: str | list[dict[str, Any]]
    tools: NotRequired[list[Any]]
    variables: NotRequired[list[PromptVariable]]


class PromptSummary(TypedDict):
    """A prompt in a list."""

    created_at: str
    forked_from: str | None
    kind: Literal["text", "chat"]
    labels: dict[str, int]
    name: str
    tags: list[str]
    updated_at: str
    versions: list[int]


class PromptVariable(TypedDict):
    """A variable of a prompt. It must be given unless it has a default or is not required."""

    default: NotRequired[Any]
    description: NotRequired[str]
    name: str
    required: NotRequired[bool]
    type: NotRequired[Literal["any", "string", "number", "integer", "boolean", "object", "list", "json"]]


class PromptVersion(TypedDict):
    """A frozen version without its content."""

    author: Author
    created_at: str
    digest: str
    labels: list[str]
    message: str
    name: str
    number: int
    tags: list[str]


class ProtectedLabels(TypedDict):
    """The labels that only who has `prompts.protect` may move."""

    labels: list[str]


class Provider(TypedDict):
    """A kind of provider that connections can be made to."""

    default_base_url: str
    kind: str
    models: list[str]
    needs_secret: bool
    options: list[Option]
    secret_help: str
    title: str


class PutIn(TypedDict):
    """Cases to put in, all or none. `expected` is the version that the caller looked at, if that matters."""

    cases: list[CaseIn]
    expected: NotRequired[int | None]
    message: NotRequired[str]
    skip_duplicates: NotRequired[bool]


class Put(TypedDict):
    """What came of it: the version that has the cases, their ids in order, and how many were new, changed, there already under their id, or left out because the same content is there (`duplicates` names some of them)."""

    added: int
    changed: int
    duplicate_count: int
    duplicates: list[str]
    ids: list[str]
    unchanged: int
    version: DatasetVersion


class RatesBody(TypedDict):
    """Rates, and those of long prompts."""

    cache_read: NotRequired[str | None]
    cache_write: NotRequired[str | None]
    details: NotRequired[dict[str, str]]
    input: NotRequired[str | None]
    input_audio: NotRequired[str | None]
    output: NotRequired[str | None]
    output_audio: NotRequired[str | None]
    reasoning: NotRequired[str | None]
    request: NotRequired[str]
    tiers: NotRequired[list[TierBody]]


class Readiness(TypedDict):
    """Whether traffic may come, and the state of each part."""

    parts: dict[str, str]
    ready: bool


class RenderIn(TypedDict):
    """What to fill: a saved version by reference, or a body that is not saved."""

    body: NotRequired[PromptBody | None]
    placeholders: NotRequired[dict[str, list[dict[str, Any]]]]
    reference: NotRequired[str | None]
    variables: NotRequired[dict[str, Any]]


class Rendered(TypedDict):
    """The filled prompt: a text, or messages."""

    messages: list[dict[str, Any]] | None
    text: str | None


Role = Literal["owner", "admin", "developer", "viewer", "member"]
"""What a user may do. `member` holds nothing by itself, only what memberships give."""


class RouteChange(TypedDict):
    """What to change of a route; what is left out stays."""

    pattern: NotRequired[str | None]
    retries: NotRequired[int | None]
    strategy: NotRequired[Literal["fallback", "weighted"] | None]
    targets: NotRequired[list[TargetBody] | None]
    timeouts: NotRequired[TimeoutsBody | None]


class RouteIn(TypedDict):
    """A route to be made: calls whose model matches `pattern` go to the targets, by `fallback` (in order) or `weighted` (the first drawn by weight, the others in order)."""

    pattern: str
    retries: NotRequired[int | None]
    strategy: NotRequired[Literal["fallback", "weighted"] | None]
    targets: list[TargetBody]
    timeouts: NotRequired[TimeoutsBody | None]


class Route(TypedDict):
    """A route."""

    created_at: str
    id: str
    pattern: str
    retries: int
    strategy: str
    targets: list[TargetBody]
    timeouts: TimeoutsBody
    updated_at: str


class RulePreview(TypedDict):
    """What a rule would say now; `value` is null when there is nothing to measure."""

    series: list[list[Any]]
    value: float | None
    would_fire: bool


class ScoreConfigChange(TypedDict):
    """What is to be another; the rest stays."""

    categories: NotRequired[list[Category] | None]
    description: NotRequired[str | None]
    is_archived: NotRequired[bool | None]
    max_value: NotRequired[float | None]
    min_value: NotRequired[float | None]
    name: NotRequired[str | None]


class ScoreConfigIn(TypedDict):
    """What scores of a name may be."""

    categories: NotRequired[list[Category]]
    data_type: Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT"]
    description: NotRequired[str]
    max_value: NotRequired[float | None]
    min_value: NotRequired[float | None]
    name: str


class ScoreConfig(TypedDict):
    """A config."""

    categories: NotRequired[list[Category]]
    created_at: str
    data_type: Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT"]
    description: NotRequired[str]
    id: str
    is_archived: bool
    max_value: NotRequired[float | None]
    min_value: NotRequired[float | None]
    name: str
    updated_at: str


class ScoreIn(TypedDict):
    """A score of a trace, a span of it, or a session. Without `data_type` it is its config's, else what the value is. The same `id` again replaces the score."""

    comment: NotRequired[str]
    config_id: NotRequired[str]
    data_type: NotRequired[Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"] | None]
    environment: NotRequired[str]
    id: NotRequired[str]
    metadata: NotRequired[Any]
    name: str
    session_id: NotRequired[str]
    span_id: NotRequired[str]
    trace_id: NotRequired[str]
    value: bool | float | str


class Score(TypedDict):
    """A score. `value` is the number of NUMERIC, BOOLEAN (0 or 1) and of a category that has one; `string_value` the text of CATEGORICAL, TEXT and CORRECTION."""

    author: str
    comment: str
    config_id: str
    data_type: str
    environment: str
    id: str
    metadata: Any
    name: str
    session_id: str
    source: str
    span_id: str
    string_value: str
    time: str
    trace_id: str
    value: float | None


class Server(TypedDict):
    """The server's parts; each is `ok` or what is wrong with it."""

    accounting: Accounting | None
    ready: bool
    stores: dict[str, str]
    uptime_s: float
    version: str
    worker: Worker


class Session(TypedDict):
    """Who is logged in. `csrf_token` goes into the header X-Octavo-CSRF of every request that changes something."""

    csrf_token: str
    permissions: list[str]
    user: User


class Share(TypedDict):
    """How many of a failure have this value."""

    count: int
    value: str


class SpanEvent(TypedDict):
    """Something that happened at one instant of a span."""

    attributes: dict[str, Any]
    name: str
    time: str


class Span(TypedDict):
    """A span, whole."""

    api_key_id: str
    app: str
    attempts: int
    attributes: dict[str, Any]
    cache_status: str
    captured: str
    connection_id: str
    cost_details: dict[str, str]
    cost_source: str
    cost_usd: str | None
    counted: bool
    documents: str
    duplicate_of: str
    duration_ms: float
    environment: str
    error_class: str
    error_type: str
    events: list[SpanEvent]
    finish_reason: str
    input: str
    is_root: bool
    kind: str
    level: str
    links: list[dict[str, Any]]
    match: str
    metadata: dict[str, Any]
    model: str
    model_requested: str
    name: str
    otel_kind: int
    output: str
    parameters: dict[str, Any]
    parent_span_id: str
    prompt_name: str
    prompt_version: str
    provider: str
    release: str
    request_id: str
    resource: dict[str, Any]
    response_id: str
    scope_name: str
    scope_version: str
    service: str
    session_id: str
    source: str
    span_id: str
    start_time: str
    status: str
    status_message: str
    streaming: bool
    tags: list[str]
    tools: str
    total_tokens: int
    trace_id: str
    ttft_ms: float | None
    usage: Usage | None
    usage_extra: dict[str, int]
    user_id: str
    version: str


class SpanPair(TypedDict):
    """A span and the one in its place in the other trace: same, changed (in `fields`), added or removed."""

    change: str
    fields: list[str]
    left: DiffedSpan | None
    right: DiffedSpan | None


class SpanSummary(TypedDict):
    """A span in one line. Its usage and cost are in totals when it is `counted`; `duplicate_of` names the gateway's record of the same call, and `match` says how it was found: traceparent, response_id or fingerprint."""

    cost_usd: str | None
    counted: bool
    duplicate_of: str
    duration_ms: float
    error_class: str
    is_root: bool
    kind: str
    match: str
    model: str
    name: str
    parent_span_id: str
    source: str
    span_id: str
    start_time: str
    status: str
    total_tokens: int
    trace_id: str
    ttft_ms: float | None


class TagsIn(TypedDict):
    """The tags a prompt is to have."""

    name: str
    tags: list[str]


class TargetBody(TypedDict):
    """A connection and the model to ask it for; no model keeps the name as asked."""

    connection_id: str
    model: NotRequired[str]
    weight: NotRequired[int]


class TierBody(TypedDict):
    """The rates of the whole call when its prompt is longer than `above` tokens."""

    above: int
    rates: FlatRates


class TimeoutsBody(TypedDict):
    """Seconds: to connect, to the first byte of the answer, and in all."""

    connect_s: NotRequired[float]
    first_byte_s: NotRequired[float]
    total_s: NotRequired[float]


class TraceDiff(TypedDict):
    """Two traces side by side: their totals, and their spans."""

    spans: list[SpanPair]
    summary: dict[str, Change]


class Trace(TypedDict):
    """A trace, its spans in order of time, its scores."""

    scores: list[Score]
    spans: list[SpanSummary]
    trace: TraceSummary


class TraceSummary(TypedDict):
    """A trace in one line. `cost_usd` is null when no part of it has a known price; `cost_known` is false when some part has not."""

    cost_known: bool
    cost_usd: str | None
    duration_ms: float
    environment: str
    error_class: str
    error_count: int
    error_message: str
    input_preview: str
    input_tokens: int
    llm_calls: int
    models: list[str]
    name: str
    output_preview: str
    output_tokens: int
    providers: list[str]
    release: str
    root_span_id: str
    scores: NotRequired[dict[str, float]]
    session_id: str
    source: str
    span_count: int
    start_time: str
    status: str
    tags: list[str]
    total_tokens: int
    trace_id: str
    ttft_ms: float | None
    user_id: str


class Usage(TypedDict):
    """Tokens in disjoint buckets."""

    cache_read: NotRequired[int]
    cache_write: NotRequired[int]
    input: NotRequired[int]
    input_audio: NotRequired[int]
    output: NotRequired[int]
    output_audio: NotRequired[int]
    reasoning: NotRequired[int]
    total: NotRequired[int]


class UserBody(TypedDict):
    email: str
    memberships: NotRequired[dict[str, Role]]
    name: NotRequired[str]
    password: str
    role: NotRequired[Role]


class UserPatch(TypedDict):
    disabled: NotRequired[bool | None]
    memberships: NotRequired[dict[str, Role] | None]
    name: NotRequired[str | None]
    password: NotRequired[str | None]
    role: NotRequired[Role | None]


class User(TypedDict):
    created_at: str
    disabled: bool
    email: str
    id: str
    memberships: dict[str, Role]
    name: str
    role: Role


class ViewChange(TypedDict):
    """What is to be another; the rest stays."""

    name: NotRequired[str | None]
    query: NotRequired[str | None]
    shared: NotRequired[bool | None]


class ViewIn(TypedDict):
    """A page of the console with its filters; `query` is the search part of its address."""

    name: str
    page: Literal["traces", "sessions", "end-users", "metrics", "failures"]
    query: NotRequired[str]
    shared: NotRequired[bool]


class View(TypedDict):
    """A saved view. `mine`: the caller may change it."""

    id: str
    mine: bool
    name: str
    page: Literal["traces", "sessions", "end-users", "metrics", "failures"]
    query: NotRequired[str]
    shared: NotRequired[bool]


class Worker(TypedDict):
    """The worker process: starting, ready, down, stopped, or apart."""

    message: str
    pid: int | None
    restarts: int
    state: str
