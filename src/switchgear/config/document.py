"""A configuration file as a tree of nodes that know their line.

YAML is composed, not constructed: the node graph keeps the line of every key and value. Scalars follow the core schema
of YAML 1.2 (§10.3), so that `no`, `12:30` and `2024-10-21` are the strings they look like; `decode` still takes `yes`
and `no` where a boolean belongs. TOML keeps no positions, so the lines are found by reading headers and keys again.

A file is data from whoever may edit it, and yet it must not stop the process: size, depth and what aliases expand to
are bounded, and several documents in one file are refused.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterator
from typing import Any, Literal

import yaml
from msgspec import Struct

from switchgear.errors import ConfigError

Format = Literal["yaml", "toml"]
Path = tuple[str | int, ...]
Scalar = str | int | float | bool | None

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64
MAX_ALIAS_NODES = 100_000  # nodes that aliases add to those written out

_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONSTANTS: dict[str, bool | None] = {"": None, "~": None}
_CONSTANTS |= dict.fromkeys(("null", "Null", "NULL"), None)
_CONSTANTS |= dict.fromkeys(("true", "True", "TRUE"), True)
_CONSTANTS |= dict.fromkeys(("false", "False", "FALSE"), False)
_BARE_KEY = re.compile(r"[A-Za-z0-9_/:@*-]+")


class Node(Struct):
    """A value in the file, and the 1-based line where it (for a mapping's value: its key) stands.

    value: a scalar, a list of nodes, or a dictionary of nodes. environment: some of it came from the environment, so it
    must not be shown; whole: all of it did, so it may become a number or a boolean. broken: already reported.
    """

    value: Any
    line: int
    environment: bool = False
    whole: bool = False
    broken: bool = False

    def plain(self) -> Any:
        """The value as built-in types, without lines."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def find(self, path: Path) -> Node | None:
        """The node at `path`, None when the file does not write it."""
        node = self
        for step in path:
            try:
                child = node.value[step]
            except (TypeError, LookupError):
                return None
            if not isinstance(child, Node):  # a character of a string
                return None
            node = child
        return node

    def line_of(self, path: Path) -> int:
        """The line of the node at `path`, or of the nearest one above it that the file writes."""
        for end in range(len(path), 0, -1):
            if (node := self.find(path[:end])) is not None:
                return node.line
        return self.line

    def scalars(self, path: Path = ()) -> Iterator[tuple[Path, Node]]:
        """Every scalar below with its path, in the order of the file."""
        if isinstance(self.value, dict):
            for key, child in self.value.items():
                yield from child.scalars((*path, key))
        elif isinstance(self.value, list):
            for index, child in enumerate(self.value):
                yield from child.scalars((*path, index))
        else:
            yield path, self


def dotted(path: Path) -> str:
    """`models.smart.targets[0].weight`; a key with a dot or a space in it is quoted: `models."gpt-4.1".targets`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if _BARE_KEY.fullmatch(step) else '"' + step.replace("\\", "\\\\").replace('"', '\\"') + '"'
            text += f".{name}" if text else name
    return text


class _Depth:
    """Stops a loader at `MAX_DEPTH`. Composing is recursive, in libyaml's binding without any check of the stack."""

    depth = 0

    def descend_resolver(self, parent: yaml.Node | None, _index: Any) -> None:
        """Called by the composer before each node."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = parent.start_mark if parent is not None else None
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_DEPTH} levels of nesting", problem_mark=mark)

    def ascend_resolver(self) -> None:
        """Called by the composer after each node."""
        self.depth -= 1


class _PythonLoader(_Depth, yaml.SafeLoader):
    pass


class _Loader(_Depth, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml where it is there
    pass


def parse(text: str, form: Format, file: str | None = None) -> Node:
    """The document as nodes. Raises ConfigError: not YAML or TOML, not a mapping, a duplicate key, over a bound."""
    if len(text) > MAX_FILE_BYTES:
        raise ConfigError(f"expected at most {MAX_FILE_BYTES // 2**20} MiB", file=file)
    return _parse_toml(text, file) if form == "toml" else _Yaml(file).parse(text)


class _Yaml:
    def __init__(self, file: str | None):
        self.file = file
        self.seen: set[int] = set()
        self.from_aliases = 0

    def parse(self, text: str) -> Node:
        root = self._compose(text)
        if root is None:
            return Node({}, 1)
        if not isinstance(root, yaml.MappingNode):
            raise self._error("expected a mapping of settings such as `providers:`", root)
        return self._node(root, (), frozenset())

    def _compose(self, text: str) -> yaml.Node | None:
        try:
            return _first(_Loader, text)
        except yaml.YAMLError as error:
            raise self._syntax_error(_explained(text) or error, text) from None  # it quotes the text around the mistake

    def _syntax_error(self, error: yaml.YAMLError, text: str) -> ConfigError:
        if isinstance(error, yaml.reader.ReaderError):
            before = text.count("\n", 0, error.position)
            return ConfigError("not valid YAML: a control character", file=self.file, line=before + 1)
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = mark.line + 1 if mark else None
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        context = getattr(error, "context", None)
        if context == "expected a single document in the stream":
            return ConfigError("expected one document, found another after `---`", file=self.file, line=line)
        hint = ": indent with spaces, not tabs" if "'\\t'" in problem else ""
        while_doing = f" {context}" if context else ""
        return ConfigError(f"not valid YAML{while_doing}: {problem}{hint}", file=self.file, line=line)

    def _error(self, message: str, node: yaml.Node, path: Path = ()) -> ConfigError:
        return ConfigError(message, file=self.file, line=node.start_mark.line + 1, key=dotted(path) or None)

    def _node(self, node: yaml.Node, path: Path, above: frozenset[int]) -> Node:
        if id(node) in above:
            raise self._error("an alias must not contain itself", node, path)
        if len(path) > MAX_DEPTH:  # through aliases
            raise self._error(f"more than {MAX_DEPTH} levels of nesting", node, path[:1])
        if id(node) in self.seen:
            self.from_aliases += 1
            if self.from_aliases > MAX_ALIAS_NODES:
                raise self._error(f"aliases expand to more than {MAX_ALIAS_NODES} values", node, path[:1])
        self.seen.add(id(node))
        line = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            return Node(self._scalar(node, path), line)
        above |= {id(node)}
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq", path)
            return Node([self._node(child, (*path, n), above) for n, child in enumerate(node.value)], line)
        self._check_tag(node, "map", path)
        return Node(self._mapping(node, path, above), line)

    def _mapping(self, node: yaml.Node, path: Path, above: frozenset[int]) -> dict[str, Node]:
        written: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                for source in self._merge_sources(value_node, path, above):
                    merged = source | merged
                continue
            key = self._key(key_node, path)
            if key in written:
                first = written[key].line
                raise self._error(f"duplicate key, first written on line {first}", key_node, (*path, key))
            child = self._node(value_node, (*path, key), above)
            child.line = key_node.start_mark.line + 1
            written[key] = child
        return merged | written

    def _merge_sources(self, node: yaml.Node, path: Path, above: frozenset[int]) -> list[dict[str, Node]]:
        """`<<: *base` or `<<: [*one, *two]`: the mappings whose keys are taken over, the first one first."""
        children = node.value if isinstance(node, yaml.SequenceNode) else [node]
        sources = [self._node(child, path, above).value for child in children]
        if not all(isinstance(source, dict) for source in sources):
            raise self._error("expected a mapping, or a list of mappings, after `<<`", node, path)
        return sources

    def _key(self, node: yaml.Node, path: Path) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag == f"{_TAG}null":
            raise self._error("expected a plain string as a key", node, path)
        return str(node.value)

    def _check_tag(self, node: yaml.Node, kind: str, path: Path) -> None:
        if node.tag != f"{_TAG}{kind}":
            raise self._error("expected a value without a YAML tag", node, path)

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Scalar:
        kind = node.tag.removeprefix(_TAG)
        if kind == "str":
            return str(node.value)
        if kind not in ("int", "float", "bool", "null", "timestamp", "value", "merge"):
            raise self._error("expected a value without a YAML tag", node, path)
        return _core_schema(node.value)


def _first(loader: Any, text: str) -> yaml.Node | None:
    reader = loader(text)
    try:
        node: yaml.Node | None = reader.get_single_node()
        return node
    finally:
        reader.dispose()


def _explained(text: str) -> yaml.YAMLError | None:
    """The same mistake as the pure Python loader explains it: in more words."""
    try:
        _first(_PythonLoader, text)
    except yaml.YAMLError as error:
        return error
    return None


def _core_schema(text: str) -> Scalar:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text, base) if len(text) <= 40 else float(text)
    if _FLOAT.fullmatch(text):
        return float(text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").replace(".nan", "nan"))
    return text


def _parse_toml(text: str, file: str | None) -> Node:
    try:
        data = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and an integer of too many digits
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        reason = str(error)[: found.start()] if found else str(error)
        # The message ends in a value only for what it calls an invalid one; a string, which may be a secret, never is.
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        raise ConfigError(f"not valid TOML: {reason}", file=file, line=line) from None
    except RecursionError:
        raise ConfigError(f"more than {MAX_DEPTH} levels of nesting", file=file) from None
    return _toml_node(data, (), 1, _toml_lines(text))


def _toml_node(value: Any, path: Path, line: int, lines: dict[Path, int]) -> Node:
    line = lines.get(path, line)
    if isinstance(value, dict):
        return Node({key: _toml_node(child, (*path, key), line, lines) for key, child in value.items()}, line)
    if isinstance(value, list):
        return Node([_toml_node(child, (*path, n), line, lines) for n, child in enumerate(value)], line)
    if isinstance(value, datetime.date | datetime.time):
        return Node(value.isoformat(), line)
    return Node(value, line)


_HEADER = re.compile(r"\s*\[(\[?)\s*(.+?)\s*\]\]?\s*(#.*)?")
_PART = re.compile(r"""([A-Za-z0-9_-]+)|"([^"]*)"|'([^']*)'""")
_ASSIGNMENT = re.compile(rf"\s*((?:{_PART.pattern})(?:\s*\.\s*(?:{_PART.pattern}))*)\s*=")


def _toml_lines(text: str) -> dict[Path, int]:
    """Path → line of every header and every `key =` that begins a line. What is inline takes the line of its line."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _toml_table(_toml_parts(header[2]), bool(header[1]), counts)
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            parts = _toml_parts(assignment[1])
            for end in range(1, len(parts) + 1):
                lines.setdefault((*table, *parts[:end]), number)
    return lines


def _toml_table(parts: Path, array: bool, counts: dict[Path, int]) -> Path:
    """The path of a table, with the index of the last element after each array of tables on the way."""
    path: Path = ()
    for n, part in enumerate(parts):
        path = (*path, part)
        if array and n == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _toml_parts(dotted_key: str) -> Path:
    return tuple(bare or double or single for bare, double, single in _PART.findall(dotted_key))
