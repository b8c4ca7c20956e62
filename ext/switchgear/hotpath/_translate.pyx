"""Translation of answer streams between wire formats, event by event. Sans-I/O: bytes in, bytes out.

    input ── Framer ── Decoder (one per upstream format) ── Turn ── Encoder (one per client dialect) ── output

The frequent events (some text, some reasoning, a piece of tool arguments) are recognised by a scan that decodes nothing:
the JSON string token is copied from the upstream's event into the client's, which is right because a string token means the same in
every format. All other events, and any event the scan does not recognise to the last member, are decoded with orjson and take the slow
path, which knows everything. Numbers of TRANSLATION sections are given where a rule comes from one.

Each part is a file beside this one, included here so that the compiler sees all calls.
"""

from base64 import b64encode as _b64encode, urlsafe_b64encode as _urlsafe
from datetime import UTC as _UTC, datetime as _datetime
from hashlib import sha256 as _sha256
import json as _python_json
from os import urandom as _urandom

import orjson

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove

from switchgear.types import SERVICE_TIERS as _SERVICE_TIERS
from switchgear.types import Usage as _Usage

cdef enum:
    MAX_CALLS = 1024        # tool calls in one answer
    MAX_DROPPED = 64        # names of what was dropped
    MAX_NAME = 64           # characters of such a name
    MAX_THOUGHT = 4194304   # bytes of one reasoning block kept for its signature


cdef bytes pack_signature(str vendor, bytes value, bint redacted):
    """A foreign signature, marked with whose it is: the token that `switchgear.providers.signatures` reads."""
    return b"swg." + vendor.encode() + (b"-redacted." if redacted else b".") + value


cdef str tool_id(str id):
    """`id` as Anthropic accepts it, `[a-zA-Z0-9_-]+` (§13); the same function as `switchgear.providers.identifiers.plain_tool_id`."""
    if id.isascii() and id.replace("_", "a").replace("-", "a").isalnum() and not id.startswith("sgid-"):
        return id
    return "sgid-" + _urlsafe(id.encode("utf-8", "replace")).decode().rstrip("=")


include "_translate_buffer.pxi"
include "_translate_json.pxi"
include "_translate_faults.pxi"
include "_translate_turn.pxi"
include "_translate_framing.pxi"
include "_translate_to_chat.pxi"
include "_translate_to_completions.pxi"
include "_translate_to_anthropic.pxi"
include "_translate_to_gemini.pxi"
include "_translate_to_ollama.pxi"
include "_translate_to_responses.pxi"
include "_translate_from_anthropic.pxi"
include "_translate_from_chat.pxi"
include "_translate_from_responses.pxi"
include "_translate_from_gemini.pxi"
include "_translate_from_ollama.pxi"
include "_translate_ollama_relay.pxi"
include "_translate_repair.pxi"

UPSTREAMS = ("chat", "responses", "anthropic", "gemini", "ollama")
CLIENTS = ("chat", "responses", "anthropic", "gemini", "gemini-array", "completions", "ollama", "ollama-generate")
QUIRKS = frozenset({"keep_reasoning"})


cdef class Translator:
    cdef Framer framer
    cdef Turn turn
    cdef Buffer out

    def __init__(
        self,
        str upstream,
        str client,
        *,
        str model="",
        bint include_usage=False,
        str seed="",
        long long created=0,
        quirks=(),
        str json_tool="",
        tool_names=None,
        bint single_call=False,
        bint legacy_functions=False,
        echo=None,
        clock=None,
        Py_ssize_t max_event_bytes=33_554_432,
        Py_ssize_t max_held_bytes=16_777_216,
    ):
        cdef Turn turn = Turn()
        cdef Decoder decoder
        cdef Encoder encoder
        cdef bint same = upstream == client or (upstream == "gemini" and client == "gemini-array")
        if upstream not in UPSTREAMS or client not in CLIENTS:
            raise ValueError(f"no translation from {upstream!r} to {client!r}")
        if same and upstream not in ("chat", "gemini", "ollama"):
            raise ValueError(f"{upstream!r} needs no translation to itself: relay it")
        if not QUIRKS.issuperset(quirks):
            raise ValueError(f"unknown quirks: {sorted(set(quirks) - QUIRKS)}")
        self.out = Buffer()
        self.turn = turn
        turn.out = self.out
        turn.counts = Counts()
        turn.first = Choice(0)
        turn.choices = {0: turn.first}
        turn.id = ""
        turn.model = model
        turn.named_model = model != ""
        turn.seed = seed or _urandom(16).hex()
        turn.created = created
        turn.include_usage = include_usage
        turn.legacy = legacy_functions
        turn.single = single_call
        turn.one_choice = client in ("anthropic", "responses", "ollama", "ollama-generate")
        turn.json_tool = json_tool
        turn.tool_names = tool_names or {}
        turn.max_held = max_held_bytes
        turn.dropped = set()
        turn.service_tier = ""
        if same and client == "chat":
            encoder = ChatEnd()
            decoder = ChatRepair()
            (<ChatRepair>decoder).out = self.out
            (<ChatRepair>decoder).keep_reasoning = "keep_reasoning" in quirks
        elif same and client == "ollama":
            encoder = OllamaEnd()
            decoder = OllamaRelay()
        elif same:
            encoder = GeminiEnd()
            (<ToGemini>encoder).array = client == "gemini-array"
            decoder = GeminiReframe()
        else:
            if client == "chat":
                encoder = ToChat()
                (<ToChat>encoder).keep_thought = upstream == "anthropic"
            elif client == "anthropic":
                encoder = ToAnthropic()
            elif client == "completions":
                encoder = ToCompletions()
            elif client == "responses":
                encoder = ToResponses()
                (<ToResponses>encoder).echo = echo
            elif client == "ollama" or client == "ollama-generate":
                encoder = ToOllama()
                (<ToOllama>encoder).generate = client == "ollama-generate"
                (<ToOllama>encoder).clock = clock
            else:
                encoder = ToGemini()
                (<ToGemini>encoder).array = client == "gemini-array"
            decoder = (FromAnthropic() if upstream == "anthropic" else FromChat() if upstream == "chat"
                       else FromResponses() if upstream == "responses" else FromGemini() if upstream == "gemini"
                       else FromOllama())
        encoder.turn = turn
        encoder.out = self.out
        decoder.turn = turn
        turn.encoder = encoder
        self.framer = Framer()
        self.framer.turn = turn
        self.framer.decoder = decoder
        self.framer.pending = Buffer()
        self.framer.joined = Buffer()
        self.framer.max_event = max_event_bytes

    def feed(self, const unsigned char[::1] chunk not None):
        if chunk.shape[0] == 0:
            return b""
        self.framer.feed(<const char*>&chunk[0], chunk.shape[0])
        return self.out.take()

    def flush(self):
        self.framer.flush()
        return self.out.take()

    @property
    def usage(self):
        if type(self.framer.decoder) is FromGemini or type(self.framer.decoder) is GeminiReframe:
            (<FromGemini>self.framer.decoder).settle()
        return self.turn.counts.export(self.turn.service_tier or "")

    @property
    def error(self):
        return self.turn.error

    @property
    def error_status(self):
        return self.turn.fault.status if self.turn.fault is not None else 0

    @property
    def finished(self):
        return self.turn.finished

    @property
    def done(self):
        return self.turn.over

    @property
    def started(self):
        return self.turn.started

    @property
    def truncated(self):
        return self.turn.truncated

    @property
    def events(self):
        return self.framer.events

    @property
    def pending(self):
        return self.framer.pending.n

    @property
    def held(self):
        return self.turn.held

    @property
    def dropped(self):
        return sorted(self.turn.dropped)
