# To GenerateContentResponse chunks, as events or as the elements of one JSON array (TRANSLATION §9, §11, §12).
# A function call is one part, so its arguments are collected and sent when they are complete.

_GEMINI_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}


cdef dict gemini_usage(Counts c):
    cdef long long completion = max(c.completion, 0)
    cdef dict usage = {
        "promptTokenCount": max(c.prompt, 0),
        "candidatesTokenCount": max(completion - max(c.reasoning, 0), 0),
        "totalTokenCount": c.sum(),
    }
    if c.reasoning >= 0:
        usage["thoughtsTokenCount"] = c.reasoning
    if c.cached >= 0:
        usage["cachedContentTokenCount"] = c.cached
    return usage


cdef dict _gemini_logprob(object told):
    cdef dict one = as_dict(told)
    return {"token": as_str(one.get("token")), "logProbability": one.get("logprob")}


cdef dict _gemini_logprobs(list content):
    """Chat's `logprobs.content` as logprobsResult (§6)."""
    return {
        "chosenCandidates": [_gemini_logprob(one) for one in content],
        "topCandidates": [
            {"candidates": [_gemini_logprob(top) for top in as_list(as_dict(one).get("top_logprobs"))]} for one in content
        ],
    }


cdef class ToGemini(Encoder):
    cdef bint array
    cdef bint opened        # the array's bracket is out
    cdef bytes head
    cdef bytes tail         # from the end of the candidates
    cdef dict cites

    cdef int begin(self) except -1:
        cdef Turn turn = self.turn
        self.head = b'{"candidates":[{"content":{"parts":['
        self.tail = (b'"modelVersion":"' + escaped(turn.model) + b'","responseId":"'
                     + escaped(turn.id or turn.seed) + b'"}')
        self.cites = {}
        return 0

    cdef inline int open(self) except -1:
        if self.array:
            self.out.add(b",\n" if self.opened else b"[")
            self.opened = True
            return 0
        return self.out.put(b"data: ", 6)

    cdef inline int shut(self) except -1:
        return 0 if self.array else self.out.put(b"\n\n", 2)

    cdef inline int parts_end(self, Choice choice) except -1:
        self.out.put(b'],"role":"model"},"index":', 26)
        self.out.number(choice.index)
        if choice.logprobs is not None:
            self.out.add(b',"logprobsResult":' + dumped(_gemini_logprobs(choice.logprobs)))
            choice.logprobs = None
        self.out.put(b"}],", 3)
        self.out.add(self.tail)
        return self.shut()

    cdef int text(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        self.open()
        self.out.add(self.head)
        self.out.put(b'{"text":"', 9)
        self.out.put(p, n)
        self.out.put(b'"}', 2)
        return self.parts_end(choice)

    cdef int refusal(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        if choice.reason is None:
            choice.reason = "content_filter"
        return self.text(choice, p, n)

    cdef int reasoning(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        self.open()
        self.out.add(self.head)
        self.out.put(b'{"text":"', 9)
        self.out.put(p, n)
        self.out.put(b'","thought":true}', 17)
        return self.parts_end(choice)

    cdef int part(self, Choice choice, bytes part) except -1:
        self.open()
        self.out.add(self.head)
        self.out.add(part)
        return self.parts_end(choice)

    cdef int signature(self, Choice choice, str vendor, bytes value, bint redacted) except -1:
        # the vendor's SDK decodes the field from base64: a foreign signature is wrapped to be that
        cdef bytes packed = value if vendor == "gemini" else _b64encode(pack_signature(vendor, value, redacted))
        return self.part(choice, b'{"text":"","thought":true,"thoughtSignature":"' + escaped(packed.decode()) + b'"}'
                         if vendor != "gemini" else b'{"text":"","thoughtSignature":"' + escaped(packed.decode()) + b'"}')

    cdef int logprobs(self, Choice choice) except -1:
        return self.part(choice, b'{"text":""}')

    cdef int call_start(self, Choice choice, Call call) except -1:
        call.arguments = Buffer()
        return 0

    cdef int call_arguments(self, Choice choice, Call call, const char* p, Py_ssize_t n) except -1:
        self.turn.hold(n)
        return call.arguments.put(p, n)

    cdef int call_stop(self, Choice choice, Call call) except -1:
        cdef bytes args
        cdef bytes part
        self.turn.held -= call.arguments.n
        args = unescaped(call.arguments.take()) if call.written else b"{}"
        try:
            whole = type(orjson.loads(args)) is dict
        except ValueError:
            whole = False
        if not whole:
            if choice.reason == "length":
                self.turn.drop("functionCall")  # cut off by the token limit: a call with half its arguments is none
                return 0
            raise ValueError("tool arguments are not a JSON object")
        args = b" ".join(args.splitlines())  # white space between tokens may hold line ends, strings may not
        part = b'{"functionCall":{"id":"' + escaped(call.id) + b'","name":"' + escaped(call.name) + b'","args":' + args + b"}"
        if call.signature is not None:
            part += b',"thoughtSignature":"' + escaped(call.signature.decode()) + b'"'
        elif call.index == 0:  # Gemini, should it be asked next, wants one on the first call of a turn
            part += b',"thoughtSignature":"skip_thought_signature_validator"'
        return self.part(choice, part + b"}")

    cdef int annotation(self, Choice choice, dict cite) except -1:
        self.turn.hold(256 + len(cite["url"]) + len(cite["title"]))
        self.cites.setdefault(choice.index, []).append(cite)
        return 0

    cdef int media(self, Choice choice, str mime, str data) except -1:
        return self.part(choice, dumped({"inlineData": {"mimeType": mime, "data": data}}))

    cdef int end(self) except -1:
        cdef Turn turn = self.turn
        cdef Choice choice
        cdef list indices = sorted(turn.choices)
        for index in indices:
            choice = <Choice>turn.choices[index]
            candidate = {
                "content": {"parts": [{"text": ""}], "role": "model"},
                "finishReason": _GEMINI_FINISH.get(turn.final_reason(choice), "OTHER"), "index": index,
            }
            if index in self.cites:
                candidate["groundingMetadata"] = {
                    "groundingChunks": [{"web": {"uri": c["url"], "title": c["title"]}} for c in self.cites[index]],
                }
            self.open()
            self.out.add(b'{"candidates":[' + dumped(candidate) + b"],")
            if index == indices[len(indices) - 1] and turn.counts.known:
                self.out.add(b'"usageMetadata":' + dumped(gemini_usage(turn.counts)) + b",")
            self.out.add(self.tail)
            self.shut()
        return self.out.put(b"]", 1) if self.array else 0

    cdef int fail(self, Fault fault) except -1:
        self.open()
        self.out.add(dumped({"error": fault.gemini()}))
        self.shut()
        return self.out.put(b"]", 1) if self.array else 0
