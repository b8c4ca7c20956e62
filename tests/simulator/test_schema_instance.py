"""Values that schemas accept."""

from __future__ import annotations

from typing import Any

import pytest

from switchgear.errors import InvalidRequest
from switchgear.simulator.schema_instance import instance

CASES: list[tuple[Any, Any]] = [
    ({}, "text"),
    ({"const": None}, None),
    ({"enum": [3, 4]}, 3),
    ({"type": ["null", "integer"]}, 1),
    ({"type": "integer", "minimum": 5, "maximum": 9}, 5),
    ({"type": "integer", "exclusiveMaximum": 0}, -1),
    ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
    ({"type": "number", "minimum": 0.25, "maximum": 0.5}, 0.25),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({"type": "string", "minLength": 6}, "textxx"),
    ({"type": "string", "maxLength": 2}, "te"),
    ({"type": "string", "format": "date"}, "2025-01-31"),
    ({"type": "string", "pattern": r"^\d{3}-[A-Z]{2}$"}, "111-AA"),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 3}, [1, 1, 1]),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "items": False}, [1, None]),
    ({"type": "array", "maxItems": 0}, []),
    (
        {"properties": {"a": {"default": 4}, "b": {"type": "string", "title": "B"}}, "required": ["a"]},
        {"a": 4, "b": "B"},
    ),
    ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
    (
        {
            "allOf": [{"$ref": "#/$defs/a"}, {"properties": {"y": {"type": "null"}}}],
            "$defs": {"a": {"properties": {"x": {}}}},
        },
        {"x": "text", "y": None},
    ),
]


@pytest.mark.parametrize(("schema", "value"), CASES)
def test_instance(schema: Any, value: Any) -> None:
    assert instance(schema) == value


def test_recursion_ends() -> None:
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["children"],
    }
    value, depth = instance(tree), 0
    while value["children"]:
        value, depth = value["children"][0], depth + 1
    assert 1 <= depth <= 12
    linked = {"properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]}
    node, depth = instance(linked), 0
    while node is not None:
        node, depth = node["next"], depth + 1
    assert 1 <= depth <= 12


@pytest.mark.parametrize(
    "schema", [{"minLength": 10**9}, {"items": {}, "minItems": 10**9}, {"properties": {"a": {"enum": 1, "format": []}}}]
)
def test_what_is_too_much_or_no_schema(schema: Any) -> None:
    with pytest.raises(InvalidRequest):
        instance(schema)
