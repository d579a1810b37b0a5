"""From a span as a client sent it to the product's own, by the tables of `dialects`. Pure: the same span gives the same
result whatever the order of its attributes, and none of them is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from octavo_server.core.digest import JSON
from octavo_server.core.money import usd_to_nano
from octavo_server.traces import dialects, messages
from octavo_server.traces.failures import error_class
from octavo_server.traces.gateway_calls import preview
from octavo_server.traces.masking import masker_of
from octavo_server.traces.messages import loose, text_of
from octavo_server.traces.model import CaptureMode, Origin, ProjectRules, Span, SpanEvent, SpanKind, Usage
from octavo_server.traces.otlp import RawLog, RawSpan

Normalise = Callable[[str, Mapping[str, Any]], Usage]
"""Disjoint buckets of a provider's usage object; `costs.runtime.normalise_usage`."""

_KNOWN_NAMES = 8192
_MOST_TOKENS = 2**31 - 1
_MOST_NANO = 10**15
_VECTOR_SHOWN = 8
_MODEL_KINDS = frozenset({SpanKind.LLM, SpanKind.EMBEDDING})
_STATUS = ("unset", "ok", "error")
_LEVELS = frozenset({"DEBUG", "DEFAULT", "WARNING", "ERROR"})
_LANGFUSE_RANK = 0  # of `input` and `output`: what the Langfuse SDK was told to show
_MESSAGES_RANK = 1  # the current conventions' messages
_ERROR_NAME = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Timeout|Interrupt|Exit))\b")

_Found = dict[str, tuple[int, Any, str]]
_Groups = dict[str, dict[str, JSON]]


class _Place:
    """Where an attribute goes: to fields, each with a rank, or into a group under the rest of its name."""

    __slots__ = ("content", "fields", "group", "rest", "rivals")

    def __init__(self, name: str) -> None:
        self.fields = _EXACT.get(name, ())
        self.group, self.rest = "", ""
        self.rivals: tuple[str, ...] = ()  # names that mean the same in a dialect that goes before this one
        if not self.fields or name.startswith(_ALWAYS_GROUPED):
            for prefix, group in _PREFIXES:
                if name.startswith(prefix):
                    self.group, self.rest = group, name[len(prefix) :]
                    prefixes = dialects.GROUPS[group]
                    self.rivals = tuple(before + self.rest for before in prefixes[: prefixes.index(prefix)])
                    break
        self.content = any(field in dialects.CONTENT for field, _ in self.fields) or self.group in dialects.CONTENT

    @property
    def known(self) -> bool:
        return bool(self.fields or self.group)


def _invert() -> dict[str, tuple[tuple[str, int], ...]]:
    places: dict[str, list[tuple[str, int]]] = {}
    for field, names in dialects.FIELDS.items():
        for rank, name in enumerate(names):
            places.setdefault(name, []).append((field, rank))
    return {name: tuple(fields) for name, fields in places.items()}


_EXACT = _invert()
_PREFIXES = sorted(
    ((prefix, group) for group, prefixes in dialects.GROUPS.items() for prefix in prefixes),
    key=lambda one: -len(one[0]),
)
_ALWAYS_GROUPED = ("gen_ai.request.", "llm.request.")


class Mapper:
    """Maps spans; remembers where the attribute names it has seen go."""

    def __init__(self, normalise: Normalise) -> None:
        self._normalise = normalise
        self._places: dict[str, _Place] = {}

    def span(self, raw: RawSpan, origin: Origin, rules: ProjectRules) -> Span:
        """The product's span of a client's."""
        if rules.masks:
            raw = masker_of(rules.masks).span(raw)
        attributes, events = raw.attributes, raw.events
        found: _Found = {}
        groups: _Groups = {}
        self._sort(attributes, 0, found, groups)
        if raw.sender.resource:
            self._sort_resource(raw.sender.resource, found)
        for event in events:
            if event.name in dialects.DETAILS_EVENTS:
                self._sort(event.attributes, 1000, found, groups)
        kind = _kind(found)
        request = groups.get("request", _NOTHING)
        parameters = _parameters(found, request)
        input_, input_from = _input(found, groups, events)
        output, output_from = _output(found, groups, events, kind)
        status_message = _text(found, "status_message") or raw.status_message
        level = _text(found, "level").upper()
        status = "error" if raw.status_code == 2 or level == "ERROR" else _STATUS[raw.status_code]
        error_type, failure = "", ""
        if status == "error":
            error_type, status_message = _error(found, events, status_message)
            failure = error_class(error_type, status_message)
        usage, extra = self._usage(found)
        cost, cost_details = _cost(found, failed=status == "error")
        model = _text(found, "model")
        if not model and "parameters" in found:  # OpenInference names no model on the spans of failed calls
            model = _plain(loose(found["parameters"][1]), "model")
        span = Span(
            project_id=origin.project_id,
            trace_id=raw.trace_id,
            span_id=raw.span_id,
            parent_span_id=raw.parent_span_id,
            name=raw.name or _text(found, "tool_name") or kind.value,
            kind=kind,
            source="langfuse" if raw.sender.scope_name.startswith("langfuse") else "otlp",
            start_ns=raw.start_ns,
            end_ns=max(raw.end_ns, raw.start_ns),
            is_root=not raw.parent_span_id or _flag(found, "as_root"),
            status=status,
            status_message=status_message,
            level=level if level in _LEVELS else "ERROR" if status == "error" else "DEFAULT",
            error_type=error_type,
            error_class=failure,
            environment=_text(found, "environment") or origin.environment or "default",
            service=_plain(raw.sender.resource, "service.name"),
            app=_text(found, "app"),
            release=_text(found, "release"),
            version=_text(found, "version"),
            trace_name=_text(found, "trace_name"),
            session_id=_lifted(found, "session_id"),
            user_id=_lifted(found, "user_id"),
            tags=_tags(found),
            metadata=_metadata(found, groups),
            provider=_text(found, "provider").lower(),
            model_requested=_text(found, "model_requested") or model,
            model=model,
            parameters=parameters,
            streaming=_flag(found, "streaming"),
            finish_reason=_finish_reason(found),
            response_id=_text(found, "response_id"),
            input=input_,
            input_from=input_from,
            input_preview=preview(input_, role="user") if input_ else "",
            output=output,
            output_from=output_from,
            output_preview=preview(output, role="assistant") if output else "",
            tools=_tools(found, groups),
            documents=_documents(found, groups),
            usage=usage,
            usage_extra=extra,
            cost_nano=cost,
            cost_source="" if cost is None else "reported",
            cost_details=cost_details,
            ttft_ns=_first_token(found, raw),
            prompt_name=_text(found, "prompt_name"),
            prompt_version=_text(found, "prompt_version"),
            call_digest=messages.call_digest(input_) if kind in _MODEL_KINDS else 0,
            api_key_id=origin.api_key_id,
            captured=rules.capture,
            otel_kind=raw.kind,
            flags=raw.flags,
            trace_state=raw.trace_state,
            scope_name=raw.sender.scope_name,
            scope_version=raw.sender.scope_version,
            scope_attributes=raw.sender.scope_attributes,
            resource=raw.sender.resource,
            attributes=_kept(attributes, input_from, output_from),
            events=events,
            links=raw.links,
        )
        return span if rules.capture is CaptureMode.FULL else self._without_content(span)

    def log(self, raw: RawLog, rules: ProjectRules) -> RawLog:
        """What may be kept of a log record."""
        if rules.masks:
            raw = masker_of(rules.masks).log(raw)
        if rules.capture is CaptureMode.FULL:
            return raw
        kept = {} if rules.capture is CaptureMode.NONE else self._contentless(raw.event.attributes)
        return RawLog(raw.trace_id, raw.span_id, msgspec.structs.replace(raw.event, attributes=kept))

    def _place(self, name: str) -> _Place:
        place = self._places.get(name)
        if place is None:
            if len(self._places) >= _KNOWN_NAMES:
                self._places.clear()
            place = self._places[name] = _Place(name)
        return place

    def _sort(self, attributes: Mapping[str, JSON], penalty: int, found: _Found, groups: _Groups) -> None:
        places = self._places
        for name, value in attributes.items():
            place = places.get(name) or self._place(name)
            if place.group and not any(rival in attributes for rival in place.rivals):
                group = groups.setdefault(place.group, {})
                if penalty == 0 or place.rest not in group:
                    group[place.rest] = value
            if place.fields and value is not None and value != "":
                for field, rank in place.fields:
                    best = found.get(field)
                    if best is None or rank + penalty < best[0]:
                        found[field] = (rank + penalty, value, name)

    def _sort_resource(self, resource: Mapping[str, JSON], found: _Found) -> None:
        for name, value in resource.items():
            for field, rank in self._place(name).fields:
                if field in dialects.OF_RESOURCE and value not in (None, ""):
                    best = found.get(field)
                    if best is None or rank + 500 < best[0]:
                        found[field] = (rank + 500, value, name)

    def _usage(self, found: _Found) -> tuple[Usage | None, dict[str, int]]:
        if "usage" in found:
            told = loose(found["usage"][1])
            if isinstance(told, dict):
                return self._langfuse_usage(told)
        counts = {name: _count(found[name][1]) for name in _USAGE_FIELDS if name in found}
        if not counts:
            return None, {}
        given = counts.get
        whole_input, whole_output, total = given("input_tokens", 0), given("output_tokens", 0), given("total_tokens", 0)
        if total and not (whole_input or whole_output):
            whole_input = total
        # Every dialect here counts cached and audio tokens inside input, reasoning inside output.
        cache_read = min(given("cache_read", 0), whole_input)
        cache_write = min(given("cache_write", 0), whole_input - cache_read)
        input_audio = min(given("input_audio", 0), whole_input - cache_read - cache_write)
        reasoning = min(given("reasoning", 0), whole_output)
        output_audio = min(given("output_audio", 0), whole_output - reasoning)
        usage = Usage(
            input=whole_input - cache_read - cache_write - input_audio,
            cache_read=cache_read,
            cache_write=cache_write,
            input_audio=input_audio,
            output=whole_output - reasoning - output_audio,
            reasoning=reasoning,
            output_audio=output_audio,
        )
        return usage, {}

    def _langfuse_usage(self, told: dict[str, Any]) -> tuple[Usage | None, dict[str, int]]:
        if "prompt_tokens" in told or "completion_tokens" in told or "input_tokens" in told:
            return self._normalise("openai", told), {}
        buckets: dict[str, int] = {}
        extra: dict[str, int] = {}
        for name, value in told.items():
            if isinstance(value, (int, float, str)):
                bucket = dialects.LANGFUSE_USAGE.get(name)
                if bucket is not None:
                    buckets[bucket] = max(buckets.get(bucket, 0), _count(value))
                elif name != "total":
                    extra[name] = _count(value)
        total = _count(told.get("total"))
        if not buckets and not total:
            return None, extra
        if not buckets.get("input") and not buckets.get("output") and total:
            buckets["input"] = max(total - sum(buckets.values()), 0)
        elif total and buckets.get("input", 0) + buckets.get("output", 0) == total < sum(buckets.values()):
            # The total says that the parts are inside input and output.
            _take_out(buckets, "input", ("cache_read", "cache_write", "input_audio"))
            _take_out(buckets, "output", ("reasoning", "output_audio"))
        return msgspec.convert(buckets, Usage), extra

    def _without_content(self, span: Span) -> Span:
        """What is kept of a span where contents may not be: names and numbers."""
        nothing = span.captured is CaptureMode.NONE
        return msgspec.structs.replace(
            span,
            input="",
            output="",
            input_from="",
            output_from="",
            input_preview="",
            output_preview="",
            tools="",
            documents="",
            status_message="",
            metadata={} if nothing else span.metadata,
            session_id="" if nothing else span.session_id,
            user_id="" if nothing else span.user_id,
            tags=[] if nothing else span.tags,
            attributes={} if nothing else self._contentless(span.attributes),
            parameters={} if nothing else {name: one for name, one in span.parameters.items() if _is_number(one)},
            events=[]
            if nothing
            else [msgspec.structs.replace(one, attributes=self._contentless(one.attributes)) for one in span.events],
            links=[
                msgspec.structs.replace(one, attributes={} if nothing else self._contentless(one.attributes))
                for one in span.links
            ],
        )

    def _contentless(self, attributes: Mapping[str, JSON]) -> dict[str, JSON]:
        kept: dict[str, JSON] = {}
        for name, value in attributes.items():
            place = self._place(name)
            if place.known and (place.fields or place.group != "request"):
                if not place.content:
                    kept[name] = value
            elif _is_number(value) or name in _HARMLESS:
                kept[name] = value
        return kept


_NOTHING: dict[str, JSON] = {}
_USAGE_FIELDS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read",
    "cache_write",
    "reasoning",
    "input_audio",
    "output_audio",
)
_HARMLESS = frozenset({"exception.type", "server.address", "server.port", "http.request.method"})


def _kept(attributes: dict[str, JSON], *moved: str) -> dict[str, JSON]:
    """All attributes but those that a column has word for word; long vectors in short."""
    if any(moved):
        attributes = {name: value for name, value in attributes.items() if not name or name not in moved}
    for name, value in attributes.items():
        if name.endswith(".vector") and isinstance(value, list) and len(value) > _VECTOR_SHOWN:
            return {key: _short_vector(key, one) for key, one in attributes.items()}
    return attributes


def _short_vector(name: str, value: JSON) -> JSON:
    if name.endswith(".vector") and isinstance(value, list) and len(value) > _VECTOR_SHOWN:
        return {"dimensions": len(value), "first": value[:_VECTOR_SHOWN]}
    return value


def _is_number(value: JSON) -> bool:
    return isinstance(value, (bool, int, float))


def _text(found: _Found, field: str) -> str:
    entry = found.get(field)
    if entry is None:
        return ""
    value = entry[1]
    return value if isinstance(value, str) else text_of(value)


def _lifted(found: _Found, field: str) -> str:
    """A text that may stand among metadata, which Langfuse's Python SDK encodes as JSON."""
    entry = found.get(field)
    if entry is not None and ".metadata." in entry[2]:
        return text_of(loose(entry[1]))
    return _text(found, field)


def _flag(found: _Found, field: str) -> bool:
    entry = found.get(field)
    return entry is not None and (entry[1] is True or str(entry[1]).lower() in ("true", "1"))


def _plain(owner: Any, name: str) -> str:
    value = owner.get(name) if isinstance(owner, dict) else None
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    try:
        number = int(float(value)) if isinstance(value, (str, float)) else int(value)
    except (ValueError, TypeError, OverflowError):
        return 0
    return min(max(number, 0), _MOST_TOKENS)


def _take_out(buckets: dict[str, int], whole: str, parts: tuple[str, ...]) -> None:
    buckets[whole] = max(buckets.get(whole, 0) - sum(buckets.get(part, 0) for part in parts), 0)


def _kind(found: _Found) -> SpanKind:
    for field, words in dialects.KINDS.items():
        entry = found.get(field)
        if entry is not None and (kind := words.get(str(entry[1]).lower())):
            return SpanKind(kind)
    if "tool_name" in found:
        return SpanKind.TOOL
    return SpanKind.LLM if "model" in found else SpanKind.SPAN


def _parameters(found: _Found, request: Mapping[str, JSON]) -> dict[str, JSON]:
    told = loose(found["parameters"][1]) if "parameters" in found else None
    parameters: dict[str, JSON] = {
        name: value
        for name, value in request.items()
        if name not in dialects.NOT_PARAMETERS and not name.startswith("functions.")
    }
    if isinstance(told, dict):
        parameters |= {
            name: value
            for name, value in told.items()
            if name not in ("model", "messages", "input", "tools") and value not in ("Infinity", "inf")
        }
    return parameters


def _input(found: _Found, groups: _Groups, events: list[SpanEvent]) -> tuple[str, str]:
    """What went in, and the attribute that says it word for word."""
    entry = found.get("input")
    if entry is not None and entry[0] <= _MESSAGES_RANK:
        if entry[0] == _MESSAGES_RANK and "system" in found:
            said = _with_system(found["system"][1], entry[1])
            if said is not None:
                return said, ""
        return _verbatim(entry)
    if "messages_in" in groups:
        return text_of(messages.openinference_messages(groups["messages_in"])), ""
    if chat := messages.openllmetry_messages(groups["prompts"]) if "prompts" in groups else []:
        return text_of(chat), ""
    if entry is not None:
        return _verbatim(entry)
    if "embedded" in groups:
        texts = [
            _plain(one.get("embedding"), "text")
            for one in messages.items(messages.nest(groups["embedded"]))
            if isinstance(one, dict)
        ]
        return (texts[0] if len(texts) == 1 else text_of(texts)), ""
    told = [_told(event) for event in events if event.name in dialects.MESSAGE_EVENTS]
    return (text_of(told) if told else ""), ""


def _output(found: _Found, groups: _Groups, events: list[SpanEvent], kind: SpanKind) -> tuple[str, str]:
    entry = found.get("output")
    if entry is not None and entry[0] <= _MESSAGES_RANK:
        return _verbatim(entry)
    for group, read in (
        ("messages_out", messages.openinference_messages),
        ("completions", messages.openllmetry_messages),
    ):
        if group in groups and (said := read(groups[group])):
            return text_of(said[0] if len(said) == 1 else said), ""
    if entry is not None:
        return _verbatim(entry)
    if kind is SpanKind.EMBEDDING and "embedded" in groups:
        return text_of(_embedded(groups["embedded"])), ""
    choices = [event.attributes for event in events if event.name == dialects.CHOICE_EVENT]
    told = [choice.get("message", choice) for choice in choices]
    return (text_of(told[0] if len(told) == 1 else told) if told else ""), ""


def _verbatim(entry: tuple[int, Any, str]) -> tuple[str, str]:
    rank, value, name = entry
    if isinstance(value, str):
        return value, name if rank < 500 else ""
    return text_of(value), ""


def _with_system(system: Any, said: Any) -> str | None:
    parts, turns = loose(system), loose(said)
    if not isinstance(turns, list):
        return None
    return text_of([{"role": "system", "parts": parts if isinstance(parts, list) else [parts]}, *turns])


def _told(event: SpanEvent) -> JSON:
    return {"role": dialects.MESSAGE_EVENTS[event.name], **{
        name: value for name, value in event.attributes.items() if not name.startswith(("gen_ai.", "event."))
    }}  # fmt: skip


def _embedded(flat: Mapping[str, JSON]) -> JSON:
    vectors = [one.get("embedding") for one in messages.items(messages.nest(flat)) if isinstance(one, dict)]
    shown: dict[str, JSON] = {"embeddings": len(vectors)}
    first = vectors[0].get("vector") if vectors and isinstance(vectors[0], dict) else None
    if isinstance(first, list):
        shown["dimensions"] = len(first)
    return shown


def _tools(found: _Found, groups: _Groups) -> str:
    if "tools" in found:
        return text_of(found["tools"][1])
    offered = messages.items(messages.nest(groups["tool_schemas"])) if "tool_schemas" in groups else []
    schemas = [
        loose(one["tool"].get("json_schema")) if isinstance(one, dict) and isinstance(one.get("tool"), dict) else one
        for one in offered
    ]
    return text_of(schemas) if schemas else ""


def _documents(found: _Found, groups: _Groups) -> str:
    if "documents" in found:
        return text_of(found["documents"][1])
    for group in ("retrieved", "rerank_out", "rerank_in"):
        if group in groups and (listed := messages.documents(groups[group])):
            return text_of(listed)
    return ""


def _tags(found: _Found) -> list[str]:
    entry = found.get("tags")
    if entry is None:
        return []
    told = loose(entry[1])
    if isinstance(told, str):
        return [told]
    return [text_of(one) for one in told if one is not None] if isinstance(told, list) else []


def _metadata(found: _Found, groups: _Groups) -> dict[str, JSON]:
    metadata: dict[str, JSON] = {}
    for group in ("metadata_other", "metadata_trace", "metadata_observation"):
        for name, value in groups.get(group, _NOTHING).items():
            metadata[name] = loose(value)
    for field in ("trace_metadata", "metadata"):
        if field in found:
            told = loose(found[field][1])
            metadata |= told if isinstance(told, dict) else {"metadata": told}
    return metadata


def _finish_reason(found: _Found) -> str:
    entry = found.get("finish_reason")
    if entry is None:
        return ""
    told = loose(entry[1])
    first = told[0] if isinstance(told, list) and told else told
    return text_of(first) if first != [] else ""


def _error(found: _Found, events: list[SpanEvent], message: str) -> tuple[str, str]:
    """The error's type and its message, from whoever tells."""
    error_type = _text(found, "error_type")
    for event in reversed(events):
        if event.name == "exception":
            error_type = error_type or _plain(event.attributes, "exception.type")
            message = message or _plain(event.attributes, "exception.message")
    if not error_type and (named := _ERROR_NAME.match(message)):
        error_type = named[1]
    return error_type, message


def _cost(found: _Found, *, failed: bool) -> tuple[int | None, dict[str, int]]:
    if "costs" in found:
        told = loose(found["costs"][1])
        if isinstance(told, dict):
            parts = {name: nano for name, value in told.items() if (nano := _nano(value)) is not None}
            total = parts.pop("total", None)
            cost = total if total is not None else sum(parts.values()) if parts else None
            # The Langfuse drop-in reports zeros for a call that failed, which is no price.
            return (None if failed and not cost else cost), parts
    return (_nano(found["cost"][1]) if "cost" in found else None), {}


def _nano(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount < _MOST_NANO // 10**9:
        return None
    return usd_to_nano(amount)


def _first_token(found: _Found, raw: RawSpan) -> int | None:
    ns: float | None = None
    if "first_token_at" in found:
        at = _instant_ns(loose(found["first_token_at"][1]))
        ns = None if at is None else at - raw.start_ns
    elif "first_token_s" in found:
        ns = _seconds(found["first_token_s"][1], 1e9)
    elif "first_token_ms" in found:
        ns = _seconds(found["first_token_ms"][1], 1e6)
    else:
        times = [event.time_ns for event in raw.events if event.name in dialects.FIRST_TOKEN_EVENTS]
        ns = min(times) - raw.start_ns if times else None
    return int(ns) if ns is not None and 0 <= ns < 2**62 else None


def _instant_ns(told: Any) -> int | None:
    if not isinstance(told, str):
        return None
    try:
        at = datetime.fromisoformat(told)
        return int(Decimal(str(at.timestamp())) * 10**9)
    except (ValueError, OverflowError):
        return None


def _seconds(value: Any, scale: float) -> float | None:
    try:
        return float(value) * scale
    except (ValueError, TypeError):
        return None
