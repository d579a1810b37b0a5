"""A program of an application that has Langfuse's SDK 4: it traces, calls the gateway, scores, and prints as JSON what
it reads back. Run by `test_version_4.py`."""

# mypy: ignore-errors
# What is imported here is version 4, not the one that is installed for the rest.

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime

from langfuse import Langfuse, get_client, observe, propagate_attributes
from langfuse.api import IngestionEvent_ScoreCreate, NotFoundError, ScoreBody
from langfuse.openai import OpenAI


def hidden(*, data, **_):
    return json.loads(json.dumps(data, default=str).replace("4111 1111", "****"))


langfuse = Langfuse(mask=hidden, environment="staging", release="v4-release")


def soon(read, wanted=bool):
    deadline = time.monotonic() + 15
    while True:
        try:
            found = read()
            if wanted(found) or time.monotonic() > deadline:
                return found
        except NotFoundError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


@observe(as_type="tool")
def look_up(card):
    langfuse.update_current_span(metadata={"index": "cards"}, level="WARNING", status_message="slow")
    return {"found": 2}


@observe(name="v4")
def answer(question):
    with propagate_attributes(
        session_id="v4-session", user_id="grace", tags=["four", "old"], metadata={"tier": "gold"}
    ):
        look_up("4111 1111")
        asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}]}
        plain = OpenAI().chat.completions.create(**asked, name="v4-plain")
        streamed = OpenAI().chat.completions.create(
            **asked, name="v4-streamed", stream=True, stream_options={"include_usage": True}
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
        langfuse.score_current_span(name="v4-span-score", value=0.5)
        langfuse.score_current_trace(name="v4-mood", value="calm", data_type="CATEGORICAL")
        langfuse.set_current_trace_io(input=question, output=text)
        return {"trace": langfuse.get_current_trace_id(), "cost": plain.usage.cost}


known = langfuse.auth_check()
told = answer("Card 4111 1111, please")
trace_id = told["trace"]
langfuse.create_score(name="v4-right", value=1, data_type="BOOLEAN", trace_id=trace_id, comment="yes")
langfuse.create_score(name="v4-talk", value=3, session_id="v4-session")
get_client().flush()

api = langfuse.api
trace = soon(lambda: api.trace.get(trace_id), lambda one: len(one.observations) == 4 and len(one.scores) == 3)
batch = api.ingestion.batch(
    batch=[
        IngestionEvent_ScoreCreate(
            id=str(uuid.uuid4()),
            timestamp=datetime.now(UTC).isoformat(),
            body=ScoreBody(id="v4-batch", name="v4-batch", value=0.75, trace_id=trace_id),
        )
    ]
)
scored = soon(lambda: api.scores.get_by_id("v4-batch"))
listed = api.trace.list(user_id="grace", session_id="v4-session", tags=["four"], limit=5)
sessions = soon(lambda: api.sessions.list(limit=100), lambda page: "v4-session" in [one.id for one in page.data])
session = api.sessions.get("v4-session")
older = api.legacy.observations_v1
generations = older.get_many(trace_id=trace_id, type="GENERATION", limit=10)
newer = api.observations.get_many(trace_id=trace_id, fields="core,basic,usage")
try:
    api.trace.get("0" * 32)
    missing = "found"
except NotFoundError:
    missing = "not found"

langfuse.create_dataset(name="v4/sums")
for number in (1, 2):
    langfuse.create_dataset_item(dataset_name="v4/sums", input=number, expected_output=number * 2)
dataset = langfuse.get_dataset("v4/sums")
ran = dataset.run_experiment(name="v4", run_name="first run", task=lambda *, item, **_: item.input * 2)
run = langfuse.get_dataset_run(dataset_name="v4/sums", run_name="first run")
runs = langfuse.get_dataset_runs(dataset_name="v4/sums")
links = api.dataset_run_items.list(dataset_id=dataset.id, run_name="first run", limit=1)
langfuse.delete_dataset_run(dataset_name="v4/sums", run_name="first run")
left = langfuse.get_dataset_runs(dataset_name="v4/sums")

print(
    json.dumps(
        {
            "ran": {one.item.id: one.trace_id for one in ran.item_results},
            "run": [ran.dataset_run_id, run.id, runs.data[0].id, run.dataset_name],
            "run_items": {one.dataset_item_id: one.trace_id for one in run.dataset_run_items},
            "run_pages": [links.meta.total_items, len(links.data), runs.meta.total_items, left.meta.total_items],
            "known": known,
            "cost": told["cost"],
            "trace": json.loads(trace.json()),
            "listed": [one.id for one in listed.data],
            "pages": listed.meta.total_items,
            "batch": [one.status for one in batch.successes],
            "scored": scored.value,
            "scores": {one.name: one.value for one in api.scores.get_many(trace_id=trace_id).data},
            "session": [one.id for one in session.traces],
            "one": older.get(generations.data[0].id).name,
            "generations": sorted(one.name for one in generations.data),
            "newer": len(newer.data),
            "missing": missing,
            "url": langfuse.get_trace_url(trace_id=trace_id),
        }
    )
)
