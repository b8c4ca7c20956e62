"""JSON Schema for Anthropic's structured outputs and for Gemini's OpenAPI subset (TRANSLATION §3, §4)."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from switchgear.providers.reading import given, plain

EMPTY_OBJECT: dict[str, Any] = {"type": "object", "properties": {}}
_ANTHROPIC_UNKNOWN = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
        "maxItems", "uniqueItems", "minProperties", "maxProperties", "patternProperties", "if", "then", "else", "not",
    }
)  # fmt: skip
_NAMED_SCHEMAS = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_SCHEMA_LISTS = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})
_OPENAPI = frozenset(
    {
        "type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required",
        "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering",
        "items", "minimum", "maximum",
    }
)  # fmt: skip
_MAX_DEPTH = 64


def anthropic_output_schema(raw: Raw) -> Any:
    """The schema for Anthropic's native structured outputs: unsupported constraints move into the description.

    `oneOf` becomes `anyOf`; every object gets `additionalProperties: false`.
    """
    return _strict(plain(raw), 0)


def _strict(schema: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return schema
    found: dict[str, Any] = {}
    lost: list[str] = []
    for key, value in schema.items():
        if key in _ANTHROPIC_UNKNOWN or (key == "minItems" and value not in (0, 1)):
            lost.append(f"{key}: {value}")
        elif key in _NAMED_SCHEMAS and isinstance(value, dict):
            found[key] = {name: _strict(inner, depth + 1) for name, inner in value.items()}
        elif key in _SCHEMA_LISTS and isinstance(value, list):
            found["anyOf" if key == "oneOf" else key] = [_strict(inner, depth + 1) for inner in value]
        elif key == "items":
            found[key] = _strict(value, depth + 1)
        elif key != "$schema":
            found[key] = value
    kind = found.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind) or ("properties" in found and kind is None):
        found["additionalProperties"] = False
    if lost:
        hint = f"({'; '.join(lost)})"
        found["description"] = f"{found['description']} {hint}" if isinstance(found.get("description"), str) else hint
    return found


def object_schema(raw: Raw) -> Any:
    """A tool's input schema where `type: object` is required; absent and `{}` become an object without properties."""
    if not given(raw):
        return EMPTY_OBJECT
    if bytes(memoryview(raw)[:20]).startswith((b'{"type":"object"', b'{"type": "object"')):
        return raw
    schema = plain(raw)
    if not isinstance(schema, dict) or not schema:
        return EMPTY_OBJECT
    return raw if schema.get("type") == "object" else {**schema, "type": "object"}


def openapi_schema(raw: Raw) -> Any:
    """The OpenAPI 3.0 subset that older Gemini models take; references inlined, unions with null made nullable."""
    schema = plain(raw)
    definitions = schema.get("$defs") or schema.get("definitions") or {} if isinstance(schema, dict) else {}
    return _openapi(schema, definitions, 0)


def _openapi(schema: Any, definitions: dict[str, Any], depth: int) -> dict[str, Any]:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return {"type": "string"} if schema is not True else {}
    schema = _resolved(schema, definitions)
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, list):
            kinds = [kind for kind in value if kind != "null"]
            if len(kinds) < len(value):
                found["nullable"] = True
            if len(kinds) == 1:
                found["type"] = kinds[0]
            elif kinds:
                found["anyOf"] = [{"type": kind} for kind in kinds]
        elif key == "const":
            found["enum"] = [str(value)]
            found.setdefault("type", "string")
        elif key == "enum":
            found["enum"] = [str(item) for item in value if item is not None]
            found["type"] = "string"
        elif key in ("anyOf", "oneOf"):
            _union(found, value, definitions, depth)
        elif key == "allOf" and isinstance(value, list):
            for inner in value:
                found.update(_openapi(inner, definitions, depth + 1))
        elif key == "properties" and isinstance(value, dict):
            found[key] = {name: _openapi(inner, definitions, depth + 1) for name, inner in value.items()}
        elif key == "items":
            found[key] = _openapi(value, definitions, depth + 1)
        elif key in _OPENAPI and not (key == "type" and "enum" in found):
            found[key] = value
    if found.get("type") == "object" and not found.get("properties"):
        found.pop("properties", None)
    return found


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    for _ in range(_MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        inner = definitions.get(reference.rpartition("/")[2])
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**inner, **rest} if isinstance(inner, dict) else {"type": "object", **rest}
    return {"type": "object"}


def _union(found: dict[str, Any], options: Any, definitions: dict[str, Any], depth: int) -> None:
    if not isinstance(options, list):
        return
    real = [option for option in options if not (isinstance(option, dict) and option.get("type") == "null")]
    if len(real) < len(options):
        found["nullable"] = True
    if len(real) == 1:
        for key, value in _openapi(real[0], definitions, depth + 1).items():
            found.setdefault(key, value)
    elif real:
        found["anyOf"] = [_openapi(option, definitions, depth + 1) for option in real]
