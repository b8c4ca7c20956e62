"""Checks of request fields, in OpenAI's words (as recorded from its API)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from switchgear.errors import InvalidRequest
from switchgear.simulator.exchange import Json, kind

_KINDS: dict[str, tuple[type, ...]] = {
    "an integer": (int,),
    "a decimal": (int, float),
    "a boolean": (bool,),
    "a string": (str,),
    "an object": (dict,),
    "an array": (list,),
}


class Rule(Struct, frozen=True):
    """What a field must be: `kind` as OpenAI's messages write it, bounds for numbers (and lengths of arrays)."""

    kind: str
    low: float | None = None
    high: float | None = None


INTEGER = Rule("an integer")
BOOLEAN = Rule("a boolean")
STRING = Rule("a string")
OBJECT = Rule("an object")
ARRAY = Rule("an array")

SAMPLING: dict[str, Rule] = {
    "temperature": Rule("a decimal", 0, 2),
    "top_p": Rule("a decimal", 0, 1),
    "presence_penalty": Rule("a decimal", -2, 2),
    "frequency_penalty": Rule("a decimal", -2, 2),
    "seed": INTEGER,
    "stream": BOOLEAN,
    "stream_options": OBJECT,
    "n": Rule("an integer", 1, 128),
    "max_tokens": Rule("an integer", 1),
}


def check(body: Json, rules: dict[str, Rule]) -> None:
    """Hold the fields of `body` that are there, and not null, against `rules`. Raises `InvalidRequest`."""
    for name, rule in rules.items():
        value = body.get(name)
        if value is not None:
            _check(name, value, rule)


def require(body: Json, name: str) -> Any:
    """The field's value. Raises `InvalidRequest` when it is missing or null."""
    value = body.get(name)
    if value is None:
        raise InvalidRequest(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    return value


def require_messages(body: Json) -> list[Json]:
    """The messages of a chat. Raises `InvalidRequest`."""
    messages = require(body, "messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array of objects", messages)
    if not messages:
        raise empty_array("messages")
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if not isinstance(message, dict):
            raise wrong_type(place, "an object", message)
        role = message.get("role")
        if role is None:
            raise InvalidRequest(
                f"Missing required parameter: '{place}.role'.",
                param=f"{place}.role",
                code="missing_required_parameter",
            )
        if role not in ROLES:
            raise not_among(f"{place}.role", role, ROLES)
        _check_content(place, message)
    return messages


ROLES = ("system", "assistant", "user", "function", "tool", "developer")


def _check_content(place: str, message: Json) -> None:
    content = message.get("content")
    if content is None and message["role"] in ("assistant", "function"):
        return
    if content is None:
        raise InvalidRequest(
            f"Missing required parameter: '{place}.content'.",
            param=f"{place}.content",
            code="missing_required_parameter",
        )
    if not isinstance(content, str | list):
        raise wrong_type(f"{place}.content", "one of a string or array of objects", content)
    if message["role"] == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise InvalidRequest(
            f"Missing required parameter: '{place}.tool_call_id'.",
            param=f"{place}.tool_call_id",
            code="missing_required_parameter",
        )


def wrong_type(param: str, expected: str, value: Any) -> InvalidRequest:
    """The error for a value of the wrong type."""
    return InvalidRequest(
        f"Invalid type for '{param}': expected {expected}, but got {kind(value)} instead.",
        param=param,
        code="invalid_type",
    )


def empty_array(param: str) -> InvalidRequest:
    """The error for an array without elements."""
    return InvalidRequest(
        f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        param=param,
        code="empty_array",
    )


def not_among(param: str, value: Any, allowed: tuple[str, ...]) -> InvalidRequest:
    """The error for a value outside an enumeration."""
    quoted = [f"'{name}'" for name in allowed]
    listed = ", ".join(quoted[:-1]) + f", and {quoted[-1]}" if len(quoted) > 2 else " and ".join(quoted)
    return InvalidRequest(
        f"Invalid value: '{value}'. Supported values are: {listed}.", param=param, code="invalid_value"
    )


def _check(name: str, value: Any, rule: Rule) -> None:
    accepted: Any = _KINDS[rule.kind]  # Any: the bounds below are for numbers
    if not isinstance(value, accepted) or (isinstance(value, bool) and rule.kind != "a boolean"):
        raise wrong_type(name, rule.kind, value)
    size = "integer" if rule.kind == "an integer" else "decimal"
    if rule.low is not None and value < rule.low:
        raise InvalidRequest(
            f"Invalid '{name}': {size} below minimum value. Expected a value >= {rule.low:g}, but got {value} instead.",
            param=name,
            code=f"{size}_below_min_value",
        )
    if rule.high is not None and value > rule.high:
        raise InvalidRequest(
            f"Invalid '{name}': {size} above maximum value. "
            f"Expected a value <= {rule.high:g}, but got {value} instead.",
            param=name,
            code=f"{size}_above_max_value",
        )
