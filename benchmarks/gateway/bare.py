"""What to aim at: a gateway that only passes bytes on (raw ASGI under granian, a Rust HTTP client). It holds a stream
back until 64 KiB of it have come, which makes it faster than anything that streams."""

import os

import orjson
from pyreqwest.client import ClientBuilder

UPSTREAM = os.environ["BENCH_UPSTREAM"] + "/v1/chat/completions"
JSON = [(b"content-type", b"application/json")]
SSE = [(b"content-type", b"text/event-stream")]
client = None


async def app(scope, receive, send):
    global client
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    if client is None:
        client = ClientBuilder().build()
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    stream = orjson.loads(body).get("stream", False)
    request = client.post(UPSTREAM).body_bytes(body).header("content-type", "application/json")
    if not stream:
        answer = bytes(await (await request.build().send()).bytes())
        await send({"type": "http.response.start", "status": 200, "headers": JSON})
        await send({"type": "http.response.body", "body": answer})
        return
    async with request.build_streamed() as response:
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        while (chunk := await response.body_reader.read_chunk()) is not None:
            await send({"type": "http.response.body", "body": bytes(chunk), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
