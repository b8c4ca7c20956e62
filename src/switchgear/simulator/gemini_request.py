"""What Gemini's generateContent accepts: fields, configuration, tools, in Google's words. See `gemini_turns`, too."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from switchgear.errors import InvalidRequest, NotFound
from switchgear.simulator import tools
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.gemini_paths import version
from switchgear.simulator.gemini_schema import camel, camels, json_schema
from switchgear.simulator.gemini_turns import Turn, read_turns

_FIELDS = frozenset(
    (
        "model",
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "safetySettings",
        "generationConfig",
        "cachedContent",
        "labels",
        "store",
        "serviceTier",
    )
)
_CONFIG = frozenset(
    (
        "stopSequences",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "responseFormat",
        "responseModalities",
        "candidateCount",
        "maxOutputTokens",
        "temperature",
        "topP",
        "topK",
        "seed",
        "presencePenalty",
        "frequencyPenalty",
        "responseLogprobs",
        "logprobs",
        "enableEnhancedCivicAnswers",
        "speechConfig",
        "thinkingConfig",
        "imageConfig",
        "mediaResolution",
        "audioTimestamp",
        "routingConfig",
        "modelSelectionConfig",
    )
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_RANGES = {"temperature": (0, 2), "topP": (0, 1)}
_MAX_CANDIDATES = 8
_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_MODES = ("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED")
_WHERE = "* GenerateContentRequest."


class Request(Struct):
    """A checked request. model: its base name. shows: whether thoughts are wanted in the answer; thinks: whether the
    model thinks at all. signs: whether it is of a family that signs its calls and wants the signatures back."""

    model: str
    turns: list[Turn]
    system: str
    functions: list[Json]
    config: Json
    calling: Json
    thinks: bool
    shows: bool
    signs: bool
    schema: Any


def read(exchange: Exchange, body: Json) -> Request:
    """The request in `body`. Raises `InvalidRequest`, `NotFound`."""
    base = require_model(exchange, "generateContent")
    fields = _known(body, _FIELDS, "")
    config = _known(fields.get("generationConfig") or {}, _CONFIG, "generation_config")
    _check_config(config)
    thinking = camels(config.get("thinkingConfig"))
    if thinking.get("thinkingLevel") is not None and str(thinking["thinkingLevel"]).upper() not in _LEVELS:
        raise InvalidRequest(
            "Invalid value at 'generation_config.thinking_config.thinking_level' "
            "(type.googleapis.com/google.ai.generativelanguage.v1beta.ThinkingConfig.ThinkingLevel), "
            f'"{thinking["thinkingLevel"]}"'
        )
    signs = base.startswith(("gemini-3", "models/gemini-3"))
    budget = thinking.get("thinkingBudget")
    return Request(
        model=base,
        turns=read_turns(fields.get("contents"), signed=signs),
        system=_system(fields.get("systemInstruction")),
        functions=_functions(fields.get("tools")),
        config=config,
        calling=_calling(fields.get("toolConfig")),
        thinks=budget != 0 and (bool(thinking) or signs),
        shows=thinking.get("includeThoughts") is True,
        signs=signs,
        schema=_schema(config),
    )


def require_model(exchange: Exchange, method: str) -> str:
    """The base name of the model. Raises `NotFound`."""
    base = exchange.base_model or exchange.path_model
    if exchange.has_model(base):
        return base
    raise NotFound(
        f"models/{base} is not found for API version {version(exchange.head.raw_path)}, or is not supported for "
        f"{method}. Call ListModels to see the list of available models and their supported methods."
    )


def _known(value: Any, names: frozenset[str], place: str) -> Json:
    if not isinstance(value, dict):
        raise InvalidRequest(f"Invalid value at '{place}' (type.googleapis.com/google.protobuf.Struct)", param=place)
    for given in value:
        if camel(given) not in names:
            where = f" at '{place}'" if place else ""
            raise InvalidRequest(
                f'Invalid JSON payload received. Unknown name "{given}"{where}: Cannot find field.', param=place or None
            )
    return camels(value)


def _check_config(config: Json) -> None:
    for name, (low, high) in _RANGES.items():
        value = config.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise InvalidRequest(f"Invalid value at 'generation_config.{name.lower()}' (TYPE_FLOAT), \"{value}\"")
        if not low <= value <= high:
            field = {"topP": "top_p"}.get(name, name)
            raise InvalidRequest(
                f"{_WHERE}generation_config.{field}: {field} must be in the range [{low}.0, {high}.0].\n"
            )
    limit = config.get("maxOutputTokens")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool)):
        raise InvalidRequest(f"Invalid value at 'generation_config.max_output_tokens' (TYPE_INT32), \"{limit}\"")
    if limit is not None and limit < 1:
        raise InvalidRequest(f"{_WHERE}generation_config.max_output_tokens: max_output_tokens must be positive.\n")
    count = config.get("candidateCount", 1)
    if not isinstance(count, int) or not 1 <= count <= _MAX_CANDIDATES:
        raise InvalidRequest(
            f"{_WHERE}generation_config.candidate_count: candidate_count must be in the range [1, {_MAX_CANDIDATES}].\n"
        )
    stops = config.get("stopSequences") or []
    if not isinstance(stops, list) or len(stops) > 5 or not all(isinstance(each, str) and each for each in stops):
        raise InvalidRequest(f"{_WHERE}generation_config.stop_sequences: at most 5 stop sequences, none empty.\n")


def _system(value: Any) -> str:
    if isinstance(value, str):
        return value
    parts = camels(value).get("parts") or []
    parts = parts if isinstance(parts, list) else [parts]
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _functions(given: Any) -> list[Json]:
    """The functions declared, as `tools` takes them."""
    out: list[Json] = []
    for index, tool in enumerate(given or []):
        place = f"tools[{index}]"
        declarations = camels(tool).get("functionDeclarations") or []
        for number, declaration in enumerate(declarations):
            out.append(_function(f"{place}.function_declarations[{number}]", camels(declaration)))
    names = [function["name"] for function in out]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequest(f"Duplicate function declaration found: {name}")
    return out


def _function(place: str, declaration: Json) -> Json:
    name = declaration.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{_WHERE}{place}.name: [FIELD_INVALID] Invalid function name. Must start with a letter or an underscore. "
            "Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a "
            "maximum length of 128.\n"
        )
    schema = declaration.get("parametersJsonSchema")
    if declaration.get("parameters") is not None:
        if schema is not None:
            raise InvalidRequest(f"{_WHERE}{place}: parameters and parameters_json_schema must not both be set.\n")
        schema = json_schema(declaration["parameters"], f"{place}.parameters")
        if schema.get("type") == "object" and not schema.get("properties"):
            raise InvalidRequest(f"{_WHERE}{place}.parameters.properties: should be non-empty for OBJECT type\n")
    return {"name": name, "parameters": schema, "custom": False}


def _calling(value: Any) -> Json:
    config = camels(camels(value).get("functionCallingConfig"))
    mode = str(config.get("mode", "AUTO")).upper()
    if mode not in _MODES:
        raise InvalidRequest(
            "Invalid value at 'tool_config.function_calling_config.mode' "
            f'(type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode), "{mode}"'
        )
    return {"mode": mode, "names": config.get("allowedFunctionNames") or []}


def _schema(config: Json) -> Any:
    """The JSON Schema that the text must be valid for, or None."""
    given, plain = config.get("responseSchema"), config.get("responseJsonSchema")
    json_wanted = config.get("responseMimeType") == "application/json"
    if given is None and plain is None:
        return {"const": {"answer": "simulated"}} if json_wanted else None
    if not json_wanted and config.get("responseMimeType") != "text/x.enum":
        raise InvalidRequest(
            f"{_WHERE}generation_config.response_mime_type: response_schema is only allowed with response_mime_type "
            "'application/json' or 'text/x.enum'.\n"
        )
    return plain if given is None else json_schema(given, "generation_config.response_schema")


def calls(request: Request) -> list[tools.Call]:
    """The functions to call. Mode ANY calls after a function's response, too, as Gemini does."""
    mode, names = request.calling["mode"], request.calling["names"]
    for name in names:
        if name not in [function["name"] for function in request.functions]:
            raise InvalidRequest(
                f"{_WHERE}tool_config.function_calling_config.allowed_function_names: name `{name}` is not declared.\n"
            )
    allowed = [function for function in request.functions if not names or function["name"] in names]
    if mode == "NONE" or (mode != "ANY" and request.turns[-1].responses):
        return []
    return tools.call_all(tools.not_called(allowed, _called(request)) if mode == "ANY" else allowed, True)


def _called(request: Request) -> set[str]:
    """The names of the functions called since the user last said something."""
    names: set[str] = set()
    for turn in reversed(request.turns):
        if turn.role != "model" and not turn.responses:
            break
        names |= turn.called
    return names
