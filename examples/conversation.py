"""A conversation that Octavo shows as one session of one user, streamed: OPENAI_BASE_URL, OPENAI_API_KEY as above."""

import secrets

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

client = OpenAI()
session = f"session-{secrets.token_hex(4)}"
messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": "Answer in one sentence."}]

for question in ("What is a sheet folded three times called?", "And folded once?"):
    messages.append({"role": "user", "content": question})
    stream = client.chat.completions.create(
        model="gpt-4o",
        messages=messages,
        max_tokens=60,
        stream=True,
        extra_body={"octavo": {"session_id": session, "user_id": "ada", "trace_name": "bookbinding"}},
    )
    answer = ""
    print(f"\n> {question}")
    for chunk in stream:
        piece = chunk.choices[0].delta.content or ""
        answer += piece
        print(piece, end="", flush=True)
    messages.append({"role": "assistant", "content": answer})
print()
