"""The only ways in which an answer may differ from what the provider sent: exchange by exchange, with the reason.

What is not named here arrives with the provider's status and, byte for byte, the provider's body.
"""

from __future__ import annotations

import json

from switchgear.wire.errors import envelope
from tests.conformance.exchanges import Exchange

# A 401 is about the gateway's key: 502 to the client, and not the words, which quote the key.
CREDENTIALS = "credentials refused"
# An error body that an OpenAI client cannot read: the same facts in OpenAI's envelope.
ENVELOPE = "envelope"
OWN = "refused by the gateway"  # never reaches the provider
USAGE = "usage hidden"  # the gateway asked for the usage of a stream, the client did not

_AZURE = "azure/chat.completions/"
_SONAR = "perplexity/chat.completions/chat-"
_DEEP = "deepseek/chat.completions/chat-"
CHANGES = {
    f"{_AZURE}chat-error-handling-with-azure-grok-4-1-fast-non-reasoning-raises-appropriate-auth-error-0": CREDENTIALS,
    f"{_DEEP}error-handling-with-deepseek-deepseek-chat-raises-appropriate-auth-error-0": CREDENTIALS,
    f"{_SONAR}error-handling-with-perplexity-sonar-raises-appropriate-auth-error-0": CREDENTIALS,
    "openai/responses/context-context-chat-operations-uses-context-specific-api-keys-0": CREDENTIALS,
    "openai/responses/error-handles-invalid-api-keys-gracefully-0": CREDENTIALS,
    # no `type` and `param`
    f"{_AZURE}chat-real-error-scenarios-azure-grok-4-1-fast-non-reasoning-handles-context-length-exceede-0": ENVELOPE,
    # `code` is a number
    "openrouter/chat.completions/test-openrouter-errors-raised-0": ENVELOPE,
    f"{_SONAR}real-error-scenarios-perplexity-sonar-handles-context-length-exceeded-errors-0": ENVELOPE,
    "openai/chat.completions/chat-no-messages-0": OWN,
    "vllm/completions/test-trace-propagation-stream-async-openai-0": USAGE,
}


def change_of(exchange: Exchange) -> str:
    """The declared change of an exchange, "" for none."""
    return CHANGES.get(exchange.id, "")


def expected_body(exchange: Exchange) -> tuple[int, bytes]:
    """(status, body) that the client must receive."""
    response, change = exchange.response, change_of(exchange)
    if change == CREDENTIALS:
        message = "The upstream refused the gateway's credentials."
        return 502, envelope(message, "server_error", "upstream_authentication_error")
    if change == ENVELOPE:
        error = json.loads(response.body)["error"]
        code = error.get("code") if isinstance(error.get("code"), str) else None
        kind = {429: "rate_limit_error"}.get(response.status, "invalid_request_error")
        default = {429: "rate_limit_exceeded"}.get(response.status)
        return response.status, envelope(
            error["message"], error.get("type") or kind, code or default, error.get("param")
        )
    if change == OWN:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        return 400, envelope(message, "invalid_request_error", "empty_array", "messages")
    if change == USAGE:
        return response.status, without_usage(response.raw)
    return response.status, response.raw


def without_usage(body: bytes) -> bytes:
    """A stream of chunks as a client that did not ask for usage gets it: keys keep their order, and `usage` is gone."""
    kept = []
    for block in body.decode().split("\n\n"):
        if not block.startswith("data: {"):
            kept.append(block)
            continue
        text, chunk = block[len("data: ") :], json.loads(block[len("data: ") :])
        usage = chunk.pop("usage", None)
        if usage is not None and not chunk["choices"]:
            continue
        spaced = json.dumps(chunk, ensure_ascii=False)
        kept.append(
            "data: " + (spaced if ": " in text else json.dumps(chunk, ensure_ascii=False, separators=(",", ":")))
        )
    return "\n\n".join(kept).encode()
