"""Nodes into the structs of `schema`, with every mistake reported and not only the first.

msgspec itself stops at the first error and names a dictionary's entry `[...]`; so the containers are walked here, by
the structs' own annotations, and each problem is noted with its path. What is `BROKEN` is reported already.

A message never shows a value that came from the environment or stands where a secret belongs; an unknown key beside a
secret is shown only when it looks like a word, since it may be a key pasted in the wrong place.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Meta

from switchgear.config.document import Node, Path
from switchgear.config.key_hash import KeyHash
from switchgear.config.section import Section
from switchgear.config.suggest import closest, did_you_mean
from switchgear.config.values import Duration, Secret, Size

Problem = Callable[[Path, str], None]

BROKEN: Final = object()
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_WORD = re.compile(r"[A-Za-z_]{1,32}")
_NUMBER = re.compile(r"[-+]?[0-9]{1,40}")


class Decoder:
    """problem: called with a path and what is wrong there.

    Strings, tuples and sections marked `shared` that are equal are one object: of many keys most are limited alike.
    """

    def __init__(self, problem: Problem):
        self.problem = problem
        self._shared: dict[Any, Any] = {}

    def decode(self, node: Node, kind: Any, path: Path) -> Any:
        """The value of type `kind`, or `BROKEN` after reporting why not."""
        if node.broken:
            return BROKEN
        constraint, kind = _unwrap(kind)
        if kind is Any:
            return self._any(node)
        origin = get_origin(kind)
        if origin in (Union, types.UnionType):
            return self._union(node, kind, path)
        if origin is Literal:
            return self._literal(node, get_args(kind), path)
        if origin is list:
            return self._list(node, get_args(kind)[0], constraint, path)
        if origin is tuple:  # of any length
            values = self._list(node, get_args(kind)[0], constraint, path)
            return BROKEN if values is BROKEN else self._share(tuple(values))
        if origin is dict:
            return self._dict(node, get_args(kind)[1], path)
        if isinstance(kind, type) and issubclass(kind, Section):
            return self._section(node, kind, path)
        return self._scalar(node, kind, constraint, path)

    def _share(self, value: Any) -> Any:
        """The first that was equal to `value`."""
        return self._shared.setdefault((type(value), value), value)

    def _any(self, node: Node) -> Any:
        return BROKEN if any(scalar.broken for _, scalar in node.scalars()) else node.plain()

    def _expected(self, path: Path, what: str, node: Node, hint: str = "") -> Any:
        self.problem(path, f"expected {what}, got {_got(node)}{hint}")
        return BROKEN

    def _union(self, node: Node, kind: Any, path: Path) -> Any:
        options = get_args(kind)
        if node.value is None and types.NoneType in options:
            return None
        options = tuple(option for option in options if option is not types.NoneType)
        fitting = next((option for option in options if _fits(option, node)), None)
        if fitting is None and len(options) > 1:
            return self._expected(path, describe(kind), node)
        return self.decode(node, fitting or options[-1], path)

    def _literal(self, node: Node, allowed: tuple[Any, ...], path: Path) -> Any:
        if isinstance(node.value, str) and node.value in allowed:
            return allowed[allowed.index(node.value)]  # one object for all
        hint = did_you_mean(node.value, allowed) if isinstance(node.value, str) else ""
        shown = repr(node.value) if isinstance(node.value, str) and _may_show(node) else _got(node)
        self.problem(path, f"expected one of {', '.join(allowed)}, got {shown}{hint}")
        return BROKEN

    def _list(self, node: Node, item: Any, constraint: Meta | None, path: Path) -> Any:
        if not isinstance(node.value, list):
            return self._expected(path, "a list", node)
        if constraint and constraint.min_length and len(node.value) < constraint.min_length:
            self.problem(path, "expected at least one entry")
            return BROKEN
        return _whole([self.decode(child, item, (*path, n)) for n, child in enumerate(node.value)])

    def _dict(self, node: Node, kind: Any, path: Path) -> Any:
        if not isinstance(node.value, dict):
            return self._expected(path, "a mapping", node)
        values = {key: self.decode(child, kind, (*path, key)) for key, child in node.value.items()}
        return BROKEN if BROKEN in values.values() else values

    def _section(self, node: Node, kind: type[Section], path: Path) -> Any:
        if kind.shorthand is not None and not isinstance(node.value, dict | list | None):
            value = self.decode(node, fields_of(kind)[kind.shorthand].type, path)
            return BROKEN if value is BROKEN else kind(**{kind.shorthand: value})
        if not isinstance(node.value, dict):
            return self._expected(path, "a mapping", node)
        fields = fields_of(kind)
        values: dict[str, Any] = {}
        for key, child in node.value.items():
            if key not in fields:
                self._unknown(key, kind, path)
                values[key] = BROKEN
            elif not (child.value is None and fields[key].empty_is_absent):
                values[fields[key].name] = self.decode(child, fields[key].type, (*path, key))
        for name, field in fields.items():
            if field.required and field.name not in values:
                self.problem(path, f"expected the key '{name}': {describe(field.type)}")
                values[name] = BROKEN
        if BROKEN in values.values():
            return BROKEN
        return self._share(kind(**values)) if kind.shared else kind(**values)

    def _unknown(self, key: str, kind: type[Section], path: Path) -> None:
        fields = fields_of(kind)
        beside_secret = any(field.secret for field in fields.values())
        if not _WORD.fullmatch(key) and (beside_secret or len(key) > 40):
            self.problem(path, f"unknown key; expected one of {', '.join(fields)}")
            return
        close = closest(key, fields)
        hint = f"did you mean '{close}'?" if close else f"expected one of {', '.join(fields)}"
        self.problem((*path, key), f"unknown key; {hint}")

    def _scalar(self, node: Node, kind: Any, constraint: Meta | None, path: Path) -> Any:
        if kind is Duration or kind is Size:
            return self._measure(node, kind, path)
        what = describe(kind, constraint)
        if kind is Secret or kind is KeyHash:
            if isinstance(node.value, str):
                return KeyHash.of(node.value) if kind is KeyHash else Secret(node.value)
            hint = ": put it in quotes" if isinstance(node.value, int | float) else ""
            self.problem(path, f"expected {what}, got {_kind_of(node)}{hint}")
            return BROKEN
        value = _coerced(node, kind)
        if value is BROKEN:
            quote = kind is str and isinstance(node.value, int | float)
            return self._expected(path, what, node, ": put it in quotes" if quote else "")
        if constraint and not _within(value, constraint):
            return self._expected(path, what, node)
        return self._share(value) if kind is str else value

    def _measure(self, node: Node, kind: type[Duration] | type[Size], path: Path) -> Any:
        value = node.value
        if node.whole and isinstance(value, str) and _NUMBER.fullmatch(value):
            value = int(value)
        try:
            return kind.parse(value)
        except ValueError as error:
            text = str(error)
            self.problem(path, text if _may_show(node) else text.partition(", got ")[0])
            return BROKEN


class _Field(msgspec.Struct, frozen=True):
    """empty_is_absent: a key with nothing after it (`keys:`) counts as not written, as for sections and lists."""

    name: str  # of the struct's attribute, where the file calls it otherwise
    type: Any
    required: bool
    empty_is_absent: bool
    secret: bool


@cache
def fields_of(kind: type[Section]) -> dict[str, _Field]:
    """The fields that may be written in a file, by name."""
    hints = get_type_hints(kind, include_extras=True)
    hidden: frozenset[str] = getattr(kind, "not_in_file", frozenset())
    return {
        field.encode_name: _Field(
            field.name,
            hints[field.name],
            required=field.default is NODEFAULT and field.default_factory is NODEFAULT,
            empty_is_absent=_is_container(hints[field.name]),
            secret=not {Secret, KeyHash}.isdisjoint((hints[field.name], *get_args(hints[field.name]))),
        )
        for field in msgspec.structs.fields(kind)
        if field.name not in hidden
    }


def describe(kind: Any, constraint: Meta | None = None) -> str:
    """What a value of this type is called in a message: `a whole number from 0 to 65535`."""
    found, kind = _unwrap(kind)
    constraint = constraint or found
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(describe(option) for option in get_args(kind) if option is not types.NoneType)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if get_origin(kind) in (list, tuple):
        return "a list"
    names: dict[Any, str] = {
        str: "a string",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        Duration: "a duration such as 250ms, 2s or 5m",
        Size: "a size such as 64KiB or 16MiB",
        Secret: "a string",
        KeyHash: "a string",
    }
    return names.get(kind, "a mapping") + (_range(constraint) if constraint else "")


def _range(constraint: Meta) -> str:
    if constraint.max_length is not None:
        return f" of {constraint.min_length or 0} to {constraint.max_length} characters"
    if constraint.ge is None:
        return ""
    return f" from {constraint.ge} to {constraint.le}" if constraint.le is not None else f" of {constraint.ge} or more"


def _unwrap(kind: Any) -> tuple[Meta | None, Any]:
    if get_origin(kind) is Annotated:
        inner, *metadata = get_args(kind)
        return next((meta for meta in metadata if isinstance(meta, Meta)), None), inner
    return None, kind


def _is_container(kind: Any) -> bool:
    _, kind = _unwrap(kind)
    return get_origin(kind) in (list, tuple, dict) or (isinstance(kind, type) and issubclass(kind, Section))


def _fits(kind: Any, node: Node) -> bool:
    """Whether a node has the shape of a type: list, mapping or plain value."""
    origin = get_origin(kind)
    if origin in (list, tuple, dict):
        return isinstance(node.value, dict if origin is dict else list)
    if isinstance(kind, type) and issubclass(kind, Section):
        return isinstance(node.value, dict)
    return not isinstance(node.value, list | dict)


def _whole(values: list[Any]) -> Any:
    return BROKEN if any(value is BROKEN for value in values) else values


def _coerced(node: Node, kind: Any) -> Any:
    """The scalar as `kind`: exactly, but for a whole number as a float, and for text all from the environment."""
    value = node.value
    if kind is bool and isinstance(value, str):
        return _BOOLEANS.get(value.lower(), BROKEN)
    if node.whole and isinstance(value, str) and kind in (int, float):
        try:
            value = kind(value)
        except ValueError:
            return BROKEN
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) else BROKEN
    return value if type(value) is kind else BROKEN


def _within(value: Any, constraint: Meta) -> bool:
    size = len(value) if isinstance(value, str) else value
    low = constraint.min_length if isinstance(value, str) else constraint.ge
    high = constraint.max_length if isinstance(value, str) else constraint.le
    return (low is None or size >= low) and (high is None or size <= high)


def _may_show(node: Node) -> bool:
    return not node.environment and len(str(node.value)) <= 60


def _kind_of(node: Node) -> str:
    if node.value is None:
        return "nothing"
    kinds = ((bool, "true or false"), (int | float, "a number"), (str, "a string"), (list, "a list"))
    return next((name for kind, name in kinds if isinstance(node.value, kind)), "a mapping")


def _got(node: Node) -> str:
    """A number or boolean as itself, of anything else only what it is: a string may be a secret in the wrong place."""
    if isinstance(node.value, bool):
        return str(node.value).lower()
    if isinstance(node.value, int | float) and _may_show(node):
        return str(node.value)
    if node.value == "":
        return "an empty string"
    return _kind_of(node)
