"""Ollama's answers and errors towards the client (TRANSLATION §10, §11, §16).

Durations are in nanoseconds. Where the time went at the provider nobody says: an answer that is read whole counts all
of it as `eval_duration`, a stream (`hotpath._translate`) what came before its first word as `prompt_eval_duration`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from switchgear.errors import UpstreamProtocolError
from switchgear.providers.finish import TO_OLLAMA
from switchgear.providers.reading import as_object, given, read_reply
from switchgear.wire.chat import ChatLogprob, ChatLogprobs
from switchgear.wire.conversation import Media, Reasoning, Refusal, Text, ToolCall

if TYPE_CHECKING:
    from switchgear.wire.conversation import Answer, Choice, Conversation, Finish, Part, TokenUsage

_encode = msgspec.json.Encoder().encode
_logprobs = msgspec.json.Decoder(ChatLogprobs)
_LINE_ENDS = tuple((chr(code).encode(), b"\\u%04x" % code) for code in (0x85, 0x2028, 0x2029))


def encode_response(answer: Answer, conversation: Conversation, model: str = "", elapsed_ns: int = 0) -> bytes:
    """The answer as one line of /api/chat. elapsed_ns: since the request came."""
    choice = answer.choices[0]
    return _encode(
        {
            **head(answer, model),
            "message": encode_message(choice.parts, cut=choice.finish == "length"),
            **ending(choice),
            **figures(answer.usage, elapsed_ns),
        }
    )


def encode_loaded(model: str, created: int, *, unloads: bool = False) -> bytes:
    """The answer where nothing was asked. created: unix seconds. unloads: the client asked with a `keep_alive` of 0."""
    reason = "unload" if unloads else "load"
    message = {"role": "assistant", "content": ""}
    return _encode(
        {"model": model, "created_at": stamp(created), "message": message, "done": True, "done_reason": reason}
    )


def head(answer: Answer, model: str) -> dict[str, Any]:
    """What every line begins with. model: the name to show, else the upstream's."""
    return {"model": model or answer.model, "created_at": stamp(answer.created)}


def ending(choice: Choice) -> dict[str, Any]:
    """Why the answer ended, and the log probabilities of its text."""
    finish: Finish = choice.finish
    if finish == "stop" and any(type(part) is Refusal for part in choice.parts):
        finish = "content_filter"  # its words are text, so the reason must say what they are
    body: dict[str, Any] = {"done": True, "done_reason": TO_OLLAMA[finish]}
    if given(choice.logprobs):
        body["logprobs"] = [_logprob(one) for one in read_reply(_logprobs, choice.logprobs).content or ()]
    return body


def _logprob(one: ChatLogprob) -> dict[str, Any]:
    body: dict[str, Any] = {"token": one.token, "logprob": one.logprob}
    if one.top_logprobs:
        body["top_logprobs"] = [{"token": top.token, "logprob": top.logprob} for top in one.top_logprobs]
    return body


def figures(usage: TokenUsage | None, elapsed_ns: int) -> dict[str, Any]:
    """Durations and counts; one that is nothing is left out, as Ollama does."""
    counts = encode_usage(usage) if usage is not None else {}
    durations = {"total_duration": elapsed_ns, "eval_duration": elapsed_ns} if elapsed_ns > 0 else {}
    return {**durations, **counts}


def encode_usage(usage: TokenUsage) -> dict[str, Any]:
    """Token counts: Ollama has one a side."""
    return {"prompt_eval_count": usage.input_tokens, "eval_count": usage.output_tokens}


def encode_message(parts: list[Part], *, cut: bool = False) -> dict[str, Any]:
    """An assistant message: text joined, thoughts beside it, calls with objects as arguments.

    cut: the answer came to its maximum; a call that it broke off is none. Raises `UpstreamProtocolError` where another
    call's arguments are no object.
    """
    message: dict[str, Any] = {"role": "assistant", "content": text_of(parts)}
    thinking = thoughts_of(parts)
    if thinking:
        message["thinking"] = thinking
    images = images_of(parts)
    if images:
        message["images"] = images
    calls = [part for part in parts if type(part) is ToolCall and not (cut and _arguments(part) is None)]
    if calls:
        message["tool_calls"] = [_call(call, index) for index, call in enumerate(calls)]
    return message


def text_of(parts: list[Part]) -> str:
    """Text and refusals."""
    return "".join(part.text for part in parts if type(part) is Text or type(part) is Refusal)


def thoughts_of(parts: list[Part]) -> str:
    """What the model thought, in words."""
    return "".join(part.text for part in parts if type(part) is Reasoning)


def images_of(parts: list[Part]) -> list[str]:
    """Images that the model made, in base64."""
    return [part.data for part in parts if type(part) is Media and part.kind == "image" and part.data is not None]


def _call(call: ToolCall, index: int) -> dict[str, Any]:
    arguments = _arguments(call)
    if arguments is None:
        raise UpstreamProtocolError("The upstream's tool arguments are not a JSON object.")
    function = {"index": index, "name": call.name, "arguments": arguments}
    return {"id": call.id, "function": function}


def _arguments(call: ToolCall) -> msgspec.Raw | None:
    """None where they are no JSON object; a call without any has none to give."""
    return as_object(call.arguments or "{}")


def stamp(unix_s: int) -> str:
    """RFC 3339 of a time in unix seconds; now where an upstream told a time that is none."""
    try:
        when = datetime.fromtimestamp(unix_s, UTC)
    except (ValueError, OverflowError, OSError):
        when = datetime.now(UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def one_line(body: bytes) -> bytes:
    """JSON text as a line: U+0085, U+2028 and U+2029, at which httpx cuts lines, can only stand in strings."""
    for character, escape in _LINE_ENDS:
        body = body.replace(character, escape)
    return body + b"\n"


def encode_error(
    status: int,
    type: str,
    code: str | None,
    message: str,
    param: str | None = None,
    request_id: str = "",
    retry_after_s: float | None = None,
) -> bytes:
    """Ollama's envelope: words, and nothing else. The rest is for headers."""
    return _encode({"error": message})
