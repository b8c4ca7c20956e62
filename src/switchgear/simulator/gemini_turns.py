"""The turns of a Gemini request: roles, parts, responses next to their calls, signatures on calls."""

from __future__ import annotations

import base64
from typing import Any

import orjson
from msgspec import Struct

from switchgear.errors import InvalidRequest
from switchgear.simulator import signatures
from switchgear.simulator.exchange import Json
from switchgear.simulator.gemini_schema import camels

THOUGHT = "gemini thought"  # purpose of signatures
_WORDS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
# As they are, and in base64: the field holds bytes, and an SDK encodes what it is given.
_DUMMIES = frozenset((*_WORDS, *(base64.b64encode(word.encode()).decode() for word in _WORDS)))
_DATA = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
_ORDER = "Please ensure that function {} turn comes immediately after {}."
_COUNT = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the "
    "function call turn."
)
_UNSIGNED = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, "
    "and missing thought_signature may lead to degraded model performance. Additional data, function call "
    "`default_api:{}` , position {}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more "
    "details."
)


class Turn(Struct):
    """One content: its role and its parts, with the names of their fields in camel case."""

    role: str
    parts: list[Json]

    @property
    def calls(self) -> list[Json]:
        """The function calls in it."""
        return [camels(part["functionCall"]) for part in self.parts if "functionCall" in part]

    @property
    def responses(self) -> list[Json]:
        """The function responses in it."""
        return [camels(part["functionResponse"]) for part in self.parts if "functionResponse" in part]

    @property
    def called(self) -> set[str]:
        """The names of the functions that it calls."""
        return {str(call["name"]) for call in self.calls}

    @property
    def words(self) -> str:
        """Its text, calls and responses included."""
        texts = [part["text"] for part in self.parts if isinstance(part.get("text"), str)]
        return "".join(texts) + "".join(orjson.dumps(each).decode() for each in (*self.calls, *self.responses))


def read_turns(contents: Any, *, signed: bool) -> list[Turn]:
    """signed: whether calls of the current turn must have a signature. Raises `InvalidRequest`."""
    if isinstance(contents, dict):
        contents = [contents]
    if not isinstance(contents, list) or not contents:
        raise InvalidRequest("* GenerateContentRequest.contents: contents is not specified\n")
    turns = [_turn(index, content) for index, content in enumerate(contents)]
    _check_order(turns)
    _check_signatures(turns, signed)
    return turns


def _turn(index: int, content: Any) -> Turn:
    fields = camels(content)
    role = fields.get("role") or "user"
    if role not in ("user", "model", "function"):
        raise InvalidRequest("Please use a valid role: user, model.")
    given = fields.get("parts")
    parts = [camels(part) for part in (given if isinstance(given, list) else [given] if given else [])]
    place = f"* GenerateContentRequest.contents[{index}].parts"
    if not parts:
        raise InvalidRequest(f"{place}: contents.parts must not be empty.\n")
    for number, part in enumerate(parts):
        if not any(part.get(name) is not None for name in _DATA):
            raise InvalidRequest(
                f"{place}[{number}].data: required oneof field 'data' must have one initialized field\n"
            )
        _check_part(f"contents[{index}].parts[{number}]", part)
    return Turn(role, parts)


def _check_part(place: str, part: Json) -> None:
    if "functionResponse" in part:
        response = camels(part["functionResponse"])
        if not response.get("name"):
            raise InvalidRequest(f"* GenerateContentRequest.{place}.function_response.name: [REQUIRED_FIELD_MISSING]\n")
        _check_struct(f"{place}.function_response.response", response.get("response"))
    if "functionCall" in part:
        call = camels(part["functionCall"])
        if not call.get("name"):
            raise InvalidRequest(f"* GenerateContentRequest.{place}.function_call.name: [REQUIRED_FIELD_MISSING]\n")
        _check_struct(f"{place}.function_call.args", call.get("args"))


def _check_struct(place: str, value: Any) -> None:
    if value is not None and not isinstance(value, dict):
        shown = orjson.dumps(value).decode()
        raise InvalidRequest(
            f"Invalid value at '{place}' (type.googleapis.com/google.protobuf.Struct), {shown}", param=place
        )


def _check_order(turns: list[Turn]) -> None:
    """A turn of calls follows the user or responses; its responses follow it, as many as there are calls."""
    before: Turn | None = None
    for turn in turns:
        asked = before.calls if before is not None else []
        if turn.responses and not asked:
            raise InvalidRequest(_ORDER.format("response", "a function call turn"))
        if len(turn.responses) != len(asked) and (asked or turn.responses):
            raise InvalidRequest(_COUNT)
        if turn.calls and (before is None or before.role == "model"):
            raise InvalidRequest(_ORDER.format("call", "a user turn or after a function response turn"))
        before = turn
    if before is not None and before.calls:
        raise InvalidRequest(_COUNT)


def _check_signatures(turns: list[Turn], signed: bool) -> None:
    """Every signature must have been issued; the first call of each step in the current turn must have one."""
    current = max((index for index, turn in enumerate(turns) if turn.role == "user" and not turn.responses), default=0)
    for index, turn in enumerate(turns):
        first = True
        for part in turn.parts:
            signature = part.get("thoughtSignature")
            if signature and signature not in _DUMMIES and not signatures.valid(signature, THOUGHT, ""):
                raise InvalidRequest("Corrupted thought signature.")
            if "functionCall" not in part:
                continue
            if signed and first and index > current and not signature:
                raise InvalidRequest(_UNSIGNED.format(camels(part["functionCall"])["name"], index + 1))
            first = False
