"""Where things are kept: control (SQL), objects, telemetry (ClickHouse SQL), counters, spool."""
