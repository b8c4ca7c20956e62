"""Conversations that Anthropic's server keeps (`thread` of POST /v1/messages, a beta feature).

`{"type": "create"}` keeps a conversation under the identifier of its answer; `{"type": "continue",
"previous_message_id": …}` adds to it, so that only the new messages are sent, and neither `system` nor `tools`. Without
the beta's header the field is not known. The fields and the code of the error are those of the anthropic SDK from 2.0
on, which keeps its tool runner's conversations that way; status and words of the error are ours.
"""

from __future__ import annotations

from typing import Any

from switchgear.errors import InvalidRequest, NotFound
from switchgear.simulator.exchange import Exchange, Json

_BETA = "message-threads"
_KEPT = ("system", "tools")


def resume(exchange: Exchange) -> bool:
    """Put what is kept of the thread into the request's body; whether it is in a thread.

    Raises `InvalidRequest`, and `NotFound` for a thread that is not there.
    """
    body = exchange.json
    thread = body.get("thread")
    if thread is None or _BETA not in (exchange.head.header(b"anthropic-beta") or ""):
        return False
    kind = thread.get("type") if isinstance(thread, dict) else None
    if kind not in ("create", "continue"):
        raise InvalidRequest("thread: Input tag does not match any of the expected tags: 'create', 'continue'")
    rest = {name: value for name, value in body.items() if name != "thread"}
    exchange.json = rest if kind == "create" else _continued(exchange, rest, thread.get("previous_message_id"))
    return True


def _continued(exchange: Exchange, body: Json, previous: Any) -> Json:
    kept = exchange.store.threads.get(previous) if isinstance(previous, str) else None
    if kept is None:
        raise NotFound(f"thread: no message {previous} to continue from", code="thread_not_found")
    for name in _KEPT:
        if name in body:
            raise InvalidRequest(f"{name}: cannot be changed in a thread")
    messages = body.get("messages")
    return {**body, **kept, "messages": [*kept["messages"], *(messages if isinstance(messages, list) else [])]}


def keep(exchange: Exchange, message: Json) -> None:
    """Remember the conversation with its answer."""
    body = exchange.json
    kept = {name: body[name] for name in _KEPT if name in body}
    kept["messages"] = [*body["messages"], {"role": "assistant", "content": message["content"]}]
    exchange.store.threads.put(message["id"], kept, len(exchange.body))
