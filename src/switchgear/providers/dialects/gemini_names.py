"""Gemini's field names in snake_case, which protobuf's JSON mapping accepts beside camelCase.

Nearly every client sends camelCase, so a body is searched for the known snake_case names first and rewritten only when
one is there. What belongs to the user (arguments, results, schemas) is never rewritten.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_NAMES = (
    "system_instruction", "generation_config", "tool_config", "safety_settings", "cached_content", "inline_data",
    "file_data", "mime_type", "file_uri", "display_name", "function_call", "function_response", "thought_signature",
    "executable_code", "code_execution_result", "tool_call", "tool_response", "video_metadata", "media_resolution",
    "function_declarations", "parameters_json_schema", "google_search", "google_search_retrieval", "code_execution",
    "url_context", "function_calling_config", "allowed_function_names", "include_server_side_tool_invocations",
    "top_p", "top_k", "candidate_count", "max_output_tokens", "stop_sequences", "presence_penalty",
    "frequency_penalty", "response_mime_type", "response_schema", "response_json_schema", "response_modalities",
    "response_logprobs", "thinking_config", "include_thoughts", "thinking_budget", "thinking_level", "speech_config",
    "output_dimensionality", "task_type",
)  # fmt: skip
_SNAKE = re.compile(rb'"(?:' + "|".join(_NAMES).encode() + rb')"\s*:')
_USERS = frozenset(
    {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "labels"}
)
_CAMEL = {name: re.sub(r"_(.)", lambda match: match[1].upper(), name) for name in _NAMES}


def camelised(body: bytes) -> bytes:
    """The body with field names in camelCase; the very object where none is in snake_case."""
    if _SNAKE.search(body) is None:
        return body
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body  # the typed decoder says what is wrong
    return msgspec.json.encode(_walk(value))


def _walk(value: Any) -> Any:
    if isinstance(value, list):
        return [_walk(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, inner in value.items():
        name = _CAMEL.get(key, key)
        found[name] = inner if name in _USERS else _walk(inner)
    return found
