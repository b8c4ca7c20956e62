# To chat.completion.chunk (TRANSLATION §7).

_FORMATS = {"anthropic": "anthropic-claude-v1", "gemini": "google-gemini-v1", "openai": "openai-responses-v1"}


cdef dict chat_usage(Counts c):
    cdef dict usage = {"prompt_tokens": max(c.prompt, 0), "completion_tokens": max(c.completion, 0), "total_tokens": c.sum()}
    cdef dict details = {}
    if c.cached >= 0:
        details["cached_tokens"] = c.cached
    if c.written >= 0:
        details["cache_write_tokens"] = c.written
    if c.audio_in >= 0:
        details["audio_tokens"] = c.audio_in
    if details:
        usage["prompt_tokens_details"] = details
    details = {}
    if c.reasoning >= 0:
        details["reasoning_tokens"] = c.reasoning
    if c.audio_out >= 0:
        details["audio_tokens"] = c.audio_out
    if details:
        usage["completion_tokens_details"] = details
    return usage


cdef enum:
    LOGPROBS_NULL = 17      # length of `},"logprobs":null`


cdef class ToChat(Encoder):
    cdef bytes head         # up to the choice's index
    cdef bytes head_text    # up to the text of choice 0
    cdef bytes shut         # from the end of delta
    cdef bytes shut_string  # from the end of a string in delta
    cdef bytes last         # from finish_reason's value
    cdef bint keep_thought  # a signature will come that is worth nothing without its text

    cdef int begin(self) except -1:
        cdef Turn turn = self.turn
        cdef str id = turn.id or "chatcmpl-" + turn.seed
        cdef bytes usage = b',"usage":null' if turn.include_usage else b""
        self.head = (
            b'data: {"id":"' + escaped(id) + b'","object":"chat.completion.chunk","created":' + str(turn.created).encode()
            + b',"model":"' + escaped(turn.model) + b'","system_fingerprint":null,"choices":[{"index":'
        )
        self.head_text = self.head + b'0,"delta":{"content":"'
        self.shut = b'},"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
        self.shut_string = b'"' + self.shut
        self.last = b"}]" + usage + b"}\n\n"
        return 0

    cdef inline int open(self, Choice choice) except -1:
        self.out.add(self.head)
        self.out.number(choice.index)
        return self.out.put(b',"delta":{', 10)

    cdef int role(self, Choice choice, bint silent) except -1:
        choice.role = True
        self.open(choice)
        if silent:
            self.out.add(b'"role":"assistant","content":null')
        else:
            self.out.add(b'"role":"assistant","content":""')
        return self.out.add(self.shut)

    cdef int touch(self, Choice choice) except -1:
        if not choice.role:
            self.role(choice, False)
        return 0

    cdef int text(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        if not choice.role:
            self.role(choice, False)
        if choice.index == 0:
            self.out.add(self.head_text)
        else:
            self.open(choice)
            self.out.put(b'"content":"', 11)
        self.out.put(p, n)
        if choice.logprobs is not None:
            self.out.put(b'"', 1)
            return self.shut_logprobs(choice)
        return self.out.add(self.shut_string)

    cdef int shut_logprobs(self, Choice choice) except -1:
        """From the end of delta, with the log probabilities in place of null."""
        told, choice.logprobs = choice.logprobs, None
        self.out.put(b'},"logprobs":', 13)
        self.out.add(dumped({"content": told, "refusal": None}))
        return self.out.add(self.shut[LOGPROBS_NULL:])

    cdef int logprobs(self, Choice choice) except -1:
        if not choice.role:
            self.role(choice, False)
        self.open(choice)
        return self.shut_logprobs(choice)

    cdef int reasoning(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        if not choice.role:
            self.role(choice, False)
        if self.keep_thought:
            if choice.thought is None:
                choice.thought = Buffer()
            if choice.thought.n + n <= MAX_THOUGHT:
                choice.thought.put(p, n)
            else:
                choice.thought_cut = True
        self.open(choice)
        self.out.put(b'"reasoning_content":"', 21)
        self.out.put(p, n)
        return self.out.add(self.shut_string)

    cdef int reasoning_end(self, Choice choice) except -1:
        if choice.thought is not None:
            choice.thought.clear()
            choice.thought_cut = False
        return 0

    cdef int signature(self, Choice choice, str vendor, bytes value, bint redacted) except -1:
        if choice.thought_cut and not redacted:
            self.turn.drop("signature")  # with half of its text it would be refused
            return 0
        if not choice.role:
            self.role(choice, False)
        self.open(choice)
        self.out.add(b'"reasoning_details":[{"index":')
        self.out.number(choice.details)
        choice.details += 1
        if vendor == "anthropic" and not redacted:
            self.out.add(b',"type":"reasoning.text","text":"')
            if choice.thought is not None:
                self.out.put(choice.thought.p, choice.thought.n)
                choice.thought.clear()
            self.out.add(b'","signature":"')
        else:
            self.out.add(b',"type":"reasoning.encrypted",')
            if vendor == "openai":
                id, tilde, value = value.rpartition(b"~")
                if tilde:
                    self.out.add(b'"id":"' + escaped(id.decode()) + b'",')
            self.out.add(b'"data":"')
        self.out.add(escaped(value.decode()))
        self.out.add(b'","format":"' + escaped(_FORMATS.get(vendor, vendor)) + b'"}]')
        return self.out.add(self.shut)

    cdef int refusal(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        if not choice.role:
            self.role(choice, False)
        self.open(choice)
        self.out.put(b'"refusal":"', 11)
        self.out.put(p, n)
        return self.out.add(self.shut_string)

    cdef int call_start(self, Choice choice, Call call) except -1:
        cdef Turn turn = self.turn
        if not choice.role:
            self.role(choice, True)
        if turn.legacy:
            if call.index == 0:
                self.open(choice)
                self.out.add(b'"function_call":{"name":"' + escaped(call.name) + b'","arguments":""}')
                self.out.add(self.shut)
            return 0
        self.open(choice)
        self.out.add(b'"tool_calls":[{"index":')
        self.out.number(call.index)
        self.out.add(b',"id":"' + escaped(call.id) + b'","type":"function","function":{"name":"' + escaped(call.name)
                     + b'","arguments":""}')
        if call.signature is not None:
            self.out.add(b',"extra_content":{"google":{"thought_signature":"' + escaped(call.signature.decode()) + b'"}}')
        self.out.add(b"}]")
        return self.out.add(self.shut)

    cdef int call_arguments(self, Choice choice, Call call, const char* p, Py_ssize_t n) except -1:
        if self.turn.legacy and call.index:
            return 0  # the old form has room for one call
        self.open(choice)
        if self.turn.legacy:
            self.out.put(b'"function_call":{"arguments":"', 30)
            self.out.put(p, n)
            self.out.put(b'"}', 2)
        else:
            self.out.put(b'"tool_calls":[{"index":', 23)
            self.out.number(call.index)
            self.out.put(b',"function":{"arguments":"', 26)
            self.out.put(p, n)
            self.out.put(b'"}}]', 4)
        return self.out.add(self.shut)

    cdef int call_stop(self, Choice choice, Call call) except -1:
        if not call.written:
            call.written = True
            self.call_arguments(choice, call, b"{}", 2)
        return 0

    cdef int annotation(self, Choice choice, dict cite) except -1:
        if not choice.role:
            self.role(choice, False)
        self.open(choice)
        self.out.add(b'"annotations":[' + dumped({
            "index": choice.annotations, "type": "url_citation",
            "url_citation": {"url": cite["url"], "title": cite["title"], "start_index": cite["start"], "end_index": cite["end"]},
        }) + b"]")
        choice.annotations += 1
        return self.out.add(self.shut)

    cdef int media(self, Choice choice, str mime, str data) except -1:
        if not choice.role:
            self.role(choice, False)
        self.open(choice)
        if mime.startswith("audio/"):
            self.out.add(b'"audio":' + dumped({"id": "audio_" + self.turn.seed, "data": data}))
        else:
            self.out.add(b'"images":[' + dumped({
                "index": choice.media, "type": "image_url", "image_url": {"url": f"data:{mime};base64,{data}"},
            }) + b"]")
            choice.media += 1
        return self.out.add(self.shut)

    cdef int end(self) except -1:
        cdef Turn turn = self.turn
        cdef Choice choice
        cdef str reason
        for index in sorted(turn.choices):
            choice = <Choice>turn.choices[index]
            if not choice.role:
                self.role(choice, False)
            reason = turn.final_reason(choice)
            if turn.legacy and reason == "tool_calls":
                reason = "function_call"
            self.open(choice)
            self.out.add(b'},"logprobs":null,"finish_reason":"' + escaped(reason) + b'"')
            self.out.add(self.last)
        if turn.include_usage and turn.counts.known:
            self.out.put(PyBytes_AS_STRING(self.head), len(self.head) - 9)  # without {"index":
            extra = b',"service_tier":"' + escaped(turn.service_tier) + b'"' if turn.service_tier else b""
            self.out.add(b"]" + extra + b',"usage":' + dumped(chat_usage(turn.counts)) + b"}\n\n")
        return self.out.add(b"data: [DONE]\n\n")

    cdef int fail(self, Fault fault) except -1:
        return self.out.add(b"data: " + dumped({"error": fault.chat()}) + b"\n\n")
