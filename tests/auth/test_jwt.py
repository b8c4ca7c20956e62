"""Tokens signed by real keys; what is wrong with each must be seen before it is let in."""

from __future__ import annotations

import base64
import json
import time
import traceback
from typing import Any

import jwt as pyjwt
import pytest

from switchgear.auth import jwt as verifier_module
from switchgear.auth.jwt import JwtVerifier
from switchgear.config.schema import Jwt
from switchgear.config.values import Duration, Secret
from switchgear.errors import AuthenticationFailed
from switchgear.types import Principal

from .issuer import AUDIENCE, EC384_KEY, EC_KEY, ED_KEY, ISSUER, OTHER_RSA_KEY, RSA_KEY, SECRET, claims, pem, token

PUBLIC: dict[str, Any] = {"RS256": RSA_KEY, "PS256": RSA_KEY, "ES256": EC_KEY, "ES384": EC384_KEY, "EdDSA": ED_KEY}


def settings(*algorithms: Any, **changes: Any) -> Jwt:
    if "HS256" in algorithms:
        changes.setdefault("secret", Secret(SECRET))
    else:
        changes.setdefault("public_keys", {"main": pem(PUBLIC[algorithms[0]])})
    fixed: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "leeway": Duration(10)}
    return Jwt(algorithms=list(algorithms), **(fixed | changes))


def refusal(verifier: JwtVerifier, text: bytes) -> str:
    with pytest.raises(AuthenticationFailed) as caught:
        verifier.authenticate(text)
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    shown = "".join(traceback.format_exception(caught.value))
    assert not any(part and part.decode("latin-1") in shown for part in text.split(b".") if len(part) > 8)
    return str(caught.value).removeprefix("Invalid bearer token: ")


def raw(header: dict[str, Any], payload: object, signature: bytes = b"x") -> bytes:
    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    return b".".join((part(json.dumps(header).encode()), part(json.dumps(payload).encode()), part(signature)))


@pytest.mark.parametrize("algorithm", ["HS256", *PUBLIC])
def test_each_algorithm_with_its_key(algorithm: str) -> None:
    verifier = JwtVerifier(settings(algorithm))
    good = token(algorithm)
    assert verifier.authenticate(good) == Principal(name="ada", kind="jwt")
    assert verifier.authenticate(good) == Principal(name="ada", kind="jwt")
    assert verifier.authenticate(token(algorithm, headers={"kid": "main"})).name == "ada"  # type: ignore[union-attr]  # a token that is refused would raise
    body, _, signature = good.rpartition(b".")
    decoded = base64.urlsafe_b64decode(signature + b"==")
    forged = base64.urlsafe_b64encode(decoded[:-1] + bytes([decoded[-1] ^ 1])).rstrip(b"=")
    assert refusal(verifier, body + b"." + forged) == "its signature does not match."


def test_a_key_of_somebody_else() -> None:
    assert refusal(JwtVerifier(settings("RS256")), token("RS256", OTHER_RSA_KEY)) == "its signature does not match."


def test_no_algorithm() -> None:
    verifier = JwtVerifier(settings("RS256"))
    for name in ("none", "None", "NONE", "", None, 1, ["RS256"]):
        assert (
            refusal(verifier, raw({"alg": name, "typ": "JWT"}, claims(), b"")) == "its algorithm is not accepted here."
        )
    unsigned = pyjwt.encode(claims(), "", "none").encode()
    assert refusal(verifier, unsigned) == "its algorithm is not accepted here."


def test_a_public_key_as_the_secret() -> None:
    import hashlib
    import hmac

    verifier = JwtVerifier(settings("RS256"))
    signed = raw({"alg": "HS256", "kid": "main"}, claims()).rpartition(b".")[0]
    mac = hmac.new(pem(RSA_KEY).encode(), signed, hashlib.sha256).digest()
    confused = signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")
    assert refusal(verifier, confused) == "its algorithm is not accepted here."


def test_an_algorithm_of_the_configuration_with_a_key_of_another_kind() -> None:
    keys = {"rsa": pem(RSA_KEY), "ec": pem(EC_KEY)}
    verifier = JwtVerifier(settings("RS256", "ES256", public_keys=keys))
    assert verifier.authenticate(token("RS256", headers={"kid": "rsa"})) is not None
    assert verifier.authenticate(token("ES256", headers={"kid": "ec"})) is not None
    assert verifier.authenticate(token("ES256")) is not None  # the only key of its kind
    unknown = "the key that signed it is not known here."
    assert refusal(verifier, token("RS256", headers={"kid": "ec"})) == unknown
    assert refusal(verifier, token("ES256", headers={"kid": "rsa"})) == unknown


@pytest.mark.parametrize(
    ("kid", "reason"),
    [
        ("other", "the key that signed it is not known here."),
        ("../../dev/null", "the key that signed it is not known here."),
        ("' OR 1=1 --", "the key that signed it is not known here."),
        ("k" * 257, "it is malformed."),
        (1, "it is malformed."),
        (["main"], "it is malformed."),
    ],
)
def test_key_ids_are_only_looked_up(kid: Any, reason: str) -> None:
    assert refusal(JwtVerifier(settings("RS256")), raw({"alg": "RS256", "kid": kid}, claims())) == reason


def test_which_key_is_not_guessed_when_there_are_two() -> None:
    verifier = JwtVerifier(settings("RS256", public_keys={"a": pem(RSA_KEY), "b": pem(OTHER_RSA_KEY)}))
    assert refusal(verifier, token("RS256")) == "the key that signed it is not known here."
    assert verifier.authenticate(token("RS256", headers={"kid": "a"})) is not None


def test_a_key_in_the_header_is_not_used() -> None:
    from .issuer import jwk

    verifier = JwtVerifier(settings("RS256"))
    brought = {"jwk": jwk(OTHER_RSA_KEY), "jku": "https://evil.example.com", "x5u": "https://evil.example.com"}
    assert refusal(verifier, token("RS256", OTHER_RSA_KEY, headers=brought)) == "its signature does not match."


@pytest.mark.parametrize("extra", [{"crit": ["b64"], "b64": False}, {"crit": ["exp"]}, {"crit": []}, {"b64": False}])
def test_critical_extensions(extra: dict[str, Any]) -> None:
    verifier = JwtVerifier(settings("RS256"))
    reason = refusal(verifier, raw({"alg": "RS256", **extra}, claims()))
    assert reason in ("it asks for an extension that is not supported (crit).", "it is malformed.")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": None}, "a required claim is missing (exp; aud and iss where they are checked)."),
        ({"iss": None}, "a required claim is missing (exp; aud and iss where they are checked)."),
        ({"aud": None}, "a required claim is missing (exp; aud and iss where they are checked)."),
        ({"exp": 0}, "it has expired."),
        ({"exp": -1}, "it has expired."),
        ({"exp": "tomorrow"}, "it is malformed."),
        ({"exp": True}, "it has expired."),
        ({"exp": 1e999}, "it is malformed."),
        ({"exp": 10**400}, "it is malformed."),
        ({"exp": [1]}, "it is malformed."),
        ({"nbf": int(time.time()) + 600}, "it is not valid yet."),
        ({"iat": int(time.time()) + 600}, "it is not valid yet."),
        ({"iss": "https://evil.example.com"}, "it is from another issuer."),
        ({"iss": ISSUER + "/"}, "it is from another issuer."),
        ({"iss": [ISSUER]}, "it is from another issuer."),
        ({"aud": "other"}, "it is for another audience."),
        ({"aud": ["other"]}, "it is for another audience."),
        ({"aud": [AUDIENCE, 1]}, "it is for another audience."),
        ({"sub": None}, "its claim sub must be a string of 1 to 256 characters."),
        ({"sub": ""}, "its claim sub must be a string of 1 to 256 characters."),
        ({"sub": "a\nb"}, "its claim sub must be a string of 1 to 256 characters."),
        ({"sub": "a" * 257}, "its claim sub must be a string of 1 to 256 characters."),
        ({"models": 1}, "its claim models must be a list of strings."),
        ({"models": [1]}, "its claim models must be a list of strings."),
    ],
)
def test_claims(changes: dict[str, Any], reason: str) -> None:
    assert refusal(JwtVerifier(settings("ES256")), signed(changes)) == reason


def signed(changes: dict[str, Any]) -> bytes:
    """Signed by hand: PyJWT refuses to encode some of the claims that somebody else may send."""
    all_claims = {name: value for name, value in (claims() | changes).items() if value is not None}
    return pyjwt.api_jws.encode(json.dumps(all_claims).encode(), EC_KEY, "ES256").encode()


def test_leeway() -> None:
    verifier = JwtVerifier(settings("ES256"))
    now = int(time.time())
    assert verifier.authenticate(token("ES256", exp=now - 5, nbf=now + 5, iat=now + 5)) is not None
    assert refusal(verifier, token("ES256", exp=now - 11)) == "it has expired."


@pytest.mark.parametrize(
    "text",
    [
        b"..",
        b"a.b.c",
        b"a.b",
        b"\xff\xfe.\x00.\x80",
        b".".join([base64.urlsafe_b64encode(b"[" * 3000)] * 2 + [b""]),
        b".".join([base64.urlsafe_b64encode(b"[]")] * 2 + [b""]),
        b".".join([base64.urlsafe_b64encode(b"null")] * 3),
        raw({"alg": "ES256"}, [1, 2]),
    ],
)
def test_malformed(text: bytes) -> None:
    reason = refusal(JwtVerifier(settings("ES256")), text)
    assert reason in ("it is malformed.", "its signature does not match.")


def test_a_long_token_is_refused_unread() -> None:
    verifier = JwtVerifier(settings("ES256"))
    assert refusal(verifier, token("ES256", more="m" * 8192)) == "it is longer than 8192 bytes."
    assert verifier.authenticate(token("ES256", more="m" * 5000)) is not None


@pytest.mark.parametrize(
    ("listed", "allowed", "refused"),
    [
        (None, ["default"], ["smart"]),
        (["smart", "gpt-*"], ["smart", "gpt-4.1"], ["default"]),
        ("smart gpt-*", ["smart", "gpt-4.1"], ["default"]),
        (["*"], ["anything"], []),
        ([], [], ["default"]),
    ],
)
def test_models_from_the_claim(listed: Any, allowed: list[str], refused: list[str]) -> None:
    verifier = JwtVerifier(settings("ES256", models=["default"]))
    principal = verifier.authenticate(token("ES256", models=listed))
    assert principal is not None
    assert [principal.may_use(model) for model in allowed + refused] == [True] * len(allowed) + [False] * len(refused)


def test_other_claims_for_subject_and_models() -> None:
    verifier = JwtVerifier(settings("ES256", subject_claim="email", models_claim="scope"))
    principal = verifier.authenticate(token("ES256", email="ada@example.com", scope="smart"))
    assert principal == Principal(name="ada@example.com", kind="jwt", models=frozenset({"smart"}))


def test_without_issuer_and_audience_they_do_not_matter() -> None:
    verifier = JwtVerifier(settings("ES256", issuer=None, audience=None))
    assert verifier.authenticate(token("ES256", iss="x", aud="y")) is not None
    assert verifier.authenticate(token("ES256", iss=None, aud=None)) is not None


def test_one_of_several_audiences() -> None:
    verifier = JwtVerifier(settings("ES256", audience=["a", "b"]))
    assert verifier.authenticate(token("ES256", aud=["b", "c"])) is not None
    assert refusal(verifier, token("ES256", aud="c")) == "it is for another audience."


def test_a_verified_token_is_remembered_until_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = JwtVerifier(settings("ES256"))
    good = token("ES256")
    assert verifier.authenticate(good) is verifier.authenticate(good)
    later = time.time() + 611
    monkeypatch.setattr(time, "time", lambda: later)
    assert refusal(verifier, good) == "it has expired."


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier_module, "CACHE_SIZE", 2)
    verifier = JwtVerifier(settings("HS256"))
    tokens = [token("HS256", sub=name) for name in "abc"]
    first = verifier.authenticate(tokens[0])
    second = verifier.authenticate(tokens[1])
    assert verifier.authenticate(tokens[0]) is first  # used last, so the second goes
    verifier.authenticate(tokens[2])
    assert verifier.authenticate(tokens[0]) is first
    assert verifier.authenticate(tokens[1]) is not second


def test_no_secret_in_the_repr() -> None:
    verifier = JwtVerifier(settings("HS256"))
    assert SECRET not in repr(verifier) + repr(vars(verifier)) + repr(verifier._keys().keys)
