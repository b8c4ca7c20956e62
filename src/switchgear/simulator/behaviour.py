"""What a request may ask the simulator to do: timing, length, recording, faults; and the grammar it asks in.

Three ways to ask, all with the same keys (`-` and `_` are the same in a key):

- request headers: `x-sim-KEY: VALUE`;
- the model's name, since a gateway may not forward headers: `NAME;KEY=VALUE;KEY;…`, as in
  `sim;first=50ms;gap=1ms;tokens=100` or `gpt-4.1;status=429;retry-after=2`. A key without a value means `true`, or for
  a key that takes a number the number in `BARE`;
- a rule put on `/_sim/faults`, JSON: `{"fault": {KEY: VALUE, …}, "match": {…}, …}` (see `faults`).

The model's name wins over headers, headers over rules, rules over the options the simulator was started with.

Timing and content
    first-token (or first), gap   durations: `50ms`, `1s`      jitter     share of both, 0 to 1
    tokens                        length of the answer         recording  id of the recorded exchange to answer with
    reasoning=N    N tokens of reasoning before the answer, in the form that the wire format has for it
    cached=N       N tokens of the prompt, at most all of them, are reported as read from a cache
    refusal=K      the model refuses: K is answer, or prompt (Gemini: blocked before a candidate was made)

Answers that are errors
    status            HTTP status, with error-type, error-code, message; and headers retry-after (s), retry-after-ms,
                      should-retry (true, false: `x-should-retry`)
    headers           more response headers, an object (rules only)
    error-in-200      status 200 and an error in the body, as OpenRouter answers
    error-event=N     after N events, an error event in the vendor's form; then the end, without [DONE]

The connection. N counts events of a stream; an answer that is not a stream is struck half-way through its body.
    reset-before-headers, reset-after-headers, reset-mid-stream=N      TCP RST
    stall-before-headers, stall-after-headers, stall-mid-stream=N      nothing more, until the client leaves
    close-mid-stream=N      the body ends properly, without what should have followed
    truncate-chunked=N      the connection closes inside a chunked body, without the last chunk

The bytes
    truncated-json    half the JSON (of a stream: of its second event), properly framed
    garbage-sse       lines that are not events, and an event that is not JSON, after the first event
    giant-event=B     the first token is B bytes long
    trickle           one byte per gap (per millisecond when there is no gap)
    split=B           B bytes per write
    malformed-http=K  K is status-line, header, content-length or chunk-size
    wrong-content-length=K     K is long (more announced than sent) or short
    gzip              compressed, whether or not the client takes it
    header-bomb=N     N more response headers of about 100 bytes
    1xx=100,103       interim answers first

The dialect (streams)
    no-done           without the end's own sign: [DONE], `message_stop`, a finishReason, `"done": true`
    crlf, comments, bom (server-sent events)
    usage-in-finish   (OpenAI) usage stands in the chunk with the finish_reason
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from switchgear.config.values import Duration
from switchgear.errors import InvalidRequest

Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Bytes = Annotated[int, Meta(ge=1, le=64 * 1024 * 1024)]

BARE: dict[str, str] = {
    "reset-mid-stream": "1",
    "stall-mid-stream": "1",
    "close-mid-stream": "1",
    "truncate-chunked": "1",
    "error-event": "1",
    "giant-event": str(1024 * 1024),
    "split": "1",
    "header-bomb": "2000",
    "malformed-http": "status-line",
    "wrong-content-length": "long",
    "1xx": "103",
    "status": "500",
    "retry-after": "1",
    "retry-after-ms": "1000",
    "reasoning": "8",
    "cached": "1",
    "refusal": "answer",
}


class Behaviour(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """One request's timing, length and faults; keys as in the module's docstring, durations in seconds."""

    first_token: Duration = field(default_factory=lambda: Duration(0))
    gap: Duration = field(default_factory=lambda: Duration(0))
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.0
    tokens: Annotated[int, Meta(ge=0, le=1_000_000)] = 16
    recording: str = ""
    reasoning: Count | None = None
    cached: Count = 0
    refusal: Literal["answer", "prompt"] | None = None
    status: Annotated[int, Meta(ge=200, le=599)] = 0
    retry_after: str = ""
    retry_after_ms: str = ""
    should_retry: str = ""
    error_type: str = ""
    error_code: str = ""
    message: str = ""
    headers: dict[str, str] = {}
    error_in_200: bool = False
    error_event: Count | None = None
    reset_before_headers: bool = False
    reset_after_headers: bool = False
    reset_mid_stream: Count | None = None
    stall_before_headers: bool = False
    stall_after_headers: bool = False
    stall_mid_stream: Count | None = None
    close_mid_stream: Count | None = None
    truncate_chunked: Count | None = None
    truncated_json: bool = False
    garbage_sse: bool = False
    giant_event: Bytes | None = None
    trickle: bool = False
    split: Bytes | None = None
    malformed_http: Literal["status-line", "header", "content-length", "chunk-size"] | None = None
    wrong_content_length: Literal["long", "short"] | None = None
    gzip: bool = False
    header_bomb: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    informational: tuple[Annotated[int, Meta(ge=100, le=199)], ...] = field(name="1xx", default=())
    no_done: bool = False
    crlf: bool = False
    comments: bool = False
    usage_in_finish: bool = False
    bom: bool = False


TRANSPORT_FAULTS = (
    "headers",
    "reset_before_headers",
    "reset_after_headers",
    "reset_mid_stream",
    "stall_before_headers",
    "stall_after_headers",
    "stall_mid_stream",
    "close_mid_stream",
    "truncate_chunked",
    "truncated_json",
    "garbage_sse",
    "trickle",
    "split",
    "malformed_http",
    "wrong_content_length",
    "gzip",
    "header_bomb",
    "informational",
    "crlf",
    "comments",
    "bom",
)
"""Fields that change how an answer is delivered rather than what it says: `delivery` looks at these."""

_FIELDS = {info.encode_name: info.name for info in msgspec.structs.fields(Behaviour)}
_ALIASES = {"first": "first-token"}

Settings = dict[str, Any]
"""Validated values by field name of `Behaviour`: what one source asks for."""


def _decode(kind: type, value: Any) -> Any:
    if kind is Duration:
        return Duration.parse(value)
    raise TypeError(kind)


def parse(options: dict[str, Any]) -> Settings:
    """Check `options` (keys as users write them, values as text or JSON).

    Raises `InvalidRequest` that names the key when one is unknown or its value is wrong.
    """
    normal: dict[str, Any] = {}
    for key, value in options.items():
        name = key.strip().lower().replace("_", "-")
        name = _ALIASES.get(name, name)
        if value is True and name in BARE:
            value = BARE[name]
        elif value is True:
            value = "true"
        if isinstance(value, int | float) and name in ("retry-after", "retry-after-ms", "error-code"):
            value = str(value)
        if name == "1xx" and not isinstance(value, list):
            value = str(value).split(",")
        if name in ("malformed-http", "wrong-content-length"):
            value = str(value).replace("_", "-")
        normal[name] = value
    try:
        checked = msgspec.convert(normal, Behaviour, strict=False, dec_hook=_decode)
    except (msgspec.ValidationError, ValueError) as exc:
        raise InvalidRequest(f"Simulator option: {exc}", code="invalid_simulator_option") from exc
    return {_FIELDS[name]: getattr(checked, _FIELDS[name]) for name in normal}


@lru_cache(maxsize=4096)
def parse_model(name: str) -> tuple[str, Settings]:
    """(the name itself, what follows it in the grammar). Raises `InvalidRequest`."""
    base, *words = name.split(";")
    options: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if key.strip():
            options[key] = value.strip() if equals else True
    return base, parse(options) if options else {}


def merge(default: Behaviour, *sources: Settings) -> Behaviour:
    """`default` changed by each source in turn; the very object `default` when none asks for anything."""
    changes: Settings = {}
    for source in sources:
        changes.update(source)
    return msgspec.structs.replace(default, **changes) if changes else default


def faulty(behaviour: Behaviour) -> bool:
    """Whether delivery has to look at each fault."""
    return any(_asked_for(getattr(behaviour, name)) for name in TRANSPORT_FAULTS)


def _asked_for(value: Any) -> bool:
    return type(value) is int or bool(value)  # 0 counts: before the first event
