"""Which tools an answer calls, and with what arguments."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson

from switchgear.errors import InvalidRequest
from switchgear.simulator.exchange import Json
from switchgear.simulator.schema_instance import instance
from switchgear.simulator.validation import wrong_type

_MAX_PARALLEL = 2


class Call:
    """One call: the function's (or custom tool's) name and its arguments as text."""

    __slots__ = ("arguments", "custom", "name")

    def __init__(self, name: str, arguments: str, custom: bool = False):
        self.name = name
        self.arguments = arguments
        self.custom = custom


def declared(tools: Any) -> list[Json]:
    """The tools of a chat or responses request, flat: `{name, parameters, custom}`. Raises `InvalidRequest`."""
    if tools is None:
        return []
    if not isinstance(tools, list):
        raise wrong_type("tools", "an array of objects", tools)
    return [flat for index, tool in enumerate(tools) if (flat := _flat(tool, index)) is not None]


def _flat(tool: Any, index: int) -> Json | None:
    if not isinstance(tool, dict):
        raise wrong_type(f"tools[{index}]", "an object", tool)
    kind = tool.get("type", "function")
    if kind not in ("function", "custom"):
        return None  # built in: the simulator answers with text
    inner = tool.get(kind, tool)
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        param = f"tools[{index}].{kind}.name" if kind in tool else f"tools[{index}].name"
        raise InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    return {"name": inner["name"], "parameters": inner.get("parameters"), "custom": kind == "custom"}


def calls(
    tools: list[Json], choice: Any, parallel: bool, answers_user: bool, called: Collection[str] = ()
) -> list[Call]:
    """The calls to make: none if no tool is given, `choice` is none, or nothing forces one after a tool's result.

    Two tools are called at once when at least two are given and `parallel` allows it; a choice that names one wins.
    called: names of those called since the user's last message.
    """
    named = _named(choice)
    if named is not None:
        tools = [tool for tool in tools if tool["name"] == named]
        if not tools:
            raise InvalidRequest(f"Tool choice '{named}' not found in 'tools' parameter.", param="tool_choice")
    forced = named is not None or choice == "required"
    if not tools or choice == "none" or not (answers_user or forced):
        return []
    return call_all(not_called(tools, called) if forced else tools, parallel and named is None)


def not_called(tools: list[Json], called: Collection[str]) -> list[Json]:
    """Those of `tools` that a model which must call one has left; all when it has called all."""
    return [tool for tool in tools if tool["name"] not in called] or tools


def call_all(tools: list[Json], parallel: bool) -> list[Call]:
    """The first two of `tools`, or the first alone."""
    return [_call(tool) for tool in tools[: _MAX_PARALLEL if parallel else 1]]


def _named(choice: Any) -> str | None:
    if not isinstance(choice, dict):
        return None
    inner = choice.get(str(choice.get("type", "")), choice)
    name = inner.get("name") if isinstance(inner, dict) else None
    return name if isinstance(name, str) else None


def _call(tool: Json) -> Call:
    if tool["custom"]:
        return Call(tool["name"], "simulated input", custom=True)
    arguments = instance(tool["parameters"] or {"type": "object"})
    return Call(tool["name"], orjson.dumps(arguments if isinstance(arguments, dict) else {}).decode())
