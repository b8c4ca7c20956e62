"""Warnings, and what is right: the errors are in broken/."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from switchgear.config.load import load_with_warnings, loads
from switchgear.config.urls import is_loopback
from switchgear.errors import ConfigError

KEYS = '\nkeys: [{name: me, value: "0123456789abcdef"}]\n'
PROVIDERS = "\nproviders: {openai: {credentials: [abc]}}\n"


def warnings_of(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return [str(warning).replace(str(path), "c.yaml") for warning in load_with_warnings(path, environment={}).warnings]


def errors_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loads(text, environment={})
    return [f"{error.key}: {error.message}" for error in caught.value.errors]


def pem(key: PrivateKeyTypes) -> str:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()


def test_nothing_to_say_about_a_plain_file(tmp_path: Path) -> None:
    assert warnings_of(tmp_path, PROVIDERS + KEYS) == []


def test_insecure_upstreams(tmp_path: Path) -> None:
    text = """
providers:
  far:   {base_url: "http://10.0.0.1/v1", credentials: [abc]}
  near:  {base_url: "http://[::1]:8000/v1", credentials: [abc]}
  empty: {base_url: "http://10.0.0.1/v1"}
  blind: {base_url: "https://10.0.0.1/v1", tls: {verify: false}}
"""
    assert warnings_of(tmp_path, text + KEYS) == [
        "c.yaml:3: providers.far.base_url: plain http: the credentials cross the network unencrypted",
        "c.yaml:6: providers.blind.tls.verify: certificates are not verified: anyone on the way can read the "
        "credentials",
    ]


def test_models_of_keys(tmp_path: Path) -> None:
    text = (
        PROVIDERS
        + """
models: {smart: {targets: [{provider: openai, model: a}]}}
keys:
  - {name: right, value: 0123456789abcdefa, models: [smart, "sm*", "openai/gpt-*", "open*", "*"]}
  - {name: wrong, value: 0123456789abcdefb, models: [smrt, "x*", "gpt-*-mini"]}
  - {name: none,  value: 0123456789abcdefc, models: []}
"""
    )
    assert warnings_of(tmp_path, text) == [
        "c.yaml:7: keys[1].models[0]: no model of this configuration has this name",
        "c.yaml:7: keys[1].models[1]: no model of this configuration has this name",
        "c.yaml:7: keys[1].models[2]: a '*' stands for any ending only at the end; this allows nothing",
        "c.yaml:8: keys[2].models: an empty list allows no model at all; leave the key out, or write ['*'], to allow "
        "every one",
    ]


def test_a_jwt_for_anyone(tmp_path: Path) -> None:
    text = PROVIDERS + "auth: {jwt: {algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef}}"
    assert warnings_of(tmp_path, text) == [
        "c.yaml:3: auth.jwt.issuer: not set: a token made for something else is accepted, whatever its issuer",
        "c.yaml:3: auth.jwt.audience: not set: a token made for something else is accepted, whatever its audience",
    ]


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", rsa.generate_private_key(65537, 2048)),
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("ES384", ec.generate_private_key(ec.SECP384R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_public_keys_by_kind(algorithm: str, key: PrivateKeyTypes) -> None:
    indented = pem(key).replace("\n", "\n          ")
    text = (
        PROVIDERS
        + f"""
auth:
  jwt:
    algorithms: [{algorithm}]
    public_keys:
      main: |
          {indented}
"""
    )
    config = loads(text)
    assert config.auth.jwt is not None
    assert list(config.auth.jwt.public_keys) == ["main"]
    other = "RS512" if algorithm != "RS256" else "ES256"
    assert errors_of(text.replace(f"[{algorithm}]", f"[{algorithm}, {other}]")) == [
        f"auth.jwt.algorithms: expected a key for each algorithm, there is none for {other}"
    ]


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),  # noqa: S505 - too short, which is the point
        ec.generate_private_key(ec.SECP256K1()),
    ],
)
def test_weak_and_unknown_public_keys(key: PrivateKeyTypes) -> None:
    text = (
        PROVIDERS + "auth: {jwt: {algorithms: [RS256], public_keys: {main: " + repr(pem(key)).replace("'", '"') + "}}}"
    )
    assert errors_of(text) == [
        "auth.jwt.public_keys.main: expected an RSA key of 2048 bits or more, or one on P-256, P-384 or Ed25519"
    ]


def test_a_private_key_is_no_public_key() -> None:
    private = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    text = (
        PROVIDERS + "auth: {jwt: {algorithms: [EdDSA], public_keys: {main: " + repr(private.decode()).replace("'", '"')
    )
    assert errors_of(text + "}}}") == [
        "auth.jwt.public_keys.main: expected a public key in PEM form (-----BEGIN PUBLIC KEY-----)"
    ]


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_secrets_by_algorithm(algorithm: str, size: int) -> None:
    text = PROVIDERS + "auth: {jwt: {algorithms: [%s], secret: %s}}"
    loads(text % (algorithm, "s" * size))
    assert errors_of(text % (algorithm, "s" * (size - 1))) == [
        f"auth.jwt.secret: expected {size} bytes or more for {algorithm}, got {size - 1}"
    ]


def test_certificates(tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    for name, issued in (("leaf", leaf), ("other", other)):
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    (tmp_path / "junk.pem").write_text("junk")
    (tmp_path / "locked.key").write_bytes(
        serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"open"),
        )
    )
    assert x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).not_valid_after_utc > datetime.datetime.now(
        datetime.UTC
    )

    def text(certificate: str, key: str, more: str = "") -> str:
        files = f"certificate: {tmp_path}/{certificate}, key: {tmp_path}/{key}{more}"
        return f"server: {{tls: {{{files}}}}}" + PROVIDERS + KEYS

    unusable = "expected a PEM certificate chain and its private key (with key_password if encrypted)"
    loads(text("leaf.pem", "leaf.key"))
    loads(text("leaf.pem", "locked.key", ", key_password: open"))
    assert errors_of(text("leaf.pem", "locked.key")) == [f"server.tls: {unusable}"]
    assert errors_of(text("junk.pem", "leaf.key")) == [f"server.tls: {unusable}"]
    assert errors_of(text("leaf.pem", "other.key")) == [
        "server.tls.key: expected the private key of server.tls.certificate, got another one's"
    ]
    junk_ca = f"providers: {{openai: {{credentials: [abc], tls: {{ca: {tmp_path}/junk.pem}}}}}}"
    assert errors_of(junk_ca + KEYS) == ["providers.openai.tls.ca: expected a file of PEM certificates"]


@pytest.mark.parametrize(
    "url",
    [
        "memory://",
        "redis://127.0.0.1:6379/0",
        "rediss://u:p@db:6380/1?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://:pw@h1:26379,h2:26379/main",
        "redis+cluster://[::1]:7000,h2:7001",
    ],
)
def test_state_urls(url: str) -> None:
    assert loads(f'state: {{url: "{url}"}}' + PROVIDERS + KEYS).state.url == url


@pytest.mark.parametrize(
    "url", ["", "memory", "memory:///x", "redis://", "redis://h:x", "unix://run", "redis+sentinel://h1,,h2", "http://h"]
)
def test_bad_state_urls(url: str) -> None:
    (error,) = errors_of(f'state: {{url: "{url}"}}' + PROVIDERS + KEYS)
    assert error.startswith("state.url: expected ")


def test_many_workers_share_redis() -> None:
    assert loads("server: {workers: 4}\nstate: {url: 'redis://h'}" + PROVIDERS + KEYS).server.workers == 4


@pytest.mark.parametrize(
    ("server", "auth"),
    [
        ("{host: 127.0.0.1}", "none"),
        ("{host: localhost}", "none"),
        ("{host: '::1'}", "none"),
        ("{host: 0.0.0.0}", "{mode: none, confirm_public: true}"),
    ],
)
def test_where_everyone_may_enter(server: str, auth: str) -> None:
    assert loads(f"server: {server}\nauth: {auth}" + PROVIDERS).auth.mode == "none"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - compared, not bound
        ("::", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
