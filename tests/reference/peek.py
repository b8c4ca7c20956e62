"""The oracle of switchgear.hotpath._peek."""

import re
from typing import Any

from tests.reference.strict_json import Member, NotJson, Number, Pairs, loads, members

LARGEST = 2**31 - 1
ACTED_ON = [
    "model",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n",
    "messages",
    "input",
    "prompt",
    "user",
]
_SIGNED = ("reasoning_details", "thinking_blocks", "extra_content", "encrypted_content")
_STRINGS = re.compile(r'"((?:[^"\\]|\\.)*)"([ \t\r\n]*:)?', re.S)


class Refused(ValueError):
    def __init__(self, code: str | None, param: str | None, position: int | None) -> None:
        super().__init__(f"{code} {param} {position}")
        self.code, self.param, self.position = code, param, position


def whole_number(number: str) -> int | None:
    """None when it is no whole number, -1 when negative, at most LARGEST."""
    found = re.fullmatch(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?)(\d+))?", number)
    assert found
    sign, integer, fraction, exponent_sign, exponent = (part or "" for part in found.groups())
    digits = (integer + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return 0
    magnitude = exponent.lstrip("0")
    power = 10**12 if len(magnitude) > 12 else int(magnitude or "0")
    zeros = (-power if exponent_sign == "-" else power) - len(fraction) + len(digits) - len(significant)
    if zeros < 0:
        return None
    if sign:
        return -1
    return LARGEST if len(significant) + zeros > 10 else min(int(significant + "0" * zeros), LARGEST)


def peek_request(body: bytes, max_depth: int = 512) -> dict[str, Any]:
    """The attributes of a Request. Raises Refused."""
    try:
        text, value = loads(body, max_depth)
    except NotJson as error:
        raise Refused(None, None, None) from error
    if not isinstance(value, Pairs):
        raise Refused(None, None, None)

    def offset(at: int) -> int:
        return len(text[:at].encode())

    fields: dict[str, Member] = {}
    problems: list[tuple[str, str, int]] = []
    for member in members(text, 0):
        if member.key not in ACTED_ON:
            continue
        if member.key in fields:
            problems.append(("duplicate_field", member.key, offset(member.key_start)))
        fields[member.key] = member
        problems.extend(_problems(text, member, offset))
    for member in reversed(list(members(text, 0))):
        # Other letter case: a server that matches names in any case would take it for the model. The last is named.
        if "model" in fields and member.key != "model" and re.fullmatch("(?i:model)", member.key, re.ASCII):
            problems.append(("duplicate_field", "model", offset(member.key_start)))
    if problems:
        raise Refused(*problems[0])

    def span(name: str) -> tuple[int, int]:
        found = fields.get(name)
        return (-1, -1) if found is None or found.value is None else (offset(found.start), offset(found.end))

    def kind(name: str) -> int:
        return ord(text[fields[name].start]) if name in fields else 0

    def limit(name: str) -> int:
        number = whole_number(fields[name].value) if name in fields and fields[name].value is not None else None
        return -1 if number is None else number

    def given(name: str) -> Any:
        return fields[name].value if name in fields else None

    model = given("model")
    if model is not None:
        try:
            model.encode()
        except UnicodeEncodeError as error:
            raise Refused("invalid_value", "model", span("model")[0]) from error
    options = given("stream_options")
    limits = [limit(name) for name in ("max_completion_tokens", "max_output_tokens", "max_tokens")]
    return {
        "model": model,
        "model_start": span("model")[0],
        "model_end": span("model")[1],
        "stream": given("stream") is True,
        "stream_start": span("stream")[0],
        "stream_end": span("stream")[1],
        "max_tokens": next((number for number in limits if number >= 0), -1),
        "n": max(1, limit("n")),
        "include_usage": options is not None and options.last("include_usage") is True,
        "stream_options_start": span("stream_options")[0],
        "stream_options_end": span("stream_options")[1],
        "messages_kind": kind("messages"),
        "messages_empty": given("messages") == [] and kind("messages") == ord("["),
        "input_kind": kind("input"),
        "prompt_kind": kind("prompt"),
        "user_start": span("user")[0],
        "user_end": span("user")[1],
        "end": len(body.rstrip(b" \t\r\n")) - 1,
        "empty": not value,
        "signed": any(found[2] and found[1] in _SIGNED for found in _STRINGS.finditer(text)),
    }


def _problems(text: str, member: Member, offset: Any) -> list[tuple[str, str, int]]:
    """What is wrong with the value of a field."""
    value = member.value
    found = []
    if member.key == "stream_options" and isinstance(value, Pairs):
        seen = False
        for inner in members(text, member.start):
            if inner.key == "include_usage":
                if seen:
                    found.append(("duplicate_field", "stream_options.include_usage", offset(inner.key_start)))
                if not (inner.value is None or isinstance(inner.value, bool)):
                    found.append(("invalid_type", "stream_options.include_usage", offset(inner.start)))
                seen = True
        return found
    fits = {
        "model": isinstance(value, str) and not isinstance(value, Number),
        "stream": value is None or isinstance(value, bool),
        "stream_options": value is None,
        "user": value is None or (isinstance(value, str) and not isinstance(value, Number)),
        "messages": True,
        "input": True,
        "prompt": True,
    }
    number = value is None or (isinstance(value, Number) and whole_number(value) is not None)
    return [] if fits.get(member.key, number) else [("invalid_type", member.key, offset(member.start))]


def peek_reply(body: bytes, max_depth: int = 512) -> dict[str, int]:
    """The attributes of a Reply. Raises Refused."""
    try:
        text, value = loads(body, max_depth)
    except NotJson as error:
        raise Refused(None, None, None) from error
    if not isinstance(value, Pairs):
        raise Refused(None, None, None)
    names = {"model": "model", "usage": "usage", "error": "error", "choices": "choices", "service_tier": "tier"}
    result = {f"{name}_{side}": -1 for name in names.values() for side in ("start", "end")}
    for member in members(text, 0):
        if member.key not in names:
            continue
        gone = member.value is None and member.key != "choices"
        if member.key in ("model", "service_tier"):
            gone = not isinstance(member.value, str) or isinstance(member.value, Number)
        result[f"{names[member.key]}_start"] = -1 if gone else len(text[: member.start].encode())
        result[f"{names[member.key]}_end"] = -1 if gone else len(text[: member.end].encode())
    return result
