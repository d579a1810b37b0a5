"""Where the server is and who is calling: arguments, then the environment, then the file that `octavo login` writes.

The only reader of the SDK's environment: OCTAVO_URL, OCTAVO_API_KEY, OCTAVO_PROJECT, OCTAVO_ENVIRONMENT,
OCTAVO_CONFIG (the file), and for tracing OCTAVO_TRACING, OCTAVO_SAMPLE_RATE, OCTAVO_RELEASE.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from octavo.errors import ConfigError

DEFAULT_URL = "http://127.0.0.1:4400"
NAMES = ("url", "api_key", "project", "environment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What every call needs to know."""

    url: str = DEFAULT_URL
    api_key: str = field(default="", repr=False)
    project: str = ""
    environment: str = ""

    @property
    def version(self) -> str:
        """Of this distribution."""
        return version("octavo")


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingConfig:
    """What the environment says of tracing."""

    enabled: bool = True
    sample_rate: float = 1.0
    release: str = ""


def read_tracing(environ: Mapping[str, str] | None = None) -> TracingConfig:
    """OCTAVO_TRACING (`off` switches it off), OCTAVO_SAMPLE_RATE (0 to 1), OCTAVO_RELEASE. Raises ConfigError."""
    environ = os.environ if environ is None else environ
    rate = environ.get("OCTAVO_SAMPLE_RATE", "") or "1"
    try:
        sample_rate = float(rate)
    except ValueError:
        sample_rate = -1.0
    if not 0 <= sample_rate <= 1:
        raise ConfigError(f"OCTAVO_SAMPLE_RATE={rate!r}: expected a number from 0 to 1")
    return TracingConfig(
        enabled=environ.get("OCTAVO_TRACING", "").lower() not in ("off", "false", "0", "no"),
        sample_rate=sample_rate,
        release=environ.get("OCTAVO_RELEASE", ""),
    )


def config_path(environ: Mapping[str, str] | None = None) -> Path:
    """The file of `octavo login`."""
    environ = os.environ if environ is None else environ
    if named := environ.get("OCTAVO_CONFIG"):
        return Path(named).expanduser()
    home = environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "octavo" / "config.json"


def read_config(
    *,
    url: str | None = None,
    api_key: str | None = None,
    project: str | None = None,
    environment: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """The configuration in force. A key of the file is for the server of the file only. Raises ConfigError."""
    environ = os.environ if environ is None else environ
    kept = _kept(config_path(environ))
    told = {name: environ.get(f"OCTAVO_{name.upper()}", "") for name in NAMES}
    arguments = {"url": url, "api_key": api_key, "project": project, "environment": environment}
    values = {name: arguments[name] if arguments[name] is not None else told[name] for name in NAMES}
    address = (values["url"] or kept.url).rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise ConfigError(f"OCTAVO_URL={address!r}: expected http://… or https://…")
    if address != kept.url.rstrip("/") or values["api_key"]:
        kept = Config()  # another server, or another key and so perhaps another project
    return Config(
        url=address,
        api_key=values["api_key"] or kept.api_key,
        project=values["project"] or kept.project,
        environment=values["environment"] or kept.environment,
    )


def write_config(config: Config, environ: Mapping[str, str] | None = None) -> Path:
    """Keeps a configuration, readable by its owner only."""
    path = config_path(environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(config), indent=2) + "\n")
    draft.replace(path)
    return path


def change_config(changes: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Path:
    """Changes what is kept."""
    return write_config(replace(_kept(config_path(environ)), **changes), environ)


def _kept(path: Path) -> Config:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return Config()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); run `octavo login` again") from None
    if not isinstance(values, dict) or not all(isinstance(values.get(name, ""), str) for name in NAMES):
        raise ConfigError(f"{path} is not a configuration of Octavo; run `octavo login` again")
    return Config(**{name: values[name] for name in NAMES if values.get(name)})
