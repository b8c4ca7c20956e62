"""Google's `Schema` (a subset of OpenAPI 3.0): what it knows, and the JSON Schema that says the same.

Types are named in capitals or small letters, or by number as old clients send them; bounds may be strings, as
protobuf's JSON writes 64-bit integers.
"""

from __future__ import annotations

from typing import Any

from switchgear.errors import InvalidRequest
from switchgear.simulator.exchange import Json

_TYPES = ("unspecified", "string", "number", "integer", "boolean", "array", "object", "null")
_KNOWN = frozenset(
    (
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "maxItems",
        "minItems",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "example",
        "anyOf",
        "propertyOrdering",
        "default",
        "items",
        "minimum",
        "maximum",
    )
)
_COUNTS = ("maxItems", "minItems", "minLength", "maxLength")


def json_schema(schema: Any, place: str) -> Json:
    """place: where it stands in the request, for messages. Raises `InvalidRequest` for what Google would not take."""
    if not isinstance(schema, dict):
        raise InvalidRequest(
            f"Invalid value at '{place}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Schema)"
        )
    out: Json = {}
    for given, value in schema.items():
        name = camel(given)
        if name not in _KNOWN:
            raise InvalidRequest(
                f"Invalid JSON payload received. Unknown name \"{given}\" at '{place}': Cannot find field.", param=place
            )
        out[name] = _field(name, value, place)
    return out


def _field(name: str, value: Any, place: str) -> Any:
    if name == "type":
        return _type(value, place)
    if name == "items":
        return json_schema(value, f"{place}.items")
    if name == "anyOf" and isinstance(value, list):
        return [json_schema(each, f"{place}.any_of[{index}]") for index, each in enumerate(value)]
    if name == "properties" and isinstance(value, dict):
        return {
            key: json_schema(each, f"{place}.properties[{index}].value")
            for index, (key, each) in enumerate(value.items())
        }
    if name in _COUNTS and isinstance(value, str) and value.isdigit():
        return int(value)
    return value


def _type(value: Any, place: str) -> str:
    if isinstance(value, list):
        raise InvalidRequest(
            f"Invalid JSON payload received. Unknown name \"type\" at '{place}': "
            "Proto field is not repeating, cannot start list.",
            param=place,
        )
    if isinstance(value, int) and 0 <= value < len(_TYPES):
        return _TYPES[value]
    if isinstance(value, str) and value.lower() in _TYPES:
        return value.lower()
    raise InvalidRequest(
        f"Invalid value at '{place}.type' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type), \"{value}\"",
        param=f"{place}.type",
    )


def camel(name: str) -> str:
    """A field's name as protobuf's JSON writes it; both spellings are read."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def camels(value: Any) -> Json:
    """The fields of one message with their names in camel case; {} for what is not an object."""
    return {camel(name): each for name, each in value.items()} if isinstance(value, dict) else {}
