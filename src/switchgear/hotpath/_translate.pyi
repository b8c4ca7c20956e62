"""Answer streams, from one wire format into another, event by event. Sans-I/O: bytes in, bytes out.

Upstream formats: `chat` (chat.completion.chunk events of OpenAI and those like it), `responses`, `anthropic`, `gemini`
(events, or the JSON array that Gemini sends without alt=sse: told apart by the first byte), `ollama` (lines of
/api/chat and /api/generate). Client dialects: `chat`, `responses`, `anthropic`, `gemini`, `gemini-array`, `ollama`
(lines of /api/chat), `ollama-generate` (of /api/generate: no calls), and `completions` (text_completion chunks: text
and nothing else).

Rules: TRANSLATION §7 to §15 and §20. `chat` to `chat` repairs what §10 lists and carries every other field through;
`gemini` to `gemini` or `gemini-array` changes the framing; `ollama` to `ollama` puts the model's name back and copies
the rest, of either endpoint. The other formats to themselves need a relay (`hotpath._sse`), not a translation.

Signatures of reasoning reach the client where its dialect can carry them, so that a second turn can send them back
(§2.4):
chat: `delta.reasoning_details` entries with an `index`, and `tool_calls[].extra_content.google.thought_signature`;
responses: `encrypted_content` of a reasoning item; anthropic: `signature_delta`, of an empty thinking block where
none is open; gemini: `thoughtSignature`. In the last three, another vendor's is marked by
`switchgear.providers.signatures`. A Gemini function call's signature becomes reasoning right before the call.

Memory of a stream is bounded by its three limits, however long it is: an event in hand (`max_event_bytes`); what later
events must repeat (`max_held_bytes`: all text and arguments towards responses; arguments of unfinished calls towards
gemini, ollama and, when calls interleave, anthropic; nothing of that towards chat); and, from anthropic to chat, 4 MiB
of the reasoning block whose signature is due (a longer one is sent without its signature). Beyond the first two the
stream ends with an error event.
"""

from collections.abc import Callable, Collection, Mapping

from switchgear.types import Usage

UPSTREAMS: tuple[str, ...]
CLIENTS: tuple[str, ...]
QUIRKS: frozenset[str]

class Translator:
    """One answer's stream.

    model: the name the client sees; "" shows the upstream's own. include_usage: chat's `stream_options.include_usage`
    (other dialects always tell their usage). seed: ids that the upstream does not give are made from it (hex digits
    of the request id); "": random. created: unix seconds.
    quirks: `keep_reasoning` leaves `delta.reasoning` under that name in chat to chat; else it becomes
    `reasoning_content`. json_tool, tool_names, single_call, legacy_functions: as in `wire.conversation.ReplyContext`
    and `Conversation`: the tool that stands in for structured output and whose arguments become text; the upstream's
    names of tools to the client's; only the first call goes on; chat's old `function_call` form.
    echo: fields of the request that a Responses object repeats (`tools`, `instructions`, …), JSON values.
    clock: nanoseconds since the request began, for the durations in Ollama's last line; None leaves them out.

    Raises ValueError for a pair that is not translated and for an unknown quirk. `feed` and `flush` never raise on
    account of the input: what cannot be read ends the stream with an error event.
    """

    def __init__(
        self,
        upstream: str,
        client: str,
        *,
        model: str = "",
        include_usage: bool = False,
        seed: str = "",
        created: int = 0,
        quirks: Collection[str] = (),
        json_tool: str = "",
        tool_names: Mapping[str, str] | None = None,
        single_call: bool = False,
        legacy_functions: bool = False,
        echo: Mapping[str, object] | None = None,
        clock: Callable[[], int] | None = None,
        max_event_bytes: int = 33_554_432,
        max_held_bytes: int = 16_777_216,
    ) -> None: ...
    def feed(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """The client's bytes for the events that `chunk` completes; the cuts between chunks make no difference.

        Once `done`, input is ignored."""
    def flush(self) -> bytes:
        """At end of input. An answer that is whole is ended well; one that is not, with an error event in the client's
        dialect and no [DONE], message_stop or response.completed."""
    @property
    def usage(self) -> Usage | None:
        """Tokens as told so far, normalised as §12 has it: input_tokens includes cached and cache-written ones,
        output_tokens includes reasoning. None: nothing was told."""
    @property
    def error(self) -> bytes | None:
        """The upstream's error event, as it arrived; for an error found here, `{"error":{…}}` in OpenAI's form."""
    @property
    def error_status(self) -> int:
        """The HTTP status that fits the error (§16.2), for logs, or for the client if nothing was
        sent; 0 without one."""
    @property
    def finished(self) -> bool:
        """The answer ended well, and its ending was written."""
    @property
    def done(self) -> bool:
        """Nothing more will be written: ended, well or not. The body can be closed."""
    @property
    def started(self) -> bool:
        """An event that is part of an answer was seen: more than its name (`response.created`, `message_start`). An
        error before it can still become an HTTP status."""
    @property
    def truncated(self) -> bool:
        """The input ended before the answer did."""
    @property
    def events(self) -> int:
        """Events with data so far."""
    @property
    def pending(self) -> int:
        """Bytes of an unfinished event."""
    @property
    def held(self) -> int:
        """Bytes kept for later events, of `max_held_bytes`."""
    @property
    def dropped(self) -> list[str]:
        """Names of what came and cannot be said in the client's dialect, sorted: at most 64, each cut at 64
        characters."""
