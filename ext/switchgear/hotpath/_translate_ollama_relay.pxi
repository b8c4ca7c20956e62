# Ollama's lines to an Ollama client: the bytes that arrived, one object a line, with the model's name put back.

cdef class OllamaEnd(ToOllama):
    cdef int end(self) except -1:
        return 0


cdef class OllamaRelay(Decoder):
    cdef int event(self, const char* p, Py_ssize_t n, bint named_error) except -1:
        cdef Turn turn = self.turn
        cdef Field f[32]
        cdef int i
        cdef int count = members(p, n, f, 32)
        cdef int model = -1
        cdef bint ends = False
        cdef bint said = False
        cdef dict e = None
        for i in range(count):
            if named(&f[i], b"model", 5) and f[i].kind == 34:
                model = i
            elif named(&f[i], b"done", 4):
                ends = f[i].kind == 116
                said = True
            elif named(&f[i], b"message", 7) or named(&f[i], b"response", 8):
                said = True
            elif named(&f[i], b"error", 5) and f[i].kind != 110:
                return self.report(as_dict(decode(p, n)), p, n)
        if ends or count < 0:
            e = as_dict(decode(p, n))
            if e.get("error"):
                return self.report(e, p, n)
            said = said or "message" in e or "response" in e or "done" in e
        if not said:
            return 0  # no part of an answer
        if not turn.begun:
            turn.start("", "")
        if turn.named_model and model >= 0:
            turn.out.line(p, f[model].p - p)
            turn.out.add(escaped(turn.model))
            turn.out.line(f[model].p + f[model].n, p + n - f[model].p - f[model].n)
        else:
            turn.out.line(p, n)
        turn.out.put(b"\n", 1)
        return self.last(e) if e is not None and e.get("done") is True else 0

    cdef int last(self, dict e) except -1:
        cdef Counts c = self.turn.counts
        c.prompt = max(as_int(e.get("prompt_eval_count")), 0)
        c.completion = max(as_int(e.get("eval_count")), 0)
        # to load a model takes no tokens
        c.known = "eval_count" in e or "prompt_eval_count" in e or e.get("done_reason") in ("load", "unload")
        return self.turn.end()
