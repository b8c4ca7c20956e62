"""One pass over a JSON body: is it JSON, and where are the few fields a gateway acts on.

Strict RFC 8259 (grammar, escapes, control characters, UTF-8, depth); nothing is decoded but the fields named below.
Other bytes are never touched: a changed field is spliced, the rest of the body goes on as it came.
"""

class PeekError(ValueError):
    """Why the body cannot be used.

    message: for the caller. param: the field, None when the body is not JSON. position: byte offset.
    code: None when the body is not JSON or not an object, else "invalid_type", "invalid_value" or "duplicate_field".
    """

    message: str
    param: str | None
    code: str | None
    position: int

class Request:
    """What `peek_request` found. Spans are byte offsets into the body; -1 where the field is absent.

    model_start/model_end: span of the model's JSON string, quotes included.
    kinds of messages, input, prompt: first byte of the value (ord of `[`, `{`, `"`, digit, `-`, `t`, `f`,
        `n`), 0 when absent.
    messages_empty: `messages` is an array without elements.
    max_tokens: the promise of output tokens: max_completion_tokens, else max_output_tokens, else max_tokens; -1 when
        all are absent, null or negative (the upstream will say so). 5.0 counts as 5; beyond 2**31-1 is 2**31-1.
    n: number of choices, 1 when absent, null or less than 1.
    include_usage: `stream_options.include_usage` is true. stream_options_start/end: span of its value, -1 when null.
    stream, user: null counts as absent.
    signed: a member named `reasoning_details`, `thinking_blocks`, `extra_content` or `encrypted_content` (written
        without escapes) is there, at any level: the history may hold some provider's own reasoning.
    end: offset of the body's closing brace (where a field can be inserted). empty: the object has no members.
    """

    model: str | None
    model_start: int
    model_end: int
    stream: bool
    stream_start: int
    stream_end: int
    max_tokens: int
    n: int
    include_usage: bool
    stream_options_start: int
    stream_options_end: int
    messages_kind: int
    messages_empty: bool
    input_kind: int
    prompt_kind: int
    signed: bool
    user_start: int
    user_end: int
    end: int
    empty: bool

def peek_request(body: bytes, max_depth: int = 512) -> Request:
    """Find the fields. Names written with escapes count as what they stand for.

    max_depth: levels of nesting allowed, 1 to 4096 (`ValueError`).
    Raises `PeekError`: not JSON, not an object, wrong type of a field above, a field above given twice; `model`
    together with the same name in other letter case counts as given twice: some servers match names in any case.
    """

class Reply:
    """What `peek_reply` found in a non-streamed answer, at top level. Of a field given twice the last counts.

    Spans as above, -1 when absent; also for usage and error that are null and for a model and a service tier (`tier`)
    that are no string.
    """

    model_start: int
    model_end: int
    usage_start: int
    usage_end: int
    error_start: int
    error_end: int
    choices_start: int
    choices_end: int
    tier_start: int
    tier_end: int

def peek_reply(body: bytes, max_depth: int = 512) -> Reply:
    """Find the fields of an answer. Raises `PeekError` when the body is not a JSON object."""

def splice(body: bytes, start: int, end: int, value: bytes) -> bytes:
    """`body` with `body[start:end]` replaced by `value`. Raises `ValueError` when the span is not inside the body."""

def prepare(body: bytes, request: Request, model: bytes | None, ask_usage: bool) -> bytes:
    """The body as it goes upstream, in one copy: `model` (JSON string token) in place of the client's, and
    `stream_options.include_usage` made true if `ask_usage`. The very object `body` when nothing changes.

    Raises `ValueError` when `request` was read from a body of another length.
    """
