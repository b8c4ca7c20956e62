"""The whole of a common request, compiled: authenticate, understand, allow, route, send in one call; judge and head
in another.

Common is: a virtual key, a JSON body, no stream, a model that `FastPath.learn` was told of, an idle connection to the
target drawn, and an answer of status 200 in JSON. A target of another wire format has a `Codec`, which is called
between the two. Everything else is declined (`begin` returns None, nothing was done)
or handed over (`finish` returns False): `gateway.py` is the plain-Python reference, and both must give the same bytes.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from switchgear.accounting.price import Price
from switchgear.hotpath._client import Pool, Response
from switchgear.hotpath._estimate import Estimates
from switchgear.hotpath._head import Head
from switchgear.hotpath._leases import LimitSet, Reservation
from switchgear.hotpath._metrics import Slab
from switchgear.hotpath._peek import Request
from switchgear.routing.credentials import Credential
from switchgear.routing.retry import Outcome
from switchgear.routing.router import Route
from switchgear.types import Dialect, Headers, Principal, Target, Usage
from switchgear.upstream.upstream import Upstream

class Accounts(Protocol):
    """What `metering.metering.Metering` gives the compiled path."""

    @property
    def estimates(self) -> Estimates: ...
    @property
    def ledger(self) -> Any: ...
    def account(
        self, principal: Principal, endpoint: str, model: str, target: Target, credential: str
    ) -> Account | None: ...
    def headers(self, limits: LimitSet, dialect: Dialect) -> Headers: ...

class Asked(Protocol):
    """A request as a `Codec` made it. body: what goes to the upstream, JSON."""

    @property
    def body(self) -> bytes: ...

class Codec(Protocol):
    """What makes a target's requests and answers anew, where they do not pass as they are."""

    def encode(self, body: bytes) -> Any:
        """The client's body as an `Asked`; None where the request is for the gateway's stages to refuse."""
    def decode(self, asked: Any, response: Response) -> tuple[bytes, Usage | None, Headers] | None:
        """The client's answer, its usage and its headers so far, of an answer of status 200 that was read whole; None
        where it is to be handed over. The list of headers is the caller's to add to."""

class Account:
    """What the requests of one key to one target are counted by. limits: None where there are none. label: of
    `hotpath._journal`. until: `loop.time()` from which it is asked for again. firm: whether a firm limit
    (`hotpath._leases`) on tokens or cost is among them: where a request says nothing of its answer's length, the
    longest answer of its model is reserved there.
    """

    limits: LimitSet | None
    price: Price
    def __init__(self, limits: LimitSet | None, price: Price, label: bytes, until: float, firm: bool) -> None: ...

class Hop:
    """One target of a lane.

    token: the target's model as a JSON string, None where it is the client's own name. render: the beginning of the
    request's head (request line to the fixed headers) for a credential. slots: `Metrics.unary_slots`. codec: None where
    bytes pass as they are.
    """

    def __init__(
        self,
        target: Target,
        upstream: Upstream,
        pool: Pool,
        token: bytes | None,
        render: Callable[[Credential], bytes],
        slots: tuple[object, ...],
        codec: Codec | None = None,
    ) -> None: ...

class Lane:
    """One model at one endpoint. hops: one a target, in the route's order. name: the client's name for it, as JSON.

    model: the same as it is. generates: `types.Endpoint.generates`.
    """

    def __init__(
        self, route: Route, hops: list[Hop], name: bytes, model: str, needs_messages: bool, generates: bool
    ) -> None: ...

class FastPath:
    """keys: SHA-256 digest to (digest, principal). own: names of upstream headers that do not go on to the client.

    answered: the outcome to report to a route that is not quiet. slab, bounds: where requests are counted.
    gather_bytes: longer answers are handed over. At most 20,000 lanes are kept; models beyond take the other path.
    """

    def __init__(
        self,
        loop: object,
        keys: dict[bytes, tuple[bytes, Principal]],
        *,
        own: frozenset[bytes],
        answered: Outcome,
        slab: Slab,
        bounds: tuple[float, ...],
        read_usage: Callable[[bytes, bytes], Usage | None],
        metering: Accounts,
        tags_of: Callable[[bytes, bytes], bytes],
        gather_bytes: int,
    ) -> None: ...
    def learn(self, endpoint: str, model: str, lane: Lane) -> None: ...
    def knows(self, endpoint: str, model: str) -> bool: ...
    def forget(self) -> None:
        """Unlearn every lane."""
    def begin(self, endpoint: str, head: Head, body: bytes, request_id: bytes, started: float) -> Unary | None:
        """Send the request, if it is of the common kind. started: `loop.time()` of its arrival."""

class Unary:
    """A request under way. Await `waiter` (unless None), then call `finish`; `abandon` when it is not waited for.

    error: why there is no answer, stale: because a kept connection was already gone. After a `finish` that returned
    True:
    headers, body and usage of the answer.

    account, held, slot: what it is counted by, what is reserved, the ledger's slot (-1: none); input_tokens and
    output_tokens are those reserved, longest the output tokens reserved of firm limits. settled: all of that is over.
    asked: what the target's codec made of the request, None where its bytes passed as they are.
    """

    account: Account
    held: Reservation | None
    slot: int
    raw: int
    input_tokens: int
    output_tokens: int
    longest: int
    settled: bool

    waiter: Awaitable[None] | None
    index: int
    route: Route
    target: Target
    upstream: Upstream
    credential: Credential
    principal: Principal
    peeked: Request
    asked: Any
    codec: Any
    response: Response
    error: Exception | None
    stale: bool
    usage: Usage | None
    headers: Headers
    body: bytes
    def abandon(self) -> None:
        """Close the upstream's connection."""
    def finish(self, extra: Headers) -> bool:
        """True: the answer is ready and counted. False: hand over to the gateway, nothing was counted.

        extra: headers that the edge adds to every answer.
        """
