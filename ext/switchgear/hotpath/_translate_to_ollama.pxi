# To Ollama's lines, of /api/chat or of /api/generate (TRANSLATION §10). A tool call is one object, so its arguments are
# collected and sent when they are complete.

_OLLAMA_FINISH = {"stop": "stop", "length": "length", "tool_calls": "stop", "content_filter": "content_filter"}


cdef dict _ollama_logprob(object told):
    cdef dict one = as_dict(told)
    cdef dict found = {"token": as_str(one.get("token")), "logprob": one.get("logprob")}
    cdef list others = as_list(one.get("top_logprobs"))
    if others:
        found["top_logprobs"] = [
            {"token": as_str(as_dict(other).get("token")), "logprob": as_dict(other).get("logprob")} for other in others
        ]
    return found


cdef int put_unbroken(Buffer out, const char* p, Py_ssize_t n) except -1:
    """Copy JSON text, with what ends a line elsewhere written as an escape: U+0085, U+2028 and U+2029, which JSON allows
    in strings and at which httpx, and so the official SDK, would cut the line in two."""
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t start = 0
    cdef const unsigned char* s = <const unsigned char*>p
    while i < n:
        if s[i] < 0xC2:
            i += 1
        elif s[i] == 0xC2 and i + 1 < n and s[i + 1] == 0x85:
            out.put(p + start, i - start)
            out.put(b"\\u0085", 6)
            i += 2
            start = i
        elif s[i] == 0xE2 and i + 2 < n and s[i + 1] == 0x80 and (s[i + 2] == 0xA8 or s[i + 2] == 0xA9):
            out.put(p + start, i - start)
            out.put(b"\\u2028" if s[i + 2] == 0xA8 else b"\\u2029", 6)
            i += 3
            start = i
        else:
            i += 1
    return out.put(p + start, n - start)


cdef class ToOllama(Encoder):
    cdef bint generate          # /api/generate: no message around what is said
    cdef object clock           # nanoseconds since the request began, or None
    cdef long long spoke_ns     # when the first word came, -1 before
    cdef bytes head             # what every line begins with
    cdef bytes text_open
    cdef bytes thought_open

    cdef int begin(self) except -1:
        cdef Turn turn = self.turn
        cdef bytes said = b'"response":"' if self.generate else b'"message":{"role":"assistant","content":"'
        stamp = _datetime.fromtimestamp(turn.created, _UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.head = b'{"model":"' + escaped(turn.model) + b'","created_at":"' + stamp.encode() + b'",'
        self.text_open = self.head + said
        self.thought_open = self.text_open + b'","thinking":"'
        self.spoke_ns = -1
        return 0

    cdef int shut(self, Choice choice) except -1:
        """From the end of the last string of what is said."""
        self.out.put(b'"', 1)
        return self.close(choice)

    cdef int close(self, Choice choice) except -1:
        """From the end of the last member of what is said. Before the first line goes out: the clock."""
        if not self.generate:
            self.out.put(b"}", 1)
        if choice.logprobs is not None:
            self.out.put(b',"logprobs":', 12)
            self.add(dumped([_ollama_logprob(one) for one in choice.logprobs]))
            choice.logprobs = None
        if self.spoke_ns < 0 and self.clock is not None:
            self.spoke_ns = self.clock()
        return self.out.put(b',"done":false}\n', 15)

    cdef int add(self, bytes json) except -1:
        return put_unbroken(self.out, PyBytes_AS_STRING(json), PyBytes_GET_SIZE(json))

    cdef int text(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        self.out.add(self.text_open)
        put_unbroken(self.out, p, n)
        return self.shut(choice)

    cdef int refusal(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        if choice.reason is None:
            choice.reason = "content_filter"
        return self.text(choice, p, n)

    cdef int reasoning(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        self.out.add(self.thought_open)
        put_unbroken(self.out, p, n)
        return self.shut(choice)

    cdef int logprobs(self, Choice choice) except -1:
        self.out.add(self.text_open)
        return self.shut(choice)

    cdef int call_start(self, Choice choice, Call call) except -1:
        if self.generate:
            return self.turn.drop("tool_calls")
        call.arguments = Buffer()
        return 0

    cdef int call_arguments(self, Choice choice, Call call, const char* p, Py_ssize_t n) except -1:
        if self.generate:
            return 0
        self.turn.hold(n)
        return call.arguments.put(p, n)

    cdef int call_stop(self, Choice choice, Call call) except -1:
        cdef bytes args
        if self.generate:
            return 0
        self.turn.held -= call.arguments.n
        args = unescaped(call.arguments.take()) if call.written else b"{}"
        try:
            whole = type(orjson.loads(args)) is dict
        except ValueError:
            whole = False
        if not whole:
            if choice.reason == "length":
                self.turn.drop("tool_calls")  # cut off by the token limit: a call with half its arguments is none
                return 0
            raise ValueError("tool arguments are not a JSON object")
        args = b" ".join(args.splitlines())  # white space between tokens may hold line ends, strings may not
        self.out.add(self.text_open)
        self.out.add(b'","tool_calls":[{"id":"')
        self.add(escaped(call.id))
        self.out.add(b'","function":{"index":')
        self.out.number(call.index)
        self.out.add(b',"name":"')
        self.add(escaped(call.name))
        self.out.add(b'","arguments":')
        self.add(args)
        self.out.add(b"}}]")
        return self.close(choice)

    cdef int annotation(self, Choice choice, dict cite) except -1:
        return self.turn.drop("citations")

    cdef int media(self, Choice choice, str mime, str data) except -1:
        if not mime.startswith("image/"):
            return self.turn.drop("audio")
        self.out.add(self.text_open)
        if self.generate:
            self.out.add(b'","image":"')
            self.add(escaped(data))
            return self.shut(choice)
        self.out.add(b'","images":["')
        self.add(escaped(data))
        self.out.add(b'"]')
        return self.close(choice)

    cdef int end(self) except -1:
        cdef Turn turn = self.turn
        cdef Counts c = turn.counts
        cdef long long total
        self.out.add(self.text_open)
        self.out.put(b'"', 1)
        if not self.generate:
            self.out.put(b"}", 1)
        self.out.add(b',"done":true,"done_reason":"')
        self.out.add(escaped(_OLLAMA_FINISH.get(turn.final_reason(turn.first), "stop")) + b'"')
        if self.clock is not None:
            total = self.clock()
            if self.spoke_ns < 0:
                self.spoke_ns = total
            self.figure(b"total_duration", total)
            self.figure(b"prompt_eval_duration", self.spoke_ns)
            self.figure(b"eval_duration", total - self.spoke_ns)
        if c.known:
            self.figure(b"prompt_eval_count", max(c.prompt, 0))
            self.figure(b"eval_count", max(c.completion, 0))
        return self.out.put(b"}\n", 2)

    cdef int figure(self, bytes name, long long value) except -1:
        self.out.add(b',"' + name + b'":')
        return self.out.number(value)

    cdef int fail(self, Fault fault) except -1:
        self.add(dumped({"error": fault.message}))
        return self.out.put(b"\n", 1)
