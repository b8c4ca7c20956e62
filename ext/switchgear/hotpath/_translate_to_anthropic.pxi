# To Anthropic Messages events (TRANSLATION §14.3).
#
# Blocks come one after the other, so a block cannot be left while a tool call in it is incomplete: what arrives for
# other blocks meanwhile waits in a queue and is played when the call is done (its JSON closed, or the upstream says so).

cdef enum:
    NONE = 0
    TEXT = 1
    THINKING = 2
    CALL = 3
    # what only the queue knows
    ARGUMENTS = 4
    STOP = 5
    SIGNATURE = 6
    THINKING_END = 7
    CITATION = 8
    # what an entry of the queue costs beside its text, bytes
    QUEUED = 256

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


cdef dict anthropic_usage(Counts c):
    cdef long long prompt = max(c.prompt, 0)
    cdef long long cached = min(max(c.cached, 0), prompt)  # some count more than there was
    cdef long long written = min(max(c.written, 0), prompt - cached)
    cdef dict usage = {
        "input_tokens": prompt - cached - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": max(c.completion, 0),
    }
    if c.reasoning >= 0:
        usage["output_tokens_details"] = {"thinking_tokens": c.reasoning}
    return usage


cdef class ToAnthropic(Encoder):
    cdef int block          # index of the next block
    cdef int open           # kind of the open one
    cdef Call call          # the open one's
    cdef Call written       # how far its JSON has been written: the turn may be ahead, with pieces in the queue
    cdef list queue
    cdef bytes delta_text   # up to the text of a delta in the open text or thinking block

    cdef int begin(self) except -1:
        cdef Turn turn = self.turn
        self.queue = []
        message = {
            "id": turn.id or "msg_" + turn.seed, "type": "message", "role": "assistant", "model": turn.model, "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": anthropic_usage(turn.counts),
        }
        return self.out.add(b'event: message_start\ndata: {"type":"message_start","message":' + dumped(message) + b"}\n\n")

    cdef int shut(self) except -1:
        if self.open != NONE:
            self.out.put(b'event: content_block_stop\ndata: {"type":"content_block_stop","index":', 69)
            self.out.number(self.block - 1)
            self.out.put(b"}\n\n", 3)
            if self.call is not None:
                self.call.ended = True
                self.call = None
            self.open = NONE
        return 0

    cdef int start(self, int kind, bytes block) except -1:
        self.shut()
        self.out.put(b'event: content_block_start\ndata: {"type":"content_block_start","index":', 71)
        self.out.number(self.block)
        self.out.add(b',"content_block":' + block + b"}\n\n")
        head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":' + str(self.block).encode() + b',"delta":{"type":"'
        if kind == TEXT:
            head += b'text_delta","text":"'
        elif kind == THINKING:
            head += b'thinking_delta","thinking":"'
        else:
            head += b'input_json_delta","partial_json":"'
        self.delta_text = head
        self.block += 1
        self.open = kind
        return 0

    cdef inline int delta(self, const char* p, Py_ssize_t n) except -1:
        self.out.add(self.delta_text)
        self.out.put(p, n)
        return self.out.put(b'"}}\n\n', 5)

    cdef inline bint waits(self):
        """Whether the open block is a tool call that may still grow."""
        return self.open == CALL and not self.call.ended and not self.written.complete()

    cdef int act(self, int kind, Choice choice, Call call, const char* p, Py_ssize_t n, object extra) except -1:
        if kind == TEXT:
            if self.open != TEXT:
                self.start(TEXT, b'{"type":"text","text":""}')
            return self.delta(p, n)
        if kind == THINKING:
            if self.open != THINKING:
                self.start(THINKING, b'{"type":"thinking","thinking":"","signature":""}')
            return self.delta(p, n)
        if kind == ARGUMENTS:
            if self.call is call:
                self.written.track(p, n)
                self.delta(p, n)
            return 0  # a call that was closed was complete: more is white space
        if kind == CALL:
            if call.signature is not None:
                self.sign("gemini", call.signature, False)
            self.start(CALL, b'{"type":"tool_use","id":"' + escaped(tool_id(call.id)) + b'","name":"' + escaped(call.name)
                       + b'","input":{}}')
            self.call = call
            self.written = Call()
            return 0
        if kind == STOP:
            if self.call is call:
                self.shut()
            call.ended = True
            return 0
        if kind == SIGNATURE:
            vendor, value, redacted = extra
            return self.sign(vendor, value, redacted)
        if kind == THINKING_END:
            return self.shut() if self.open == THINKING else 0
        if kind == CITATION and self.open == TEXT:
            self.out.put(b'event: content_block_delta\ndata: {"type":"content_block_delta","index":', 71)
            self.out.number(self.block - 1)
            self.out.add(b',"delta":{"type":"citations_delta","citation":' + dumped({
                "type": "web_search_result_location", "url": extra["url"], "title": extra["title"],
                "cited_text": extra["cited"], "encrypted_index": "swg.citation",  # `dialects.anthropic.FOREIGN_INDEX`
            }) + b"}}\n\n")
        return 0

    cdef int sign(self, str vendor, bytes value, bint redacted) except -1:
        """A signature of the open thinking block; without one, of a block that holds nothing else."""
        cdef bytes packed = value if vendor == "anthropic" else pack_signature(vendor, value, redacted)
        if not redacted:
            if self.open != THINKING:
                self.start(THINKING, b'{"type":"thinking","thinking":"","signature":""}')
            self.out.put(b'event: content_block_delta\ndata: {"type":"content_block_delta","index":', 71)
            self.out.number(self.block - 1)
            self.out.add(b',"delta":{"type":"signature_delta","signature":"' + escaped(packed.decode()) + b'"}}\n\n')
            return self.shut()
        self.start(THINKING, b'{"type":"redacted_thinking","data":"' + escaped(packed.decode()) + b'"}')
        return self.shut()

    cdef int route(self, int kind, Choice choice, Call call, const char* p, Py_ssize_t n, object extra) except -1:
        if self.waits() and call is not self.call:
            self.turn.hold(n + QUEUED)
            self.queue.append((kind, choice, call, PyBytes_FromStringAndSize(p, n), extra))
            return 0
        self.act(kind, choice, call, p, n, extra)
        if self.queue:
            self.drain()
        return 0

    cdef int drain(self) except -1:
        """Play the queue in order, as far as it goes without leaving an unfinished call."""
        cdef list queue
        cdef bytes held
        while self.queue and not self.waits():
            queue, self.queue = self.queue, []
            for kind, choice, call, held, extra in queue:
                # behind something that must wait, only the open call's own may pass
                if (call is None or call is not self.call) and (self.queue or self.waits()):
                    self.queue.append((kind, choice, call, held, extra))
                else:
                    self.turn.held -= len(held) + QUEUED
                    self.act(kind, <Choice>choice, <Call>call, PyBytes_AS_STRING(held), PyBytes_GET_SIZE(held), extra)
        return 0

    cdef int text(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        if self.open == TEXT:
            return self.delta(p, n)
        return self.route(TEXT, choice, None, p, n, None)

    cdef int refusal(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        if choice.reason is None:
            choice.reason = "content_filter"
        return self.text(choice, p, n)

    cdef int reasoning(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        if self.open == THINKING:
            return self.delta(p, n)
        return self.route(THINKING, choice, None, p, n, None)

    cdef int reasoning_end(self, Choice choice) except -1:
        return self.route(THINKING_END, choice, None, NULL, 0, None)

    cdef int signature(self, Choice choice, str vendor, bytes value, bint redacted) except -1:
        return self.route(SIGNATURE, choice, None, NULL, 0, (vendor, value, redacted))

    cdef int annotation(self, Choice choice, dict cite) except -1:
        return self.route(CITATION, choice, None, NULL, 0, cite)

    cdef int media(self, Choice choice, str mime, str data) except -1:
        self.turn.drop("images" if mime.startswith("image/") else "audio")
        return 0

    cdef int logprobs(self, Choice choice) except -1:
        return self.turn.drop("logprobs")

    cdef int call_start(self, Choice choice, Call call) except -1:
        return self.route(CALL, choice, call, NULL, 0, None)

    cdef int call_arguments(self, Choice choice, Call call, const char* p, Py_ssize_t n) except -1:
        return self.route(ARGUMENTS, choice, call, p, n, None)

    cdef int call_stop(self, Choice choice, Call call) except -1:
        return self.route(STOP, choice, call, NULL, 0, None)

    cdef int end(self) except -1:
        cdef Turn turn = self.turn
        cdef Choice choice = turn.first
        while self.queue:
            if self.call is not None:
                self.call.ended = True
            self.drain()
        self.shut()
        reason = "stop_sequence" if choice.stop_sequence is not None else _STOP_REASONS.get(turn.final_reason(choice), "end_turn")
        self.out.add(b'event: message_delta\ndata: ' + dumped({
            "type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": choice.stop_sequence},
            "usage": anthropic_usage(turn.counts),
        }) + b'\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n')
        return 0

    cdef int fail(self, Fault fault) except -1:
        return self.out.add(b"event: error\ndata: " + dumped({
            "type": "error", "error": {"type": fault.anthropic_type(), "message": fault.message},
        }) + b"\n\n")
