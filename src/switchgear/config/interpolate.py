"""`${NAME}` in string values, from the environment.

`${NAME}` is the variable's value and an error when it is not set; `${NAME:-text}` is `text` when it is not set or
empty, as in a POSIX shell (§2.6.2); `$$` is a dollar sign. Any other dollar sign stands for itself. What a variable
holds is taken as it is: nothing in it is interpolated again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Interpolated(Struct, frozen=True):
    """environment: a variable or its default went in. whole: the text was one reference and nothing else."""

    text: str
    environment: bool = False
    whole: bool = False


def interpolate(text: str, environment: Mapping[str, str]) -> Interpolated:
    """Raises ValueError, saying what to do, for a variable that is not set or a reference that is not one."""
    if "$" not in text:
        return Interpolated(text)
    touched = False

    def replaced(match: re.Match[str]) -> str:
        nonlocal touched
        if match[0] == "$$":
            return "$"
        if match[1] is None:
            raise ValueError("expected ${NAME} or ${NAME:-default}: a brace is not closed; $$ is a dollar sign")
        touched = True
        return _value(match[1], environment)

    result = _REFERENCE.sub(replaced, text)
    match = _REFERENCE.fullmatch(text)
    return Interpolated(result, touched, bool(match and match[1] is not None))


def _value(reference: str, environment: Mapping[str, str]) -> str:
    name, separator, default = reference.partition(":-")
    if not _NAME.fullmatch(name):
        raise ValueError("expected ${NAME} or ${NAME:-default}, NAME of letters, digits and _")
    value = environment.get(name)
    if separator:
        return value or default
    if value is None:
        raise ValueError(f"environment variable {name} is not set: set it, or give a default as ${{{name}:-default}}")
    return value
