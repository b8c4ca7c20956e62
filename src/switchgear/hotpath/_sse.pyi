"""Server-sent events: a conforming parser, and the rewriter that relays a provider's stream to a client.

Reading per WHATWG HTML §9.2.6 plus the tolerance of TRANSLATION §20: line ends LF, CR, CRLF, one leading BOM,
comments, several data lines, events of any length up to a bound, any byte split. Sans-I/O: bytes in, bytes out.
"""

class Event:
    """One dispatched event. event: "" when unnamed. data: bytes, lines joined by LF."""

    event: str
    data: bytes
    id: str | None

class Parser:
    """The conforming parser: for tests, translators, and whoever needs events rather than bytes."""

    def __init__(self, max_event_bytes: int = 33_554_432) -> None: ...
    def feed(self, chunk: bytes) -> list[Event]: ...
    def flush(self) -> list[Event]:
        """At end of input: a pending block with data is dispatched (TRANSLATION §20)."""

# What ends a stream well, and where model, usage and errors stand in an event.
CHAT: int        # chat/completions and completions: `data: [DONE]`, `choices[].finish_reason`, `usage`, `model` at top level
RESPONSES: int   # responses: `response.completed|incomplete|failed`, model and usage inside `response`
OPAQUE: int      # anything else (audio, images): events relayed, nothing read but `error` and [DONE]

class Rewriter:
    """Relays an event stream: whole events, as the bytes that arrived wherever nothing has to change.

    model: JSON string token (quotes included) put in the place of the model's name in every event; None: leave it.
    hide_usage: the gateway asked for usage and the client did not: the chunk with empty `choices` and a usage object is
        dropped, and a top-level `usage` key is cut out of every other event.
    dialect: CHAT, RESPONSES or OPAQUE.
    max_event_bytes: a longer event raises `ValueError`.

    Changed regardless: a leading BOM goes; an event without data (and without a comment) goes, since an OpenAI client fails on it
    (TRANSLATION §7.2); an event whose lines end in CR alone is written with LF; whatever follows `[DONE]` goes.
    A part of an event is held back until its end has arrived, so that a stream that breaks off can be closed with an
    error event that a client can parse.
    """

    def __init__(
        self, dialect: int = ..., *, model: bytes | None = None, hide_usage: bool = False, max_event_bytes: int = 33_554_432
    ) -> None: ...
    def feed(self, chunk: bytes) -> bytes:
        """What can be forwarded now: all whole events. The very object `chunk` when it is whole and unchanged."""
    def flush(self) -> bytes:
        """At end of input: a pending block that is whole but for its blank line, completed; a torn one is dropped."""
    started: bool          # an event with data was seen
    events: int            # events with data so far, [DONE] included
    done: bool             # [DONE] was seen (CHAT, OPAQUE), or response.completed/incomplete/failed (RESPONSES)
    finished: bool         # CHAT: a finish_reason that is a string was seen; RESPONSES: same as done
    error: bytes | None    # data of the first event with a truthy top-level `error` (or `event: error`), as it arrived
    usage: bytes | None    # JSON text of the last usage object (not null), as it arrived
    model: bytes | None    # the upstream's own name for the model, JSON text with quotes, from the first event that has one
    pending: int           # bytes held back
