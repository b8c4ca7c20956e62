"""What is wrong with a configuration (errors) and what its owner should know (warnings), each with its place."""

from __future__ import annotations

from msgspec import Struct

from switchgear.config.document import Node, Path, dotted
from switchgear.errors import ConfigError


class ConfigWarning(Struct, frozen=True):
    """Usable, but probably not meant. `line` is 1-based; both places are None where there is no file."""

    message: str
    file: str | None = None
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        place = f"{self.file or 'configuration'}{f':{self.line}' if self.line else ''}"
        return f"{place}: {f'{self.key}: ' if self.key else ''}{self.message}"


class Report:
    """Collects findings. root: the document that gives a path its line, None for a configuration that has no file."""

    def __init__(self, root: Node | None, file: str | None):
        self.root, self.file = root, file
        self.errors: list[ConfigError] = []
        self.warnings: list[ConfigWarning] = []

    def error(self, path: Path, message: str) -> None:
        """Note that the configuration cannot be used. message: what was expected."""
        self.errors.append(ConfigError(message, file=self.file, line=self._line(path), key=dotted(path) or None))

    def warn(self, path: Path, message: str) -> None:
        """Note something that works and may surprise."""
        self.warnings.append(ConfigWarning(message, self.file, self._line(path), dotted(path) or None))

    def written(self, path: Path) -> bool:
        """Whether the file itself says something at `path`; what it does not is a default."""
        return self.root is not None and self.root.find(path) is not None

    def raise_errors(self) -> None:
        """Raise ConfigError with all errors so far, in the order of the file; nothing when there is none."""
        if self.errors:
            raise ConfigError.of(sorted(self.errors, key=lambda error: error.line or 0))

    def _line(self, path: Path) -> int | None:
        return self.root.line_of(path) if self.root is not None else None
