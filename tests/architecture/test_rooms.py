"""Every room has the same shape, so that who has learnt one has learnt them all."""

from __future__ import annotations

from pathlib import Path

import pytest

SERVER = Path(__file__).parents[2] / "src" / "octavo_server"

ROOMS = {"prompts", "evals", "traces", "costs", "retrieval", "security", "governance", "deployments"}
NOT_ROOMS = {"core", "stores", "edge", "gateway", "http"}
MODULES = {"settings", "worker", "main", "demo", "local_model", "__init__"}

SHAPE = {"__init__", "model", "runtime", "store", "service", "routes", "workflows"}
"""A file, or a package of that name when it is long."""

OWN_NOUNS: dict[str, set[str]] = {
    "evals": {"datasets", "duplicates", "evaluators", "formats", "statistics"},
    "prompts": {"formats"},
    "traces": {
        "critical_path",
        "difference",
        "langfuse",
        "scoring",
        "counting",
        "dialects",
        "failures",
        "filter",
        "gateway_calls",
        "mapping",
        "masking",
        "media",
        "messages",
        "otlp",
    },
}
"""Pure modules that a room has beside the shape: a language, a format. No I/O, no SQL."""


def names(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}


def test_the_tree_is_the_designs() -> None:
    assert names(SERVER) <= ROOMS | NOT_ROOMS | MODULES


@pytest.mark.parametrize("room", sorted(ROOMS & names(SERVER)))
def test_a_room_has_the_shape(room: str) -> None:
    extra = names(SERVER / room) - SHAPE - OWN_NOUNS.get(room, set())
    assert not extra, f"a room has {', '.join(sorted(SHAPE))}; declare a pure module of its own in OWN_NOUNS"


@pytest.mark.parametrize("room", sorted(ROOMS & names(SERVER)))
def test_a_room_has_a_model(room: str) -> None:
    assert "model" in names(SERVER / room)
