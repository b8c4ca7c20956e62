# From Anthropic Messages events (TRANSLATION §8).

_ANTHROPIC_FINISH = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length",
    "tool_use": "tool_calls", "pause_turn": "stop", "refusal": "content_filter", "compaction": "length",
}


cdef class FromAnthropic(Decoder):
    cdef dict blocks        # index -> Call, or the block's type
    cdef dict usage         # counters as last told
    cdef dict usage_detail
    cdef bint stop_told
    cdef long long text_from

    def __cinit__(self):
        self.blocks = {}
        self.usage = {}

    cdef int event(self, const char* p, Py_ssize_t n, bint named_error) except -1:
        cdef Field f[8]
        cdef Field d[4]
        cdef int i, count, inner
        cdef int delta = -1
        cdef int kind = 0
        cdef int payload = -1
        cdef long long index = 0
        cdef bint fits = False
        count = members(p, n, f, 8)
        for i in range(count):
            if named(&f[i], b"type", 4):
                fits = valued(&f[i], b"content_block_delta", 19)
            elif named(&f[i], b"delta", 5):
                delta = i
            elif named(&f[i], b"index", 5):
                index = integer(&f[i])
        if fits and delta >= 0 and self.turn.started:
            inner = members(f[delta].p, f[delta].n, d, 4)
            for i in range(inner):
                if named(&d[i], b"type", 4):
                    if valued(&d[i], b"text_delta", 10):
                        kind = 1
                    elif valued(&d[i], b"input_json_delta", 16):
                        kind = 2
                    elif valued(&d[i], b"thinking_delta", 14):
                        kind = 3
                elif named(&d[i], b"text", 4) or named(&d[i], b"partial_json", 12) or named(&d[i], b"thinking", 8):
                    payload = i
            if kind and payload >= 0 and d[payload].kind == 34 and copyable(d[payload].p, d[payload].n):
                if kind == 1:
                    return self.turn.text(self.turn.first, d[payload].p, d[payload].n)
                if kind == 3:
                    return self.turn.reasoning(self.turn.first, d[payload].p, d[payload].n)
                call = self.blocks.get(index)
                if type(call) is Call:
                    self.turn.call_arguments(self.turn.first, <Call>call, d[payload].p, d[payload].n)
                return 0
        return self.slow(as_dict(decode(p, n)), p, n, named_error)

    cdef int slow(self, dict e, const char* p, Py_ssize_t n, bint named_error) except -1:
        cdef Turn turn = self.turn
        cdef str type_ = as_str(e.get("type"))
        cdef dict inner
        if type_ == "error" or named_error or (not type_ and e.get("error")):
            return self.report(e, p, n)
        if type_ == "message_start":
            inner = as_dict(e.get("message"))
            self.count(as_dict(inner.get("usage")))
            turn.open(as_str(inner.get("id")), as_str(inner.get("model")))
        elif type_ == "content_block_start":
            turn.start("", "")
            self.block_start(as_key(e.get("index")), as_dict(e.get("content_block")))
        elif type_ == "content_block_delta":
            turn.start("", "")
            self.block_delta(as_key(e.get("index")), as_dict(e.get("delta")))
        elif type_ == "content_block_stop":
            turn.start("", "")
            self.block_stop(as_key(e.get("index")))
        elif type_ == "message_delta":
            turn.start("", "")
            inner = as_dict(e.get("delta"))
            if type(inner.get("stop_reason")) is str:
                turn.first.reason = _ANTHROPIC_FINISH.get(inner["stop_reason"], "stop")
                if type(inner.get("stop_sequence")) is str:
                    turn.first.stop_sequence = inner["stop_sequence"]
                if inner["stop_reason"] == "refusal" and not turn.first.spoke:
                    turn.refusal_str(turn.first, as_dict(inner.get("stop_details")).get("explanation"))
            self.count(as_dict(e.get("usage")))
        elif type_ == "message_stop":
            if turn.first.reason is None:
                return turn.cut_short()
            return turn.end()
        elif type_ == "message" and "content" in e:
            return self.message(e)
        return 0

    cdef int message(self, dict e) except -1:
        """A whole answer where a stream was asked for."""
        cdef Turn turn = self.turn
        self.count(as_dict(e.get("usage")))
        turn.start(as_str(e.get("id")), as_str(e.get("model")))
        for i, block in enumerate(as_list(e.get("content"))):
            block = as_dict(block)
            self.block_start(i, block)
            if block.get("type") == "thinking":
                turn.signature(turn.first, "anthropic", block.get("signature"), False)
            self.block_stop(i)
        if type(e.get("stop_reason")) is not str:
            return turn.cut_short()
        turn.first.reason = _ANTHROPIC_FINISH.get(e["stop_reason"], "stop")
        return turn.end()

    cdef int block_start(self, object index, dict block) except -1:
        cdef Turn turn = self.turn
        cdef Choice choice = turn.first
        cdef str type_ = as_str(block.get("type"))
        cdef Call call
        if len(self.blocks) > MAX_CALLS * 8:
            raise _Overlong("too many content blocks")
        if type_ == "tool_use":
            call = turn.new_call(choice)
            self.blocks[index] = call
            turn.name_call(choice, call, as_str(block.get("id")), as_str(block.get("name")), True)
            if block.get("input") and type(block["input"]) is dict:
                turn.call_arguments_str(choice, call, block["input"])
            return 0
        self.blocks[index] = type_
        if type_ == "text":
            self.text_from = choice.chars
            turn.encoder.touch(choice)
            turn.text_str(choice, block.get("text"))
        elif type_ == "thinking":
            turn.encoder.touch(choice)
            turn.reasoning_str(choice, block.get("thinking"))
        elif type_ == "redacted_thinking":
            turn.signature(choice, "anthropic", block.get("data"), True)
        elif type_:
            turn.drop(type_)
        return 0

    cdef int block_delta(self, object index, dict delta) except -1:
        cdef Turn turn = self.turn
        cdef Choice choice = turn.first
        cdef str type_ = as_str(delta.get("type"))
        cdef dict cite
        if type_ == "text_delta":
            turn.text_str(choice, delta.get("text"))
        elif type_ == "thinking_delta":
            turn.reasoning_str(choice, delta.get("thinking"))
        elif type_ == "signature_delta":
            turn.signature(choice, "anthropic", delta.get("signature"), False)
        elif type_ == "input_json_delta":
            call = self.blocks.get(index)
            if type(call) is Call:
                turn.call_arguments_str(choice, <Call>call, delta.get("partial_json"))
        elif type_ == "citations_delta":
            cite = as_dict(delta.get("citation"))
            if as_str(cite.get("url")):
                turn.encoder.annotation(choice, {
                    "url": cite["url"], "title": as_str(cite.get("title")), "start": self.text_from, "end": choice.chars,
                    "cited": as_str(cite.get("cited_text")),
                })
        return 0

    cdef int block_stop(self, object index) except -1:
        block = self.blocks.get(index)
        if type(block) is Call:
            self.turn.call_stop(self.turn.first, <Call>block)
        elif block == "thinking":
            self.turn.encoder.reasoning_end(self.turn.first)
        return 0

    cdef int count(self, dict usage) except -1:
        """Counters are cumulative, and each event may tell only some of them."""
        cdef Counts c = self.turn.counts
        if not usage:
            return 0
        for key in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
            if as_int(usage.get(key)) >= 0:
                self.usage[key] = as_int(usage.get(key))
        thinking = as_int(as_dict(usage.get("output_tokens_details")).get("thinking_tokens"))
        if thinking >= 0:
            c.reasoning = thinking
        if as_int(as_dict(usage.get("cache_creation")).get("ephemeral_1h_input_tokens")) >= 0:
            c.written_1h = as_int(usage["cache_creation"]["ephemeral_1h_input_tokens"])
        c.cached = self.usage.get("cache_read_input_tokens", -1)
        c.written = self.usage.get("cache_creation_input_tokens", -1)
        c.prompt = self.usage.get("input_tokens", 0) + max(c.cached, 0) + max(c.written, 0)
        c.completion = self.usage.get("output_tokens", 0)
        c.known = True
        if usage.get("speed") == "fast":
            c.tier = "fast"
        if type(usage.get("service_tier")) is str:
            self.turn.service_tier = {"standard": "default", "priority": "priority"}.get(usage["service_tier"], "")
        return 0
