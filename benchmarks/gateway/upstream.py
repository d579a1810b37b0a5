"""A model server that costs nothing: answers chat completions at once, plain or streamed, so that what is measured is
what stands in front of it.

python upstream.py [PORT] [DELAY_MS] [PIECES]
"""

import asyncio
import json
import sys

import uvloop

PORT, DELAY_MS, PIECES = (int(given) for given in (sys.argv[1:] + ["9100", "0", "20"][len(sys.argv) - 1 :]))
USAGE = {"prompt_tokens": 12, "completion_tokens": PIECES, "total_tokens": 12 + PIECES}
BASE = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "gpt-4.1-mini"}


def event(delta: dict, finish: str | None = None, usage: dict | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {**BASE, "object": "chat.completion.chunk", "choices": [choice], "usage": usage}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


ANSWER = json.dumps(
    {
        **BASE,
        "object": "chat.completion",
        "usage": USAGE,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello to the reader, and a good day."},
            }
        ],
    }
).encode()
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = [
    event({"role": "assistant", "content": ""}),
    *(event({"content": f"word{number} "}) for number in range(PIECES)),
    event({}, "stop", USAGE),
    b"data: [DONE]\n\n",
]


class Model(asyncio.Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + size:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + size], self.buffer[end + 4 + size :]
            stream = b'"stream":true' in body or b'"stream": true' in body
            if DELAY_MS or stream:
                asyncio.get_running_loop().create_task(self.answer(stream))
            else:
                self.transport.write(PLAIN)

    async def answer(self, stream: bool) -> None:
        if DELAY_MS:
            await asyncio.sleep(DELAY_MS / 1000)
        if not stream:
            self.transport.write(PLAIN)
            return
        self.transport.write(HEAD)
        for one in EVENTS:
            if self.transport.is_closing():
                return
            self.transport.write(b"%x\r\n" % len(one) + one + b"\r\n")
            await asyncio.sleep(0)
        self.transport.write(b"0\r\n\r\n")


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", PORT, backlog=1024)
    await server.serve_forever()


uvloop.run(main())
