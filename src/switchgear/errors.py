"""Every exception Switchgear raises, as one tree.

    SwitchgearError
    ├── ConfigError              the configuration is wrong: names file, line and key
    ├── DatabaseError            the database has a schema that this version cannot use
    ├── ClientDisconnected       the caller left; nobody reads the answer
    └── GatewayError             has an HTTP status and the wire fields `type`, `code`, `param`
        ├── InvalidRequest           400
        ├── AuthenticationFailed     401
        ├── LimitReached                  a limit refuses
        │   ├── RequestTooLarge          400  wants more than the limit allows at all: no use to try again
        │   ├── BudgetExhausted          402  names the budget's window and when it resets
        │   └── RateLimited              429  used up for now; carries Retry-After
        ├── PermissionDenied         403
        │   └── PriceUnknown             what the model costs is not known, and money is limited
        ├── NotFound                 404
        ├── MethodNotAllowed         405
        ├── RequestTimeout           408  the client sent its body too slowly
        ├── PayloadTooLarge          413
        ├── UnsupportedMediaType     415
        │   └── UnsupportedCoding        415  the body is compressed
        ├── Overloaded               503  our own limits; carries Retry-After
        ├── StateUnavailable         503  the shared counters are away, and a limit fails closed
        └── UpstreamError            something went wrong behind us
            ├── UpstreamRejected         the upstream answered with an error status
            ├── UpstreamUnreachable      502  no connection, TLS or DNS failure, closed before an answer
            ├── UpstreamProtocolError    502  what it sent is not HTTP, not JSON, or stops half-way
            └── UpstreamTimeout          504  names the phase: connect, first_token, idle, total

`type` and `code` are OpenAI's, as recorded from its API; `server/` renders them in the dialect of the endpoint.
Messages are for the caller: they never hold a secret, an upstream address or a stack trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Phase = Literal["connect", "first_token", "idle", "total"]


class SwitchgearError(Exception):
    """Root of the tree."""


class ConfigError(SwitchgearError):
    """A configuration that cannot be used.

    `file`, `line` (1-based) and `key` (dotted path, `models.smart.targets[0].weight`) say where, where known.
    `errors` are all that were found, in the order of the file; an error found alone is its own list of one.
    """

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None, key: str | None = None):
        self.message, self.file, self.line, self.key = message, file, line, key
        self.errors: tuple[ConfigError, ...] = (self,)
        place = f"{file or 'configuration'}{f':{line}' if line else ''}"
        super().__init__(f"{place}: {f'{key}: ' if key else ''}{message}")

    def __str__(self) -> str:
        """One line per error."""
        return "\n".join(str(error.args[0]) for error in self.errors)

    @classmethod
    def of(cls, errors: Sequence[ConfigError]) -> ConfigError:
        """One exception for one or more errors: placed where the first is, listing all."""
        first = errors[0]
        whole = cls(first.message, file=first.file, line=first.line, key=first.key)
        whole.errors = tuple(errors)
        return whole


class DatabaseError(SwitchgearError):
    """The database cannot be used as it is; the message says what to do."""


class ClientDisconnected(SwitchgearError):
    """The caller closed its connection."""


class GatewayError(SwitchgearError):
    """An error with a place in the HTTP answer.

    `retry_after_s` becomes `Retry-After` (whole seconds, rounded up).
    """

    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        type: str | None = None,
        retry_after_s: float | None = None,
    ):
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        if type is not None:
            self.type = type


class InvalidRequest(GatewayError):
    status = 400
    type = "invalid_request_error"


class AuthenticationFailed(GatewayError):
    status = 401
    type = "invalid_request_error"
    code: str | None = "invalid_api_key"  # None when there was no key at all


class PermissionDenied(GatewayError):
    status = 403
    type = "invalid_request_error"
    code = "permission_denied"


class PriceUnknown(PermissionDenied):
    """Refused before anything was sent: what the model costs is not known, so no limit on money could hold."""

    code = "price_unknown"

    def __init__(self, provider: str, model: str):
        super().__init__(
            f"The price of '{provider}/{model}' is not known, and requests without a known price are refused here. "
            "Its operator can declare one under `prices`, or a cap under `unknown_price`.",
            param="model",
        )


class NotFound(GatewayError):
    status = 404
    type = "invalid_request_error"
    code = "unknown_url"


class MethodNotAllowed(GatewayError):
    """`allow` lists the methods that the path takes, for the `Allow` header."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_supported"

    def __init__(self, message: str, *, allow: str):
        super().__init__(message)
        self.allow = allow


class RequestTimeout(GatewayError):
    status = 408
    type = "invalid_request_error"
    code = "request_timeout"


class PayloadTooLarge(GatewayError):
    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class UnsupportedMediaType(GatewayError):
    status = 415
    type = "invalid_request_error"
    code = "unsupported_media_type"


class UnsupportedCoding(UnsupportedMediaType):
    """The answer names the codings that are taken, in `Accept-Encoding` (RFC 9110 §12.5.3)."""

    code = "unsupported_content_encoding"


class LimitReached(GatewayError):
    """A limit refuses. limit: its id. dialect_headers: what goes with the answer, by the family of the dialect."""

    def __init__(
        self,
        message: str,
        *,
        limit: str,
        type: str | None = None,
        retry_after_s: float | None = None,
        dialect_headers: dict[str, list[tuple[bytes, bytes]]] | None = None,
    ):
        super().__init__(message, type=type, retry_after_s=retry_after_s)
        self.limit = limit
        self.dialect_headers = dialect_headers or {}


class BudgetExhausted(LimitReached):
    status = 402
    type = "insufficient_quota"
    code = "insufficient_quota"


class RateLimited(LimitReached):
    status = 429
    type = "requests"
    code = "rate_limit_exceeded"


class RequestTooLarge(LimitReached):
    status = 400
    type = "invalid_request_error"
    code = "request_exceeds_limit"


class StateUnavailable(GatewayError):
    status = 503
    type = "server_error"
    code = "state_unavailable"


class Overloaded(GatewayError):
    status = 503
    type = "server_error"
    code = "overloaded"


class LedgerFull(GatewayError):
    """There is no room for the row of an upstream request, at whichever target: to try another is of no use."""

    status = 503
    type = "server_error"
    code = "ledger_full"


class UpstreamError(GatewayError):
    """`answered` tells whether the upstream sent any byte of an answer: if it did not, another try is safe."""

    status = 502
    type = "server_error"
    code = "upstream_error"
    answered = False


class UpstreamRejected(UpstreamError):
    """The upstream's own error answer: `status` as it sent it, `body` the raw bytes, `headers` as received.

    wire: whose words the body is in, as in `providers.registry`.
    """

    answered = True
    wire = "openai"

    def __init__(
        self,
        status: int,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        *,
        message: str = "The upstream refused the request.",
        retry_after_s: float | None = None,
    ):
        super().__init__(message, status=status, retry_after_s=retry_after_s)
        self.headers = headers
        self.body = body


class UpstreamUnreachable(UpstreamError):
    """`sent` tells whether the request had gone out, so that the upstream may have acted on it."""

    code = "upstream_unreachable"
    sent = False


class UpstreamProtocolError(UpstreamError):
    code = "upstream_protocol_error"
    answered = True


class UpstreamTimeout(UpstreamError):
    status = 504
    type = "timeout"
    code = "upstream_timeout"

    def __init__(self, phase: Phase, after_s: float):
        super().__init__(f"The upstream did not answer in time: {phase} timeout after {after_s:g} s.")
        self.phase = phase
        self.after_s = after_s
        self.answered = phase == "idle"
