"""What a translation cannot carry: dropped and reported, or, in strict mode, refused (TRANSLATION, legend).

Encoders speak of fields by the pivot's names; the client knows them by its own dialect's, which stand here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchgear.errors import InvalidRequest

if TYPE_CHECKING:
    from switchgear.wire.conversation import Conversation, Foreign

_NAMES: dict[str, dict[str, str]] = {
    "chat": {
        "output": "response_format",
        "thinking": "reasoning_effort",
        "server_tools": "tools",
        "web_search": "web_search_options",
        "max_tokens": "max_completion_tokens",
    },
    "responses": {
        "messages": "input",
        "output": "text.format",
        "thinking": "reasoning.effort",
        "thinking.summary": "reasoning.summary",
        "verbosity": "text.verbosity",
        "max_tokens": "max_output_tokens",
        "logprobs": "top_logprobs",
        "server_tools": "tools",
        "web_search": "tools",
    },
    "anthropic": {
        "output": "output_config.format",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "stop": "stop_sequences",
        "user": "metadata.user_id",
        "server_tools": "tools",
        "web_search": "tools",
    },
    "gemini": {
        "messages": "contents",
        "output": "generationConfig.responseSchema",
        "thinking": "generationConfig.thinkingConfig",
        "max_tokens": "generationConfig.maxOutputTokens",
        "temperature": "generationConfig.temperature",
        "top_p": "generationConfig.topP",
        "top_k": "generationConfig.topK",
        "n": "generationConfig.candidateCount",
        "stop": "generationConfig.stopSequences",
        "presence_penalty": "generationConfig.presencePenalty",
        "frequency_penalty": "generationConfig.frequencyPenalty",
        "seed": "generationConfig.seed",
        "logprobs": "generationConfig.responseLogprobs",
        "top_logprobs": "generationConfig.logprobs",
        "modalities": "generationConfig.responseModalities",
        "tool_choice": "toolConfig.functionCallingConfig",
        "server_tools": "tools",
        "web_search": "tools",
    },
    "ollama": {
        "output": "format",
        "thinking": "think",
        "max_tokens": "options.num_predict",
        "temperature": "options.temperature",
        "top_p": "options.top_p",
        "top_k": "options.top_k",
        "stop": "options.stop",
        "presence_penalty": "options.presence_penalty",
        "frequency_penalty": "options.frequency_penalty",
        "seed": "options.seed",
    },
}
_PLACES = {
    "chat": "messages[{}].content[{}]",
    "anthropic": "messages[{}].content[{}]",
    "responses": "input[{}].content[{}]",
    "gemini": "contents[{}].parts[{}]",
    "ollama": "messages[{}].images[{}]",  # the only parts that are not text
}
_LISTS = {
    "chat": "messages",
    "anthropic": "messages",
    "responses": "input",
    "gemini": "contents",
    "ollama": "messages",
}


# Responses' fields that need a store or a queue: never dropped in silence (TRANSLATION §15.1).
_STATEFUL = frozenset({"previous_response_id", "conversation", "prompt", "background"})
# Blocks that carry what the model must see or do: a history without them would be another one.
_ESSENTIAL = frozenset(
    {
        "custom_tool_call", "custom_tool_call_output", "computer_call", "computer_call_output", "local_shell_call",
        "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output",
        "mcp_approval_response", "item_reference", "container_upload",
    }
)  # fmt: skip


class Loss:
    """Collects the fields that one translation leaves out. In strict mode the first one raises `InvalidRequest`."""

    __slots__ = ("names", "source", "strict")

    def __init__(self, conversation: Conversation, strict: bool):
        self.names: list[str] = []
        self.source = conversation.source
        self.strict = strict

    def drop(self, field: str) -> None:
        """Leave out a field, by its name in the pivot."""
        self.drop_named(client_name(self.source, field))

    def drop_named(self, name: str) -> None:
        """Leave out a field, by its name in the client's dialect."""
        if self.strict or (self.source == "responses" and name in _STATEFUL):
            raise InvalidRequest(
                f"'{name}' cannot be expressed for the provider that serves this model.",
                param=name,
                code="unsupported_parameter",
            )
        if name not in self.names:
            self.names.append(name)

    def leave_out(self, conversation: Conversation, message: int, block: Foreign) -> str:
        """A block of another format: its text, where it has some to offer, else "" and it is dropped.

        Raises `InvalidRequest` for a block that the conversation cannot do without.
        """
        if block.type in _ESSENTIAL:
            place = message_place(conversation, message)
            raise InvalidRequest(
                f"'{block.type}' cannot be expressed for the provider that serves this model.",
                param=place,
                code="unsupported_value",
            )
        if not block.text:
            self.drop_named(f"{message_place(conversation, message)}.{block.type}")
        return block.text


def client_name(source: str, field: str) -> str:
    """A pivot field's name in the client's dialect."""
    return _NAMES[source].get(field, field)


def part_place(conversation: Conversation, message: int, part: int) -> str:
    """Path of a content part in the client's request, for `param`."""
    return _PLACES[conversation.source].format(max(message, 0), part)


def message_place(conversation: Conversation, message: int) -> str:
    """Path of a message in the client's request."""
    return f"{_LISTS[conversation.source]}[{max(message, 0)}]"


def refuse(conversation: Conversation, field: str, why: str, code: str = "unsupported_parameter") -> InvalidRequest:
    """The 400 for a field that must not be dropped in silence."""
    return InvalidRequest(why, param=client_name(conversation.source, field), code=code)


def refuse_part(conversation: Conversation, message: int, part: int, why: str) -> InvalidRequest:
    """The 400 for a content part that the upstream cannot take."""
    return InvalidRequest(why, param=part_place(conversation, message, part), code="unsupported_content_part")
