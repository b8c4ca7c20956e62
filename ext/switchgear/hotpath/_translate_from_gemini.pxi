# From GenerateContentResponse chunks (TRANSLATION §9).

_GEMINI_REASONS = {
    "STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length", "OTHER": "stop", "FINISH_REASON_UNSPECIFIED": "stop",
    "IMAGE_OTHER": "stop", "NO_IMAGE": "stop", "MALFORMED_FUNCTION_CALL": "stop", "UNEXPECTED_TOOL_CALL": "stop",
    "TOO_MANY_TOOL_CALLS": "stop", "MALFORMED_RESPONSE": "stop", "MISSING_THOUGHT_SIGNATURE": "stop",
    0: "stop", 1: "stop", 2: "length", 3: "content_filter", 4: "content_filter", 5: "stop",
}
_GEMINI_EXPLAINED = frozenset({
    "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE",
})


cdef bint member(const char* p, Py_ssize_t n, const char* name, Py_ssize_t name_len, Field* out) noexcept:
    cdef Field f[32]
    cdef int i
    cdef int count = members(p, n, f, 32)
    for i in range(count):
        if named(&f[i], name, name_len):
            out[0] = f[i]
            return True
    return False


cdef tuple modalities(object details):
    """Tokens of audio and of images, -1 where they are not told."""
    cdef long long audio = -1, image = -1
    for one in as_list(details):
        one = as_dict(one)
        if one.get("modality") == "AUDIO":
            audio = as_int(one.get("tokenCount"))
        elif one.get("modality") == "IMAGE":
            image = as_int(one.get("tokenCount"))
    return audio, image


cdef dict _chat_logprob(object candidate):
    """One token, as chat says it. -9999 stands for what is not a finite number, as in OpenAI's own answers."""
    cdef dict one = as_dict(candidate)
    cdef str token = as_str(one.get("token"))
    value = one.get("logProbability")
    if type(value) is int:
        value = float(value)
    if type(value) is not float or not -1e300 < value < 1e300:
        value = -9999.0
    return {"token": token, "logprob": value, "bytes": list(token.encode("utf-8", "replace"))}


cdef list _chat_logprobs(dict result):
    """logprobsResult as chat's `logprobs.content` (§6)."""
    cdef list tops = as_list(result.get("topCandidates"))
    cdef list content = []
    for i, chosen in enumerate(as_list(result.get("chosenCandidates"))):
        one = _chat_logprob(chosen)
        top = as_list(as_dict(tops[i]).get("candidates")) if i < len(tops) else []
        one["top_logprobs"] = [_chat_logprob(candidate) for candidate in top]
        content.append(one)
    return content


cdef class FromGemini(Decoder):
    cdef Buffer usage       # the last usageMetadata, as it came: decoded when somebody asks
    cdef bint reasoned      # a finish reason or a block was seen
    cdef dict partial       # choice -> Call whose arguments come in pieces

    def __cinit__(self):
        self.usage = Buffer()
        self.partial = {}

    cdef int event(self, const char* p, Py_ssize_t n, bint named_error) except -1:
        cdef Field f[12]
        cdef Field c
        cdef int i
        cdef int candidates = -1
        cdef int count = members(p, n, f, 12)
        cdef bint plain = count >= 0 and self.turn.begun and not named_error
        for i in range(count):
            if named(&f[i], b"candidates", 10):
                candidates = i
            elif named(&f[i], b"usageMetadata", 13):
                self.usage.n = 0
                self.usage.put(f[i].p, f[i].n)
            elif named(&f[i], b"error", 5) or named(&f[i], b"promptFeedback", 14):
                plain = False
        if plain and candidates >= 0 and elements(f[candidates].p, f[candidates].n, &c, 1) == 1 and self.fast(&c):
            return 0
        return self.slow(as_dict(decode(p, n)), p, n, named_error)

    cdef bint fast(self, Field* candidate) except -1:
        """A candidate that is one text part of choice 0 and nothing else."""
        cdef Field c[8]
        cdef Field d[4]
        cdef Field t[3]
        cdef int i, count
        cdef int content = -1
        cdef int parts = -1
        cdef int text = -1
        cdef bint thought = False
        count = members(candidate.p, candidate.n, c, 8)
        for i in range(count):
            if named(&c[i], b"content", 7):
                content = i
            elif named(&c[i], b"index", 5):
                if integer(&c[i]) != 0:
                    return False
            else:
                return False
        if content < 0:
            return False
        count = members(c[content].p, c[content].n, d, 4)
        for i in range(count):
            if named(&d[i], b"parts", 5):
                parts = i
        if parts < 0 or elements(d[parts].p, d[parts].n, t, 1) != 1:
            return False
        count = members(t[0].p, t[0].n, t, 3)
        for i in range(count):
            if named(&t[i], b"text", 4):
                text = i
            elif named(&t[i], b"thought", 7):
                thought = t[i].n == 4
            else:
                return False
        if text < 0 or t[text].kind != 34 or not copyable(t[text].p, t[text].n):
            return False
        if thought:
            self.turn.reasoning(self.turn.first, t[text].p, t[text].n)
        else:
            self.turn.text(self.turn.first, t[text].p, t[text].n)
        return True

    cdef int slow(self, dict e, const char* p, Py_ssize_t n, bint named_error) except -1:
        cdef Turn turn = self.turn
        cdef Choice choice
        cdef Field f
        cdef Field one[16]
        cdef int count = 0
        if e.get("error") or named_error:
            return self.report(e, p, n)
        if not ("candidates" in e or "promptFeedback" in e or "usageMetadata" in e or "responseId" in e):
            return 0
        if not turn.begun:
            self.settle()
        turn.start(as_str(e.get("responseId")), as_str(e.get("modelVersion")))
        if member(p, n, b"candidates", 10, &f):
            count = elements(f.p, f.n, one, 16)
        for i, candidate in enumerate(as_list(e.get("candidates"))):
            candidate = as_dict(candidate)
            choice = turn.choice(max(as_int(candidate.get("index", 0)), 0))
            if choice is None:
                turn.drop("candidates")
                continue
            self.candidate(choice, candidate, one[i].p if i < count else NULL, one[i].n if i < count else 0)
        if as_dict(e.get("promptFeedback")).get("blockReason"):
            self.reasoned = True
            turn.finish(turn.first, "content_filter")
        return 0

    cdef int candidate(self, Choice choice, dict candidate, const char* p, Py_ssize_t n) except -1:
        cdef Turn turn = self.turn
        cdef Field f
        cdef Field* at = NULL
        cdef int count = 0
        cdef Py_ssize_t room
        cdef list parts = as_list(as_dict(candidate.get("content")).get("parts"))
        cdef Buffer fields = Buffer()
        if parts and p != NULL and member(p, n, b"content", 7, &f) and member(f.p, f.n, b"parts", 5, &f):
            room = len(parts)
            fields.room(room * sizeof(Field))
            at = <Field*>fields.p
            count = elements(f.p, f.n, at, <int>room)
        if type(candidate.get("logprobsResult")) is dict:
            turn.logprobs(choice, _chat_logprobs(<dict>candidate["logprobsResult"]))
        for i, part in enumerate(parts):
            self.part(choice, as_dict(part), at[i].p if i < count else NULL, at[i].n if i < count else 0)
        turn.logprobs_end(choice)
        if type(candidate.get("groundingMetadata")) is dict:
            self.grounding(choice, <dict>candidate["groundingMetadata"])
        reason = candidate.get("finishReason")
        if reason:
            self.reasoned = True
            if type(reason) is not str and type(reason) is not int:
                reason = "OTHER"
            if reason in _GEMINI_EXPLAINED and not choice.spoke and not choice.calls:
                turn.text_str(choice, candidate.get("finishMessage"))
            turn.finish(choice, _GEMINI_REASONS.get(reason, "content_filter"))
        return 0

    cdef int part(self, Choice choice, dict part, const char* p, Py_ssize_t n) except -1:
        cdef Turn turn = self.turn
        cdef dict function
        signature = part.get("thoughtSignature")
        if type(part.get("functionCall")) is dict:
            return self.call(choice, <dict>part["functionCall"], as_str(signature), p, n)
        if type(part.get("text")) is str:
            if part.get("thought") is True:
                turn.reasoning_str(choice, part["text"])
            else:
                turn.text_str(choice, part["text"])
        elif type(part.get("inlineData")) is dict:
            turn.encoder.media(choice, as_str(part["inlineData"].get("mimeType")), as_str(part["inlineData"].get("data")))
        else:
            for key in part:
                if key != "thoughtSignature":
                    turn.drop(key)
        return turn.signature(choice, "gemini", signature, False)

    cdef int call(self, Choice choice, dict function, str signature, const char* p, Py_ssize_t n) except -1:
        cdef Turn turn = self.turn
        cdef Field f
        cdef Call call = <Call>self.partial.get(choice.index)
        cdef bytes text
        cdef bint more = function.get("willContinue") is True
        if call is None:
            call = turn.new_call(choice)
            if signature:
                call.signature = signature.encode("utf-8", "replace")
            turn.name_call(choice, call, as_str(function.get("id")), as_str(function.get("name")), True)
            call.item = {} if more or "partialArgs" in function else call.item
        if more or "partialArgs" in function or choice.index in self.partial:
            return self.pieces(choice, call, function, more)
        if p != NULL and member(p, n, b"functionCall", 12, &f) and member(f.p, f.n, b"args", 4, &f) and f.kind == 123:
            # the arguments as they came: decoded and encoded again, a long integer would not survive
            text = compact_escaped(f.p, f.n)
            if copyable(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)):
                turn.call_arguments(choice, call, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
                return turn.call_stop(choice, call)
        turn.call_arguments_str(choice, call, function.get("args"))
        return turn.call_stop(choice, call)

    cdef int pieces(self, Choice choice, Call call, dict function, bint more) except -1:
        """streamFunctionCallArguments: `partialArgs` name a JSON path and a value; strings come in several."""
        cdef dict args = self.partial.setdefault(("args", choice.index), {})
        if type(function.get("args")) is dict:
            args.update(function["args"])
        for one in as_list(function.get("partialArgs")):
            one = as_dict(one)
            for key in ("stringValue", "numberValue", "boolValue", "nullValue"):
                if key in one:
                    self.turn.hold(64 + len(str(one[key])))
                    self.turn.hold(8 * _put_path(args, as_str(one.get("jsonPath")), None if key == "nullValue" else one[key]))
        if more:
            self.partial[choice.index] = call
            return 0
        self.partial.pop(choice.index, None)
        del self.partial[("args", choice.index)]
        self.turn.call_arguments_str(choice, call, args)
        return self.turn.call_stop(choice, call)

    cdef int grounding(self, Choice choice, dict grounding) except -1:
        cdef list chunks = as_list(grounding.get("groundingChunks"))
        cdef bint placed = False
        for support in as_list(grounding.get("groundingSupports")):
            segment = as_dict(as_dict(support).get("segment"))
            for index in as_list(as_dict(support).get("groundingChunkIndices")):
                web = as_dict(as_dict(chunks[index]).get("web")) if type(index) is int and 0 <= index < len(chunks) else {}
                if as_str(web.get("uri")):
                    placed = True
                    self.turn.encoder.annotation(choice, {
                        "url": web["uri"], "title": as_str(web.get("title")), "start": max(as_int(segment.get("startIndex")), 0),
                        "end": max(as_int(segment.get("endIndex")), 0), "cited": as_str(segment.get("text")),
                    })
        if placed or not choice.chars:
            return 0
        for chunk in chunks:  # no word of where they belong: they are of the whole text
            web = as_dict(as_dict(chunk).get("web"))
            if as_str(web.get("uri")):
                self.turn.encoder.annotation(choice, {
                    "url": web["uri"], "title": as_str(web.get("title")), "start": 0, "end": 0, "cited": "",
                })
        return 0

    cdef int settle(self) except -1:
        cdef Counts c = self.turn.counts
        cdef dict u
        cdef long long candidates, thoughts, extra
        if self.usage.n == 0:
            return 0
        try:
            u = as_dict(decode(self.usage.p, self.usage.n))
        except (ValueError, RecursionError):
            return 0
        if as_int(u.get("promptTokenCount")) < 0 and as_int(u.get("totalTokenCount")) < 0:
            return 0
        c.known = True
        thoughts = as_int(u.get("thoughtsTokenCount"))
        extra = as_int(u.get("toolUsePromptTokenCount"))
        candidates = as_int(u.get("candidatesTokenCount"))
        c.prompt = max(as_int(u.get("promptTokenCount")), 0) + max(extra, 0)
        c.completion = max(candidates, 0) + max(thoughts, 0)
        c.total = as_int(u.get("totalTokenCount"))
        c.reasoning = thoughts
        c.cached = as_int(u.get("cachedContentTokenCount"))
        c.audio_in, c.image_in = modalities(u.get("promptTokensDetails"))
        c.audio_out, c.image_out = modalities(u.get("candidatesTokensDetails"))
        c.cached_audio, _ = modalities(u.get("cacheTokensDetails"))
        c.tier = as_str(u.get("serviceTier"))
        return 0

    cdef int done(self) except -1:
        return 0

    cdef int close(self) except -1:
        self.settle()
        if not self.reasoned:
            return self.turn.cut_short()
        return self.turn.end()


cdef int _put_path(dict root, str path, object value) except -1:
    """Set `$.a.b[0]` in `root`; a string at a place that has one already is appended. How many places that made."""
    cdef object place = root
    cdef int made = 0
    cdef list steps = [step for step in path.removeprefix("$").replace("[", ".").replace("]", "").split(".") if step]
    if not steps or len(steps) > 64:
        return 0
    for step, after in zip(steps, steps[1:] + [None]):
        step = step.strip("'\"")
        if type(place) is list:
            if not step.isdecimal() or len(step) > 4 or int(step) > 4096:
                return made
            step = int(step)
            while len(place) <= step:
                place.append(None)
                made += 1
            old = place[step]
        else:
            old = place.get(step)
        if after is None:
            place[step] = old + value if type(old) is str and type(value) is str else value
            return made
        if type(old) is not dict and type(old) is not list:
            old = place[step] = [] if after.isdigit() else {}
            made += 16
        place = old
    return made
