# Same dialect on both sides, where the upstream's stream cannot go to the client as it is: chat chunks with the slips of
# TRANSLATION §10 put right and every other field carried through, and Gemini's chunks in the other of its two framings.

cdef class ChatEnd(ToChat):
    """The encoder beside ChatRepair: it writes errors only."""
    cdef int end(self) except -1:
        return 0


cdef class ChatRepair(FromChat):
    cdef Buffer out
    cdef dict frame         # id, object, created, model: the same in every chunk
    cdef dict last_usage    # the last usage object as it came
    cdef dict finishes      # choice -> the choice object with its finish_reason
    cdef bint keep_reasoning
    cdef bytes id, model, created   # as JSON, to compare

    cdef bint healthy(self, const char* p, Py_ssize_t n) except -1:
        """Forward the frequent event as it came, but for the model's name, if it needs nothing else. False: not done."""
        cdef Field f[16]
        cdef Field c[8]
        cdef Field d[4]
        cdef int i
        cdef int choices = -1
        cdef int model = -1
        cdef int delta = -1
        cdef int sound = 0
        cdef int count = members(p, n, f, 16)
        for i in range(count):
            if named(&f[i], b"choices", 7):
                choices = i
            elif named(&f[i], b"id", 2):
                sound += valued(&f[i], self.id, len(self.id))
            elif named(&f[i], b"created", 7):
                sound += f[i].n == len(self.created) and memcmp(f[i].p, <char*>self.created, f[i].n) == 0
            elif named(&f[i], b"object", 6):
                sound += valued(&f[i], b"chat.completion.chunk", 21)
            elif named(&f[i], b"model", 5) and f[i].kind == 34:
                model = i
            elif named(&f[i], b"usage", 5):
                if f[i].kind != 110 or not self.turn.include_usage:
                    return False
                sound += 1
            elif f[i].kind != 110 and (named(&f[i], b"error", 5) or named(&f[i], b"x_groq", 6)):
                return False
            elif (f[i].kind == 34 and not copyable(f[i].p, f[i].n)) or f[i].kind == 123 or f[i].kind == 91:
                return False
        if choices < 0 or model < 0 or sound != 3 + self.turn.include_usage or elements(f[choices].p, f[choices].n, c, 1) != 1:
            return False
        count = members(c[0].p, c[0].n, c, 8)
        sound = 0
        for i in range(count):
            if named(&c[i], b"delta", 5):
                delta = i
            elif named(&c[i], b"index", 5):
                if integer(&c[i]) != 0:
                    return False
                sound += 1
            elif named(&c[i], b"finish_reason", 13):
                sound += c[i].kind == 110
            elif c[i].kind != 110:
                return False
        if sound != 2 or delta < 0 or members(c[delta].p, c[delta].n, d, 1) != 1 or not self.turn.first.role:
            return False
        if not (named(&d[0], b"content", 7) or named(&d[0], b"reasoning_content", 17)) or d[0].kind != 34 or d[0].n == 0:
            return False
        if not copyable(d[0].p, d[0].n) or memchr(p, 10, n) != NULL or memchr(p, 13, n) != NULL:
            return False
        self.turn.first.spoke = True
        self.out.put(b"data: ", 6)
        self.out.put(p, f[model].p - p)
        self.out.add(self.model)
        self.out.put(f[model].p + f[model].n, p + n - f[model].p - f[model].n)
        self.out.put(b"\n\n", 2)
        return True

    cdef int event(self, const char* p, Py_ssize_t n, bint named_error) except -1:
        cdef Turn turn = self.turn
        cdef object body
        cdef dict e
        cdef list choices, kept
        if self.frame is not None and not named_error and self.healthy(p, n):
            return 0
        body = decode(p, n)
        e = as_dict(body)
        if named_error or e.get("error") or type(body) is not dict or e.get("object") == "error":
            return self.report(body, p, n)
        choices = as_list(e.get("choices"))
        for usage in (as_dict(e.get("x_groq")).get("usage"), e.get("usage")):
            if type(usage) is dict:
                read_chat_usage(turn.counts, <dict>usage)
                self.last_usage = <dict>usage
        if not turn.begun:
            if not choices and not as_str(e.get("id")):
                turn.started = True
                return 0  # Azure's first chunk: nothing in it, not even names
            turn.start(as_str(e.get("id")), as_str(e.get("model")))
            created = as_int(e.get("created"))
            self.frame = {"id": turn.id or "chatcmpl-" + turn.seed, "object": "chat.completion.chunk",
                          "created": created if created > 0 else turn.created, "model": turn.model}
            self.id = escaped(self.frame["id"])
            self.model = escaped(turn.model)
            self.created = str(self.frame["created"]).encode()
        if as_str(e.get("service_tier")):
            turn.service_tier = e["service_tier"]
        kept = []
        for one in choices:
            one = as_dict(one)
            if one.get("error"):
                return self.report(one, p, n)
            if one.get("finish_reason") == "error":
                return self.report({"error": {"message": "The upstream stopped with an error."}}, p, n)
            choice = turn.choice(max(as_int(one.get("index", 0)), 0))
            if choice is not None:
                self.chosen = True
                self.repair(<Choice>choice, one, kept)
        if kept:
            self.write(e, kept)
        if e.get("object") == "chat.completion":
            return self.done()
        return 0

    cdef int write(self, dict e, list choices) except -1:
        cdef dict chunk = dict(self.frame)
        if e:
            for key, value in e.items():
                if key not in chunk and key != "choices" and key != "usage":
                    chunk[key] = value
        chunk["choices"] = choices
        if self.turn.include_usage:
            chunk["usage"] = None
        self.out.put(b"data: ", 6)
        self.out.add(dumped(chunk))
        return self.out.put(b"\n\n", 2)

    cdef int repair(self, Choice choice, dict one, list kept) except -1:
        cdef object message = one.pop("message", None)
        cdef dict delta = as_dict(one.get("delta")) or as_dict(message)
        cdef object reason = one.get("finish_reason")
        cdef bint whole = message is not None
        one["index"] = choice.index
        if type(delta.get("content")) is list:
            self.flatten(choice, delta)
        if not self.keep_reasoning and "reasoning" in delta and "reasoning_content" not in delta:
            delta["reasoning_content"] = delta.pop("reasoning")
        if type(delta.get("tool_calls")) is list or "tool_calls" in delta:
            calls = self.calls(choice, as_list(delta["tool_calls"]))
            if calls:
                delta["tool_calls"] = calls
            else:
                del delta["tool_calls"]
        for key in ("annotations", "reasoning_details", "images"):
            if type(delta.get(key)) is list:
                self.number(choice, key, delta)
        if choice.role:
            delta.pop("role", None)
            if delta.get("content") == "":
                del delta["content"]
        else:
            choice.role = True
            delta = {"role": "assistant", **delta}
            delta["role"] = "assistant"
            delta.setdefault("content", None if delta.get("tool_calls") else "")
        if as_str(delta.get("content")) or as_str(delta.get("refusal")):
            choice.spoke = True
        if type(reason) is str and reason:
            if choice.reason is None:
                choice.reason = _CHAT_FINISH.get(reason, "stop")
                if self.finishes is None:
                    self.finishes = {}
                self.finishes[choice.index] = {k: v for k, v in one.items() if k != "delta"}
            one = {"index": choice.index}
        one["delta"] = delta
        one["finish_reason"] = None
        for value in delta.values():
            if value is not None:
                kept.append(one)
                return 0
        return 0

    cdef int flatten(self, Choice choice, dict delta) except -1:
        cdef list text = []
        cdef list thought = []
        for part in delta["content"]:
            part = as_dict(part)
            if part.get("type") == "text":
                text.append(as_str(part.get("text")))
            elif part.get("type") == "thinking":
                inner = part.get("thinking")
                thought.append(inner if type(inner) is str else "".join([as_str(as_dict(one).get("text")) for one in as_list(inner)]))
            else:
                self.turn.drop(as_str(part.get("type")) or "content")
        del delta["content"]
        if text:
            delta["content"] = "".join(text)
        if thought:
            delta["reasoning_content"] = "".join(thought)
        return 0

    cdef int number(self, Choice choice, str key, dict delta) except -1:
        """Entries without an index get the next one."""
        cdef list entries = []
        for entry in delta[key]:
            entry = as_dict(entry)
            if type(entry.get("index")) is not int:
                if key == "annotations":
                    entry["index"] = choice.annotations
                    choice.annotations += 1
                elif key == "images":
                    entry["index"] = choice.media
                    choice.media += 1
                else:
                    entry["index"] = choice.details
            entries.append(entry)
        delta[key] = entries
        return 0

    cdef list calls(self, Choice choice, list entries):
        cdef list kept = []
        cdef Slots slots
        cdef Call call
        cdef bytes text
        cdef dict function
        for entry in entries:
            entry = as_dict(entry)
            function = as_dict(entry.get("function"))
            slots = <Slots>self.slots.get(choice.index)
            if slots is None:
                slots = Slots()
                slots.turn = self.turn
                slots.by_index = {}
                self.slots[choice.index] = slots
            call = slots.find(choice, entry.get("index"), as_str(entry.get("id")), as_str(function.get("name")))
            arguments = function.get("arguments")
            if type(arguments) is dict or type(arguments) is list:
                arguments = dumped(arguments).decode()
            elif type(arguments) is not str:
                arguments = ""
            if not call.started:
                call.id = call.id or as_str(entry.get("id"))
                call.name = call.name or as_str(function.get("name"))
                if call.item is not None:
                    arguments = call.item + arguments
                if not call.name:
                    self.turn.hold(len(arguments))
                    call.item = arguments
                    continue
                call.item = None
                call.started = True
                call.id = call.id or self.turn.make_id("call_", 24)
                entry["id"] = call.id
                entry["type"] = as_str(entry.get("type")) or "function"
                entry["function"] = {**function, "name": call.name, "arguments": arguments}
            elif arguments:
                entry = {k: v for k, v in entry.items() if k not in ("id", "type", "function") and v is not None}
                entry["function"] = {"arguments": arguments}
            else:
                continue
            entry["index"] = call.index
            text = escaped(arguments)
            call.written = call.written or not blank(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            call.track(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            kept.append(entry)
        return kept

    cdef int settle(self) except -1:
        cdef Turn turn = self.turn
        cdef Choice choice
        cdef dict final
        for index in sorted(turn.choices):
            choice = <Choice>turn.choices[index]
            bare = [{"index": (<Call>c).index, "function": {"arguments": "{}"}} for c in choice.calls
                    if (<Call>c).started and not (<Call>c).written]
            if bare:
                self.write({}, [{"index": index, "delta": {"tool_calls": bare}, "logprobs": None, "finish_reason": None}])
            for c in choice.calls:
                (<Call>c).written = True
            if not choice.role:
                self.write({}, [{"index": index, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
            final = {"index": index, "delta": {}, "logprobs": None}
            if self.finishes is not None and index in self.finishes:
                final.update(self.finishes[index])
            original = final.get("finish_reason")
            reason = turn.final_reason(choice)
            final["finish_reason"] = original if original == "function_call" else reason
            self.write({}, [final])
        if turn.include_usage and self.last_usage is not None:
            chunk = {**self.frame, "choices": [], "usage": self.last_usage}
            if turn.service_tier:
                chunk["service_tier"] = turn.service_tier
            self.out.add(b"data: " + dumped(chunk) + b"\n\n")
        self.out.add(b"data: [DONE]\n\n")
        turn.over = turn.finished = True
        return 0

    cdef int done(self) except -1:
        if not self.chosen:
            return self.turn.cut_short()
        return self.settle()

    cdef int close(self) except -1:
        for choice in self.turn.choices.values():
            if (<Choice>choice).reason is None:
                return self.turn.cut_short()
        return self.settle()


cdef class GeminiEnd(ToGemini):
    cdef int end(self) except -1:
        return self.out.put(b"]", 1) if self.array else 0


cdef class GeminiReframe(FromGemini):
    cdef int event(self, const char* p, Py_ssize_t n, bint named_error) except -1:
        cdef Turn turn = self.turn
        cdef GeminiEnd encoder = <GeminiEnd>turn.encoder
        cdef Field f
        cdef Field one[16]
        cdef int i, count
        cdef dict e
        cdef bytes text
        try:
            e = as_dict(orjson.loads(PyBytes_FromStringAndSize(p, n)))
        except ValueError:
            e = as_dict(decode(p, n))
            text = dumped(e)  # what made it unreadable is replaced
            p = PyBytes_AS_STRING(text)
            n = PyBytes_GET_SIZE(text)
        if named_error or e.get("error"):
            return self.report(e, p, n)
        if not ("candidates" in e or "promptFeedback" in e or "usageMetadata" in e or "responseId" in e):
            return 0
        if not turn.begun:
            turn.start(as_str(e.get("responseId")), as_str(e.get("modelVersion")))
        if member(p, n, b"usageMetadata", 13, &f):
            self.usage.n = 0
            self.usage.put(f.p, f.n)
        if member(p, n, b"promptFeedback", 14, &f):
            self.reasoned = True
        if member(p, n, b"candidates", 10, &f):
            count = elements(f.p, f.n, one, 16)
            for i in range(count):
                self.reasoned = self.reasoned or member(one[i].p, one[i].n, b"finishReason", 12, &f)
        encoder.open()
        if turn.named_model and member(p, n, b"modelVersion", 12, &f) and f.kind == 34:
            encoder.out.line(p, f.p - p)
            encoder.out.add(escaped(turn.model))
            encoder.out.line(f.p + f.n, p + n - f.p - f.n)
        else:
            encoder.out.line(p, n)
        return encoder.shut()
