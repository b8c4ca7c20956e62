# From chat.completion.chunk of OpenAI and those who speak like it, with their slips (TRANSLATION §10).

_CHAT_FINISH = {
    "stop": "stop", "length": "length", "tool_calls": "tool_calls", "function_call": "tool_calls",
    "content_filter": "content_filter", "eos": "stop", "max_tokens": "length", "model_length": "length",
    "end_turn": "stop", "insufficient_system_resource": "length",
}


cdef int read_chat_usage(Counts c, dict u) except -1:
    cdef dict inputs = as_dict(u.get("prompt_tokens_details"))
    cdef dict outputs = as_dict(u.get("completion_tokens_details"))
    cdef long long v
    if as_int(u.get("prompt_tokens")) < 0 and as_int(u.get("completion_tokens")) < 0:
        return 0
    c.known = True
    c.prompt = as_int(u.get("prompt_tokens"))
    c.completion = as_int(u.get("completion_tokens"))
    c.total = as_int(u.get("total_tokens"))
    for source in (inputs.get("cached_tokens"), u.get("prompt_cache_hit_tokens"), u.get("cached_tokens")):
        v = as_int(source)
        if v >= 0:
            c.cached = v
            break
    for source in (inputs.get("cache_write_tokens"), inputs.get("cache_creation_tokens"), u.get("cache_creation_input_tokens")):
        v = as_int(source)
        if v >= 0:
            c.written = v
            break
    v = as_int(outputs.get("reasoning_tokens"))
    if v >= 0:
        c.reasoning = v
    v = as_int(inputs.get("audio_tokens"))
    if v >= 0:
        c.audio_in = v
    v = as_int(as_dict(inputs.get("cached_tokens_details")).get("audio_tokens"))
    if v >= 0:
        c.cached_audio = v
    v = as_int(inputs.get("image_tokens"))
    if v >= 0:
        c.image_in = v
    v = as_int(outputs.get("audio_tokens"))
    if v >= 0:
        c.audio_out = v
    # some count reasoning beside the completion, not in it; the total tells
    if c.reasoning > 0 and c.total > 0 and c.prompt >= 0 and c.completion >= 0 and c.total == c.prompt + c.completion + c.reasoning:
        c.completion += c.reasoning
    elif c.reasoning > 0 and c.total > c.prompt + c.completion and c.prompt >= 0:
        c.completion = c.total - c.prompt
    v = as_int(u.get("reasoning_tokens"))
    if v > 0 and c.reasoning < 0:
        c.reasoning = v
        if as_int(u.get("citation_tokens")) >= 0 or v > c.completion:  # Perplexity's, which no total tells
            c.completion = max(c.completion, 0) + v
    return 0


cdef class Slots:
    """Which tool call an entry of `delta.tool_calls` belongs to, for one choice."""
    cdef Turn turn
    cdef dict by_index
    cdef Call last

    cdef Call find(self, Choice choice, object index, str id, str name):
        cdef Call call = None
        if type(index) is int:
            call = <Call>self.by_index.get(index)
        elif id:
            for other in choice.calls:
                if (<Call>other).id == id:
                    call = <Call>other
        elif not name:
            call = self.last
        if call is not None and call.started and id and id != call.id and name and call.complete():
            call = None  # every call of the answer under one index
        if call is None:
            call = self.turn.new_call(choice)
            if type(index) is int:
                self.by_index[index] = call
        self.last = call
        return call


cdef class FromChat(Decoder):
    cdef dict slots
    cdef bint chosen        # a choice was seen
    cdef bint noted         # a citation was told where citations belong
    cdef list pages         # Perplexity's list of what it read, beside the choices
    cdef dict vendor_of     # reasoning_details format -> vendor

    def __cinit__(self):
        self.slots = {}

    cdef int event(self, const char* p, Py_ssize_t n, bint named_error) except -1:
        if self.turn.begun and not named_error and self.fast(p, n):
            return 0
        return self.slow(decode(p, n), p, n, named_error)

    cdef bint fast(self, const char* p, Py_ssize_t n) except -1:
        """The frequent event, one choice with one short delta. False: decode it whole; nothing has been done."""
        cdef Field f[16]
        cdef Field c[8]
        cdef Field d[6]
        cdef Field t[4]
        cdef Field g[2]
        cdef int i, count
        cdef int choices = -1
        cdef int delta = -1
        cdef int text = -1
        cdef int thought = -1
        cdef int calls = -1
        cdef int function = -1
        cdef long long index = 0
        cdef long long slot = -1
        count = members(p, n, f, 16)
        for i in range(count):
            if named(&f[i], b"choices", 7):
                choices = i
            elif f[i].kind != 110 and (named(&f[i], b"usage", 5) or named(&f[i], b"error", 5) or named(&f[i], b"x_groq", 6)):
                return False
        if choices < 0 or elements(f[choices].p, f[choices].n, c, 1) != 1 or c[0].kind != 123:
            return False
        count = members(c[0].p, c[0].n, c, 8)
        for i in range(count):
            if named(&c[i], b"delta", 5):
                delta = i
            elif named(&c[i], b"index", 5):
                index = integer(&c[i])
            elif c[i].kind != 110 and (named(&c[i], b"finish_reason", 13) or named(&c[i], b"error", 5)
                                       or named(&c[i], b"logprobs", 8)):
                return False
        if delta < 0 or c[delta].kind != 123 or index != 0:
            return False
        count = members(c[delta].p, c[delta].n, d, 6)
        if count < 0:
            return False
        for i in range(count):
            if d[i].kind == 110:
                continue
            if named(&d[i], b"content", 7):
                text = i
            elif named(&d[i], b"reasoning_content", 17) or named(&d[i], b"reasoning", 9):
                if thought >= 0:
                    return False
                thought = i
            elif named(&d[i], b"tool_calls", 10):
                calls = i
            elif not named(&d[i], b"role", 4) and not named(&d[i], b"channel", 7):
                return False
        if text >= 0 and (d[text].kind != 34 or not copyable(d[text].p, d[text].n)):
            return False
        if thought >= 0 and (d[thought].kind != 34 or not copyable(d[thought].p, d[thought].n)):
            return False
        if calls >= 0:
            if elements(d[calls].p, d[calls].n, t, 1) != 1 or t[0].kind != 123:
                return False
            count = members(t[0].p, t[0].n, t, 4)
            for i in range(count):
                if named(&t[i], b"index", 5):
                    slot = integer(&t[i])
                elif named(&t[i], b"function", 8):
                    function = i
                elif t[i].kind != 110:
                    return False
            if slot < 0 or function < 0 or members(t[function].p, t[function].n, g, 1) != 1:
                return False
            if not named(&g[0], b"arguments", 9) or g[0].kind != 34 or not copyable(g[0].p, g[0].n):
                return False
            slots = self.slots.get(0)
            if slots is None or slot not in (<Slots>slots).by_index:
                return False
        self.chosen = True
        if thought >= 0:
            self.turn.reasoning(self.turn.first, d[thought].p, d[thought].n)
        if text >= 0:
            self.turn.text(self.turn.first, d[text].p, d[text].n)
        if calls >= 0:
            call = <Call>(<Slots>slots).by_index[slot]
            (<Slots>slots).last = call
            self.turn.call_arguments(self.turn.first, call, g[0].p, g[0].n)
        return True

    cdef int slow(self, object body, const char* p, Py_ssize_t n, bint named_error) except -1:
        cdef Turn turn = self.turn
        cdef dict e = as_dict(body)
        cdef Choice choice
        if named_error or e.get("error") or type(body) is not dict:
            return self.report(body, p, n)
        if e.get("object") == "error":
            return self.report(body, p, n)
        choices = as_list(e.get("choices"))
        if not turn.begun and (choices or as_str(e.get("id"))):
            turn.start(as_str(e.get("id")), as_str(e.get("model")))
        if as_str(e.get("service_tier")):
            turn.service_tier = e["service_tier"]
        for usage in (as_dict(e.get("x_groq")).get("usage"), e.get("usage")):
            if type(usage) is dict:
                read_chat_usage(turn.counts, <dict>usage)
        if self.pages is None and type(e.get("citations")) is list:
            self.pages = [url for url in (<list>e["citations"])[:MAX_CALLS] if type(url) is str]
        for one in choices:
            one = as_dict(one)
            if one.get("error"):
                return self.report(one, p, n)
            choice = turn.choice(max(as_int(one.get("index", 0)), 0))
            if choice is None:
                turn.drop("choices")
                continue
            self.chosen = True
            turn.logprobs(choice, as_dict(one.get("logprobs")).get("content"))
            self.delta(choice, as_dict(one.get("delta")) or as_dict(one.get("message")))
            turn.logprobs_end(choice)
            if as_str(one.get("finish_reason")):
                if one["finish_reason"] == "error":
                    return self.report({"error": {"message": "The upstream stopped with an error."}}, p, n)
                turn.finish(choice, _CHAT_FINISH.get(one["finish_reason"], "stop"))
        if e.get("object") == "chat.completion":
            return self.done()
        return 0

    cdef int delta(self, Choice choice, dict d) except -1:
        cdef Turn turn = self.turn
        content = d.get("content")
        thought = d.get("reasoning_content")
        if type(thought) is not str or not thought:
            thought = d.get("reasoning")
        turn.reasoning_str(choice, thought)
        if d.get("reasoning_details"):
            self.details(choice, as_list(d["reasoning_details"]), not as_str(thought))
        if type(content) is list:
            for part in content:
                self.part(choice, as_dict(part))
        else:
            turn.text_str(choice, content)
        turn.refusal_str(choice, d.get("refusal"))
        for note in as_list(d.get("annotations")):
            note = as_dict(note)
            note = as_dict(note.get("url_citation")) or note
            if as_str(note.get("url")):
                self.noted = True
                turn.encoder.annotation(choice, {
                    "url": note["url"], "title": as_str(note.get("title")), "start": max(as_int(note.get("start_index")), 0),
                    "end": max(as_int(note.get("end_index")), 0), "cited": as_str(note.get("content")),
                })
        for image in as_list(d.get("images")):
            url = as_str(as_dict(as_dict(image).get("image_url")).get("url"))
            mime, comma, data = url.removeprefix("data:").partition(";base64,")
            if comma and url.startswith("data:"):
                turn.encoder.media(choice, mime, data)
            elif url:
                turn.drop("images")
        for entry in as_list(d.get("tool_calls")):
            self.call(choice, as_dict(entry))
        if type(d.get("function_call")) is dict:
            self.call(choice, {"index": 0, "function": d["function_call"]})
        return 0

    cdef int part(self, Choice choice, dict part) except -1:
        type_ = part.get("type")
        if type_ == "text":
            self.turn.text_str(choice, part.get("text"))
        elif type_ == "thinking":
            if type(part.get("thinking")) is str:
                self.turn.reasoning_str(choice, part["thinking"])
            for inner in as_list(part.get("thinking")):
                self.turn.reasoning_str(choice, as_dict(inner).get("text"))
        elif type(type_) is str:
            self.turn.drop(type_)
        return 0

    cdef int details(self, Choice choice, list details, bint tell) except -1:
        """OpenRouter's and Vercel's reasoning_details. tell: their text was not said in another field."""
        cdef str vendor
        for one in details:
            one = as_dict(one)
            type_ = one.get("type")
            form = as_str(one.get("format"))
            vendor = ("anthropic" if form.startswith("anthropic") else "gemini" if form.startswith("google")
                      else "openai" if form.startswith(("openai", "azure")) else "")
            if tell:
                self.turn.reasoning_str(choice, one.get("text") if type_ == "reasoning.text" else one.get("summary"))
            if vendor:
                if type_ == "reasoning.text":
                    self.turn.signature(choice, vendor, one.get("signature"), False)
                elif type_ == "reasoning.encrypted":
                    data = as_str(one.get("data"))
                    if vendor == "openai" and data:
                        data = openai_signature(as_str(one.get("id")), data)
                    self.turn.signature(choice, vendor, data, vendor == "anthropic")
        return 0

    cdef int call(self, Choice choice, dict entry) except -1:
        cdef Turn turn = self.turn
        cdef dict function = as_dict(entry.get("function"))
        cdef str id = as_str(entry.get("id"))
        cdef str name = as_str(function.get("name"))
        cdef Slots slots = <Slots>self.slots.get(choice.index)
        cdef Call call
        if slots is None:
            slots = Slots()
            slots.turn = turn
            slots.by_index = {}
            self.slots[choice.index] = slots
        call = slots.find(choice, entry.get("index"), id, name)
        google = as_dict(as_dict(entry.get("extra_content")).get("google"))
        if not call.started and as_str(google.get("thought_signature")):
            call.signature = as_str(google["thought_signature"]).encode("utf-8", "replace")
        arguments = function.get("arguments")
        turn.name_call(choice, call, id, name, False)
        return turn.call_arguments_str(choice, call, arguments)

    cdef int done(self) except -1:
        if not self.chosen and not self.turn.begun:
            return self.turn.cut_short()
        self.cite()
        return self.turn.end()

    cdef int cite(self) except -1:
        """Pages that stood beside the choices are citations of the text, where none were told in it."""
        if self.pages is None or self.noted or not self.turn.first.chars:
            return 0
        for url in self.pages:
            self.turn.encoder.annotation(self.turn.first, {"url": url, "title": "", "start": 0, "end": 0, "cited": ""})
        return 0

    cdef int close(self) except -1:
        for choice in self.turn.choices.values():
            if (<Choice>choice).reason is None:
                return self.turn.cut_short()
        self.cite()
        return self.turn.end()
