# From Ollama's own lines, /api/chat and /api/generate (TRANSLATION §10, last paragraph).

cdef class FromOllama(Decoder):
    cdef int event(self, const char* p, Py_ssize_t n, bint named_error) except -1:
        cdef Field f[8]
        cdef Field m[4]
        cdef int i, count
        cdef int message = -1
        cdef int text = -1
        cdef int thought = -1
        cdef bint plain = False
        count = members(p, n, f, 8)
        for i in range(count):
            if named(&f[i], b"message", 7):
                message = i
            elif named(&f[i], b"response", 8):
                text = i
            elif named(&f[i], b"done", 4):
                plain = f[i].n == 5
            elif named(&f[i], b"error", 5) or named(&f[i], b"thinking", 8):
                return self.slow(as_dict(decode(p, n)), p, n)
        if plain and self.turn.begun:
            if message >= 0:
                text = -1
                count = members(f[message].p, f[message].n, m, 4)
                for i in range(count):
                    if named(&m[i], b"content", 7):
                        text = i
                    elif named(&m[i], b"thinking", 8):
                        thought = i
                    elif not named(&m[i], b"role", 4):
                        plain = False
                if plain and count >= 0 and (text < 0 or self.good(&m[text])) and (thought < 0 or self.good(&m[thought])):
                    if thought >= 0:
                        self.turn.reasoning(self.turn.first, m[thought].p, m[thought].n)
                    if text >= 0:
                        self.turn.text(self.turn.first, m[text].p, m[text].n)
                    return 0
            elif text >= 0 and self.good(&f[text]):
                return self.turn.text(self.turn.first, f[text].p, f[text].n)
        return self.slow(as_dict(decode(p, n)), p, n)

    cdef inline bint good(self, Field* f):
        return f.kind == 34 and copyable(f.p, f.n)

    cdef int slow(self, dict e, const char* p, Py_ssize_t n) except -1:
        cdef Turn turn = self.turn
        cdef Choice choice = turn.first
        cdef Counts c = turn.counts
        cdef dict message = as_dict(e.get("message"))
        cdef Field f
        if e.get("error"):
            return self.report(e, p, n)
        if not message and type(e.get("response")) is str:
            message = {"content": e["response"], "thinking": e.get("thinking")}
        turn.start("", as_str(e.get("model")))
        turn.reasoning_str(choice, message.get("thinking"))
        turn.text_str(choice, message.get("content"))
        if message.get("tool_calls") and type(message["tool_calls"]) is list:
            self.calls(choice, <list>message["tool_calls"], p, n)
        if e.get("done") is True:
            c.prompt = max(as_int(e.get("prompt_eval_count")), 0)
            c.completion = max(as_int(e.get("eval_count")), 0)
            c.known = "eval_count" in e or "prompt_eval_count" in e
            turn.finish(choice, "length" if e.get("done_reason") == "length" else "stop")
            return turn.end()
        return 0

    cdef int calls(self, Choice choice, list calls, const char* p, Py_ssize_t n) except -1:
        cdef Turn turn = self.turn
        cdef Field f
        cdef Field* at
        cdef int count = -1
        cdef Buffer fields = Buffer()
        cdef Call call
        cdef bytes text
        fields.room(len(calls) * sizeof(Field))
        at = <Field*>fields.p
        if member(p, n, b"message", 7, &f) and member(f.p, f.n, b"tool_calls", 10, &f):
            count = elements(f.p, f.n, at, <int>len(calls))
        for i, entry in enumerate(calls):
            entry = as_dict(entry)
            function = as_dict(entry.get("function"))
            if not as_str(function.get("name")):
                continue
            call = turn.new_call(choice)
            turn.name_call(choice, call, as_str(entry.get("id")), as_str(function.get("name")), True)
            text = b""
            if i < count and member(at[i].p, at[i].n, b"function", 8, &f) and member(f.p, f.n, b"arguments", 9, &f) and f.kind == 123:
                text = compact_escaped(f.p, f.n)
            if text and copyable(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)):
                turn.call_arguments(choice, call, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            else:
                turn.call_arguments_str(choice, call, function.get("arguments"))
            turn.call_stop(choice, call)
        return 0
