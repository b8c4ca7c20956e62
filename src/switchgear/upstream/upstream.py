"""One provider, ready to be called: its connection pool, its credentials, and the request heads it wants.

A head is rendered once per (method, path, credential) and kept: per request only the length, the id and the few client
headers that go along are added. What is never passed on: the client's credentials, cookies, hop-by-hop headers
(TRANSLATION §17).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

from switchgear import __version__
from switchgear.config.owners import credential_name
from switchgear.config.schema import Credential as CredentialEntry
from switchgear.config.schema import Provider
from switchgear.errors import NotFound
from switchgear.hotpath._client import Pool
from switchgear.providers.registry import AuthStyle, ProviderType, wire_of
from switchgear.routing.credentials import Credential, CredentialPool
from switchgear.types import Headers, RequestContext
from switchgear.upstream.httpx_transport import HttpxPool
from switchgear.upstream.tls import client_context

if TYPE_CHECKING:
    from switchgear.upstream.passage import Passage

_HEADS_MAX = 4096
"""Rendered heads kept per provider: (paths that are constants) x (credentials), plus Azure deployments."""

# The version segment that a vendor's SDK adds to the bare origin (DESIGN §6); an address that has one keeps its own.
_ROOTS = {"anthropic": "/v1", "gemini": "/v1beta"}
_VERSION = re.compile(r"/v\d+[a-z]*\d*$")


class Answered(Protocol):
    """An upstream's answer: `hotpath._client.Response`, or `HttpxResponse`. See the stub for the meaning."""

    status: int
    headers: Headers
    body: bytes | None
    content_length: int
    event_stream: bool

    def header(self, name: bytes) -> bytes | None: ...
    async def read(self) -> bytes: ...
    def read_nowait(self) -> bytes | None: ...
    async def read_all(self, limit_bytes: int) -> bytes: ...
    def close(self) -> None: ...


class Transport(Protocol):
    """What sends requests to one origin: `hotpath._client.Pool`, or `HttpxPool`. See the stub for the meaning."""

    async def send(
        self,
        head: bytes,
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        gather_bytes: int = 0,
        connect_s: float = 5.0,
        first_byte_s: float = 30.0,
        idle_s: float = 60.0,
        deadline: float = 0.0,
        head_request: bool = False,
    ) -> Answered: ...

    @property
    def busy(self) -> int: ...
    @property
    def idle(self) -> int: ...
    @property
    def waiters(self) -> int: ...
    def sweep(self, now: float) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class Upstream:
    """A provider of the configuration. `name` is its key there."""

    def __init__(self, name: str, provider: Provider, row: ProviderType, loop: asyncio.AbstractEventLoop):
        self.name = name
        self.provider = provider
        self.row = row
        base_url = provider.base_url or row.base_url or ""
        self.wire = wire_of(row, base_url)
        self.responses = row.responses if provider.responses is None else provider.responses != "translated"
        self.passages: Mapping[str, Passage] = {}  # by endpoint; what is not in it takes `passage`
        self.passage: Passage | None = None  # None: bytes pass as they are
        self.histories: Mapping[str, Passage] = {}  # in place of it where a history holds some provider's signatures
        self.proofless = False  # chat here knows nothing of signatures: any in a history is some other provider's
        base = urlsplit(base_url)
        self.secure = base.scheme == "https"
        self.host = base.hostname or ""
        self.port = base.port or (443 if self.secure else 80)
        self.prefix = base.path.rstrip("/")
        self.root = self.prefix if _VERSION.search(self.prefix) else self.prefix + _ROOTS.get(self.wire, "")
        self.authority = f"[{self.host}]" if ":" in self.host else self.host
        if base.port:
            self.authority += f":{base.port}"
        self.origin = f"{base.scheme}://{self.authority}"
        tls = provider.tls
        self.context = client_context(verify=tls.verify, ca_file=tls.ca) if self.secure else None
        self.credentials = CredentialPool(
            [_credential(row.auth, entry, n) for n, entry in enumerate(provider.credentials)]
        )
        self.forward = frozenset(header.lower().encode() for header in provider.forward_headers)
        self._heads: dict[tuple[str, str, str, str], bytes] = {}
        self._fixed = "".join(f"{key}: {value}\r\n" for key, value in provider.headers.items()).encode("latin-1")
        self.transport: Transport = self._make_transport(loop)

    def _make_transport(self, loop: asyncio.AbstractEventLoop) -> Transport:
        tls, pool = self.provider.tls, self.provider.pool
        if self.provider.transport == "httpx":
            return HttpxPool(
                self.origin,
                context=self.context,
                proxy=self.provider.proxy,
                http2=self.provider.http2,
                server_name=tls.server_name,
                max_connections=pool.max_connections,
                idle_s=pool.idle,
            )
        return Pool(
            loop,
            self.host,
            self.port,
            ssl=self.context,
            server_hostname=tls.server_name or self.host if self.secure else None,
            max_connections=pool.max_connections,
            max_waiters=pool.max_waiters,
            idle_s=pool.idle,
            max_age_s=pool.max_age,
        )

    def path(self, endpoint_path: str, model: str) -> str:
        """The path of an endpoint at this provider, with the query it always needs.

        Raises `NotFound` for a deployment that would not be one segment of it: a client may name it.
        """
        if self.wire != "azure":
            return self.root + endpoint_path
        if self.provider.api_version is None:  # the v1 surface names the model in the body
            prefix = self.prefix if self.prefix.endswith("/v1") else f"{self.prefix}/openai/v1"
            return prefix + endpoint_path
        version = f"?api-version={quote(self.provider.api_version)}"
        if self.prefix.endswith("/models"):  # Azure AI model inference names the model in the body as well
            return f"{self.prefix}{endpoint_path}{version}"
        if model in (".", ".."):  # `quote` leaves dots as they are, and so do servers that undo it
            raise NotFound(f"The model `{model}` does not exist.", code="model_not_found", param="model")
        if model:
            return f"{self.prefix}/openai/deployments/{quote(model, safe='')}{endpoint_path}{version}"
        return f"{self.prefix}/openai{endpoint_path}{version}"

    def head(self, ctx: RequestContext, credential: Credential, model: str, length: int) -> bytes:
        """Request line and headers for one attempt. length: of the body, -1 when it goes out in chunks."""
        azure_model = model if self.wire == "azure" else ""
        key = (ctx.method, ctx.path, azure_model, credential.name)
        start = self._heads.get(key)
        if start is None:
            start = self.start(ctx.method, self.path(ctx.path, model), credential)
            if len(self._heads) < _HEADS_MAX and ctx.path == ctx.endpoint.path:
                self._heads[key] = start
        parts = [start]
        if ctx.query:
            parts[0] = _with_query(start, ctx.query)
        if ctx.client_headers:
            parts += [b"%b: %b\r\n" % pair for pair in ctx.client_headers]
        if length < 0:
            parts.append(b"Transfer-Encoding: chunked\r\n")
        elif length or ctx.method == "POST":
            parts.append(
                b"Content-Type: %b\r\nContent-Length: %d\r\n" % (ctx.content_type or b"application/json", length)
            )
        if length < 0 and ctx.content_type:
            parts.append(b"Content-Type: %b\r\n" % ctx.content_type)
        parts.append(b"X-Request-ID: %b\r\n\r\n" % ctx.request_id)
        return b"".join(parts)

    def native_head(
        self,
        ctx: RequestContext,
        credential: Credential,
        path: str,
        model: str,
        length: int,
        headers: Headers,
        query: bytes = b"",
    ) -> bytes:
        """Request line and headers of a POST whose body was made for this provider. path: below its root.

        headers: of the client's, those that mean something here.
        """
        key = ("POST", path, model if self.wire == "azure" else "", credential.name)
        start = self._heads.get(key)
        if start is None:
            start = self.start("POST", self.path(path, model), credential)
            if len(self._heads) < _HEADS_MAX and self.wire != "gemini":  # Gemini's paths name the model
                self._heads[key] = start
        parts = [_with_query(start, query) if query else start]
        parts += [b"%b: %b\r\n" % pair for pair in headers]
        parts.append(b"Content-Type: application/json\r\nContent-Length: %d\r\n" % length)
        parts.append(b"X-Request-ID: %b\r\n\r\n" % ctx.request_id)
        return b"".join(parts)

    def probe_head(self, endpoint_path: str) -> bytes:
        """Request line and headers of a GET of our own (listing models), without the last empty line."""
        return self.start("GET", self.path(endpoint_path, ""), self.credentials.pick(0.0))

    def start(self, method: str, path: str, credential: Credential | None) -> bytes:
        """Request line and the headers that are the same for every such request, without the last empty line."""
        line = f"{method} {path} HTTP/1.1\r\nHost: {self.authority}\r\n"
        agent = f"User-Agent: switchgear/{__version__}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
        lines = b"".join(b"%b: %b\r\n" % pair for pair in credential.headers) if credential else b""
        return (line + agent).encode("latin-1") + lines + self._fixed


def _with_query(head: bytes, query: bytes) -> bytes:
    line, rest = head.split(b" HTTP/1.1\r\n", 1)
    return b"%b%b%b HTTP/1.1\r\n%b" % (line, b"&" if b"?" in line else b"?", query, rest)


def _credential(auth: AuthStyle, entry: CredentialEntry, number: int) -> Credential:
    value = entry.value.reveal().encode("latin-1")
    headers = {
        "bearer": [(b"authorization", b"Bearer " + value)],
        "api-key": [(b"api-key", value)],
        "x-api-key": [(b"x-api-key", value)],
        "x-goog-api-key": [(b"x-goog-api-key", value)],
        "none": [],
    }[auth]
    return Credential(credential_name(entry, number), headers)
