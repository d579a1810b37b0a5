"""Each provider and each of its options is documented."""

from __future__ import annotations

from pathlib import Path

from octavo_server.gateway.providers.registry import PROVIDERS

PAGE = (Path(__file__).parents[3] / "docs/reference/providers.md").read_text()


def test_every_provider_and_option_is_documented() -> None:
    missing = [kind for kind in PROVIDERS if f"| `{kind}` |" not in PAGE]
    missing += [
        f"{kind}.{option.name}"
        for kind, provider in PROVIDERS.items()
        for option in provider.options
        if f"`{option.name}`" not in PAGE
    ]
    assert missing == []
