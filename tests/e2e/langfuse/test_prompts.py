"""Prompts through Langfuse's SDK: made, labelled, fetched, cached, filled, and linked to what is traced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from langfuse import Langfuse
from langfuse.api import NotFoundError
from langfuse.api.core import ApiError

from tests.e2e.langfuse.steps import soon
from tests.e2e.stack import Admin, Stack

pytestmark = pytest.mark.xdist_group("langfuse")

SCOPES = ["prompts.read", "prompts.write", "traces.read", "traces.write"]


@pytest.fixture(scope="module")
def author(stack: Stack, admin: Admin, langfuse: Langfuse) -> Iterator[Langfuse]:
    """A client whose key may write prompts."""
    key = admin.call("POST", "/api-keys", {"name": "author", "environment": "production", "scopes": SCOPES})
    client = Langfuse(public_key=key["public_key"], secret_key=key["secret_key"], base_url=stack.url)
    yield client
    client.shutdown()


@pytest.fixture
def name() -> str:
    return f"folder/greet {uuid4().hex[:8]}"


def fetch(client: Langfuse, name: str, **options: Any) -> Any:
    return client.get_prompt(name, cache_ttl_seconds=0, max_retries=0, **options)


def test_a_text_prompt_is_versioned_labelled_and_filled(author: Langfuse, name: str) -> None:
    made = author.create_prompt(
        name=name,
        prompt="Hello {{who}}",
        labels=["production"],
        tags=["a"],
        config={"temperature": 0},
        commit_message="x",
    )
    assert (made.version, made.commit_message, made.tags) == (1, "x", ["a"])
    author.create_prompt(name=name, prompt="Hi {{who}}")
    found = fetch(author, name)
    assert (found.version, found.compile(who="Ada"), found.config) == (1, "Hello Ada", {"temperature": 0})
    assert fetch(author, name, label="latest").prompt == "Hi {{who}}"
    assert fetch(author, name, version=1).labels == ["production"]

    author.update_prompt(name=name, version=2, new_labels=["production", "staging"])
    assert fetch(author, name).version == 2
    assert fetch(author, name, version=1).labels == []


def test_a_chat_prompt_keeps_its_placeholders(author: Langfuse, name: str) -> None:
    author.create_prompt(
        name=name,
        type="chat",
        prompt=[
            {"role": "system", "content": "Be {{tone}}."},
            {"type": "placeholder", "name": "history"},
            {"role": "user", "content": "{{q}}"},
        ],
        labels=["production"],
    )
    found = fetch(author, name, type="chat")
    said = found.compile(tone="kind", q="why?", history=[{"role": "user", "content": "hi"}])
    assert [(one["role"], one["content"]) for one in said] == [("system", "Be kind."), ("user", "hi"), ("user", "why?")]
    with pytest.raises(ApiError) as refused:
        author.create_prompt(name=name, prompt="now a text")
    assert refused.value.status_code == 400


def test_a_prompt_includes_another(author: Langfuse, name: str) -> None:
    author.create_prompt(name=f"{name} child", prompt="Be {{tone}}.", labels=["production"])
    author.create_prompt(
        name=name, prompt=f"@@@langfusePrompt:name={name} child|label=production@@@ Go.", labels=["production"]
    )
    assert fetch(author, name).compile(tone="kind") == "Be kind. Go."


def test_a_missing_label_is_an_error_and_a_fallback_serves(author: Langfuse, name: str) -> None:
    author.create_prompt(name=name, prompt="x")
    with pytest.raises(NotFoundError):
        fetch(author, name)
    fallback = fetch(author, name, fallback="plan b")
    assert (fallback.prompt, fallback.is_fallback) == ("plan b", True)


def test_prompts_are_cached_listed_and_deleted(author: Langfuse, name: str) -> None:
    author.create_prompt(name=name, prompt="1", labels=["production"], tags=["listed"])
    assert author.get_prompt(name, cache_ttl_seconds=60).prompt == "1"
    author.api.prompts.create(request={"name": name, "prompt": "2", "labels": ["production"]})  # type: ignore[arg-type]
    assert author.get_prompt(name, cache_ttl_seconds=60).prompt == "1"
    assert fetch(author, name).prompt == "2"

    page = author.api.prompts.list(name=name, tag="listed", label="production")
    (one,) = page.data
    assert (one.name, one.versions, one.type, page.meta.total_items) == (name, [1, 2], "text", 1)
    author.api.prompts.delete(name, version=1)
    assert author.api.prompts.list(name=name).data[0].versions == [2]
    author.api.prompts.delete(name)
    with pytest.raises(NotFoundError):
        fetch(author, name)


def test_a_key_that_only_reads_makes_no_prompt(langfuse: Langfuse, name: str) -> None:
    with pytest.raises(ApiError) as refused:
        langfuse.create_prompt(name=name, prompt="x")
    assert refused.value.status_code == 403


def test_what_is_traced_names_the_version_it_was_made_with(author: Langfuse, admin: Admin, name: str) -> None:
    author.create_prompt(name=name, prompt="x", labels=["production"])
    with author.start_as_current_observation(name="call", as_type="generation", prompt=fetch(author, name)) as step:
        trace_id = step.trace_id
    author.flush()
    (one,) = soon(lambda: author.api.observations.get_many(trace_id=trace_id, fields="basic,prompt").data)
    assert (one.prompt_name, one.prompt_version) == (name, 1)
    linked = admin.call("GET", "/prompts/resolve", reference=f"{one.prompt_name}@{one.prompt_version}")
    assert (linked["name"], linked["number"]) == (name, 1)
