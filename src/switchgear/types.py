"""What every layer shares: endpoints, principals, targets, decisions, usage, and the context of one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import quote

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from switchgear.hotpath._peek import Request as Peeked

Headers = list[tuple[bytes, bytes]]
Dialect = Literal["openai", "anthropic", "gemini"]
StreamForm = Literal["chat", "responses", "anthropic", "gemini", "opaque"]
ClientWire = Literal["", "chat", "completions", "responses", "anthropic", "gemini"]
Task = Literal["relay", "conversation", "embeddings", "count"]
BodyKind = Literal["none", "json", "multipart", "stream"]
ServiceTier = Literal["", "batch", "priority", "flex", "fast"]
SERVICE_TIERS: dict[str, ServiceTier] = {"batch": "batch", "priority": "priority", "flex": "flex", "fast": "fast"}
"""Those with prices of their own, by the words of the vendors; any other word is the usual tier, ""."""


class Endpoint(Struct, frozen=True):
    """One client endpoint: what its body is and how its answer streams.

    name: label in metrics and logs (`chat.completions`). path: below the provider's base URL (`/chat/completions`).
    body: `json` and `multipart` are read whole (up to the cap), `stream` is relayed as it comes, `none` has no body.
    required: top-level fields that must be there. sse: how the answer streams, `opaque` where nobody here reads it.
    wire: the format that the client speaks, where the answer of another one can be translated. task: what is asked of
        the upstream; `relay` is never translated.
    model: whether the request names a model; where it does not, the provider is chosen by header or default.
    fast: the compiled path takes the common requests of this endpoint (`hotpath._unary`).
    answers: `object`: a good answer is a JSON object or events, and any other is a failed attempt (an empty one, a web
        page); `any`: it is the client's affair.
    gather: the answer is read whole where it is not an event stream (False: binary, relayed as it comes).
    """

    name: str
    path: str
    body: BodyKind = "json"
    required: tuple[str, ...] = ()
    sse: StreamForm = "opaque"
    asks_usage: bool = False
    answers: Literal["object", "any"] = "any"
    gather: bool = True
    fast: bool = False
    model: Literal["required", "optional", "none"] = "required"
    dialect: Dialect = "openai"
    wire: ClientWire = ""
    task: Task = "relay"

    @property
    def generates(self) -> bool:
        """Whether the answer is made of output tokens."""
        return self.task == "conversation" or self.asks_usage


class FormFields(Struct, frozen=True):
    """The fields of a multipart body that a gateway acts on. Spans are byte offsets of the value; -1 where absent.

    n: how many answers are asked for, 1 where it is no number.
    """

    model: str | None = None
    model_start: int = -1
    model_end: int = -1
    stream: bool = False
    n: int = 1


class Principal(Struct, frozen=True, gc=False):
    """Who asks. `name` is what logs and metrics show; `models` None means every model.

    kind: `key` (virtual key), `jwt`, or `anonymous` under `auth: none`. prefix: the key's first characters, for logs.
    organization, project, user: ids of who it belongs to, "" for nobody.
    Each key has one, without a share in the garbage collection: nothing in it can refer back to it.
    """

    name: str
    kind: Literal["key", "jwt", "anonymous"]
    models: frozenset[str] | None = None
    patterns: tuple[str, ...] = ()
    prefix: str = ""
    organization: str = ""
    project: str = ""
    user: str = ""

    def may_use(self, model: str) -> bool:
        """Whether `model` (the name clients use) is allowed; patterns end in `*`."""
        if self.models is None or model in self.models:
            return True
        return any(model.startswith(pattern) for pattern in self.patterns)


class Usage(Struct):
    """Tokens by class, as the upstream counted them; `estimated` when we did.

    input_tokens and output_tokens are the whole of their side: the others are parts of them (cached, cache write, input
    audio and images of the input; reasoning, output audio and images of the output; cached audio of both the cached and
    the audio; cache write for an hour of the cache write).
    images: how many were made. service_tier: what the upstream says it served the request as, "" for the usual one.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    cached_audio_tokens: int = 0
    output_audio_tokens: int = 0
    images: int = 0
    service_tier: ServiceTier = ""
    estimated: bool = False
    cache_write_1h_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0


class Target:
    """One model at one provider, in a tier with a weight.

    name: `provider/model`. header: the same as a header value, percent-encoded where it is not visible ASCII.
    """

    __slots__ = ("header", "model", "name", "provider", "tier", "weight")

    def __init__(self, provider: str, model: str, tier: int = 0, weight: float = 1.0):
        self.provider = provider
        self.model = model
        self.tier = tier
        self.weight = weight
        self.name = f"{provider}/{model}"
        self.header = quote(self.name, safe="/:@!$&'()*+,;=~-._ ").encode("ascii")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Target):
            return NotImplemented
        mine = (self.provider, self.model, self.tier, self.weight)
        return mine == (other.provider, other.model, other.tier, other.weight)

    def __hash__(self) -> int:
        return hash((self.provider, self.model, self.tier, self.weight))

    def __repr__(self) -> str:
        return f"Target({self.name!r}, tier={self.tier}, weight={self.weight})"


class Reply(Protocol):
    """How an answer leaves: the ASGI edge, or a collector when embedded. Each call awaits back-pressure."""

    started: bool

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """The complete answer at once."""

    async def start(self, status: int, headers: Headers) -> None:
        """Status and headers of a streamed answer."""

    async def send(self, chunk: bytes) -> None:
        """Some of its body."""

    async def end(self) -> None:
        """The end of its body."""


class Meter(Protocol):
    """What one request reserved, and the upstream requests it causes. `metering.meter` has it."""

    ceiling: int  # output tokens up to which nothing need be added

    async def begin(self, target: Target, credential: str) -> None:
        """An attempt is about to be sent. Raises what refuses it."""

    def unsent(self) -> None:
        """The attempt never reached the upstream, and is made again."""

    def failed(self, error: Exception) -> None:
        """The attempt brought nothing for the client."""

    async def extend(self, output_tokens: int) -> None:
        """A stream has come to so many output tokens. Raises what refuses to let it go on."""

    def believable(self, input_tokens: int, output_tokens: int) -> tuple[int, int]:
        """What nobody counted and is only estimated: no more than was reserved for it, or can have been."""

    def settle(self) -> int:
        """Once, on every way out, or before the answer's end goes out. The cost in nano-dollars."""

    def headers(self) -> Headers:
        """What the answer tells of limits."""


class RequestContext:
    """One client request on its way through the gateway. Filled stage by stage; read by settle, logs and metrics.

    Times are `loop.time()` seconds. `body` is whole for `json` and `multipart`, an iterator for `stream`, empty
    otherwise.
    """

    # Defaults stand on the class: what a request does not set is not stored.
    principal: Principal | None = None
    peeked: Peeked | None = None
    form: FormFields | None = None
    model = ""  # the name the client used
    provider = ""  # asked for by header, where no model says it
    stream = False
    target: Target | None = None
    credential_name = ""
    attempts = 0
    sent = False  # the upstream has read the request of the last attempt: leaving now is not free
    first_byte_at = 0.0
    status = 0
    error: BaseException | None = None
    usage: Usage | None = None
    dropped: list[str] | None = None
    strict = False  # asked for by header: refuse what would be dropped
    array = False  # a Gemini stream as one JSON array, not as events
    conversation: Any = None  # the body as a `wire.conversation.Conversation`, once a translation needed it
    content_length = -1
    tags = b""  # asked for by header: written beside the usage
    bound = 0  # output tokens that a choice may have in this attempt, where the gateway says so to the upstream
    meter: Meter | None = None

    def __init__(
        self,
        endpoint: Endpoint,
        request_id: bytes,
        started_at: float,
        *,
        method: str,
        path: str,
        query: bytes,
        client_headers: Headers,
        token: bytes,
        content_type: bytes = b"",
        body: bytes | AsyncIterator[bytes] = b"",
    ):
        self.endpoint = endpoint
        self.request_id = request_id
        self.started_at = started_at
        self.method = method
        self.path = path  # below the base URL, `/files/file-1/content`
        self.query = query
        self.client_headers = client_headers
        self.token = token  # the bearer, for authentication only
        self.content_type = content_type
        self.body = body
