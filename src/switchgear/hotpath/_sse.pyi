"""Server-sent events: a conforming parser, and the rewriter that relays a provider's stream to a client.

Reading per WHATWG HTML §9.2.6 plus the tolerance of TRANSLATION §20: line ends LF, CR, CRLF, one leading BOM,
comments, several data lines, events of any length up to a bound, any byte split. Sans-I/O: bytes in, bytes out.
"""

class Event:
    """One dispatched event.

    event: "" when unnamed. data: lines joined by LF, always UTF-8 (malformed bytes have become U+FFFD).
    id: the last one sent so far, in this event or before, None when there was none.
    """

    event: str
    data: bytes
    id: str | None

class Parser:
    """The conforming parser: for tests, translators, and whoever needs events rather than bytes.

    max_event_bytes: lines longer than this in one event (line ends not counted) raise `ValueError`.
    """

    def __init__(self, max_event_bytes: int = 33_554_432) -> None: ...
    def feed(self, chunk: bytes) -> list[Event]: ...
    def flush(self) -> list[Event]:
        """At end of input: a pending block with data is dispatched (TRANSLATION §20)."""

# What ends a stream well, and where model, usage and errors stand in an event.
CHAT: int  # chat/completions and completions: `[DONE]`, `choices[].finish_reason`; `usage`, `model` at top level
RESPONSES: int  # responses: `response.completed|incomplete|failed`, model and usage inside `response`
OPAQUE: int  # anything else (audio, images): events relayed, nothing read but `error` and [DONE]

class Rewriter:
    """Relays an event stream: whole events, as the bytes that arrived wherever nothing has to change.

    model: JSON string token (quotes included) put in the place of the model's name in every event; None: leave it.
    hide_usage: the gateway asked for usage and the client did not: the chunk with empty `choices` and a usage object is
        dropped, and a top-level `usage` key is cut out of every other event.
    dialect: CHAT, RESPONSES or OPAQUE.
    max_event_bytes: a longer event, its line ends counted, raises `ValueError`, and so does every call after that.

    Changed regardless: a leading BOM goes; an event without data (none, or blanks only) goes, since an OpenAI client
    fails on it (TRANSLATION §7.2), but comments in it stay; after an `id` line blank lines and comments go as well,
    since such a client then takes each for an empty event; an event with a line that ends in CR alone is written
    with LF; bytes that are not UTF-8 become U+FFFD (TRANSLATION §20); whatever follows the end (`done`) goes.
    An event is only ever edited when its data is a JSON object (strict, at most 512 levels deep, at most 16 places to
    edit); it is left as it is when it is an error. Names with escapes in them are not recognised.
    A part of an event is held back until its end has arrived, so that a stream that breaks off can be closed with an
    error event that a client can parse.
    """

    def __init__(
        self,
        dialect: int = ...,
        *,
        model: bytes | None = None,
        hide_usage: bool = False,
        max_event_bytes: int = 33_554_432,
    ) -> None: ...
    def feed(self, chunk: bytes) -> bytes:
        """What can be forwarded now: all whole events. The very object `chunk` when it is whole and unchanged."""
    def flush(self) -> bytes:
        """At end of input: a pending block that is whole but for its blank line, completed; a torn one is dropped."""
    started: bool  # an event with data was seen
    events: int  # events with data so far, [DONE] included
    done: bool  # [DONE] was seen (CHAT, OPAQUE), or response.completed/incomplete/failed (RESPONSES)
    finished: bool  # CHAT: a choice has a finish_reason that is a string; RESPONSES: same as done
    # Data of the first event with a truthy top-level `error`, or named `error`, or (RESPONSES) of type "error".
    error: bytes | None
    # JSON text of the last usage object (not null), as it arrived; CHAT: that of `x_groq` if there is no other. A
    # `service_tier` that the event (or its `response`) tells beside it is put into it.
    usage: bytes | None
    # The upstream's own name for the model, JSON text with quotes, from the first event that has one (not "").
    model: bytes | None
    pending: int  # bytes held back
