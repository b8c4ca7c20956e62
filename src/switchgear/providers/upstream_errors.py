"""Upstream errors, whatever their shape, in one form (TRANSLATION §16).

Shapes seen in the field: an object under `error` (OpenAI, Anthropic, Gemini, OpenRouter with an integer code), a string
under `error` (xAI, Ollama), a flat object (older vLLM, Mistral), `detail` as text or list (Mistral, FastAPI), an array
of one of these (Gemini without alt=sse), HTML, nothing.

The status is the client's: our own credential's failure is never shown as the client's 401 or 400.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from http import HTTPStatus
from typing import Any

import msgspec

from switchgear.wire.conversation import UpstreamFault

_MAX_TEXT = 500
_MAX_RETRY_S = 86_400.0
_CONTEXT = re.compile(
    r"prompt is too long|maximum context length|input token count .* exceeds|context_length_exceeded|context window",
    re.I,
)
_BAD_KEY = re.compile(r"api[_ ]key[_ ]invalid|api key not valid|incorrect api key|invalid api key", re.I)
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)s$")
_MARKUP = re.compile(r"<[^>]*>")

# Status → (status to the client, OpenAI type, default code).
_BY_STATUS: dict[int, tuple[int, str, str | None]] = {
    400: (400, "invalid_request_error", None),
    401: (502, "server_error", "upstream_authentication_error"),
    402: (402, "insufficient_quota", "insufficient_quota"),
    403: (403, "invalid_request_error", "permission_denied"),
    404: (404, "invalid_request_error", "model_not_found"),
    405: (502, "server_error", "upstream_error"),
    408: (504, "timeout", "upstream_timeout"),
    409: (409, "invalid_request_error", "conflict"),
    413: (413, "invalid_request_error", "request_too_large"),
    415: (400, "invalid_request_error", None),
    422: (400, "invalid_request_error", None),
    429: (429, "rate_limit_error", "rate_limit_exceeded"),
    500: (500, "server_error", "upstream_error"),
    503: (503, "server_error", "overloaded"),
    504: (504, "timeout", "upstream_timeout"),
    529: (503, "server_error", "overloaded_error"),
}
# Words that stand in `code` without saying more than the status: the client's code comes from the table.
_GENERIC = frozenset({"bad_request", "badrequesterror", "internal_error", "error", "null", "none"})


def read_fault(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> UpstreamFault:
    """What an error answer says. headers: names in lower case. Never raises: an unreadable body is an answer too."""
    error, around = _find(body)
    message = _message(error, around, body, status)
    code, kind = _word(error.get("code") or error.get("error_code")), _word(error.get("type") or error.get("status"))
    details = error.get("details")
    details = details if isinstance(details, list) else []
    reasons = {str(detail.get("reason", "")) for detail in details if isinstance(detail, dict)}
    client_status, client_type, default_code = _BY_STATUS.get(status, (_family(status), _type(status), None))
    fault = UpstreamFault(client_status, client_type, message, upstream_status=status)
    fault.retry_after_s = retry_after(headers, details)
    param = error.get("param")
    fault.param = param if isinstance(param, str) else None
    fault.code = default_code if code is None or code.lower() in _GENERIC or status == 401 else code
    if status in (400, 401, 403) and (status == 401 or "API_KEY_INVALID" in reasons or _BAD_KEY.search(message)):
        return _credential(fault)
    if status in (400, 413, 422) and (code == "context_length_exceeded" or _CONTEXT.search(message)):
        fault.status, fault.type, fault.code = 400, "invalid_request_error", "context_length_exceeded"
    elif code == "insufficient_quota" or kind in ("insufficient_quota", "billing_error"):
        fault.type, fault.code = "insufficient_quota", "insufficient_quota"
    elif status == 404 and code is None and kind == "not_found_error":
        fault.code = "model_not_found"
    return fault


def _credential(fault: UpstreamFault) -> UpstreamFault:
    """The provider refuses our key: the client's own key is fine, and the message may quote ours."""
    fault.credential = True
    fault.status, fault.type, fault.code = 502, "server_error", "upstream_authentication_error"
    fault.message = "The provider refused the gateway's credential. Please tell the gateway's operator."
    fault.param = None
    return fault


def retry_after(headers: list[tuple[bytes, bytes]], details: list[Any] | None = None) -> float | None:
    """Seconds to wait: `retry-after-ms`, else `retry-after` (seconds or a date), else Gemini's RetryInfo."""
    found = dict(reversed(headers))
    milliseconds = found.get(b"retry-after-ms")
    if milliseconds is not None:
        value = _number(milliseconds)
        if value is not None:
            return min(value / 1000, _MAX_RETRY_S)
    plain = found.get(b"retry-after")
    if plain is not None:
        value = _number(plain)
        if value is None:
            value = _until(plain)
        if value is not None:
            return min(value, _MAX_RETRY_S)
    for detail in details or ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        match = _DURATION.match(delay) if isinstance(delay, str) else None
        if match:
            return min(float(match[1]), _MAX_RETRY_S)
    return None


def _number(value: bytes) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(value: bytes) -> float | None:
    try:
        return max(email.utils.parsedate_to_datetime(value.decode("latin-1")).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None


def _find(body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the error object, what stands around it); both empty when the body is not JSON."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}, {}
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, str):
        return {"message": value}, {}
    if not isinstance(value, dict):
        return {}, {}
    error = value.get("error")
    if isinstance(error, dict):
        return error, value
    if isinstance(error, str):
        return {"message": error, "code": value.get("code")}, value
    return value, value


def _message(error: dict[str, Any], around: dict[str, Any], body: bytes, status: int) -> str:
    for candidate in (
        error.get("message"),
        around.get("error"),
        around.get("message"),
        error.get("detail"),
        around.get("detail"),
    ):
        text = _text(candidate)
        if text:
            return text[:_MAX_TEXT]
    if not around and not error:
        text = " ".join(_MARKUP.sub(" ", body[: 4 * _MAX_TEXT].decode(errors="replace")).split())
        if text:
            return text[:_MAX_TEXT]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"The upstream answered with status {status}."


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):  # FastAPI's validation errors
        lines = []
        for item in value:
            if isinstance(item, dict) and isinstance(item.get("msg"), str):
                place = ".".join(str(step) for step in item.get("loc") or ())
                lines.append(f"{place}: {item['msg']}" if place else item["msg"])
        return "; ".join(lines)
    if isinstance(value, dict):
        return _text(value.get("message") or value.get("detail"))
    return ""


def _word(value: Any) -> str | None:
    """A code as a word; numbers say no more than the status."""
    if not isinstance(value, str) or not value or value.isdigit():
        return None
    return value[:64]


def _family(status: int) -> int:
    return 400 if 400 <= status < 500 else 502


def _type(status: int) -> str:
    return "invalid_request_error" if 400 <= status < 500 else "server_error"
