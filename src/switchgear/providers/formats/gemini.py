"""Gemini generateContent as the upstream takes and sends it (TRANSLATION §1-§6, §9, §11, §12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import Raw

from switchgear.providers.dialects.chat import WEB_SEARCH
from switchgear.providers.formats.gemini_reply import decode_error, decode_response, decode_usage
from switchgear.providers.formats.gemini_turns import ContentWriter
from switchgear.providers.formats.openai_chat import MODEL_DEFAULT, check_choice
from switchgear.providers.identifiers import fit_tool_name
from switchgear.providers.loss import Loss, refuse
from switchgear.providers.reading import given, object_text
from switchgear.providers.schemas import openapi_schema
from switchgear.wire.conversation import (
    Encoded,
    ReplyContext,
)
from switchgear.wire.gemini import (
    GenerateReply,
)

if TYPE_CHECKING:
    from switchgear.providers.model_traits import TargetModel
    from switchgear.wire.conversation import Conversation


__all__ = ["decode_error", "decode_response", "decode_usage", "encode_request"]

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(GenerateReply)
_stream_decoder = msgspec.json.Decoder(list[GenerateReply])
_MAX_STOPS = 5
_MAX_CANDIDATES = 8
_BUDGETS = {"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576, "xhigh": 32_768, "max": 32_768}
_LEVELS = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
_INT32 = 2**31


def path(model: str, stream: bool) -> str:
    """Below `…/v1beta`; without alt=sse a stream comes as one JSON array (§1)."""
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/models/{quote(model, safe='')}:{method}"


def encode_request(conversation: Conversation, target: TargetModel) -> Encoded:
    """The request for Gemini. Raises `InvalidRequest` for what must not be dropped."""
    loss = Loss(conversation, target.strict)
    context = ReplyContext()
    body: dict[str, Any] = {}
    names = {tool.name: fit_tool_name(tool.name, gemini=True) for tool in conversation.tools or ()}
    context.tool_names = {new: old for old, new in names.items() if new != old}
    ContentWriter(conversation, target, loss, names).write(body)
    config: dict[str, Any] = {}
    _sampling(conversation, config, loss)
    _output(conversation, target, config)
    _thinking(conversation, target, config, loss)
    _tools(conversation, target, body, names, loss)
    context.single_call = conversation.parallel_tool_calls is False and bool(conversation.tools)
    if context.single_call:
        loss.drop("parallel_tool_calls")
    _account(conversation, config, body, loss)
    if config:
        body["generationConfig"] = config
    return Encoded(path(target.model, conversation.stream), _encode(body), loss.names, context)


_PLAIN = (
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("max_tokens", "maxOutputTokens"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
    ("logprobs", "responseLogprobs"),
    ("top_logprobs", "logprobs"),
)


def _sampling(conversation: Conversation, config: dict[str, Any], loss: Loss) -> None:
    for name, theirs in _PLAIN:
        value = getattr(conversation, name)
        if value is not None:
            config[theirs] = value
    if conversation.n is not None and (conversation.n != 1 or loss.source == "gemini"):
        if conversation.n > _MAX_CANDIDATES:
            raise refuse(
                conversation,
                "n",
                f"The provider that serves this model gives at most {_MAX_CANDIDATES} answers.",
                "integer_above_max_value",
            )
        config["candidateCount"] = conversation.n
    if conversation.stop:
        stops = [stop for stop in conversation.stop if stop]
        if len(stops) > _MAX_STOPS and loss.source != "gemini":
            loss.drop("stop")
            stops = stops[:_MAX_STOPS]
        if stops:
            config["stopSequences"] = stops
    if conversation.seed is not None:
        config["seed"] = (conversation.seed + _INT32) % (2 * _INT32) - _INT32
    if given(conversation.logit_bias):
        loss.drop("logit_bias")
    if conversation.verbosity is not None:
        loss.drop("verbosity")
    modalities = conversation.modalities
    if modalities is not None and [word.lower() for word in modalities] != ["text"]:
        if given(conversation.audio) or (loss.source != "gemini" and "audio" in modalities):
            raise refuse(
                conversation,
                "modalities",
                "Audio answers of this model's provider cannot be translated.",
                "unsupported_value",
            )
        config["responseModalities"] = [word.upper() for word in modalities]


def _output(conversation: Conversation, target: TargetModel, config: dict[str, Any]) -> None:
    output = conversation.output
    if output is None or output.kind == "text":
        return
    config["responseMimeType"] = "application/json"
    if output.kind == "schema":
        if target.traits.json_schema:
            config["responseJsonSchema"] = output.schema
        else:
            config["responseSchema"] = openapi_schema(output.schema)


def _thinking(conversation: Conversation, target: TargetModel, config: dict[str, Any], loss: Loss) -> None:
    thinking = conversation.thinking
    if thinking is None:
        return
    found: dict[str, Any] = {}
    own = conversation.source == "gemini"
    traits = target.traits
    if own:
        if thinking.effort is not None:
            found["thinkingLevel"] = thinking.effort.upper()
        if thinking.budget is not None:
            found["thinkingBudget"] = thinking.budget
        if thinking.visible is not None:
            found["includeThoughts"] = thinking.visible
    elif thinking.budget is not None:
        found["thinkingBudget"] = min(max(thinking.budget, traits.min_budget), traits.max_budget)
        found["includeThoughts"] = True
    elif (thinking.effort is not None and thinking.effort != MODEL_DEFAULT) or thinking.adaptive:
        effort = thinking.effort or "medium"
        if traits.gemini_thinking == "level":
            found["thinkingLevel"] = _LEVELS.get(effort, effort.upper())
        else:
            found["thinkingBudget"] = min(max(_BUDGETS.get(effort, -1), traits.min_budget), traits.max_budget)
        if effort != "none":
            found["includeThoughts"] = True
    if thinking.summary is not None and conversation.source == "responses":
        loss.drop("thinking.summary")
    if found:
        config["thinkingConfig"] = found


def _tools(
    conversation: Conversation, target: TargetModel, body: dict[str, Any], names: dict[str, str], loss: Loss
) -> None:
    found: list[Any] = []
    declarations = []
    for tool in conversation.tools or ():
        item: dict[str, Any] = {"name": names[tool.name]}
        if tool.description is not None:
            item["description"] = tool.description
        if _has_parameters(tool.parameters):
            if target.traits.json_schema:
                item["parametersJsonSchema"] = tool.parameters
            else:
                item["parameters"] = openapi_schema(tool.parameters)
        declarations.append(item)
        if tool.strict is True:
            loss.drop_named("tools.strict" if loss.source in ("anthropic", "responses") else "tools.function.strict")
        if given(tool.cache):
            loss.drop_named("tools.cache_control")
        for field in tool.extensions or ():
            loss.drop_named(f"tools.{field}")
    if declarations:
        found.append({"functionDeclarations": declarations})
    for server in conversation.server_tools or ():
        if server.format == "gemini":
            found.append(server.payload)
        elif server.kind == WEB_SEARCH:
            found.append({"googleSearch": {}})
        else:
            raise refuse(conversation, "server_tools", f"Tools of type '{server.kind}' need a provider that runs them.")
    if found:
        body["tools"] = found
    _choice(conversation, body, names, loss)


def _has_parameters(raw: Raw) -> bool:
    if not given(raw):
        return False
    return len(memoryview(raw)) > 40 or object_text(raw).replace(" ", "") not in (
        "{}",
        '{"type":"object"}',
        '{"type":"object","properties":{}}',
        '{"properties":{},"type":"object"}',
    )


def _choice(conversation: Conversation, body: dict[str, Any], names: dict[str, str], loss: Loss) -> None:
    choice = conversation.tool_choice
    if choice is None:
        return
    if conversation.source != "gemini":
        check_choice(conversation, choice)
    if not conversation.tools:
        if conversation.source != "gemini":
            loss.drop("tool_choice")
        return
    mode = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}[choice.mode]
    config: dict[str, Any] = {"mode": mode}
    allowed = [choice.name] if choice.mode == "tool" else choice.allowed
    if allowed is not None:
        if mode == "AUTO":
            config["mode"] = "VALIDATED"
        config["allowedFunctionNames"] = [names.get(name, name) for name in allowed]
    body["toolConfig"] = {"functionCallingConfig": config}


def _account(conversation: Conversation, config: dict[str, Any], body: dict[str, Any], loss: Loss) -> None:
    for name in ("user", "service_tier"):
        if getattr(conversation, name) is not None:
            loss.drop(name)
    if given(conversation.metadata):
        loss.drop("metadata")
    for name, value in (conversation.extensions or {}).items():
        if conversation.source != "gemini":
            loss.drop_named(name)
        elif name.startswith("generationConfig."):
            config[name.partition(".")[2]] = value
        elif name.startswith("toolConfig."):
            body.setdefault("toolConfig", {})[name.partition(".")[2]] = value
        else:
            body[name] = value
