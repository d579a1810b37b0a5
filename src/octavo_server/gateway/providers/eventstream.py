"""AWS's binary event stream (`application/vnd.amazon.eventstream`): frames with headers, a payload and two CRCs."""

from __future__ import annotations

import struct
from typing import NamedTuple
from zlib import crc32

from octavo_server.core.errors import UpstreamError

MAX_FRAME_BYTES = 24 * 1024 * 1024
_PRELUDE = struct.Struct(">III")  # total length, headers length, CRC of the two


class Frame(NamedTuple):
    headers: dict[str, str]
    payload: bytes


class Decoder:
    """Cuts bytes into frames, however they are split over packets; checks both CRCs of each."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Frame]:
        buffer = self._buffer + data
        frames = []
        start = 0
        while len(buffer) - start >= _PRELUDE.size:
            total, headers, check = _PRELUDE.unpack_from(buffer, start)
            if crc32(buffer[start : start + 8]) != check:
                raise UpstreamError("The provider's event stream is damaged: a prelude's CRC does not match.")
            if total > MAX_FRAME_BYTES or total < headers + 16:
                raise UpstreamError(f"The provider's event stream is damaged: a frame of {total} bytes.")
            if len(buffer) - start < total:
                break
            frame = buffer[start : start + total]
            if crc32(frame[:-4]) != int.from_bytes(frame[-4:]):
                raise UpstreamError("The provider's event stream is damaged: a frame's CRC does not match.")
            frames.append(Frame(_headers(frame[12 : 12 + headers]), frame[12 + headers : -4]))
            start += total
        self._buffer = buffer[start:]
        return frames


# Bytes of a header's value by its type; types 6 (bytes) and 7 (text) carry their length.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


def _headers(data: bytes) -> dict[str, str]:
    """The headers that are texts; the others are skipped."""
    headers = {}
    position = 0
    try:
        while position < len(data):
            size = data[position]
            name = data[position + 1 : position + 1 + size].decode()
            position += 1 + size
            kind = data[position]
            position += 1
            if kind in (6, 7):
                (length,) = struct.unpack_from(">H", data, position)
                position += 2
                if kind == 7:
                    headers[name] = data[position : position + length].decode()
                position += length
            else:
                position += _FIXED[kind]
    except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise UpstreamError("The provider's event stream is damaged: a header cannot be read.") from error
    return headers


def encode(headers: dict[str, str], payload: bytes) -> bytes:
    """One frame; what the tests' recorded streams are made with."""
    block = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", len(block) + len(payload) + 16, len(block))
    frame = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    return frame + struct.pack(">I", crc32(frame))
