"""The turns of POST /v1/messages: roles, blocks, tool results next to their calls, signatures on thinking."""

from __future__ import annotations

import re
from typing import Any

from switchgear.errors import InvalidRequest
from switchgear.simulator import signatures
from switchgear.simulator.exchange import Json

THINKING, REDACTED = "anthropic thinking", "anthropic redacted"  # purposes of signatures
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_BLOCKS = (
    "bash_code_execution_tool_result",
    "code_execution_tool_result",
    "container_upload",
    "document",
    "image",
    "mcp_tool_result",
    "mcp_tool_use",
    "redacted_thinking",
    "search_result",
    "server_tool_use",
    "text",
    "text_editor_code_execution_tool_result",
    "thinking",
    "tool_result",
    "tool_search_tool_result",
    "tool_use",
    "web_fetch_tool_result",
    "web_search_tool_result",
)
_FIELDS = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
}
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def blocks(message: Json) -> list[Json]:
    """A message's content as blocks."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def check_turns(messages: list[Any]) -> None:
    """Raises `InvalidRequest`."""
    if not messages:
        raise InvalidRequest("messages: at least one message is required")
    for index, message in enumerate(messages):
        _check_message(f"messages.{index}", message)
        for number, block in enumerate(blocks(message)):
            _check_block(f"messages.{index}.content.{number}", block)
    if messages[0]["role"] != "user":
        raise InvalidRequest('messages: first message must use the "user" role')
    _check_results(messages)
    last = blocks(messages[-1])
    if (
        messages[-1]["role"] == "assistant"
        and last
        and str(last[-1].get("text", "")).rstrip() != last[-1].get("text", "")
    ):
        raise InvalidRequest("messages: final assistant content cannot end with trailing whitespace")


def _check_message(place: str, message: Any) -> None:
    if not isinstance(message, dict):
        raise InvalidRequest(f"{place}: Input should be a valid dictionary")
    for name in ("role", "content"):
        if message.get(name) is None:
            raise InvalidRequest(f"{place}.{name}: Field required")
    if message["role"] == "system":
        raise InvalidRequest(
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" '
            "as an input message role."
        )
    if message["role"] not in ("user", "assistant"):
        raise InvalidRequest(f"{place}.role: Input should be 'user' or 'assistant'")
    for name in message:
        if name not in ("role", "content"):
            raise InvalidRequest(f"{place}.{name}: Extra inputs are not permitted")
    if not isinstance(message["content"], str | list):
        raise InvalidRequest(f"{place}.content: Input should be a valid string or array")
    if not message["content"] and message["role"] == "user":
        raise InvalidRequest(f"{place}: user messages must have non-empty content")


def _check_block(place: str, block: Any) -> None:
    if not isinstance(block, dict):
        raise InvalidRequest(f"{place}: Input should be a valid dictionary")
    kind = block.get("type")
    if kind not in _BLOCKS:
        listed = ", ".join(f"'{each}'" for each in _BLOCKS)
        raise InvalidRequest(
            f"{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {listed}"
        )
    for name in _FIELDS.get(kind, ()):
        if block.get(name) is None:
            raise InvalidRequest(f"{place}.{kind}.{name}: Field required")
    match kind:
        case "text":
            _check_text(block["text"])
        case "image":
            _check_image(f"{place}.image.source", block["source"])
        case "tool_use":
            _check_id(f"{place}.tool_use.id", block["id"])
            if not isinstance(block["input"], dict):
                raise InvalidRequest(f"{place}.tool_use.input: Input should be a valid dictionary")
        case "tool_result":
            _check_id(f"{place}.tool_result.tool_use_id", block["tool_use_id"])
        case "thinking" if not signatures.valid(block["signature"], THINKING, str(block["thinking"])):
            raise InvalidRequest(f"{place}: Invalid `signature` in `thinking` block")
        case "redacted_thinking" if not signatures.valid(block["data"], REDACTED, ""):
            raise InvalidRequest(f"{place}: Invalid `data` in `redacted_thinking` block")


def _check_text(words: Any) -> None:
    if not isinstance(words, str) or not words:
        raise InvalidRequest("messages: text content blocks must be non-empty")
    if not words.strip():
        raise InvalidRequest("messages: text content blocks must contain non-whitespace text")


def _check_image(place: str, source: Any) -> None:
    if not isinstance(source, dict):
        raise InvalidRequest(f"{place}: Input should be a valid dictionary")
    if source.get("type") == "base64" and source.get("media_type") not in _IMAGES:
        listed = ", ".join(f"'{each}'" for each in _IMAGES[:-1])
        raise InvalidRequest(f"{place}.base64.media_type: Input should be {listed} or '{_IMAGES[-1]}'")


def _check_id(place: str, value: Any) -> None:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise InvalidRequest(f"{place}: String should match pattern '^[a-zA-Z0-9_-]+$'")


def _check_results(messages: list[Json]) -> None:
    """Each call is answered in the turn after it, and nothing else is. Consecutive turns of one role are one turn."""
    turns: list[tuple[int, str, list[Json]]] = []
    for index, message in enumerate(messages):
        if turns and turns[-1][1] == message["role"]:
            turns[-1] = (turns[-1][0], message["role"], turns[-1][2] + blocks(message))
        else:
            turns.append((index, message["role"], blocks(message)))
    asked: list[str] = []
    for number, (index, role, content) in enumerate(turns):
        if role == "user":
            _check_answered(index, content, asked)
        asked = [block["id"] for block in content if block["type"] == "tool_use"]
        if not asked:
            continue
        following = turns[number + 1][2] if number + 1 < len(turns) else []
        answered = {block["tool_use_id"] for block in following if block["type"] == "tool_result"}
        missing = [each for each in asked if each not in answered]
        if missing:
            raise InvalidRequest(
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )


def _check_answered(index: int, content: list[Json], asked: list[str]) -> None:
    for number, block in enumerate(content):
        if block["type"] == "tool_result" and block["tool_use_id"] not in asked:
            raise InvalidRequest(
                f"messages.{index}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{block['tool_use_id']}. Each `tool_result` block must have a corresponding `tool_use` block in the "
                "previous message."
            )


def check_thinking(messages: list[Json], docs: str) -> None:
    """With thinking on, a turn that waits for the results of its tools starts with its thinking.

    Raises `InvalidRequest`.
    """
    if len(messages) < 2 or not answers_tool(messages):
        return
    index = len(messages) - 2
    first = blocks(messages[index])[0]["type"] if blocks(messages[index]) else "nothing"
    if first not in ("thinking", "redacted_thinking"):
        raise InvalidRequest(
            f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the "
            "lastmost set of `tool_use` and `tool_result` blocks). We recommend you include thinking blocks from "
            f"previous turns. To avoid this requirement, disable `thinking`. Please consult our documentation at {docs}"
        )


def answers_tool(messages: list[Json]) -> bool:
    """Whether the last turn brings the results of tools."""
    return any(block["type"] == "tool_result" for block in blocks(messages[-1]))


def called(messages: list[Json]) -> set[str]:
    """The names of the tools called since the user last said something."""
    names: set[str] = set()
    for message in reversed(messages):
        content = blocks(message)
        if message["role"] == "user" and not any(block["type"] == "tool_result" for block in content):
            break
        names.update(block["name"] for block in content if block["type"] == "tool_use")
    return names
