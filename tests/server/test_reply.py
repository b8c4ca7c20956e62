"""The answer as ASGI messages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from switchgear.server.reply import PIECE_MAX_BYTES, AsgiReply


@pytest.mark.parametrize("size", [1, PIECE_MAX_BYTES, PIECE_MAX_BYTES + 1, 4 * PIECE_MAX_BYTES, 1_000_000])
async def test_a_large_chunk_goes_out_in_pieces(size: int) -> None:
    """A server's queue counts pieces: a client that does not read would hold as many of any size."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    chunk = bytes(range(256)) * (size // 256) + bytes(size % 256)
    reply = AsgiReply(send, [])
    await reply.send(chunk)
    assert b"".join(message["body"] for message in sent) == chunk
    assert [len(message["body"]) for message in sent[:-1]] == [PIECE_MAX_BYTES] * (len(sent) - 1)
    assert 0 < len(sent[-1]["body"]) <= PIECE_MAX_BYTES
    assert all(message["more_body"] for message in sent)


async def test_each_piece_waits_for_room_and_is_a_step() -> None:
    """What a sweep sees of a client that takes one piece and then no more."""
    room = asyncio.Semaphore(1)
    stuck = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        if room.locked():
            stuck.set()
        await room.acquire()

    reply = AsgiReply(send, [])
    task = asyncio.create_task(reply.send(bytes(2 * PIECE_MAX_BYTES)))
    await stuck.wait()
    assert reply.steps == 3  # odd: the second piece is being handed over
    room.release()
    await task
    assert reply.steps == 4
