"""A JWK set behind a URL: fetched off the request path, kept while the issuer is away.

A background task fetches the set when it is due. A token with an unknown key id asks for an early fetch, at most one
per `MIN_REFETCH_S` whoever asks, so that made-up ids cannot turn the gateway on the issuer. When a fetch fails, the
keys in hand stay, and it is tried again after `RETRY_S` (or `refresh`, where that is sooner). Redirects are followed
within the origin of the URL only.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import structlog

from switchgear.auth.verification_keys import KeySet, from_jwks

if TYPE_CHECKING:
    import httpx

FETCH_TIMEOUT_S = 5.0  # of one whole fetch, redirects included
MAX_BODY_BYTES = 1024 * 1024
MAX_REDIRECTS = 3
MIN_REFETCH_S = 10.0
RETRY_S = 10.0

log = structlog.get_logger(__name__)


class JwksUnavailable(Exception):
    """A fetch failed. The message says how, and shows nothing of the answer."""


class Jwks:
    """The keys of one URL, shared by the configurations that name it: `acquire()` and `release()` count its users.

    url: where the set is. refresh_s: its age when it is fetched again. min_refetch_s: least time between fetches that
    unknown key ids ask for. timeout_s: for one fetch.
    """

    def __init__(
        self,
        url: str,
        refresh_s: float,
        *,
        min_refetch_s: float = MIN_REFETCH_S,
        timeout_s: float = FETCH_TIMEOUT_S,
        retry_s: float = RETRY_S,
    ):
        self.url, self.refresh_s = url, refresh_s
        self.keys = KeySet(())
        self.fetched = False
        self._min_refetch_s, self._timeout_s, self._retry_s = min_refetch_s, timeout_s, min(retry_s, refresh_s)
        self._last_attempt = float("-inf")
        self._ssl: ssl.SSLContext | None = None
        self._users = 0
        self._background: asyncio.Task[None] | None = None
        self._fetching: asyncio.Task[bool] | None = None

    async def acquire(self) -> None:
        """One user more. The first one waits for the first fetch; that it failed is logged and not raised."""
        self._users += 1
        if self._users == 1:
            try:
                await self._fetch_once()
            except asyncio.CancelledError:
                self._users -= 1
                raise
            if self._users and self._background is None:
                self._background = asyncio.get_running_loop().create_task(self._refresh(), name="jwks-refresh")

    async def release(self) -> None:
        """One user less. The last one ends the background work."""
        self._users -= 1
        if self._users > 0:
            return
        tasks = [task for task in (self._background, self._fetching) if task is not None]
        self._background = self._fetching = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def may_refetch(self) -> bool:
        """Whether an early fetch is under way or allowed now."""
        return self._fetching is not None or time.monotonic() - self._last_attempt >= self._min_refetch_s

    async def refetch(self) -> bool:
        """Fetch early if that is allowed, or join a fetch under way. True when keys came."""
        return await self._fetch_once() if self.may_refetch else False

    async def _refresh(self) -> None:
        ok = self.fetched
        while True:
            await asyncio.sleep(self.refresh_s if ok else self._retry_s)
            ok = await self._fetch_once()

    async def _fetch_once(self) -> bool:
        """One fetch at a time, whoever asks; a caller that is cancelled leaves it running for the others."""
        if self._fetching is None:
            self._last_attempt = time.monotonic()
            self._fetching = asyncio.get_running_loop().create_task(self._attempt(), name="jwks-fetch")
        task = self._fetching
        await asyncio.wait((task,))
        return not task.cancelled() and task.result()

    async def _attempt(self) -> bool:
        try:
            keys = from_jwks(await self._download())
        except Exception as error:  # whatever a foreign server makes of its answer, the keys in hand stay
            known = isinstance(error, JwksUnavailable | ValueError)
            reason = str(error) if known else type(error).__name__
            host = urlsplit(self.url).hostname
            log.warning("key set not fetched", host=host, reason=reason, keys_kept=len(self.keys.keys))
            return False
        else:
            if keys.identity != self.keys.identity:
                self.keys = keys
            self.fetched = True
            return True
        finally:
            self._fetching = None

    async def _download(self) -> object:
        import httpx  # slow to import, and only needed with a jwks_url

        if self._ssl is None:
            self._ssl = httpx.create_ssl_context()
        url = self.url
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                httpx.AsyncClient(
                    verify=self._ssl, timeout=self._timeout_s, headers={"accept-encoding": "identity"}
                ) as client,
            ):
                for _ in range(MAX_REDIRECTS + 1):
                    async with client.stream("GET", url) as response:
                        if not response.is_redirect:
                            return _decoded(await _body(response))
                        url = _same_origin(url, response.headers.get("location", ""))
        except TimeoutError as error:
            raise JwksUnavailable(f"no answer within {self._timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise JwksUnavailable(f"the fetch failed: {type(error).__name__}") from error
        raise JwksUnavailable(f"more than {MAX_REDIRECTS} redirects")


async def _body(response: httpx.Response) -> bytes:
    if response.status_code != 200:
        raise JwksUnavailable(f"status {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":  # a small body may hold a very large one
        raise JwksUnavailable("an encoded body, which was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise JwksUnavailable(f"more than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _decoded(body: bytes) -> object:
    try:
        document: object = json.loads(body)
    except ValueError as error:
        raise JwksUnavailable("not JSON") from error
    return document


def _same_origin(url: str, location: str) -> str:
    target = urljoin(url, location)
    if urlsplit(target)[:2] != urlsplit(url)[:2]:
        raise JwksUnavailable("a redirect to another origin")
    return target
