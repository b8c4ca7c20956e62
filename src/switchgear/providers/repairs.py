"""Repairs of OpenAI-like answers that pass through without translation (TRANSLATION §6 (a) (b), §10, §12).

A provider's row names the quirks it has; a body that shows none of them goes on as the very bytes that came. Telling
costs a search for a few bytes; only a body that needs it is decoded.
"""

from __future__ import annotations

from typing import Any

import msgspec

from switchgear.errors import UpstreamProtocolError, UpstreamRejected
from switchgear.providers.identifiers import new_id, new_tool_id

_encode = msgspec.json.Encoder().encode
_WORDS = {"eos": "stop", "end_turn": "stop", "model_length": "length", "max_tokens": "length"}
_KNOWN_WORDS = frozenset({"stop", "length", "tool_calls", "function_call", "content_filter"})


def repair_reply(body: bytes, quirks: frozenset[str]) -> bytes:
    """The body as an OpenAI client understands it; the very object `body` when nothing has to change.

    quirks: names from `quirks.REPLY_QUIRKS`; others are ignored. Raises `UpstreamRejected` for an error in a 200
    (`error_in_200`), `UpstreamProtocolError` when the body is not a JSON object.
    """
    if not quirks or not _suspect(body, quirks):
        return body
    try:
        reply = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise UpstreamProtocolError("The upstream's answer is not JSON.") from exc
    if not isinstance(reply, dict):
        raise UpstreamProtocolError("The upstream's answer is not a JSON object.")
    if "error_in_200" in quirks and reply.get("error") and not reply.get("choices"):
        raise UpstreamRejected(_status(reply["error"]), [], body)
    changed = "missing_id" in quirks and _identify(reply)
    choices = reply.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            changed = _choice(choice, quirks) or changed
    if "usage_excludes_reasoning" in quirks or "cache_hit_usage" in quirks:
        changed = _usage(reply.get("usage"), quirks) or changed
    return _encode(reply) if changed else body


def _suspect(body: bytes, quirks: frozenset[str]) -> bool:
    """Whether a look at the bytes leaves a repair possible; never wrong in saying no."""
    if quirks & {"missing_message", "finish_words", "object_arguments", "usage_excludes_reasoning", "missing_id"}:
        return True
    return (
        ("error_in_200" in quirks and b'"error"' in body)
        or ("content_list" in quirks and b'"thinking"' in body)
        or ("missing_tool_id" in quirks and b'"tool_calls"' in body)
        or ("cache_hit_usage" in quirks and b'"prompt_cache_hit_tokens"' in body)
    )


def _status(error: Any) -> int:
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 502


def _identify(reply: dict[str, Any]) -> bool:
    if reply.get("id"):
        return False
    reply["id"] = new_id("chatcmpl-")
    return True


def _choice(choice: dict[str, Any], quirks: frozenset[str]) -> bool:
    changed = False
    message = choice.get("message")
    if message is None and "missing_message" in quirks and "text" not in choice:
        choice["message"] = message = {"role": "assistant", "content": None, "refusal": None}
        changed = True
    if not isinstance(message, dict):
        return changed
    if "content_list" in quirks and isinstance(message.get("content"), list):
        _flatten(message)
        changed = True
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            changed = _call(call, quirks) or changed
    if "finish_words" in quirks:
        word = choice.get("finish_reason")
        right = _WORDS.get(word, word) if isinstance(word, str) else word
        if right not in _KNOWN_WORDS:
            right = "stop"
        if calls and right == "stop":
            right = "tool_calls"
        if right != word:
            choice["finish_reason"] = right
            changed = True
    return changed


def _flatten(message: dict[str, Any]) -> None:
    """Mistral's parts: thoughts to `reasoning_content`, texts to `content`."""
    thoughts: list[str] = []
    texts: list[str] = []
    for part in message["content"]:
        if not isinstance(part, dict):
            continue
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            if isinstance(inner, str):
                thoughts.append(inner)
            else:
                thoughts += [item.get("text", "") for item in inner or () if isinstance(item, dict)]
        elif part.get("type") == "text":
            texts.append(part.get("text") or "")
    message["content"] = "".join(texts)
    if thoughts and not message.get("reasoning_content"):
        message["reasoning_content"] = "".join(thoughts)


def _call(call: dict[str, Any], quirks: frozenset[str]) -> bool:
    changed = False
    if "missing_tool_id" in quirks and not call.get("id"):
        call["id"] = new_tool_id()
        changed = True
    function = call.get("function")
    if "object_arguments" in quirks and isinstance(function, dict) and not isinstance(function.get("arguments"), str):
        arguments = function.get("arguments")
        function["arguments"] = _encode({} if arguments is None else arguments).decode()
        changed = True
    return changed


def _usage(usage: Any, quirks: frozenset[str]) -> bool:
    if not isinstance(usage, dict):
        return False
    changed = False
    prompt, completion, total = (usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if (
        "usage_excludes_reasoning" in quirks
        and isinstance(prompt, int)
        and isinstance(completion, int)
        and isinstance(total, int)
        and total > prompt + completion
    ):
        usage["completion_tokens"] = total - prompt
        changed = True
    hit = usage.get("prompt_cache_hit_tokens")
    if "cache_hit_usage" in quirks and isinstance(hit, int):
        details = usage.setdefault("prompt_tokens_details", {})
        if isinstance(details, dict) and "cached_tokens" not in details:
            details["cached_tokens"] = hit
            changed = True
    return changed
