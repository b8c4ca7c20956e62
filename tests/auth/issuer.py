"""An issuer of tokens: keys of each kind, the tokens they sign, and a real HTTP server with their JWK set."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://issuer.example.com", "switchgear"
RSA_KEY, OTHER_RSA_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))
EC_KEY, EC384_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
SECRET = "s3cret-" * 10
PRIVATE: dict[str, Any] = {
    "HS256": SECRET,
    "RS256": RSA_KEY,
    "PS256": RSA_KEY,
    "ES256": EC_KEY,
    "ES384": EC384_KEY,
    "EdDSA": ED_KEY,
}


def pem(key: PrivateKeyTypes) -> str:
    """The public half."""
    public = cast(Any, key).public_key()
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return cast(bytes, public.public_bytes(serialization.Encoding.PEM, kind)).decode()


def jwk(key: PrivateKeyTypes, kid: str | None = None, **fields: Any) -> dict[str, Any]:
    """The public half as a JWK."""
    public = cast(Any, key).public_key()
    maker: Any = OKPAlgorithm
    if isinstance(key, rsa.RSAPrivateKey):
        maker = RSAAlgorithm
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        maker = ECAlgorithm
    named = {} if kid is None else {"kid": kid}
    return {**json.loads(maker.to_jwk(public)), "use": "sig", **named, **fields}


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that pass; a change to None leaves that claim out."""
    now = int(time.time())
    all_claims = {"sub": "ada", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600} | changes
    return {name: value for name, value in all_claims.items() if value is not None}


def token(algorithm: str = "RS256", key: Any = None, headers: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """A signed token, by the key of its algorithm unless another is given."""
    key = PRIVATE[algorithm] if key is None else key
    return jwt.encode(claims(**changes), key, algorithm, headers=headers).encode()


Answer = Callable[[str], bytes]


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def key_set(*keys: dict[str, Any]) -> bytes:
    """A good answer."""
    return http(json.dumps({"keys": keys}).encode(), "200 OK", "content-type: application/json")


class JwksServer:
    """Serves `answer` (bytes as they go out, or a function of the path) and counts; `hold` keeps answers back."""

    def __init__(self) -> None:
        self.answer: bytes | Answer = b""
        self.requests: list[str] = []
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self._handlers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.origin = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.url = f"{self.origin}/jwks"

    async def stop(self) -> None:
        self.open.set()
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    def hold(self) -> None:
        self.open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._handlers.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            self.requests.append(path)
            self.asked.set()
            await self.open.wait()
            writer.write(self.answer if isinstance(self.answer, bytes) else self.answer(path))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._handlers.discard(task)
            writer.close()
