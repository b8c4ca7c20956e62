"""Authentication end to end: virtual keys, JWTs checked against a key set behind a URL, and none."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

CHAT: dict[str, Any] = {"model": "sim", "messages": [{"role": "user", "content": "hi"}]}
Start = Callable[..., GatewayProcess]


class KeySetServer:
    """An issuer's `/jwks.json`. keys: what it serves now; fetches: how often it was asked."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.fetches = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.fetches += 1
                body = json.dumps({"keys": outer.keys}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def issuer() -> Iterator[KeySetServer]:
    server = KeySetServer()
    yield server
    server.stop()


class Signer:
    """A private key with its id, and tokens made with it."""

    def __init__(self, kid: str, algorithm: str):
        self.kid, self.algorithm = kid, algorithm
        self.key: Any = (
            ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else rsa.generate_private_key(65537, 2048)
        )

    @property
    def public(self) -> dict[str, Any]:
        """As the key set lists it."""
        kind: Any = jwt.algorithms.ECAlgorithm if self.algorithm == "ES256" else jwt.algorithms.RSAAlgorithm
        key: dict[str, Any] = kind.to_jwk(self.key.public_key(), as_dict=True)
        return {**key, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def token(self, **claims: Any) -> str:
        now = int(time.time())
        content = {
            "iss": "https://issuer.example",
            "aud": "gateway",
            "sub": "ann",
            "iat": now,
            "exp": now + 300,
            **claims,
        }
        content = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(content, self.key, self.algorithm, headers={"kid": self.kid})


async def ask(gateway: GatewayProcess, token: str | None, model: str = "sim", **headers: str) -> tuple[int, str | None]:
    """(status, error code)."""
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        answer = await client.post(f"{gateway.url}/chat/completions", json={**CHAT, "model": model}, headers=headers)
    return answer.status_code, answer.json().get("error", {}).get("code")


async def test_tokens_of_an_issuer(issuer: KeySetServer, sim: SimulatorProcess, start_gateway: Start) -> None:
    good, second, foreign = Signer("one", "RS256"), Signer("two", "ES256"), Signer("one", "RS256")
    issuer.keys = [good.public, second.public]
    settings = {
        "algorithms": ["RS256", "ES256"],
        "issuer": "https://issuer.example",
        "audience": "gateway",
        "jwks_url": issuer.url,
        "leeway": "1s",
    }
    gateway = start_gateway(basic_config(sim, auth={"jwt": settings}))
    for token in (good.token(), second.token(), KEY):
        assert await ask(gateway, token) == (200, None)
    now = int(time.time())
    unsigned = jwt.encode({"sub": "ann", "exp": now + 300}, "", "none")
    shared = jwt.encode({"sub": "ann", "exp": now + 300}, "x" * 64, "HS256", headers={"kid": "one"})
    for refused in (
        foreign.token(),
        good.token(exp=now - 60),
        good.token(exp=None),
        good.token(nbf=now + 600),
        good.token(iss="https://other.example"),
        good.token(aud="another"),
        unsigned,
        shared,
        good.token()[:-4] + "AAAA",
        "a.b.c",
        "..",
    ):
        assert await ask(gateway, refused) == (401, "invalid_api_key")
    assert await ask(gateway, good.token(models=["sim"])) == (200, None)
    assert await ask(gateway, good.token(models=["other-*"])) == (403, "model_not_allowed")
    assert issuer.fetches == 1
    assert good.token().split(".")[2] not in gateway.output


async def test_a_new_key_of_the_issuer(issuer: KeySetServer, sim: SimulatorProcess, start_gateway: Start) -> None:
    """A key set that was away at the start is asked for again when a token needs it."""
    signer = Signer("later", "ES256")
    issuer.keys = []
    gateway = start_gateway(
        basic_config(sim, auth={"jwt": {"algorithms": ["ES256"], "jwks_url": issuer.url, "refresh": "1s"}})
    )
    assert (await ask(gateway, signer.token()))[0] == 401
    issuer.keys = [signer.public]
    fetches = issuer.fetches
    while issuer.fetches < fetches + 2:  # one that began after the change has been answered
        assert (await ask(gateway, KEY))[0] == 200
    assert await ask(gateway, signer.token()) == (200, None)


async def test_keys_in_every_header(sim: SimulatorProcess, start_gateway: Start) -> None:
    gateway = start_gateway(basic_config(sim))
    assert await ask(gateway, None) == (401, None)
    assert await ask(gateway, None, **{"x-api-key": KEY}) == (200, None)
    assert await ask(gateway, None, **{"x-goog-api-key": KEY}) == (200, None)
    assert await ask(gateway, None, **{"api-key": KEY}) in ((200, None), (401, None))
    assert KEY not in json.dumps([record["headers"] for record in sim.requests()])


async def test_no_authentication(sim: SimulatorProcess, start_gateway: Start) -> None:
    """Everybody may; what they bring along never reaches the provider."""
    config = basic_config(sim, auth="none")
    del config["keys"]
    gateway = start_gateway(config)
    for token in (None, "sk-anything", "a.b.c"):
        assert await ask(gateway, token) == (200, None)
    assert {record["credential"] for record in sim.requests() if record["method"] == "POST"} == {
        "sk-upstream-sim-000000"
    }
    assert "sk-anything" not in json.dumps([record["headers"] for record in sim.requests()])
