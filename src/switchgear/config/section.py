"""The base of every section of the configuration: strict, frozen, and with a repr that shows no secret."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct

from switchgear.config.urls import without_userinfo


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping in the file. `shorthand` names the field that a plain value in the mapping's place sets.

    shared: equal ones of a file become one object; all that such a section holds must be hashable.
    """

    shorthand: ClassVar[str | None] = None
    shared: ClassVar[bool] = False

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_shown(name, getattr(self, name))}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({shown})"


def _shown(name: str, value: Any) -> str:
    if name in ("url", "base_url", "jwks_url", "proxy") and isinstance(value, str):
        return repr(without_userinfo(value))
    if name == "headers" and isinstance(value, dict):
        return repr(dict.fromkeys(value, "***"))
    return repr(value)
