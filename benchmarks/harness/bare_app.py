"""The bare ASGI application: what granian costs when the application does nothing but answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

BODY = b'{"id":"chatcmpl-bench","object":"chat.completion","model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"%b"}}]}'  # noqa: E501  # one JSON line
BODY %= b"x" * (700 - len(BODY) + 2)
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))],
}
END = {"type": "http.response.body", "body": BODY}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Read the body as far as content-length says, then answer 700 bytes."""
    if scope["type"] != "http":
        return
    expected = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
    got = 0
    while got < expected:
        message = await receive()
        got += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send(START)
    await send(END)
