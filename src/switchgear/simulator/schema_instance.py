"""A JSON value that a JSON Schema accepts: for tool arguments and structured output.

Covers what OpenAI takes in strict mode and what its SDKs generate: types (also lists of them), enum, const, default,
properties, required, items, prefixItems, anyOf/oneOf/allOf, $ref into $defs or definitions, string formats and
lengths, numeric bounds, multipleOf, minItems. A `pattern` is answered for the common forms only.
Recursive schemas end at the first alternative that does not recur, or at an empty array.
"""

from __future__ import annotations

import math
import re
from typing import Any

from switchgear.errors import InvalidRequest

Schema = dict[str, Any]

_FORMATS = {
    "date-time": "2025-01-31T12:00:00Z",
    "date": "2025-01-31",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
_CLASS = re.compile(r"(\\d|\\w|\[[^\]]+\]|[\w \-:/.@])(\{(\d+)(?:,\d*)?\}|[+*?])?")
_MAX_DEPTH = 12
_MAX_ITEMS = 4096
_MAX_LENGTH = 100_000


def instance(schema: Any) -> Any:
    """A value valid for `schema`; None when it says nothing. Raises `InvalidRequest` for what is not a schema."""
    try:
        return _value(schema, schema if isinstance(schema, dict) else {}, 0)
    except (TypeError, ValueError, AttributeError, KeyError, ArithmeticError, RecursionError) as exc:
        raise InvalidRequest("Invalid schema: it cannot be read as JSON Schema.", code="invalid_json_schema") from exc


def _value(schema: Any, root: Schema, depth: int) -> Any:
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    if isinstance(schema.get("$ref"), str):
        return _value(_resolve(schema["$ref"], root), root, depth + 1) if depth < _MAX_DEPTH else None
    for combiner in ("anyOf", "oneOf"):
        options = schema.get(combiner)
        if isinstance(options, list) and options:
            return _value(_alternative(options, depth), root, depth + 1)
    if isinstance(schema.get("allOf"), list):
        return _value(_merged(schema, root), root, depth + 1)
    if "default" in schema and schema["default"] is not None:
        return schema["default"]
    return _typed(_type(schema), schema, root, depth)


def _type(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _typed(kind: str, schema: Schema, root: Schema, depth: int) -> Any:
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        return _array(schema, root, depth)
    if kind in ("integer", "number"):
        return _number(kind, schema)
    if kind == "boolean":
        return True
    return None if kind == "null" else _string(schema)


def _alternative(options: list[Any], depth: int) -> Any:
    """The first option; deep inside a recursion the simplest."""
    if depth < _MAX_DEPTH // 2:
        return next((option for option in options if option != {"type": "null"}), options[0])
    for option in options:
        if isinstance(option, dict) and "$ref" not in option and option.get("type") not in ("object", "array"):
            return option
    return options[0]


def _resolve(reference: str, root: Schema) -> Any:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found


def _merged(schema: Schema, root: Schema) -> Schema:
    merged: Schema = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        for _ in range(_MAX_DEPTH):  # a chain of references; a ring of them ends here
            if isinstance(part, dict) and isinstance(part.get("$ref"), str):
                part = _resolve(part["$ref"], root)
        for key, value in part.items() if isinstance(part, dict) else ():
            if key == "properties":
                merged["properties"] = {**merged.get("properties", {}), **value}
            elif key == "required":
                merged["required"] = [*merged.get("required", []), *value]
            else:
                merged.setdefault(key, value)
    return merged


def _object(schema: Schema, root: Schema, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    if depth < _MAX_DEPTH // 2:
        names = [*properties]
    return {name: _value(properties.get(name), root, depth + 1) for name in names}


def _array(schema: Schema, root: Schema, depth: int) -> list[Any]:
    first = schema.get("prefixItems")
    out = [_value(item, root, depth + 1) for item in first] if isinstance(first, list) else []
    least = schema.get("minItems", 0)
    wanted = max(least, 0 if depth >= _MAX_DEPTH // 2 or schema.get("maxItems") == 0 else 1)
    if wanted > _MAX_ITEMS >> depth:  # nested arrays multiply
        raise ValueError("minItems")
    while len(out) < wanted and schema.get("items") is not False:
        out.append(_value(schema.get("items", {}), root, depth + 1))
    return out


def _number(kind: str, schema: Schema) -> Any:
    low, high = schema.get("minimum"), schema.get("maximum")
    step = schema.get("multipleOf", 1)
    if (above := schema.get("exclusiveMinimum")) is not None:
        low = above + (step if kind == "integer" or high is None else min(step, (high - above) / 2))
    if (below := schema.get("exclusiveMaximum")) is not None:
        high = below - (step if kind == "integer" or low is None else min(step, (below - low) / 2))
    value: Any = 1 if (low is None or low <= 1) and (high is None or high >= 1) else (low if low is not None else high)
    if "multipleOf" in schema:
        value = math.ceil(value / step) * step
    return math.ceil(value) if kind == "integer" else value


def _string(schema: Schema) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if isinstance(schema.get("pattern"), str):
        return _matching(schema["pattern"])
    title = str(schema.get("title") or "text")
    least = int(schema.get("minLength", 0))
    if least > _MAX_LENGTH:
        raise ValueError("minLength")
    text = title.ljust(least, "x")
    return text[: int(schema["maxLength"])] if "maxLength" in schema else text


def _matching(pattern: str) -> str:
    """Text for a pattern of characters, `\\d`, `\\w` and simple classes with counts; for any other "text"."""
    body = pattern.removeprefix("^").removesuffix("$")
    out, end = "", 0
    for part in _CLASS.finditer(body):
        if part.start() != end:
            break
        end = part.end()
        unit = {"\\d": "1", "\\w": "a"}.get(part[1]) or (part[1][1] if part[1].startswith("[") else part[1])
        out += unit * (int(part[3]) if part[3] else 1)
    return out if end == len(body) and re.fullmatch(body, out) else "text"
