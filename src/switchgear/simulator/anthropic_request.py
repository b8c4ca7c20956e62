"""What POST /v1/messages accepts: fields, tools, thinking, in Anthropic's words. Turns are in `anthropic_turns`."""

from __future__ import annotations

import re
from typing import Any

from switchgear.errors import InvalidRequest, NotFound
from switchgear.simulator import tools
from switchgear.simulator.anthropic_turns import called, check_thinking, check_turns
from switchgear.simulator.exchange import Exchange, Json

_DOCS = "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
_FIELDS = frozenset(
    (
        "model",
        "messages",
        "max_tokens",
        "system",
        "metadata",
        "stop_sequences",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "output_format",
        "service_tier",
        "container",
        "context_management",
        "mcp_servers",
        "speed",
        "inference_geo",
        "diagnostics",
        "cache_control",
        "betas",
    )
)
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "model": ((str,), "string"),
    "messages": ((list,), "array"),
    "max_tokens": ((int,), "integer"),
    "metadata": ((dict,), "dictionary"),
    "stop_sequences": ((list,), "array"),
    "stream": ((bool,), "boolean"),
    "temperature": ((int, float), "number"),
    "top_p": ((int, float), "number"),
    "top_k": ((int,), "integer"),
    "tools": ((list,), "array"),
    "tool_choice": ((dict,), "dictionary"),
    "thinking": ((dict,), "dictionary"),
    "output_config": ((dict,), "dictionary"),
    "output_format": ((dict,), "dictionary"),
}
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CHOICES = ("auto", "any", "tool", "none")
_THINKING = ("enabled", "disabled", "adaptive")
_MIN_BUDGET = 1024
_MAX_BREAKPOINTS = 4


def checked(exchange: Exchange, *required: str) -> Json:
    """The body of the request. Raises `InvalidRequest`, `NotFound`."""
    body = exchange.json
    if exchange.head.header(b"anthropic-version") is None:
        raise InvalidRequest("anthropic-version: header is required")
    _check_fields(body, required)
    check_turns(body["messages"])
    _check_tools(body)
    _check_thinking(body)
    if breakpoints(body) > _MAX_BREAKPOINTS:
        raise InvalidRequest(
            f"A maximum of {_MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {breakpoints(body)}."
        )
    base = exchange.base_model or body["model"]
    if not exchange.has_model(base):
        raise NotFound(f"model: {base}")
    return body


def _check_fields(body: Json, required: tuple[str, ...]) -> None:
    for name in ("model", "messages", *required):
        if body.get(name) is None:
            raise InvalidRequest(f"{name}: Field required")
    for name in body:
        if name not in _FIELDS:
            raise InvalidRequest(f"{name}: Extra inputs are not permitted")
    for name, (kinds, shown) in _KINDS.items():
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise InvalidRequest(f"{name}: Input should be a valid {shown}")
    if not isinstance(body.get("system", ""), str | list):
        raise InvalidRequest("system: Input should be a valid string or array")
    _check_bounds(body)


def _check_bounds(body: Json) -> None:
    if body.get("max_tokens", 0) < 0:
        raise InvalidRequest("max_tokens: Input should be greater than or equal to 0")
    for name in ("temperature", "top_p"):
        if not 0 <= (body.get(name) or 0) <= 1:
            raise InvalidRequest(f"{name}: range: 0..1")
    for stop in body.get("stop_sequences") or []:
        if not isinstance(stop, str) or not stop.strip():
            raise InvalidRequest("stop_sequences: each stop sequence must contain non-whitespace")


def _check_tools(body: Json) -> None:
    names = set()
    for index, tool in enumerate(body.get("tools") or []):
        place = f"tools.{index}"
        if not isinstance(tool, dict):
            raise InvalidRequest(f"{place}: Input should be a valid dictionary")
        if "name" not in tool:
            raise InvalidRequest(f"{place}.custom.name: Field required")
        if tool["name"] in names:
            raise InvalidRequest("tools: Tool names must be unique.")
        names.add(tool["name"])
        if tool.get("type", "custom") == "custom":
            _check_custom(f"{place}.custom", tool)
    choice = body.get("tool_choice")
    if choice is None:
        return
    if choice.get("type") not in _CHOICES:
        raise InvalidRequest(
            f"tool_choice: Input tag '{choice.get('type')}' found using 'type' does not match any of the expected "
            "tags: " + ", ".join(f"'{each}'" for each in _CHOICES)
        )
    if not body.get("tools"):
        raise InvalidRequest("tool_choice: may only be specified while providing tools")
    if choice["type"] == "tool" and choice.get("name") not in names:
        raise InvalidRequest(f"tool_choice: Tool '{choice.get('name')}' not found in provided tools")


def _check_custom(place: str, tool: Json) -> None:
    name, schema = tool["name"], tool.get("input_schema")
    if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
        raise InvalidRequest(f"{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    if not isinstance(schema, dict):
        raise InvalidRequest(f"{place}.input_schema: Field required")
    if schema.get("type") != "object":
        said = "Field required" if "type" not in schema else "Input should be 'object'"
        raise InvalidRequest(f"{place}.input_schema.type: {said}")


def thinks(body: Json) -> bool:
    """Whether the request turns thinking on."""
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def _check_thinking(body: Json) -> None:
    thinking = body.get("thinking") or {"type": "disabled"}
    if thinking.get("type") not in _THINKING:
        raise InvalidRequest(
            f"thinking: Input tag '{thinking.get('type')}' found using 'type' does not match any of the expected tags: "
            + ", ".join(f"'{each}'" for each in _THINKING)
        )
    if not thinks(body):
        return
    if thinking["type"] == "enabled":
        _check_budget(thinking.get("budget_tokens"), body.get("max_tokens"))
    if body.get("temperature") not in (None, 1):
        raise InvalidRequest(
            "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode. Please consult our "
            f"documentation at {_DOCS}#important-considerations-when-using-extended-thinking"
        )
    if body.get("top_k") is not None:
        raise InvalidRequest(
            "`top_k` must be unset when thinking is enabled. Please consult our documentation at "
            f"{_DOCS}#important-considerations-when-using-extended-thinking"
        )
    if body.get("top_p") is not None and body["top_p"] < 0.95:
        raise InvalidRequest(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled. Please consult our "
            f"documentation at {_DOCS}#important-considerations-when-using-extended-thinking"
        )
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise InvalidRequest("Thinking may not be enabled when tool_choice forces tool use.")
    if thinking["type"] == "enabled":
        check_thinking(body["messages"], _DOCS)


def _check_budget(budget: Any, limit: int | None) -> None:
    place = "thinking.enabled.budget_tokens"
    if budget is None:
        raise InvalidRequest(f"{place}: Field required")
    if not isinstance(budget, int) or isinstance(budget, bool):
        raise InvalidRequest(f"{place}: Input should be a valid integer")
    if budget < _MIN_BUDGET:
        raise InvalidRequest(f"{place}: Input should be greater than or equal to {_MIN_BUDGET}")
    if limit is not None and limit <= budget:
        raise InvalidRequest(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
            f"{_DOCS}#max-tokens-and-context-window-size"
        )


def calls(body: Json, answers_user: bool) -> list[tools.Call]:
    """The tools to call. One that the choice forces is called after a tool's result, too, as Anthropic's is."""
    declared = [
        {"name": tool["name"], "parameters": tool["input_schema"], "custom": False}
        for tool in body.get("tools") or []
        if tool.get("type", "custom") == "custom"
    ]
    choice = body.get("tool_choice") or {"type": "auto"}
    parallel = choice.get("disable_parallel_tool_use") is not True
    if choice["type"] == "tool":
        return tools.call_all([tool for tool in declared if tool["name"] == choice["name"]], False)
    if choice["type"] == "any":
        return tools.call_all(tools.not_called(declared, called(body["messages"])), parallel)
    return tools.call_all(declared, parallel) if choice["type"] == "auto" and answers_user else []


def schema(body: Json) -> Any:
    """The JSON Schema that the text must be valid for, or None. Raises `InvalidRequest`."""
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format")
    if wanted is None:
        return None
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        raise InvalidRequest("output_config.format.type: Input should be 'json_schema'")
    if not isinstance(wanted.get("schema"), dict):
        raise InvalidRequest("output_config.format.schema: Field required")
    return wanted["schema"]


def breakpoints(body: Json) -> int:
    """How many blocks ask to be cached."""
    return sum(_breakpoints(body.get(name)) for name in ("system", "messages", "tools"))


def _breakpoints(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_breakpoints, value))
    if not isinstance(value, dict):
        return 0
    return bool(value.get("cache_control")) + _breakpoints(value.get("content"))
