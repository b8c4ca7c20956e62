"""The configuration as structs: what may be written in the file, with defaults and units.

`Duration` is written `250ms`, `2s`, `5m`, `1h` or a number of seconds; `Size` is `64KiB`, `16MiB`, `1GiB` or bytes.
An unknown key or a wrong type is an error (`config.load`). Secrets are `Secret`, whose repr shows nothing; addresses,
which may hold a password, and headers are cut in a repr.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, field

from switchgear.config.key_hash import KeyHash
from switchgear.config.schema_limits import Budget, Estimates, Limit, Organization, Project, ScopedLimit, User
from switchgear.config.schema_prices import Ledger, Price, UnknownPrice
from switchgear.config.section import Section
from switchgear.config.values import Duration, Secret, Size

Positive = Annotated[int, Meta(ge=1)]
Weight = Annotated[float, Meta(ge=0)]
OutputTokens = Annotated[int, Meta(ge=16, le=10_000_000)]
MAX_OUTPUT_TOKENS = 16_384
Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Tls(Section, frozen=True):
    """Certificate chain and key of the gateway itself, PEM files."""

    certificate: str
    key: str
    key_password: Secret | None = None


class Drain(Section, frozen=True):
    """SIGTERM: readiness fails and answers say `connection: close` for `grace`; then no new connection is taken, and
    what is in flight may run until `deadline`."""

    grace: Duration = Duration(0.5)
    deadline: Duration = Duration(30.0)


class Cors(Section, frozen=True):
    """Cross-origin requests from browsers. `origins: ["*"]` allows every one."""

    origins: list[str] = []
    max_age: Duration = Duration(600.0)


class Server(Section, frozen=True):
    """The edge. body_limit caps a JSON body, upload_limit a multipart one held in memory or relayed (files);
    body_timeout is how long a client may take to send its body, and how long it may take nothing of its answer."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    workers: Positive = 1
    tls: Tls | None = None
    drain: Drain = Drain()
    cors: Cors = Cors()
    body_limit: Size = Size(16 * 1024 * 1024)
    upload_limit: Size = Size(512 * 1024 * 1024)
    body_timeout: Duration = Duration(60.0)
    max_in_flight: Positive = 10_000
    backlog: Positive = 2048


class State(Section, frozen=True):
    """Where workers share counters: `memory://` (one worker) or `redis://…`."""

    url: str = "memory://"


class Database(Section, frozen=True):
    url: str = "sqlite:///switchgear.db"


class Credential(Section, frozen=True):
    """One API key at a provider. `name` is what logs and metrics show. A plain string is the value."""

    shorthand = "value"

    value: Secret
    name: str = ""
    limits: tuple[Limit, ...] = ()


class PoolSettings(Section, frozen=True):
    """Connections to one provider, per worker."""

    max_connections: Positive = 1024
    max_waiters: Positive = 4096
    idle: Duration = Duration(60.0)
    max_age: Duration = Duration(600.0)


class ProviderTls(Section, frozen=True):
    """verify: false only for tests. ca: PEM bundle to trust in place of the system's. server_name:
    SNI and the name verified."""

    verify: bool = True
    ca: str | None = None
    server_name: str | None = None


class Provider(Section, frozen=True):
    """An upstream. type: a row of `providers.registry`. credentials: keys as strings or `{value, name}`.
    base_url: as the vendor's own SDK takes it (DESIGN §6); `simulator:` is the built-in simulator that `serve` starts.

    transport: `native` (the compiled client) or `httpx` (slower; proxies, SOCKS, HTTP/2). proxy: for `httpx`.
    responses: whether it has a Responses API of its own (`native`), gets chat in its place (`translated`), or is asked
    everything through it (`always`); by default as its type has it. headers: sent with every request.
    repair: put right what this type is known to mis-send and mis-take (docs/providers.md), where the bytes of client
    and provider would otherwise pass as they are.
    forward_headers: client headers passed on besides the built-in list.
    """

    type: str = "openai"
    base_url: str | None = None
    credentials: list[Credential] = []
    api_version: str | None = None
    responses: Literal["native", "translated", "always"] | None = None
    repair: bool = False
    transport: Literal["native", "httpx"] = "native"
    proxy: str | None = None
    http2: bool = False
    headers: dict[str, str] = {}
    forward_headers: list[str] = []
    models: list[str] = []
    pool: PoolSettings = PoolSettings()
    tls: ProviderTls = ProviderTls()


class TargetEntry(Section, frozen=True):
    """One target of a model. Lower tiers are tried first; within a tier the weight is the share."""

    provider: Name
    model: Name
    tier: Annotated[int, Meta(ge=0, le=100)] = 0
    weight: Weight = 1.0


class Timeouts(Section, frozen=True):
    """connect: TCP and TLS. first_token: request sent to first byte of the body. idle: between bytes of it. total: all
    attempts."""

    connect: Duration = Duration(5.0)
    first_token: Duration = Duration(60.0)
    idle: Duration = Duration(60.0)
    total: Duration = Duration(600.0)


class Retries(Section, frozen=True):
    """attempts and budget (time until the last attempt may start) for the whole request, failover included.

    backoff: first wait before the same target is tried again, doubled each time, at most `max_backoff`, and drawn
    uniformly from 0 to that ("full jitter").
    """

    attempts: Annotated[int, Meta(ge=1, le=20)] = 3
    budget: Duration = Duration(20.0)
    backoff: Duration = Duration(0.25)
    max_backoff: Duration = Duration(8.0)


class Breaker(Section, frozen=True):
    """A target that failed `failures` times in a row is left out for `open`, doubled with each further failure up to
    `max_open`."""

    failures: Positive = 5
    open: Duration = Duration(5.0)
    max_open: Duration = Duration(60.0)


class Routing(Section, frozen=True):
    objective: Literal["cost", "latency", "reliability", "fairness", "balanced"] | None = None
    policies: list[Any] | None = None


class Model(Section, frozen=True):
    """A name clients use and the targets that serve it.

    strict: a request of which a translation would drop a field is refused with that field's name.
    max_output_tokens: the longest answer that the model gives. So much is reserved of budgets for a request that
    names no maximum itself (docs/limits.md).
    """

    targets: Annotated[list[TargetEntry], Meta(min_length=1)]
    routing: Routing = Routing()
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    breaker: Breaker = Breaker()
    strict: bool = False
    max_output_tokens: OutputTokens = MAX_OUTPUT_TOKENS


class Defaults(Section, frozen=True):
    """What a model uses where it says nothing itself, field by field; also for models reached as `provider/model`."""

    routing: Routing = Routing()
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    breaker: Breaker = Breaker()
    max_output_tokens: OutputTokens = MAX_OUTPUT_TOKENS


class Key(Section, frozen=True, gc=False):
    """A virtual key. models: names or prefixes ending in `*`. project, user: ids of entries in those sections.

    There may be many: what equal ones have in common is one object (`Section.shared`), and none is looked at by the
    garbage collector, as nothing in it can refer back to it.
    """

    name: Name
    value: KeyHash
    project: str | None = None
    user: str | None = None
    models: tuple[str, ...] = ("*",)
    limits: tuple[Limit, ...] = ()
    budget: Budget | None = None


class Jwt(Section, frozen=True):
    """Bearer tokens as JWTs. Keys by `jwks_url` (fetched, cached) or inline: `secret` (HS*), `public_keys` (kid: PEM).

    leeway: clock skew allowed on exp, nbf and iat. refresh: age at which the key set is fetched again.
    models_claim: claim with the list of allowed models; a token without it may use `models`.
    organization_claim, project_claim, user_claim: claims with the id of a declared organization, project or user that
    the token's requests count to. Without `user_claim` the subject is the user, where one of that id is declared.
    """

    algorithms: list[Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]]
    issuer: str | None = None
    audience: str | list[str] | None = None
    jwks_url: str | None = None
    secret: Secret | None = None
    public_keys: dict[str, str] = {}
    leeway: Duration = Duration(30.0)
    refresh: Duration = Duration(300.0)
    subject_claim: str = "sub"
    models_claim: str = "models"
    organization_claim: str | None = None
    project_claim: str | None = None
    user_claim: str | None = None
    models: list[str] = field(default_factory=lambda: ["*"])


class Auth(Section, frozen=True):
    """mode `keys` (virtual keys, and JWTs if `jwt` is given) or `none`, which a non-loopback address takes only with
    `confirm_public`. A plain string is the mode."""

    shorthand = "mode"

    mode: Literal["keys", "none"] = "keys"
    jwt: Jwt | None = None
    confirm_public: bool = False


class Logging(Section, frozen=True):
    """level and the share of requests that get an access line (0: off, 1: all)."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    access: Annotated[float, Meta(ge=0, le=1)] = 0.0
    format: Literal["json", "console"] = "json"


class Config(Section, frozen=True):
    """The whole file.

    prices: by `provider/model`, in place of the catalogue's (docs/prices.md). price_catalogue: a file that `switchgear
    prices update` writes, in place of the catalogue that is built in. unknown_price: what is done with a model
    whose price is not known; None: refused where money is limited, else served and flagged.
    embedded_key: of a configuration built from the environment, without a file: its one key, to be shown to its owner.
    Not written in a file.
    """

    not_in_file: ClassVar[frozenset[str]] = frozenset({"embedded_key"})

    server: Server = Server()
    state: State = State()
    database: Database = Database()
    providers: dict[str, Provider] = {}
    models: dict[str, Model] = {}
    keys: list[Key] = []
    auth: Auth = Auth()
    default_provider: str | None = None
    defaults: Defaults = Defaults()
    logging: Logging = Logging()
    organizations: list[Organization] = []
    projects: list[Project] = []
    users: list[User] = []
    limits: list[ScopedLimit] = []
    estimates: Estimates = Estimates()
    prices: dict[str, Price | list[Price]] = {}
    price_catalogue: str | None = None
    unknown_price: Literal["refuse"] | UnknownPrice | None = None
    ledger: Ledger = Ledger()
    embedded_key: Secret | None = None
