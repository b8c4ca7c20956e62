"""Tools, tool_choice and response_format of a Chat Completions request (TRANSLATION §3, §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchgear.errors import InvalidRequest
from switchgear.providers.reading import given
from switchgear.wire.chat import ChatRequest, ChatTool, ChatToolChoice, Named
from switchgear.wire.conversation import (
    Conversation,
    OutputFormat,
    ServerTool,
    Tool,
    ToolChoice,
)

if TYPE_CHECKING:
    pass


WEB_SEARCH = "web_search"


def read_tools(request: ChatRequest, conversation: Conversation) -> None:
    """Tools, functions and which of them are asked for, into `conversation`. Raises InvalidRequest."""
    if request.tools:
        conversation.tools = [_tool(tool, position) for position, tool in enumerate(request.tools)]
    elif request.functions:
        conversation.legacy_functions = True
        conversation.tools = [Tool(f.name, f.description, f.parameters, f.strict) for f in request.functions]
    if conversation.tools is not None and len({tool.name for tool in conversation.tools}) < len(conversation.tools):
        raise InvalidRequest("Tool names must be unique.", param="tools", code="invalid_value")
    if given(request.web_search_options):
        conversation.server_tools = [ServerTool(WEB_SEARCH, "chat", request.web_search_options)]
    conversation.parallel_tool_calls = request.parallel_tool_calls
    choice = request.tool_choice
    if choice is not None:
        conversation.tool_choice = _choice(choice)
    elif conversation.legacy_functions and request.function_call is not None:
        call = request.function_call
        conversation.tool_choice = _choice(call) if isinstance(call, str) else ToolChoice("tool", call.name)


def _tool(tool: ChatTool, position: int) -> Tool:
    function = tool.function
    if tool.type != "function":
        raise InvalidRequest(
            f"Tools of type '{tool.type[:64]}' cannot be translated for this model's provider.",
            param=f"tools[{position}].type",
            code="unsupported_value",
        )
    if function is None:
        param = f"tools[{position}].function"
        raise InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    made = Tool(function.name, function.description, function.parameters, function.strict)
    if given(tool.cache_control):
        made.cache = tool.cache_control
    return made


def _choice(choice: str | ChatToolChoice) -> ToolChoice:
    if isinstance(choice, str):
        if choice in ("auto", "none"):
            return ToolChoice(choice)  # type: ignore[arg-type]  # just compared
        if choice in ("required", "any"):
            return ToolChoice("required")
        raise InvalidRequest(
            f"Invalid value: '{choice[:64]}'. Supported values are: 'none', 'auto', and 'required'.",
            param="tool_choice",
            code="invalid_value",
        )
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        names = [tool.function.name for tool in choice.allowed_tools.tools if tool.function is not None]
        return ToolChoice("required" if choice.allowed_tools.mode == "required" else "auto", allowed=names)
    function = choice.function or (Named(choice.name) if choice.name else None)
    if choice.type != "function" or function is None:
        raise InvalidRequest("Invalid value for 'tool_choice'.", param="tool_choice", code="invalid_value")
    return ToolChoice("tool", function.name)


def read_output(request: ChatRequest) -> OutputFormat:
    """What `response_format`, which is there, asks for. Raises InvalidRequest."""
    wanted = request.response_format
    assert wanted is not None  # noqa: S101  # the caller looked
    if wanted.type == "json_object":
        return OutputFormat("json")
    if wanted.type == "json_schema":
        schema = wanted.json_schema
        if schema is None or not given(schema.schema):
            param = "response_format.json_schema"
            raise InvalidRequest(
                f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
            )
        return OutputFormat("schema", schema.name, schema.schema, schema.strict, schema.description)
    if wanted.type == "text":
        return OutputFormat("text")
    raise InvalidRequest(
        f"Invalid value: '{wanted.type[:64]}'. Supported values are: 'text', 'json_object', and 'json_schema'.",
        param="response_format.type",
        code="invalid_value",
    )
