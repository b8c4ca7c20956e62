"""What types cannot say about a configuration: that names refer to something, that settings fit together.

Each function checks one section and reports to `Report`; `validate_auth` holds what concerns keys and tokens,
`validate_limits` limits, budgets and their owners, `validate_prices` prices and the ledger.
An address may hold a password, so a message about one never repeats it.
"""

from __future__ import annotations

import re
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from switchgear.config.document import Path, dotted
from switchgear.config.report import Report
from switchgear.config.schema import Breaker, Config, Cors, Model, Provider, Retries, Server, Timeouts, Tls
from switchgear.config.suggest import did_you_mean
from switchgear.config.urls import is_loopback, split_url
from switchgear.config.validate_auth import validate_auth
from switchgear.config.validate_limits import validate_limits
from switchgear.config.validate_prices import validate_prices

SIMULATOR_URL = "simulator:"

_STATE_SCHEMES = (
    "redis",
    "rediss",
    "unix",
    *(f"{scheme}+{kind}" for scheme in ("redis", "rediss") for kind in ("sentinel", "cluster")),
)
_PROVIDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 §5.5
_CREDENTIAL = re.compile(r"[\x21-\x7e]+")
# What the gateway itself writes on an upstream request, or must never hand on.
_OWN_HEADERS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect")
)
_SECRET_HEADERS = frozenset(
    ("authorization", "cookie", "proxy-authorization", "x-api-key", "x-goog-api-key", "api-key")
)
_UNUSED = "read, but not used by this version: tiers and weights decide"


class ProviderRow(Protocol):
    """What validation needs to know of a provider type: its public address, None where each user has one of its own."""

    @property
    def base_url(self) -> str | None: ...


def validate(config: Config, report: Report, known_types: Mapping[str, ProviderRow] | None = None) -> None:
    """Check a whole configuration. known_types: provider types by name; without it they are not checked."""
    _server(config.server, report)
    _state(config, report)
    _database(config, report)
    if not config.providers:
        report.error(("providers",), "expected at least one provider, as in providers: {openai: {credentials: [KEY]}}")
    for name, provider in config.providers.items():
        _provider(name, provider, report, known_types)
    if config.default_provider is not None and config.default_provider not in config.providers:
        report.error(("default_provider",), _expected_provider(config.default_provider, config))
    for section in ("timeouts", "retries", "breaker"):
        _PACE[section](getattr(config.defaults, section), ("defaults", section), report)
    _policies(config.defaults.routing.policies, ("defaults", "routing"), report)
    for name, model in config.models.items():
        _model(name, model, config, report)
    if config.defaults.routing.objective is not None:
        report.warn(("defaults", "routing", "objective"), _UNUSED)
    validate_auth(config, report)
    validate_limits(config, report)
    validate_prices(config, report, known_types)


def _server(server: Server, report: Report) -> None:
    path: Path = ("server",)
    if not server.host.strip() or re.search(r"[\s/]", server.host):
        report.error((*path, "host"), "expected an address or host name such as 127.0.0.1 or 0.0.0.0")
    if server.tls is not None:
        _server_tls(server.tls, (*path, "tls"), report)
    if server.drain.deadline < server.drain.grace:
        report.error((*path, "drain", "deadline"), "expected no less than drain.grace")
    for name in ("body_limit", "upload_limit", "body_timeout"):
        if getattr(server, name) == 0:
            report.error((*path, name), "expected more than 0")
    _cors(server.cors, (*path, "cors", "origins"), report)


def _server_tls(tls: Tls, path: Path, report: Report) -> None:
    readable = [_readable(getattr(tls, name), (*path, name), report) for name in ("certificate", "key")]
    if not all(readable):
        return
    password = tls.key_password.reveal() if tls.key_password else ""  # "" so that OpenSSL does not ask on the terminal
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, lambda: password)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None)
        if reason == "KEY_VALUES_MISMATCH":
            report.error((*path, "key"), "expected the private key of server.tls.certificate, got another one's")
        else:
            report.error(path, "expected a PEM certificate chain and its private key (with key_password if encrypted)")


def _readable(name: str, path: Path, report: Report) -> bool:
    try:
        with open(name, "rb"):
            return True
    except (OSError, ValueError) as error:
        report.error(path, f"expected a readable file: {getattr(error, 'strerror', None) or 'not a file name'}")
        return False


def _cors(cors: Cors, path: Path, report: Report) -> None:
    if "*" in cors.origins and len(cors.origins) > 1:
        report.error(path, "expected '*' alone, or a list of origins without it")
    for n, origin in enumerate(cors.origins):
        parts = split_url(origin)
        plain = parts is not None and parts.scheme in ("http", "https") and origin == f"{parts.scheme}://{parts.netloc}"
        if origin != "*" and not (plain and "@" not in origin):
            report.error((*path, n), "expected an origin such as https://app.example.com, without a path")


def _state(config: Config, report: Report) -> None:
    path = ("state", "url")
    url = config.state.url
    if url == "memory://":
        if config.server.workers > 1:
            report.error(
                ("server", "workers"),
                f"{config.server.workers} workers cannot share memory://: set state.url to redis://HOST:6379/0, "
                "or workers to 1",
            )
        return
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _STATE_SCHEMES:
        report.error(path, f"expected memory://, or a URL with one of the schemes {', '.join(_STATE_SCHEMES)}")
    elif scheme == "unix":
        if not rest.partition("?")[0].rpartition("@")[2].startswith("/"):
            report.error(path, "expected unix:///path/to/redis.sock")
    elif "+" in scheme:  # a list of nodes: host:port,host:port
        authority = rest.partition("/")[0].rpartition("@")[2]
        if not all(split_url(f"{scheme}://{node}") for node in authority.split(",")):
            report.error(path, f"expected {scheme}://HOST:PORT,HOST:PORT")
    elif split_url(url) is None:
        report.error(path, f"expected {scheme}://HOST:PORT/DATABASE")


def _database(config: Config, report: Report) -> None:
    scheme, separator, rest = config.database.url.partition("://")
    kind = scheme.partition("+")[0]
    known = kind in ("sqlite", "postgresql", "postgres")
    if not separator or not known or (kind == "sqlite" and rest[:1] not in ("", "/")):
        report.error(("database", "url"), "expected sqlite:///FILE or postgresql://USER@HOST/DATABASE")


def _provider(name: str, provider: Provider, report: Report, known: Mapping[str, ProviderRow] | None) -> None:
    path: Path = ("providers", name)
    if not _PROVIDER_NAME.fullmatch(name):
        report.error(path, "expected a name of at most 64 letters, digits, '.', '_' and '-'")
    if known is not None and provider.type not in known:
        hint = did_you_mean(provider.type, known)
        report.error((*path, "type"), f"expected one of {', '.join(sorted(known))}{hint}")
    elif known is not None and provider.base_url is None and known[provider.type].base_url is None:
        report.error(path, f"expected the key 'base_url': type {provider.type} has no public address of its own")
    if provider.base_url is not None and provider.base_url != SIMULATOR_URL:
        _base_url(provider, (*path, "base_url"), report)
    _credentials(provider, (*path, "credentials"), report)
    _headers(provider, path, report)
    if provider.transport == "native":
        for setting in ("proxy", "http2"):
            if getattr(provider, setting):
                report.error((*path, setting), "expected `transport: httpx` beside it: the native client has none")
    if provider.proxy is not None:
        parts = split_url(provider.proxy)
        if parts is None or parts.scheme not in ("http", "https", "socks5", "socks5h"):
            report.error((*path, "proxy"), "expected a URL with one of the schemes http, https, socks5, socks5h")
    for n, model in enumerate(provider.models):
        if not model:
            report.error((*path, "models", n), "expected a model's name, got an empty string")
    _provider_tls(provider, (*path, "tls"), report)


def _base_url(provider: Provider, path: Path, report: Report) -> None:
    parts = split_url(provider.base_url or "")
    if parts is None or parts.scheme not in ("http", "https"):
        report.error(path, "expected a URL such as https://api.example.com/v1")
        return
    for present, what in (
        ("@" in parts.netloc, "user name or password: use credentials"),
        (parts.query or "?" in (provider.base_url or ""), "query"),
        (parts.fragment or "#" in (provider.base_url or ""), "fragment"),
    ):
        if present:
            report.error(path, f"expected a URL without a {what}")
    if parts.scheme == "http" and provider.credentials and not is_loopback(parts.hostname or ""):
        report.warn(path, "plain http: the credentials cross the network unencrypted")


def _credentials(provider: Provider, path: Path, report: Report) -> None:
    names = Counter(credential.name for credential in provider.credentials if credential.name)
    values = set()
    for n, credential in enumerate(provider.credentials):
        if not _CREDENTIAL.fullmatch(credential.value):
            what = "an empty string" if not credential.value else "spaces, line ends or non-ASCII characters"
            report.error((*path, n), f"expected a key of visible ASCII characters, got {what}")
        elif credential.value in values:
            report.error((*path, n), "expected each key once, got the same value twice")
        values.add(credential.value)
        if names[credential.name] > 1:
            report.error((*path, n, "name"), f"expected each name once, got '{credential.name}' again")


def _headers(provider: Provider, path: Path, report: Report) -> None:
    for name, value in provider.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            report.error((*path, "headers"), "expected header names of letters, digits and '-'")
        elif name.lower() in _OWN_HEADERS:
            report.error((*path, "headers", name), "expected another header: the gateway writes this one itself")
        elif not _HEADER_VALUE.fullmatch(value):
            report.error((*path, "headers", name), "expected a value without line ends and control characters")
    for n, name in enumerate(provider.forward_headers):
        if not _HEADER_NAME.fullmatch(name):
            report.error((*path, "forward_headers", n), "expected a header's name")
        elif name.lower() in _OWN_HEADERS:
            report.error((*path, "forward_headers", n), "expected another header: the gateway writes this one itself")
        elif name.lower() in _SECRET_HEADERS:
            report.error(
                (*path, "forward_headers", n),
                "expected another header: this one would hand the caller's secret to the provider",
            )


def _provider_tls(provider: Provider, path: Path, report: Report) -> None:
    if not provider.tls.verify:
        report.warn((*path, "verify"), "certificates are not verified: anyone on the way can read the credentials")
    ca = provider.tls.ca
    if ca is not None and _readable(ca, (*path, "ca"), report):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=ca)
        except (OSError, ValueError):
            report.error((*path, "ca"), "expected a file of PEM certificates")


def _model(name: str, model: Model, config: Config, report: Report) -> None:
    path: Path = ("models", name)
    if not name or len(name) > 256 or not name.isprintable() or name != name.strip():
        report.error(path, "expected a name of 1 to 256 printable characters")
    seen: dict[tuple[str, str], int] = {}
    tiers: dict[int, float] = {}
    for n, target in enumerate(model.targets):
        place = (*path, "targets", n)
        if target.provider not in config.providers:
            report.error((*place, "provider"), _expected_provider(target.provider, config))
        first = seen.setdefault((target.provider, target.model), n)
        if first != n:
            report.error(place, f"expected each target once, this is the same as {dotted((*path, 'targets', first))}")
        tiers[target.tier] = tiers.get(target.tier, 0.0) + target.weight
    for tier, weight in tiers.items():
        if weight == 0:
            report.error((*path, "targets"), f"expected a weight above 0 in tier {tier}: all of its targets have 0")
    for section, check in _PACE.items():
        check(getattr(model, section), (*path, section), report)
    _policies(model.routing.policies, (*path, "routing"), report)
    if model.routing.objective is not None and report.written((*path, "routing")):
        report.warn((*path, "routing", "objective"), _UNUSED)


def _policies(policies: object, path: Path, report: Report) -> None:
    if policies is not None:
        report.warn((*path, "policies"), _UNUSED)


def _timeouts(timeouts: Timeouts, path: Path, report: Report) -> None:
    for phase in timeouts.__struct_fields__:
        if getattr(timeouts, phase) == 0:
            report.error((*path, phase), "expected more than 0")
    for phase in ("connect", "first_token", "idle"):
        # A default that is longer than a written `total` is cut by it; only what somebody wrote contradicts itself.
        both = report.written((*path, phase)) and report.written((*path, "total"))
        if both and getattr(timeouts, phase) > timeouts.total:
            longer = f"got {getattr(timeouts, phase):g} s"
            report.error((*path, phase), f"expected no more than total ({timeouts.total:g} s), {longer}")


def _retries(retries: Retries, path: Path, report: Report) -> None:
    both = report.written((*path, "backoff")) and report.written((*path, "max_backoff"))
    if both and retries.backoff > retries.max_backoff:
        report.error((*path, "backoff"), f"expected no more than max_backoff ({retries.max_backoff:g} s)")


def _breaker(breaker: Breaker, path: Path, report: Report) -> None:
    both = report.written((*path, "open")) and report.written((*path, "max_open"))
    if both and breaker.open > breaker.max_open:
        report.error((*path, "open"), f"expected no more than max_open ({breaker.max_open:g} s)")


_PACE: dict[str, Callable[[Any, Path, Report], None]] = {
    "timeouts": _timeouts,
    "retries": _retries,
    "breaker": _breaker,
}


def _expected_provider(name: str, config: Config) -> str:
    names = ", ".join(list(config.providers)[:20])
    if not names:
        return "expected a provider's name, and there is none"
    return f"expected the name of a provider: {names}{did_you_mean(name, config.providers)}"
