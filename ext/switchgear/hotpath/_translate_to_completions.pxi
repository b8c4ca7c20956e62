# To text_completion chunks, the old form of /v1/completions (TRANSLATION §19). It has text and nothing else: thoughts,
# calls, citations and media are left out, and named as dropped.

cdef class ToCompletions(Encoder):
    cdef bytes head         # up to the text
    cdef bytes last         # behind the choice

    cdef int begin(self) except -1:
        cdef Turn turn = self.turn
        self.head = (
            b'data: {"id":"' + escaped(turn.id or "cmpl-" + turn.seed) + b'","object":"text_completion","created":'
            + str(turn.created).encode() + b',"model":"' + escaped(turn.model) + b'","system_fingerprint":null,"choices":['
        )
        self.last = b"}]" + (b',"usage":null' if turn.include_usage else b"") + b"}\n\n"
        return 0

    cdef int choice(self, Choice choice, const char* p, Py_ssize_t n, bytes finish) except -1:
        self.out.add(self.head)
        self.out.put(b'{"text":"', 9)
        self.out.put(p, n)
        self.out.put(b'","index":', 10)
        self.out.number(choice.index)
        self.out.put(b',"logprobs":null,"finish_reason":', 33)
        self.out.add(finish)
        return self.out.add(self.last)

    cdef int text(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        return self.choice(choice, p, n, b"null")

    cdef int refusal(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        if choice.reason is None:
            choice.reason = "content_filter"
        return self.text(choice, p, n)

    cdef int reasoning(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        return self.turn.drop("reasoning")

    cdef int annotation(self, Choice choice, dict cite) except -1:
        return self.turn.drop("citations")

    cdef int media(self, Choice choice, str mime, str data) except -1:
        return self.turn.drop("images" if mime.startswith("image/") else "audio")

    cdef int logprobs(self, Choice choice) except -1:
        return self.turn.drop("logprobs")

    cdef int call_start(self, Choice choice, Call call) except -1:
        return self.turn.drop("tool_calls")

    cdef int end(self) except -1:
        cdef Turn turn = self.turn
        cdef Choice choice
        for index in sorted(turn.choices):
            choice = <Choice>turn.choices[index]
            reason = turn.final_reason(choice)
            self.choice(choice, NULL, 0, b'"' + escaped("stop" if reason == "tool_calls" else reason) + b'"')
        if turn.include_usage and turn.counts.known:
            self.out.add(self.head + b'],"usage":' + dumped(chat_usage(turn.counts)) + b"}\n\n")
        return self.out.add(b"data: [DONE]\n\n")

    cdef int fail(self, Fault fault) except -1:
        return self.out.add(b"data: " + dumped({"error": fault.chat()}) + b"\n\n")
