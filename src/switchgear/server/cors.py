"""Cross-origin requests (Fetch standard, CORS protocol): which origins may read answers."""

from __future__ import annotations

from switchgear.config.schema import Cors as CorsSettings
from switchgear.types import Endpoint, Headers

_EXPOSED = b"x-request-id, retry-after, x-switchgear-target, x-switchgear-attempts"


class Cors:
    """Answers for the configured origins; without any, no header is sent and browsers refuse by themselves."""

    def __init__(self, settings: CorsSettings):
        self._any = "*" in settings.origins
        self._origins = frozenset(origin.rstrip("/").encode() for origin in settings.origins)
        self._max_age = b"%d" % settings.max_age

    def headers(self, origin: bytes) -> Headers:
        """What to add to an answer to a request from `origin`."""
        if self._any:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]
        if origin in self._origins:
            return [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", _EXPOSED),
                (b"vary", b"origin"),
            ]
        return []

    def preflight(self, origin: bytes, methods: dict[str, Endpoint] | None) -> Headers:
        """Headers of the answer to OPTIONS, besides `headers(origin)`."""
        allow = ", ".join([*(methods or ("GET", "POST")), "OPTIONS"]).encode()
        if not origin or not (self._any or origin in self._origins):
            return [(b"allow", allow)]
        return [
            (b"allow", allow),
            (b"access-control-allow-methods", allow),
            (b"access-control-allow-headers", b"authorization, content-type, x-api-key, x-request-id, openai-beta, *"),
            (b"access-control-max-age", self._max_age),
        ]
