"""Keys and tokens: who may come in, and whether what proves it is strong enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from switchgear.config.document import Path
from switchgear.config.report import Report
from switchgear.config.schema import Config, Jwt
from switchgear.config.urls import is_loopback, split_url

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

MIN_RSA_BITS = 2048  # RFC 7518 §3.3
# RFC 7518 §3.2: a key of at least the size of the hash.
MIN_SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}

# Kinds of public key (as `_kind` tells them) by the algorithms they can verify, RFC 7518 §3.1 and RFC 8037 §3.1.
ALGORITHMS_OF_KIND = {
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256"}),
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "Ed25519": frozenset({"EdDSA"}),
}


def validate_auth(config: Config, report: Report) -> None:
    """Check `auth`, `auth.jwt` and `keys`."""
    _mode(config, report)
    _keys(config, report)
    if config.auth.jwt is not None:
        _jwt(config.auth.jwt, report)


def _mode(config: Config, report: Report) -> None:
    auth = config.auth
    if auth.mode == "none" and not auth.confirm_public and not is_loopback(config.server.host):
        report.error(
            ("auth",),
            "`none` lets everyone who reaches server.host spend the credentials: listen on 127.0.0.1, declare keys, "
            "or set auth: {mode: none, confirm_public: true}",
        )
    if auth.mode == "keys" and not config.keys and auth.jwt is None:
        report.error(
            ("keys",),
            "expected at least one key, or auth.jwt: nobody could use the gateway. Add "
            'keys: [{name: me, value: "${SWITCHGEAR_KEY}"}], or auth: none for a gateway on 127.0.0.1',
        )


def _keys(config: Config, report: Report) -> None:
    by_name: dict[str, int] = {}
    by_digest: dict[bytes, int] = {}
    for n, key in enumerate(config.keys):
        path: Path = ("keys", n)
        first = by_name.setdefault(key.name, n)
        if first != n:
            report.error((*path, "name"), f"expected each name once, keys[{first}] is called the same")
        same = by_digest.setdefault(key.value.digest, n)
        if same != n:
            report.error((*path, "value"), f"expected each value once, keys[{same}] has the same")
        if key.value.flaw:
            report.error((*path, "value"), key.value.flaw)
        elif config.auth.jwt is not None and key.value.dotted:
            report.warn((*path, "value"), "looks like a JWT (two dots); it is tried as a key first")
        _key_models(key.models, config, (*path, "models"), report)


def _key_models(models: Sequence[str], config: Config, path: Path, report: Report) -> None:
    if not models:
        report.warn(path, "an empty list allows no model at all; leave the key out, or write ['*'], to allow every one")
    for n, model in enumerate(models):
        if "*" in model.removesuffix("*"):
            report.warn((*path, n), "a '*' stands for any ending only at the end; this allows nothing")
        elif not _may_exist(model, config):
            report.warn((*path, n), "no model of this configuration has this name")


def _may_exist(model: str, config: Config) -> bool:
    """Without `models`, any name may be a provider's own; else it is declared or begins with `provider/`."""
    if not config.models or model.partition("/")[0] in config.providers:
        return True
    if model.endswith("*"):
        prefix = model[:-1]
        providers = any(f"{name}/".startswith(prefix) for name in config.providers)
        return providers or any(name.startswith(prefix) for name in config.models)
    return model in config.models


def _jwt(jwt: Jwt, report: Report) -> None:
    path: Path = ("auth", "jwt")
    if not jwt.algorithms:
        report.error((*path, "algorithms"), "expected at least one algorithm")
        return
    symmetric: list[str] = [name for name in jwt.algorithms if name in MIN_SECRET_BYTES]
    asymmetric: list[str] = [name for name in jwt.algorithms if name not in MIN_SECRET_BYTES]
    if symmetric and asymmetric:
        report.error(
            (*path, "algorithms"),
            f"expected HS* or public-key algorithms, not both: with both, a token could be signed with a public key as "
            f"the secret (got {', '.join(jwt.algorithms)})",
        )
        return
    if symmetric:
        _secret(jwt, symmetric, path, report)
    else:
        _public(jwt, asymmetric, path, report)
    for claim, given in (("issuer", jwt.issuer), ("audience", jwt.audience)):
        if not given:
            report.warn((*path, claim), f"not set: a token made for something else is accepted, whatever its {claim}")
    for setting in ("subject_claim", "models_claim", "organization_claim", "project_claim", "user_claim"):
        if getattr(jwt, setting) == "":
            report.error((*path, setting), "expected the name of a claim")
    if jwt.jwks_url is not None and jwt.refresh < 1:
        report.error((*path, "refresh"), "expected 1s or more")


def _secret(jwt: Jwt, algorithms: list[str], path: Path, report: Report) -> None:
    why = f"{', '.join(algorithms)} is verified with a shared secret"
    for setting in ("jwks_url", "public_keys"):
        if getattr(jwt, setting):
            report.error((*path, setting), f"expected `secret` alone: {why}")
    if jwt.secret is None:
        report.error(path, f"expected the key 'secret': {why}")
        return
    needed = max(MIN_SECRET_BYTES[name] for name in algorithms)
    size = len(jwt.secret.reveal().encode())
    if size < needed:
        report.error((*path, "secret"), f"expected {needed} bytes or more for {', '.join(algorithms)}, got {size}")


def _public(jwt: Jwt, algorithms: list[str], path: Path, report: Report) -> None:
    wanted = f"expected `jwks_url` or `public_keys`: {', '.join(algorithms)} is verified with a public key"
    if jwt.secret is not None:
        report.error((*path, "secret"), wanted)
    if jwt.jwks_url and jwt.public_keys:
        report.error((*path, "public_keys"), "expected one source of keys, got `jwks_url` as well")
    if not jwt.jwks_url and not jwt.public_keys:
        report.error(path, wanted)
    if jwt.jwks_url is not None:
        _jwks_url(jwt.jwks_url, (*path, "jwks_url"), report)
    if jwt.public_keys:
        _public_keys(jwt, algorithms, (*path, "public_keys"), report)


def _jwks_url(url: str, path: Path, report: Report) -> None:
    parts = split_url(url)
    if parts is None or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        report.error(path, "expected a URL such as https://issuer.example.com/.well-known/jwks.json")
    elif parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        report.error(path, "expected https: who can change the key set on its way can sign tokens")


def _public_keys(jwt: Jwt, algorithms: list[str], path: Path, report: Report) -> None:
    usable: set[str] = set()
    for kid, pem in jwt.public_keys.items():
        key = parse_public_key(pem)
        if key is None:
            report.error((*path, kid), "expected a public key in PEM form (-----BEGIN PUBLIC KEY-----)")
            continue
        kind = kind_of(key)
        if kind is None:
            what = f"an RSA key of {MIN_RSA_BITS} bits or more, or one on P-256, P-384 or Ed25519"
            report.error((*path, kid), f"expected {what}")
            continue
        fitting = ALGORITHMS_OF_KIND[kind].intersection(algorithms)
        if not fitting:
            report.error((*path, kid), f"expected a key for one of {', '.join(algorithms)}, got one of kind {kind}")
        usable |= fitting
    missing = [name for name in algorithms if name not in usable]
    if missing and usable:
        unserved = ", ".join(missing)
        report.error((*path[:-1], "algorithms"), f"expected a key for each algorithm, there is none for {unserved}")


def parse_public_key(pem: str) -> PublicKeyTypes | None:
    """The public key in a PEM text; None when there is none (a private key is none: it has no place here)."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def kind_of(key: object) -> str | None:
    """`RSA`, `P-256`, `P-384` or `Ed25519`; None for any other key and for an RSA key that is too short."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, rsa.RSAPublicKey):
        return "RSA" if key.key_size >= MIN_RSA_BITS else None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "P-256", "secp384r1": "P-384"}.get(key.curve.name)
    return "Ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else None
