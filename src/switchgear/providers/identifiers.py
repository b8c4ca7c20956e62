"""Identifiers: new ones, and tool ids made fit for an upstream (TRANSLATION §13).

An id that fits goes through unchanged. One that does not is replaced by a function of itself alone, so that a tool
call and its result, sent in the same or in a later request, always get the same replacement, and two ids never the
same one.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

_PLAIN = re.compile(r"[a-zA-Z0-9_-]+")
_NINE = re.compile(r"[a-zA-Z0-9]{9}")
_ESCAPED = "sgid-"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
OPENAI_TOOL_ID_LENGTH = 40


def plain_tool_id(tool_id: str) -> str:
    """An id of letters, digits, `_` and `-` as Anthropic wants it: others in base64url behind a marker.

    Injective: an id that starts with the marker by itself is escaped as well.
    """
    if _PLAIN.fullmatch(tool_id) and not tool_id.startswith(_ESCAPED):
        return tool_id
    return _ESCAPED + base64.urlsafe_b64encode(tool_id.encode()).decode().rstrip("=")


def short_tool_id(tool_id: str, limit: int = OPENAI_TOOL_ID_LENGTH) -> str:
    """An id of at most `limit` characters; a longer one is hashed (SHA-256, 128 bits kept).

    OpenAI's bounds: 40 in Chat Completions, 64 in Responses.
    """
    if len(tool_id) <= limit:
        return tool_id
    return "call_" + hashlib.sha256(tool_id.encode()).hexdigest()[:32]


def nine_character_tool_id(tool_id: str) -> str:
    """Mistral's form: exactly nine letters and digits; others are hashed (53 bits kept)."""
    if _NINE.fullmatch(tool_id):
        return tool_id
    number = int.from_bytes(hashlib.sha256(tool_id.encode()).digest()[:8])
    digits = []
    for _ in range(9):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(digits)


def new_tool_id() -> str:
    """For upstreams that give their calls no id (Gemini, Ollama)."""
    return "call_" + secrets.token_hex(12)


def new_id(prefix: str) -> str:
    """`prefix` and 24 random hexadecimal digits: `chatcmpl-`, `msg_`, `resp_`, `rs_`, `fc_`."""
    return prefix + secrets.token_hex(12)


_GEMINI_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_CHAT_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_CHAT_BAD = re.compile(r"[^a-zA-Z0-9_-]")


def fit_tool_name(name: str, gemini: bool) -> str:
    """A tool name that the upstream takes: Gemini's start with a letter or `_`, the others' have no `.` and `:` (§3).

    A name that does not fit is cleaned, cut, and told apart by eight digits of its hash.
    """
    if (_GEMINI_NAME if gemini else _CHAT_NAME).fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"t_{_CHAT_BAD.sub('_', name)[:50]}_{digest}"
