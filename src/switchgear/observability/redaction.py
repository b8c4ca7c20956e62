"""Secrets out of everything that is logged: `[REDACTED LENGTH=n HASH=xxxx]` in their place.

Two nets. A value under a key that names a secret (`authorization`, `api_key`, `password`, …) goes as a whole. In any
other string, in whatever position, whatever looks like a secret goes: vendor keys (`sk-…`), `Bearer …`, JSON web
tokens, passwords in URLs, `password=…`. The hash, 16 bits of SHA-256, lets two lines be compared; it is too short to
guess a secret by.

Values are walked to a bounded depth, so that a log call cannot recurse without end; what is deeper is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from switchgear.config.values import Secret

MAX_DEPTH = 8
MAX_STRING_CHARS = 8192
"""Longest string that is logged; our own events have none near it, a foreign library's dump may."""

_SECRET_KEY = re.compile(
    r"(?:^|_)(?:authorization|api_?keys?|secrets?|passw(?:or)?d|passphrase|cookies?|private_?key|signature|session_id)"
    r"(?:_|$)|(?:^|_)(?:token|bearer|jwt|credential_value)$"
)
_NOT_SECRET_KEYS = frozenset(("first_token",))
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_BASE64URL = r"[A-Za-z0-9_\-]"
# Each repetition that something must follow is bounded: no input makes the search quadratic.
_PATTERNS = re.compile(
    "|".join(
        (
            # Headers whose value has several words: to the end of the line or string.
            r"(?P<header>(?i:authorization|cookie)[\"']?\s{0,8}[=:]\s{0,8}[\"']?)(?P<rest>[^\r\n\"']+)",
            # Schemes of Authorization.
            r"(?P<scheme>(?i:bearer|basic)\s{1,8})(?P<credential>[^\s\"',;]+)",
            # user:password@ in an address.
            r"(?P<address>[A-Za-z][A-Za-z0-9+.\-]{0,20}://)(?P<userinfo>[^\s/?#\"']{0,1024})(?=@)",
            # name=value and "name": "value", as in query strings, forms and dumped dictionaries.
            r"(?P<name>(?i:api[_-]?key|x-goog-api-key|access[_-]?token|refresh[_-]?token|id[_-]?token|client[_-]?secret"
            r"|secret|passw(?:or)?d)[\"']?\s{0,8}[=:]\s{0,8}[\"']?)(?P<value>[^\s\"'&,;}\]]+)",
            # JSON web token: two parts of base64url JSON, perhaps a signature.
            rf"(?P<jwt>eyJ{_BASE64URL}{{4,4096}}\.{_BASE64URL}+(?:\.{_BASE64URL}*)*)",
            # Vendor keys by prefix. After a letter only when long and with a digit: `task-list` is a word.
            rf"(?P<key>(?<![A-Za-z])(?:sk|pk|rk|key|xai|pplx|csk|tgp|gsk|hf|r8|sgk)[-_]{_BASE64URL}{{8,}}"
            rf"|sk-(?={_BASE64URL}{{0,200}}\d){_BASE64URL}{{16,}}|AIza{_BASE64URL}{{30,}})",
        )
    )
)


def marker(value: str | bytes) -> str:
    """What stands in the place of a secret."""
    raw = value if isinstance(value, bytes) else str.encode(value, "utf-8", "surrogatepass")
    return f"[REDACTED LENGTH={len(raw)} HASH={sha256(raw).hexdigest()[:4]}]"


def is_secret_key(key: str) -> bool:
    """Whether a value under this key is a secret by its name. Headers, snake_case and camelCase alike."""
    plain = _CAMEL.sub("_", key).lower().replace("-", "_")
    return plain not in _NOT_SECRET_KEYS and _SECRET_KEY.search(plain) is not None


def redact_text(text: str) -> str:
    """`text` without what looks like a secret, cut to `MAX_STRING_CHARS`."""
    if len(text) > 8 * MAX_STRING_CHARS:
        # Bound the work. The last word goes, as half a secret might not look like one; so does all that has no words.
        kept = text[: 8 * MAX_STRING_CHARS].rpartition(" ")[0]
        if not kept:
            return marker(text)
        text = f"{kept} [CUT LENGTH={len(text)}]"
    clean = _PATTERNS.sub(_replace, text)
    if len(clean) > MAX_STRING_CHARS:
        return f"{clean[:MAX_STRING_CHARS]}[CUT LENGTH={len(clean)}]"
    return clean


def redact(value: Any, depth: int = 0) -> Any:
    """A copy of `value` fit for a log: secrets replaced, in keys too; foreign objects as their redacted `str`."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Secret):
        return marker(value.reveal())
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return redact_text(bytes(value).decode("utf-8", "backslashreplace"))
    if depth >= MAX_DEPTH:
        return "[TOO DEEP]"
    if isinstance(value, Mapping):
        return {redact_text(str(key)): _under(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth + 1) for item in value]
    try:
        return redact_text(str(value))
    except Exception as exc:  # a broken __str__ must not break the log
        return f"[{type(value).__name__}: {type(exc).__name__}]"


def _under(key: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool) or not is_secret_key(key):
        return redact(value, depth)
    if isinstance(value, Secret):
        return marker(value.reveal())
    return marker(value if isinstance(value, str | bytes) else str(value))


def redact_event(_logger: Any, _method: str, event: Any) -> Any:
    """`redact` as a structlog processor."""
    return redact(event)


def _replace(found: re.Match[str]) -> str:
    group = found.lastgroup or ""
    if group == "rest":
        return found["header"] + marker(found["rest"])
    if group == "credential":
        return found["scheme"] + marker(found["credential"])
    if group == "userinfo":
        return found["address"] + marker(found["userinfo"])
    if group == "value":
        return found["name"] + marker(found["value"])
    return marker(found[0])
