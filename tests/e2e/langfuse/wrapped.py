"""A program of an application that calls models through Langfuse's OpenAI drop-in in every way, and prints the id of
each call's trace as JSON. Run by `test_drop_in.py`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from langfuse import Langfuse
from langfuse.openai import AsyncOpenAI, OpenAI, openai

langfuse = Langfuse(environment="staging", release="r-7")
client = OpenAI(max_retries=0)
asked: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Weather in Paris?"}]}
tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
traces: dict[str, str] = {}


def kept(name: str) -> dict[str, Any]:
    """The drop-in's own arguments, and a trace of its own for each call."""
    traces[name] = langfuse.create_trace_id(seed=name)
    return {"name": name, "trace_id": traces[name], "metadata": {"case": name, "langfuse_user_id": "linus"}}


client.chat.completions.create(**asked, **kept("tool call"), tools=tools)
for _ in client.chat.completions.create(**asked, **kept("streamed"), stream=True):
    pass
for _ in client.chat.completions.create(**asked, **kept("streamed tool call"), tools=tools, stream=True):
    pass
try:
    client.chat.completions.create(**asked, **kept("refused"))
except openai.BadRequestError as error:
    told = str(error)
client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], **kept("embedded"))


async def later() -> None:
    async with AsyncOpenAI() as client:
        await client.chat.completions.create(**asked, **kept("async"))
        async for _ in await client.chat.completions.create(**asked, **kept("async streamed"), stream=True):
            pass


asyncio.run(later())
with langfuse.start_as_current_observation(name="around") as root:
    client.chat.completions.create(**asked, name="within", temperature=0.5, max_tokens=20)
    traces["within"] = root.trace_id
langfuse.flush()
print(json.dumps({"traces": traces, "told": told}))
