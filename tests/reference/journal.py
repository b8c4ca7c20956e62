"""The journal's format in plain Python: records written, and segments read as rows and sums by hour."""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

from switchgear.types import Usage

FRAME = struct.Struct("<II")
BLOCK = struct.Struct("<BBHHHqqdd9q")
TIERS = ("", "batch", "priority")
STREAM, ESTIMATED, FROM_CACHE, UNKNOWN_PRICE = 1, 2, 4, 8
MAX_FRAME = 4064
CLASSES = (
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "cached_audio_tokens",
    "output_audio_tokens",
    "images",
)


def counted(text: str | bytes, limit: int) -> bytes:
    """A string with its length before it, cut to `limit` bytes where a character begins."""
    data = text.encode("utf-8", "replace").replace(b"\0", b"?") if isinstance(text, str) else text
    if len(data) > limit:
        data = data[:limit].decode("utf-8", "ignore").encode()
    return struct.pack("<H", len(data)) + data


def label(*texts: str) -> bytes:
    return b"".join(counted(text, 256) for text in texts)


def clamp(number: int, top: int) -> int:
    return min(max(number, 0), top)


def record(
    label: bytes,
    request_id: bytes,
    attempt: int,
    time_us: int,
    flags: int,
    tags: bytes,
    status: int,
    usage: Usage,
    cost_nanousd: int,
    error_class: str,
    first_token_ms: float,
    total_ms: float,
) -> bytes:
    """A whole frame."""
    tokens = [clamp(getattr(usage, name), 1 << 40) for name in CLASSES]
    block = BLOCK.pack(
        1,
        TIERS.index(usage.service_tier),
        flags | (ESTIMATED if usage.estimated else 0),
        attempt,
        status,
        time_us,
        clamp(cost_nanousd, (1 << 53) - 1),
        first_token_ms,
        total_ms,
        *tokens,
    )
    tags = b"" if len(tags) > 960 else tags
    texts = struct.pack("<H", len(request_id[:256])) + request_id[:256] + counted(tags, 960) + counted(error_class, 64)
    payload = block + label + texts
    length = struct.pack("<I", len(payload))
    return length + struct.pack("<I", zlib.crc32(length + payload)) + payload


def whole_frame(data: bytes) -> int:
    if len(data) < FRAME.size:
        return 0
    length, checksum = FRAME.unpack_from(data)
    if not BLOCK.size <= length <= min(MAX_FRAME - 8, len(data) - 8):
        return 0
    return 8 + length if zlib.crc32(data[:4] + data[8 : 8 + length]) == checksum else 0


def decode(data: bytes, base: int, segment: int, journal: int) -> tuple[list[tuple[Any, ...]], int]:
    """Rows of the valid frames that `data` begins with, and how many bytes they were."""
    rows, at = [], 0
    while size := whole_frame(data[at:]):
        rows.append((*_row(data[at + 8 : at + size]), journal, segment << 40 | (base + at)))
        at += size
    return rows, at


def _row(payload: bytes) -> tuple[Any, ...]:
    _, tier, flags, attempt, status, time_us, cost, first, total, *tokens = BLOCK.unpack_from(payload)
    texts, at = [], BLOCK.size
    for _ in range(13):
        (size,) = struct.unpack_from("<H", payload, at)
        texts.append(payload[at + 2 : at + 2 + size].decode("utf-8", "replace"))
        at += 2 + size
    endpoint, *names, version, request_id, tags, error_class = texts
    return (
        *(request_id, attempt, time_us, *names, endpoint, status, error_class),
        *(bool(flags & flag) for flag in (STREAM, FROM_CACHE, ESTIMATED, UNKNOWN_PRICE)),
        *tokens,
        *(TIERS[tier], cost, version),
        *(None if math.isnan(value) else value for value in (first, total)),
        tags,
    )


def totals(rows: list[tuple[Any, ...]]) -> dict[tuple[int, tuple[str, ...]], list[Any]]:
    """The sums that `hotpath._journal.decode` keeps, as lists."""
    found: dict[tuple[int, tuple[str, ...]], list[Any]] = {}
    for row in rows:
        key = (row[2] // 3_600_000_000 * 3600, (row[11], *row[3:11]))
        sums = found.setdefault(key, [0] * 13 + [0, 0, 0.0, 0.0])
        for place in range(9):
            sums[3 + place] += row[18 + place]
        sums[0] += 1
        sums[1] += not 200 <= row[12] < 300
        sums[2] += row[16]
        sums[12] += row[28]
        sums[13] += row[30] is not None
        sums[14] += row[31] is not None
        sums[15] += row[30] or 0.0
        sums[16] += row[31] or 0.0
    return found
