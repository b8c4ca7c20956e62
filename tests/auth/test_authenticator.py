from __future__ import annotations

from typing import Any

import pytest

from switchgear.auth.authenticator import ANONYMOUS, Authenticator
from switchgear.config.key_hash import KeyHash
from switchgear.config.schema import Auth, Config, Jwt, Key
from switchgear.config.values import Secret
from switchgear.errors import AuthenticationFailed

from .issuer import AUDIENCE, ISSUER, OTHER_RSA_KEY, RSA_KEY, SECRET, JwksServer, jwk, key_set, token

KEY = "sk-sg-abcdefghijklmnop"


def config(auth: Auth, *keys: str) -> Config:
    return Config(auth=auth, keys=[Key(name=f"key-{n}", value=KeyHash.of(key)) for n, key in enumerate(keys)])


def with_jwt(**changes: Any) -> Auth:
    settings: dict[str, Any] = {
        "algorithms": ["HS256"],
        "secret": Secret(SECRET),
        "issuer": ISSUER,
        "audience": AUDIENCE,
    }
    return Auth(jwt=Jwt(**(settings | changes)))


async def test_a_key_a_token_and_nothing() -> None:
    authenticator = Authenticator(config(with_jwt(), KEY, "a.key.with-two-dots"))
    await authenticator.start()
    names = [
        getattr(authenticator.authenticate(bearer), "name", None)
        for bearer in (KEY.encode(), token("HS256"), b"a.key.with-two-dots")
    ]
    assert names == ["key-0", "ada", "key-1"]
    for bearer, words in (
        (b"", "You didn't provide an API key."),
        (b"sk-sg-abcdefghijklmnoq", "Incorrect API key provided: sk-sg-ab****mnoq."),
        (b"a.b.c", "Invalid bearer token: it is malformed."),
        (b"a.b.c.d", "Incorrect API key provided: a.****."),
    ):
        with pytest.raises(AuthenticationFailed) as caught:
            authenticator.authenticate(bearer)
        assert str(caught.value).startswith(words)
    await authenticator.stop()


def test_without_jwt_a_token_is_an_unknown_key() -> None:
    with pytest.raises(AuthenticationFailed, match="Incorrect API key provided"):
        Authenticator(config(Auth(), KEY)).authenticate(token("HS256"))


def test_open_to_all() -> None:
    authenticator = Authenticator(config(Auth(mode="none"), KEY))
    assert authenticator.authenticate(b"") is ANONYMOUS
    assert authenticator.authenticate(b"anything") is ANONYMOUS
    assert ANONYMOUS.may_use("any-model")
    assert getattr(authenticator.authenticate(KEY.encode()), "name", None) == "key-0"


async def test_a_reload_takes_over_the_key_set() -> None:
    server = JwksServer()
    server.answer = key_set(jwk(RSA_KEY, "one"))
    await server.start()
    auth = with_jwt(algorithms=["RS256"], secret=None, jwks_url=server.url)
    old = Authenticator(config(auth))
    await old.start()
    new = Authenticator(config(auth, KEY), previous=old)
    await new.start()
    await old.stop()
    bearer = token(headers={"kid": "one"})
    assert getattr(new.authenticate(bearer), "name", None) == "ada"
    assert len(server.requests) == 1
    elsewhere = Authenticator(
        config(with_jwt(algorithms=["RS256"], secret=None, jwks_url=server.url + "2")), previous=new
    )
    await elsewhere.start()
    assert server.requests == ["/jwks", "/jwks2"]
    await elsewhere.stop()
    await new.stop()
    await server.stop()


async def test_only_an_unknown_signing_key_takes_the_slow_way() -> None:
    server = JwksServer()
    server.answer = b""  # down at the start
    await server.start()
    authenticator = Authenticator(config(with_jwt(algorithms=["RS256"], secret=None, jwks_url=server.url), KEY))
    assert authenticator.authenticate(token(headers={"kid": "one"})) is None  # not started, nothing fetched
    server.answer = key_set(jwk(RSA_KEY, "one"))
    principal = await authenticator.authenticate_slowly(token(headers={"kid": "one"}))
    assert principal.name == "ada"
    with pytest.raises(AuthenticationFailed):  # a fetch has just been made: no other for a while
        authenticator.authenticate(token(key=OTHER_RSA_KEY, headers={"kid": "two"}))
    with pytest.raises(AuthenticationFailed, match="Incorrect API key provided"):
        await authenticator.authenticate_slowly(b"sk-unknown-key-of-someone")
    assert len(server.requests) == 1
    await authenticator.stop()
    await server.stop()


def test_no_secret_in_the_repr() -> None:
    authenticator = Authenticator(config(with_jwt(), KEY))
    assert repr(authenticator) == "Authenticator(keys=1, jwt=True, open=False)"
