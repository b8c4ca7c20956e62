"""The events of a streamed message: one block after the other, each opened, filled and closed."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from switchgear.simulator import text
from switchgear.simulator.answer import Burst, sse
from switchgear.simulator.anthropic_errors import error_event
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.reply import Reply

_PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def bursts(exchange: Exchange, message: Json, said: Reply) -> Iterator[Burst]:
    """The events, in steps of the model; an error event after as many as the behaviour says."""
    behaviour = exchange.behaviour
    burst: list[bytes] = []
    sent = 0
    for paced, event in _events(message, said, done=not behaviour.no_done):
        if sent == behaviour.error_event:
            break
        if paced and burst:
            yield tuple(burst)
            burst = []
        burst.append(event)
        sent += 1
    if behaviour.error_event is not None:
        kept = burst if sent == behaviour.error_event else burst[:-1]
        yield (*kept, error_event(exchange))
        return
    yield tuple(burst)


def _event(value: Json) -> bytes:
    return sse(orjson.dumps(value), value["type"].encode())


def _events(message: Json, said: Reply, *, done: bool) -> Iterator[tuple[bool, bytes]]:
    """(whether a gap goes before it, event)."""
    usage = message["usage"]
    begun = {**usage, "output_tokens": 1}
    del begun["output_tokens_details"]
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None, "usage": begun}
    yield False, _event({"type": "message_start", "message": start})
    if not message["content"]:
        yield False, _PING
    for index, block in enumerate(message["content"]):
        opened, deltas = _block(block, said)
        yield index > 0, _event({"type": "content_block_start", "index": index, "content_block": opened})
        if index == 0:
            yield False, _PING
        for number, delta in enumerate(deltas):
            paced = number > 0 and delta["type"] != "signature_delta"
            yield paced, _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield False, _event({"type": "content_block_stop", "index": index})
    ended = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    final = {name: usage[name] for name in usage if name.endswith(("_tokens", "_details"))}
    yield False, _event({"type": "message_delta", "delta": ended, "usage": final})
    if done:
        yield False, _event({"type": "message_stop"})


def _block(block: Json, said: Reply) -> tuple[Json, list[Json]]:
    """(the block as it is opened, its deltas)."""
    match block["type"]:
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": each} for each in said.reasoning if block["thinking"]]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {"type": "thinking", "thinking": "", "signature": ""}, deltas
        case "text":
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": each} for each in said.pieces]
        case "tool_use":
            arguments = orjson.dumps(block["input"]).decode() if block["input"] else ""
            pieces = ["", *text.pieces(arguments)]  # the first is empty, and the only one without arguments
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": each} for each in pieces]
    return block, []  # redacted_thinking comes whole
