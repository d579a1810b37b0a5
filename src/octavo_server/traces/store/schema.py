"""The tables of observability in the telemetry store.

`spans` holds one row a span, sorted by project and time, since every list and metric asks for a span of time.
`trace_times` says when a trace was, so that a trace is found by its id without looking through all times. Its rows
merge by minimum and maximum: writing one again changes nothing. `span_logs` keeps the log records that belong to spans.
`scores` holds judgements by their id: of two rows with one id the one written later stays.

Texts that lists show are kept in short beside the whole ones, which only the page of one span reads. Texts are packed
tightly; the numbers that metrics add up are packed so that unpacking costs little.
"""

from __future__ import annotations

from collections.abc import Sequence

TOKENS = ("input", "cache_read", "cache_write", "input_audio", "output", "reasoning", "output_audio")

_TOKEN_COLUMNS = ",\n".join(f"tokens_{name} UInt32 CODEC(T64, LZ4)" for name in TOKENS)

MIGRATIONS: Sequence[tuple[str, str]] = [
    (
        "spans-1",
        f"""
        CREATE TABLE IF NOT EXISTS spans (
            project_id LowCardinality(String),
            trace_id String CODEC(ZSTD(1)),
            span_id String CODEC(ZSTD(1)),
            parent_span_id String CODEC(ZSTD(1)),
            name LowCardinality(String),
            trace_name LowCardinality(String),
            kind LowCardinality(String) DEFAULT 'span',
            source LowCardinality(String) DEFAULT 'otlp',
            start DateTime64(9, 'UTC') CODEC(Delta, LZ4),
            duration_ns UInt64 CODEC(T64, LZ4),
            is_root Bool,
            status LowCardinality(String) DEFAULT 'unset',
            status_message String CODEC(ZSTD(1)),
            level LowCardinality(String) DEFAULT 'DEFAULT',
            error_type LowCardinality(String),
            error_class LowCardinality(String),
            environment LowCardinality(String) DEFAULT 'default',
            service LowCardinality(String),
            app LowCardinality(String),
            release LowCardinality(String),
            version LowCardinality(String),
            session_id String CODEC(ZSTD(1)),
            user_id String CODEC(ZSTD(1)),
            tags Array(LowCardinality(String)),
            metadata String CODEC(ZSTD(1)),
            provider LowCardinality(String),
            connection_id LowCardinality(String),
            model_requested LowCardinality(String),
            model LowCardinality(String),
            parameters String CODEC(ZSTD(1)),
            streaming Bool,
            finish_reason LowCardinality(String),
            response_id String CODEC(ZSTD(1)),
            input String CODEC(ZSTD(1)),
            input_from LowCardinality(String),
            input_preview String CODEC(ZSTD(1)),
            output String CODEC(ZSTD(1)),
            output_from LowCardinality(String),
            output_preview String CODEC(ZSTD(1)),
            tools String CODEC(ZSTD(1)),
            documents String CODEC(ZSTD(1)),
            usage_known Bool,
            {_TOKEN_COLUMNS},
            tokens_total UInt32 CODEC(T64, LZ4),
            usage_extra String CODEC(ZSTD(1)),
            cost_nano Nullable(Int64) CODEC(LZ4),
            cost_source LowCardinality(String),
            cost_details String CODEC(ZSTD(1)),
            ttft_ns Nullable(UInt64) CODEC(LZ4),
            attempts UInt16,
            cache_status LowCardinality(String),
            api_key_id LowCardinality(String),
            prompt_name LowCardinality(String),
            prompt_version LowCardinality(String),
            request_id String CODEC(ZSTD(1)),
            captured LowCardinality(String) DEFAULT 'full',
            counted Bool DEFAULT true,
            duplicate_of String CODEC(ZSTD(1)),
            match LowCardinality(String),
            call_digest UInt64 CODEC(ZSTD(1)),
            content_hash UInt64 CODEC(ZSTD(1)),
            otel_kind UInt8,
            flags UInt32 CODEC(ZSTD(1)),
            trace_state String CODEC(ZSTD(1)),
            scope_name LowCardinality(String),
            scope_version LowCardinality(String),
            scope_attributes String CODEC(ZSTD(1)),
            resource String CODEC(ZSTD(1)),
            attributes String CODEC(ZSTD(1)),
            events String CODEC(ZSTD(1)),
            links String CODEC(ZSTD(1)),
            retention_days UInt16 DEFAULT 90,
            INDEX span_bloom span_id TYPE bloom_filter(0.001) GRANULARITY 1,
            INDEX session_bloom session_id TYPE bloom_filter(0.01) GRANULARITY 1,
            INDEX user_bloom user_id TYPE bloom_filter(0.01) GRANULARITY 1
        ) ENGINE = MergeTree
        PARTITION BY toYYYYMM(start)
        ORDER BY (project_id, start, trace_id)
        TTL toDateTime(start) + toIntervalDay(retention_days)
        SETTINGS non_replicated_deduplication_window = 1000, index_granularity = 4096,
            min_bytes_for_wide_part = 67108864
        """,
    ),
    (
        "trace_times-1",
        """
        CREATE TABLE IF NOT EXISTS trace_times (
            project_id LowCardinality(String),
            trace_id String CODEC(ZSTD(1)),
            first SimpleAggregateFunction(min, DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
            last SimpleAggregateFunction(max, DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
            moved_to SimpleAggregateFunction(max, String) CODEC(ZSTD(1)),
            retention_days SimpleAggregateFunction(max, UInt16)
        ) ENGINE = AggregatingMergeTree
        ORDER BY (project_id, trace_id)
        TTL toDateTime(last) + toIntervalDay(retention_days)
        SETTINGS non_replicated_deduplication_window = 1000, index_granularity = 256
        """,
    ),
    (
        "span_logs-1",
        """
        CREATE TABLE IF NOT EXISTS span_logs (
            project_id LowCardinality(String),
            trace_id String CODEC(ZSTD(1)),
            span_id String CODEC(ZSTD(1)),
            time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
            event String CODEC(ZSTD(1)),
            content_hash UInt64 CODEC(ZSTD(1)),
            retention_days UInt16
        ) ENGINE = ReplacingMergeTree
        PARTITION BY toYYYYMM(time)
        ORDER BY (project_id, trace_id, span_id, time, content_hash)
        TTL toDateTime(time) + toIntervalDay(retention_days)
        SETTINGS non_replicated_deduplication_window = 1000
        """,
    ),
    (
        "scores-1",
        """
        CREATE TABLE IF NOT EXISTS scores (
            project_id LowCardinality(String),
            id String CODEC(ZSTD(1)),
            name LowCardinality(String),
            data_type LowCardinality(String),
            value Nullable(Float64) CODEC(ZSTD(1)),
            string_value String CODEC(ZSTD(1)),
            trace_id String CODEC(ZSTD(1)),
            span_id String CODEC(ZSTD(1)),
            session_id String CODEC(ZSTD(1)),
            experiment_id String CODEC(ZSTD(1)),
            source LowCardinality(String) DEFAULT 'API',
            comment String CODEC(ZSTD(1)),
            config_id LowCardinality(String),
            queue_id LowCardinality(String),
            author LowCardinality(String),
            metadata String CODEC(ZSTD(1)),
            environment LowCardinality(String) DEFAULT 'default',
            time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
            written UInt64 CODEC(ZSTD(1)),
            deleted UInt8,
            retention_days UInt16 DEFAULT 90,
            INDEX trace_bloom trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
            INDEX session_bloom session_id TYPE bloom_filter(0.01) GRANULARITY 1,
            INDEX time_range time TYPE minmax GRANULARITY 1
        ) ENGINE = ReplacingMergeTree(written, deleted)
        ORDER BY (project_id, id)
        TTL toDateTime(time) + toIntervalDay(retention_days)
        SETTINGS non_replicated_deduplication_window = 1000, index_granularity = 1024
        """,
    ),
]
