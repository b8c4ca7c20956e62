"""The complete, slower transport: httpx behind the interface of the compiled pool, for HTTP proxies, SOCKS and HTTP/2.

One request costs about forty times the compiled client's CPU (DESIGN §1), so it serves where it must: `transport:
httpx` on a provider.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from switchgear.errors import Overloaded, UpstreamError, UpstreamProtocolError, UpstreamTimeout, UpstreamUnreachable

if TYPE_CHECKING:
    import httpx

    from switchgear.errors import Phase
    from switchgear.types import Headers

_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_NOT_SENT = frozenset(("content-length", "host", "transfer-encoding"))  # httpx sets these itself


class HttpxPool:
    """Sends requests to `origin` through httpx. Same meaning of every argument as `hotpath._client.Pool`."""

    def __init__(
        self,
        origin: str,
        *,
        context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        http2: bool = False,
        server_name: str | None = None,
        max_connections: int = 1024,
        idle_s: float = 60.0,
    ):
        import httpx  # 30 ms and 10 MB: only where it is used

        self._origin = origin
        self._extensions = {"sni_hostname": server_name} if server_name else {}
        self._closed = False
        self.busy = 0
        self.idle = 0  # httpx does not tell
        self.waiters = 0
        self._ending: asyncio.Task[None] | None = None
        self._client = httpx.AsyncClient(
            verify=context if context is not None else True,
            proxy=proxy,
            http2=http2,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(
                max_connections=max_connections, max_keepalive_connections=max_connections, keepalive_expiry=idle_s
            ),
        )

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
    ) -> HttpxResponse:
        """Send one request; see `Pool.send`. The head is taken apart again: httpx writes its own."""
        if self._closed:
            raise Overloaded("This connection pool is closed.", retry_after_s=1)
        request = self._request(head, body, connect_s)
        progress = request.extensions["trace"] = _Progress()
        clock = _Clock(first_byte_s, idle_s, deadline)
        self.busy += 1
        try:
            try:
                raw = await self._sent(request, clock, connect_s)
            except BaseException:
                self._done()
                raise
            response = HttpxResponse(raw, clock, self._done)
            if gather_bytes and not response.event_stream and response.content_length <= gather_bytes:
                await response.gather(gather_bytes)
        except asyncio.CancelledError as left:
            left.sent = progress.sent  # type: ignore[attr-defined]  # as `Pool.send` does
            raise
        return response

    def _request(self, head: bytes, body: bytes | AsyncIterator[bytes], connect_s: float) -> httpx.Request:
        """The request as httpx wants it."""
        import httpx

        line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        pairs = [pair.split(": ", 1) for pair in lines if pair]
        chunked = any(name.lower() == "transfer-encoding" for name, _ in pairs)
        headers = [(name, value) for name, value in pairs if name.lower() not in _NOT_SENT]
        request = self._client.build_request(
            method,
            self._origin + target,
            headers=headers,
            content=body if isinstance(body, bytes) else _unframed(body) if chunked else body,
            timeout=httpx.Timeout(None, connect=connect_s, pool=connect_s),
            extensions=self._extensions,
        )
        if not isinstance(body, bytes) and not chunked:
            length = next(value for name, value in pairs if name.lower() == "content-length")
            request.headers["content-length"] = length
            request.headers.pop("transfer-encoding", None)
        return request

    async def _sent(self, request: httpx.Request, clock: _Clock, connect_s: float) -> httpx.Response:
        import httpx

        async with clock.limit("first_token"):
            try:
                return await self._client.send(request, stream=True)
            except httpx.HTTPError as exc:
                raise _mapped(exc, connect_s) from exc

    def _done(self) -> None:
        """A request has ended."""
        self.busy -= 1
        if self._closed and self.busy == 0:
            self._end()

    def _end(self) -> None:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._client.aclose())

    def sweep(self, now: float) -> None:
        """Nothing to do: httpx keeps its own time."""

    def close(self) -> None:
        """No new request; those in flight finish, then the connections are closed."""
        self._closed = True
        if self.busy == 0:
            self._end()

    def abort(self) -> None:
        """Close the client."""
        self._closed = True
        self._end()


class _Progress:
    """What httpx's connections tell of a request on its way (its `trace` extension)."""

    sent = False

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        """The request's head is going out (not a CONNECT to a proxy): from here on the upstream may read it."""
        if event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            self.sent = True


class _Clock:
    """The phases of one request after its connection: which limit applies now."""

    def __init__(self, first_byte_s: float, idle_s: float, deadline: float):
        self.first_byte_s, self.idle_s, self.deadline = first_byte_s, idle_s, deadline

    def limit(self, phase: Phase) -> _Limit:
        return _Limit(self, phase)


class _Limit:
    """`asyncio.timeout` for a phase, ending in `UpstreamTimeout` of that phase or of the total."""

    def __init__(self, clock: _Clock, phase: Phase):
        after = clock.first_byte_s if phase == "first_token" else clock.idle_s
        now = asyncio.get_running_loop().time()
        self._total = bool(clock.deadline) and clock.deadline < now + after
        self._phase: Phase = "total" if self._total else phase
        self._after_s = max(0.0, clock.deadline - now) if self._total else after
        self._timeout = asyncio.timeout(self._after_s)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: object) -> None:
        try:
            await self._timeout.__aexit__(kind, exc, trace)  # type: ignore[arg-type]  # it takes what it is given
        except TimeoutError:
            raise UpstreamTimeout(self._phase, round(self._after_s, 3)) from exc


class HttpxResponse:
    """An answer; same meaning as `hotpath._client.Response`. done: called once, when it has ended or was closed."""

    def __init__(self, raw: httpx.Response, clock: _Clock, done: Callable[[], None]):
        self._done = done
        self._held = b""  # read, but not yet given out
        self._raw = raw
        self._clock = clock
        self._chunks = raw.aiter_raw()
        self._ended = False
        self._first = True
        self.status = raw.status_code
        self.reason = raw.reason_phrase.encode()
        self.headers: Headers = [(name.lower(), value) for name, value in raw.headers.raw if name.lower() not in _HOP]
        self.body: bytes | None = None
        length = self.header(b"content-length")
        self.content_length = int(length) if length and length.isdigit() else -1
        self.event_stream = (self.header(b"content-type") or b"").lower().startswith(b"text/event-stream")

    def header(self, name: bytes) -> bytes | None:
        """First value of the header with this lower-case name."""
        return next((value for key, value in self.headers if key == name), None)

    async def read(self) -> bytes:
        """The next bytes of the body, b"" at its end."""
        import httpx

        if self._held:
            held, self._held = self._held, b""
            return held
        if self._ended:
            return b""
        async with self._clock.limit("first_token" if self._first else "idle"):
            try:
                chunk = await anext(self._chunks, b"")
            except httpx.HTTPError as exc:
                raise UpstreamProtocolError("The upstream's answer stopped short.") from exc
        self._first = False
        if not chunk:
            self._ended = True
            self._done()
            await self._raw.aclose()
        return chunk

    def read_nowait(self) -> bytes | None:
        """What is held, b"" at the end, else None: httpx has no read that does not wait."""
        held, self._held = self._held, b""
        return held or (b"" if self._ended else None)

    async def read_all(self, limit_bytes: int) -> bytes:
        """The rest of the body. Raises `UpstreamProtocolError` beyond `limit_bytes`."""
        parts, size = [], 0
        while chunk := await self.read():
            size += len(chunk)
            if size > limit_bytes:
                raise UpstreamProtocolError("The upstream's answer is too large.")
            parts.append(chunk)
        return b"".join(parts)

    async def gather(self, limit_bytes: int) -> None:
        """Read the whole body into `body`; one that turns out to be larger is left to `read`."""
        parts: list[bytes] = []
        size = 0
        try:
            while size <= limit_bytes:
                chunk = await self.read()
                if not chunk:
                    self.body = b"".join(parts)
                    return
                parts.append(chunk)
                size += len(chunk)
            self._held = b"".join(parts)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back or close it."""
        if not self._ended:
            self._ended = True
            self._done()
            self._closing = asyncio.get_running_loop().create_task(self._raw.aclose())


async def _unframed(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Undo our chunk framing: httpx frames by itself."""
    async for frame in body:
        size, _, rest = frame.partition(b"\r\n")
        if int(size, 16):
            yield rest[:-2]


def _mapped(exc: httpx.HTTPError, connect_s: float) -> UpstreamError | Overloaded:
    import httpx

    if isinstance(exc, httpx.ConnectTimeout):
        return UpstreamTimeout("connect", connect_s)
    if isinstance(exc, httpx.PoolTimeout):
        return Overloaded("No connection to the upstream became free in time.", retry_after_s=1)
    if isinstance(exc, httpx.RemoteProtocolError) and "without sending a response" not in str(exc):
        return UpstreamProtocolError("The upstream did not answer with valid HTTP.")
    return UpstreamUnreachable("The upstream could not be reached.")
