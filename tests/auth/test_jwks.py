"""Key sets over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from switchgear.auth.jwks import MAX_BODY_BYTES, Jwks
from switchgear.auth.jwt import JwtVerifier
from switchgear.config.schema import Jwt
from switchgear.errors import AuthenticationFailed

from .issuer import AUDIENCE, EC_KEY, ED_KEY, ISSUER, OTHER_RSA_KEY, RSA_KEY, JwksServer, http, jwk, key_set, token

NEVER_S = 3600.0


@pytest.fixture
async def server() -> AsyncIterator[JwksServer]:
    server = JwksServer()
    server.answer = key_set(jwk(RSA_KEY, "one"))
    await server.start()
    yield server
    await server.stop()


def jwks_of(server: JwksServer, **changes: float) -> Jwks:
    return Jwks(server.url, **({"refresh_s": NEVER_S, "min_refetch_s": 0.0, "timeout_s": 5.0} | changes))


def verifier_of(jwks: Jwks, *algorithms: Any) -> JwtVerifier:
    names = list(algorithms) or ["RS256"]
    return JwtVerifier(Jwt(algorithms=names, issuer=ISSUER, audience=AUDIENCE, jwks_url=jwks.url), jwks)


async def test_keys_are_there_after_the_start(server: JwksServer) -> None:
    jwks = jwks_of(server)
    await jwks.acquire()
    verifier = verifier_of(jwks)
    assert verifier.authenticate(token(headers={"kid": "one"})) is not None
    assert verifier.authenticate(token()) is not None  # no id, one key
    assert server.requests == ["/jwks"]
    await jwks.release()


async def test_every_kind_of_key(server: JwksServer) -> None:
    server.answer = key_set(jwk(RSA_KEY, "r"), jwk(EC_KEY, "e"), jwk(ED_KEY, "d"))
    jwks = jwks_of(server)
    await jwks.acquire()
    verifier = verifier_of(jwks, "RS256", "PS256", "ES256", "EdDSA")
    for algorithm, kid in (("RS256", "r"), ("PS256", "r"), ("ES256", "e"), ("EdDSA", "d")):
        assert verifier.authenticate(token(algorithm, headers={"kid": kid})) is not None
    await jwks.release()


async def test_a_rotated_key_is_fetched_and_the_old_one_forgotten(server: JwksServer) -> None:
    jwks = jwks_of(server)
    await jwks.acquire()
    verifier = verifier_of(jwks)
    old = token(headers={"kid": "one"})
    assert verifier.authenticate(old) is not None
    server.answer = key_set(jwk(OTHER_RSA_KEY, "two"))
    new = token(key=OTHER_RSA_KEY, headers={"kid": "two"})
    assert verifier.authenticate(new) is None
    assert (await verifier.authenticate_slowly(new)).name == "ada"
    assert verifier.authenticate(new) is not None
    with pytest.raises(AuthenticationFailed, match="the key that signed it is not known here"):
        await verifier.authenticate_slowly(old)
    await jwks.release()


async def test_an_unchanged_set_keeps_what_was_verified(server: JwksServer) -> None:
    jwks = jwks_of(server)
    await jwks.acquire()
    verifier = verifier_of(jwks)
    good = token(headers={"kid": "one"})
    principal = verifier.authenticate(good)
    assert await jwks.refetch()
    assert verifier.authenticate(good) is principal
    await jwks.release()


async def test_unknown_ids_cause_one_fetch_in_a_while(server: JwksServer) -> None:
    jwks = jwks_of(server, min_refetch_s=NEVER_S)
    await jwks.acquire()
    verifier = verifier_of(jwks)
    for kid in ("x", "y", "z"):
        with pytest.raises(AuthenticationFailed, match="the key that signed it is not known here"):
            verifier.authenticate(token(headers={"kid": kid}))
    assert len(server.requests) == 1
    await jwks.release()


async def test_many_requests_share_one_fetch_and_one_that_leaves_does_not_end_it(server: JwksServer) -> None:
    jwks = jwks_of(server, min_refetch_s=0.0)
    await jwks.acquire()
    verifier = verifier_of(jwks)
    server.answer = key_set(jwk(OTHER_RSA_KEY, "two"))
    server.hold()
    server.asked.clear()
    new = token(key=OTHER_RSA_KEY, headers={"kid": "two"})
    waiting = [asyncio.create_task(verifier.authenticate_slowly(new)) for _ in range(20)]
    await server.asked.wait()
    waiting[0].cancel()
    server.open.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert {getattr(result, "name", None) for result in results[1:]} == {"ada"}
    assert len(server.requests) == 2
    await jwks.release()


def deep() -> bytes:
    return http(b'{"keys":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@pytest.mark.parametrize(
    "answer",
    [
        http(b"{}", "500 Internal Server Error"),
        http(b"", "404 Not Found"),
        http(b"<html>login</html>", "200 OK", "content-type: text/html"),
        http(b"[]"),
        http(b'{"keys": 1}'),
        http(b'{"keys": []}'),
        http(b'{"keys": [1, null, "a", {}]}'),
        http(json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]}).encode()),
        http(json.dumps({"keys": [jwk(RSA_KEY, "one", use="enc")]}).encode()),
        http(json.dumps({"keys": [jwk(RSA_KEY, "one", key_ops=["sign"])]}).encode()),
        http(json.dumps({"keys": [jwk(RSA_KEY, "one", alg="HS256")]}).encode()),
        http(json.dumps({"keys": [jwk(RSA_KEY, "one", key_ops=1)]}).encode()),
        http(json.dumps({"keys": [{"kty": "RSA", "n": "!", "e": 1}]}).encode()),
        http(json.dumps({"keys": [jwk(RSA_KEY, str(n)) for n in range(257)]}).encode()),
        http(b"\xff\xfe\x00"),
        http(gzip.compress(b"{}"), "200 OK", "content-encoding: gzip"),
        http(b" " * (MAX_BODY_BYTES + 1)),
        deep(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
        b"nonsense\r\n\r\n",
        b"",
        http(b"", "302 Found", "location: http://localhost/jwks"),
        http(b"", "302 Found", "location: https://evil.example.com/jwks"),
        http(b"", "302 Found", "location: file:///etc/passwd"),
        http(b"", "302 Found", "location: /jwks"),
        http(b"", "302 Found", "location: http://[bad"),
        http(b"", "302 Found"),
    ],
    ids=range(27),
)
async def test_a_failed_fetch_keeps_the_keys(server: JwksServer, answer: bytes) -> None:
    jwks = jwks_of(server)
    await jwks.acquire()
    verifier = verifier_of(jwks)
    server.answer = answer
    assert await jwks.refetch() is False
    assert verifier.authenticate(token(headers={"kid": "one"})) is not None
    with pytest.raises(AuthenticationFailed):
        await verifier.authenticate_slowly(token(headers={"kid": "two"}))
    await jwks.release()


async def test_a_slow_answer_is_given_up(server: JwksServer) -> None:
    jwks = jwks_of(server, timeout_s=0.05)
    server.hold()
    await jwks.acquire()
    assert (jwks.fetched, jwks.keys.keys) == (False, ())
    server.open.set()
    await jwks.release()


async def test_a_redirect_within_the_origin_is_followed(server: JwksServer) -> None:
    good = key_set(jwk(RSA_KEY, "one"))
    server.answer = lambda path: good if path == "/keys" else http(b"", "302 Found", "location: /keys")
    jwks = jwks_of(server)
    await jwks.acquire()
    assert (jwks.fetched, server.requests) == (True, ["/jwks", "/keys"])
    await jwks.release()


async def test_an_issuer_that_is_down_at_the_start_is_tried_again(server: JwksServer) -> None:
    answers = iter([http(b"", "503 Service Unavailable"), http(b"", "503 Service Unavailable")])
    good, done = key_set(jwk(RSA_KEY, "one")), asyncio.Event()

    def answer(_path: str) -> bytes:
        failed = next(answers, None)
        if failed is None:
            done.set()
        return failed or good

    server.answer = answer
    jwks = jwks_of(server, retry_s=0.01)
    await jwks.acquire()
    assert jwks.fetched is False
    await asyncio.wait_for(done.wait(), 10)
    await jwks.refetch()
    assert verifier_of(jwks).authenticate(token(headers={"kid": "one"})) is not None
    await jwks.release()


async def test_the_set_is_fetched_again_when_it_is_due(server: JwksServer) -> None:
    jwks = jwks_of(server, refresh_s=0.01)
    await jwks.acquire()
    for _ in range(3):
        server.asked.clear()
        await asyncio.wait_for(server.asked.wait(), 10)
    await jwks.release()


async def test_the_last_user_ends_the_background_work(server: JwksServer) -> None:
    jwks = jwks_of(server)
    await jwks.acquire()
    await jwks.acquire()
    names = {"jwks-refresh", "jwks-fetch"}
    await jwks.release()
    assert {task.get_name() for task in asyncio.all_tasks()} & names == {"jwks-refresh"}
    server.hold()
    server.asked.clear()
    waiting = asyncio.create_task(jwks.refetch())
    await server.asked.wait()
    await jwks.release()
    assert await waiting is False
    assert {task.get_name() for task in asyncio.all_tasks()} & names == set()


async def test_a_start_that_is_cancelled_leaves_nothing(server: JwksServer) -> None:
    jwks = jwks_of(server)
    server.hold()
    starting = asyncio.create_task(jwks.acquire())
    await server.asked.wait()
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    server.open.set()
    await jwks.acquire()
    assert jwks.fetched
    await jwks.release()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("jwks")]
