"""Where the SDK finds its server and its key, and what it keeps."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from octavo.config import DEFAULT_URL, Config, change_config, config_path, read_config, write_config
from octavo.errors import ConfigError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"OCTAVO_CONFIG": str(tmp_path / "deep" / "config.json")}


def test_nothing_is_set(environ: dict[str, str]) -> None:
    assert read_config(environ=environ) == Config(url=DEFAULT_URL)


def test_arguments_then_environment_then_file(environ: dict[str, str]) -> None:
    kept = Config(url="http://kept", api_key="sk-kept", project="kept", environment="kept")
    path = write_config(kept, environ)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_config(environ=environ) == kept
    told = environ | {"OCTAVO_ENVIRONMENT": "told"}
    assert read_config(environ=told).environment == "told"
    assert read_config(environ=told, environment="argument").environment == "argument"
    assert read_config(environ=told, environment="").environment == "kept"


def test_a_kept_key_stays_with_its_server(environ: dict[str, str]) -> None:
    write_config(Config(url="http://kept", api_key="sk-kept", project="kept"), environ)
    assert read_config(environ=environ, url="http://elsewhere") == Config(url="http://elsewhere")
    assert read_config(environ=environ, url="http://kept/").api_key == "sk-kept"
    other = read_config(environ=environ | {"OCTAVO_API_KEY": "sk-other"})
    assert (other.url, other.api_key, other.project) == ("http://kept", "sk-other", "")


def test_one_value_changes(environ: dict[str, str]) -> None:
    write_config(Config(api_key="sk-kept"), environ)
    change_config({"project": "new"}, environ)
    assert read_config(environ=environ) == Config(api_key="sk-kept", project="new")


@pytest.mark.parametrize("text", ["{", "[]", '{"url": 7}'])
def test_a_file_that_is_no_configuration(environ: dict[str, str], text: str) -> None:
    path = write_config(Config(), environ)
    path.write_text(text)
    with pytest.raises(ConfigError, match="octavo login"):
        read_config(environ=environ)


def test_an_address_that_is_none(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="expected http"):
        read_config(environ=environ, url="octavo.test")


def test_where_the_file_is() -> None:
    assert config_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/octavo/config.json")
    assert config_path({}) == Path.home() / ".config" / "octavo" / "config.json"
    assert "sk-secret" not in repr(Config(api_key="sk-secret"))
