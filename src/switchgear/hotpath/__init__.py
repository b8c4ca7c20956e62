"""The compiled modules: what runs per request and per streamed event. Sources in ext/, stubs and documentation here.

_client   the upstream HTTP/1.1 client and its keep-alive pool
_estimate  what a request will use: tokens of its prompt from its bytes, and what was learnt
_head     what the edge reads of a request's headers
_http1    message heads and chunked bodies, for the client and the simulator
_leases   spending what limits allow, in memory; settling it
_peek     find a few fields in a JSON body in one pass; replace them by splicing
_sse      event streams: parser and rewriter
_translate  event streams: from one wire format into another
_price    what a usage costs
_ratelimit  what an answer tells of its limits
_score    choosing among targets
_journal  the usage journal of one worker: what the ledger is drained from
_metrics  counters in memory shared by the workers
_unary    the whole of a common request: what gateway.py does for it, in two calls

Importing this package imports none of them; a module that was not built fails where it is imported, with what to do.
"""

from importlib.util import find_spec

MODULES = (
    "_client",
    "_estimate",
    "_head",
    "_http1",
    "_journal",
    "_leases",
    "_metrics",
    "_peek",
    "_price",
    "_ratelimit",
    "_score",
    "_sse",
    "_translate",
    "_unary",
)


def require() -> None:
    """Fail loudly when a compiled module is missing.

    Raises ImportError, naming the modules and the command that builds them.
    """
    missing = [name for name in MODULES if find_spec(f"{__name__}.{name}") is None]
    if missing:
        raise ImportError(
            f"switchgear.hotpath: not built: {', '.join(missing)}. Switchgear has no slow path to fall back on: "
            "run `make build` in the source tree, or install the wheel for this platform."
        )
