"""Values with a unit, and values that must not be seen."""

from __future__ import annotations

import re
from typing import Any

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)")
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(B|KB|KiB|MB|MiB|GB|GiB)?")
_SIZE_UNITS = {None: 1, "B": 1, "KB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
MAX_DURATION_S = 3650 * 86400.0
MAX_SIZE_BYTES = 2**40


class Duration(float):
    """Seconds, written `250ms`, `2s`, `5m`, `1h`, `1d` or as a number of seconds."""

    @classmethod
    def parse(cls, value: Any) -> Duration:
        """Raises ValueError for anything else, and for less than zero or more than `MAX_DURATION_S`."""
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError("expected a duration such as 250ms, 2s or 5m")
        if isinstance(value, str):
            found = _DURATION.fullmatch(value.strip())
            if not found:
                raise ValueError(f"expected a duration such as 250ms, 2s or 5m, got {_quoted(value)}")
            value = float(found[1]) * _DURATION_UNITS[found[2]]
        if not 0 <= value <= MAX_DURATION_S:
            raise ValueError("expected a duration from 0 to 3650d")
        return cls(value)


class Size(int):
    """Bytes, written `64KiB`, `16MiB`, `1GiB`, `10MB` or as a number of bytes."""

    @classmethod
    def parse(cls, value: Any) -> Size:
        """Raises ValueError for anything else, and for less than zero or more than `MAX_SIZE_BYTES`."""
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("expected a size such as 64KiB or 16MiB")
        if isinstance(value, str):
            found = _SIZE.fullmatch(value.strip())
            if not found:
                raise ValueError(f"expected a size such as 64KiB or 16MiB, got {_quoted(value)}")
            number = float(found[1]) * _SIZE_UNITS[found[2]]
            value = int(number) if number <= MAX_SIZE_BYTES else MAX_SIZE_BYTES + 1
        if not 0 <= value <= MAX_SIZE_BYTES:
            raise ValueError("expected a size from 0 to 1024GiB")
        return cls(value)


def _quoted(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:39] + "…")


class Secret(str):
    """A string whose repr and str in a format show nothing; `reveal()` gives the plain value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def reveal(self) -> str:
        """The plain value, as it was written or as the environment has it."""
        return str.__str__(self)
