# The neutral middle: what every decoder speaks and every encoder hears, and the repairs that hold for all pairs.
#
# A decoder calls Turn; Turn keeps the invariants (start once, a tool call started once with id and name, nothing after
# the end, one finish reason a choice) and calls the encoder. Text travels as the inside of a JSON string token.

cdef str openai_signature(str id, str value):
    """OpenAI's encrypted reasoning is sent back with its item's id: both travel as one value."""
    return f"{id}~{value}" if id else value


cdef class Call:
    """One tool call."""
    cdef int choice
    cdef int index              # among the calls of its choice, 0-based, in order of their start
    cdef str id
    cdef str name
    cdef bint started           # the encoder knows of it
    cdef bint stopped
    cdef bint answer            # stands in for structured output: its arguments are the answer's text
    cdef bint muted             # beyond the first where only one is wanted
    cdef bint written           # an argument byte other than white space was passed on
    cdef bytes signature        # vendor's, not packed, or None
    cdef Buffer early           # arguments that came before the name
    # progress through the arguments as JSON
    cdef int depth
    cdef bint quoted
    cdef bint escape
    cdef bint opened
    # the encoder's
    cdef Buffer arguments
    cdef object item
    cdef bint ended

    cdef inline bint complete(self) noexcept:
        return self.opened and self.depth == 0 and not self.quoted

    cdef void track(self, const char* p, Py_ssize_t n) noexcept:
        """Follow the JSON text inside the escaped string at `p`."""
        cdef Py_ssize_t i = 0
        cdef int c
        while i < n:
            c = <unsigned char>p[i]
            i += 1
            if c == 92 and i < n:
                c = <unsigned char>p[i]
                i += 1
                if c == 117:
                    c = hex4(p + i) if n - i >= 4 else 32
                    i += 4
                elif c != 34 and c != 92 and c != 47:
                    c = 32
            if self.quoted:
                if self.escape:
                    self.escape = False
                elif c == 92:
                    self.escape = True
                elif c == 34:
                    self.quoted = False
            elif c == 34:
                self.quoted = True
                self.opened = True
            elif c == 123 or c == 91:
                self.depth += 1
                self.opened = True
            elif c == 125 or c == 93:
                self.depth -= 1


cdef class Counts:
    """Tokens as told so far, -1 for a class nobody counted. prompt includes cached and written, completion reasoning."""
    cdef long long prompt, completion, total, cached, written, reasoning, audio_in, audio_out
    # these are told to nobody: they only cost what they cost
    cdef long long cached_audio, written_1h, image_in, image_out
    cdef str tier              # as the usage itself tells it, "" where the answer does
    cdef bint known

    def __cinit__(self):
        self.prompt = self.completion = self.total = self.cached = self.written = -1
        self.reasoning = self.audio_in = self.audio_out = -1
        self.cached_audio = self.written_1h = self.image_in = self.image_out = -1
        self.tier = ""

    cdef long long sum(self):
        if self.total >= 0:
            return self.total
        return max(self.prompt, 0) + max(self.completion, 0)

    cdef object export(self, str tier):
        """As `types.Usage`. tier: what the answer says it was served as."""
        if not self.known:
            return None
        usage = _Usage(max(self.prompt, 0), max(self.completion, 0), max(self.cached, 0), max(self.written, 0),
                       max(self.reasoning, 0))
        if self.audio_in > 0:
            usage.input_audio_tokens = self.audio_in
        if self.audio_out > 0:
            usage.output_audio_tokens = self.audio_out
        if self.cached_audio > 0:
            usage.cached_audio_tokens = self.cached_audio
        if self.written_1h > 0:
            usage.cache_write_1h_tokens = self.written_1h
        if self.image_in > 0:
            usage.input_image_tokens = self.image_in
        if self.image_out > 0:
            usage.output_image_tokens = self.image_out
        usage.service_tier = _SERVICE_TIERS.get(self.tier or tier, "")
        return usage


cdef class Choice:
    cdef int index
    cdef str reason             # chat's word, None until told
    cdef str stop_sequence      # the one that ended the answer, where the upstream says so
    cdef list calls
    cdef long long chars        # of text so far
    cdef bint role              # the encoder sent the role (chat)
    cdef int annotations
    cdef int details            # reasoning_details entries (chat)
    cdef int media
    cdef bint spoke             # any text or refusal
    cdef Buffer thought         # the reasoning block being sent, kept for its signature
    cdef bint thought_cut       # it was too long to keep
    cdef list logprobs          # of the text that comes next, in chat's form; None for none

    def __cinit__(self, int index):
        self.index = index
        self.calls = []


cdef class Encoder:
    """What the client's dialect makes of the turn. `end` is called once, on success; `fail` once, instead."""
    cdef Turn turn
    cdef Buffer out

    cdef int begin(self) except -1:
        return 0
    cdef int touch(self, Choice choice) except -1:
        return 0
    cdef int text(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        return 0
    cdef int reasoning(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        return 0
    cdef int reasoning_end(self, Choice choice) except -1:
        return 0
    cdef int signature(self, Choice choice, str vendor, bytes value, bint redacted) except -1:
        return 0
    cdef int refusal(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        return 0
    cdef int call_start(self, Choice choice, Call call) except -1:
        return 0
    cdef int call_arguments(self, Choice choice, Call call, const char* p, Py_ssize_t n) except -1:
        return 0
    cdef int call_stop(self, Choice choice, Call call) except -1:
        return 0
    cdef int annotation(self, Choice choice, dict cite) except -1:
        return 0
    cdef int media(self, Choice choice, str mime, str data) except -1:
        return 0
    cdef int logprobs(self, Choice choice) except -1:
        """`choice.logprobs` belong to no text."""
        return 0
    cdef int end(self) except -1:
        return 0
    cdef int fail(self, Fault fault) except -1:
        return 0


cdef class Turn:
    cdef Encoder encoder
    cdef Buffer out
    cdef Counts counts
    cdef dict choices
    cdef Choice first           # choice 0
    cdef str id                 # the upstream's, "" until told
    cdef str model              # what the client sees
    cdef bint named_model       # `model` was given: the upstream's own name is not shown
    cdef str seed               # of generated ids
    cdef int serial
    cdef long long created
    cdef bint include_usage
    cdef bint legacy
    cdef bint single
    cdef bint one_choice        # the client's dialect knows one answer only
    cdef str json_tool
    cdef dict tool_names
    cdef bint begun
    cdef bint started
    cdef bint over
    cdef bint finished
    cdef bint truncated
    cdef bytes error
    cdef Fault fault
    cdef Py_ssize_t held        # bytes accumulated for later events
    cdef Py_ssize_t max_held
    cdef set dropped
    cdef str service_tier

    cdef str make_id(self, str prefix, int digits):
        """An id of this stream: from the seed, so that a stream translated twice has the same ids."""
        self.serial += 1
        return prefix + _sha256(f"{self.seed}/{self.serial}".encode()).hexdigest()[:digits]

    cdef int hold(self, Py_ssize_t n) except -1:
        self.held += n
        if self.held > self.max_held:
            raise _Overlong(f"the answer holds more than {self.max_held} bytes that its last events must repeat")
        return 0

    cdef int drop(self, object name) except -1:
        """Note what came and cannot be said. An upstream may make up as many names as it likes: only so many are kept."""
        if len(self.dropped) < MAX_DROPPED and type(name) is str:
            self.dropped.add((<str>name)[:MAX_NAME])
        return 0

    cdef Choice choice(self, long long index):
        cdef Choice found
        if index == 0:
            return self.first
        if self.one_choice or index < 0 or index > 127:
            return None
        found = <Choice>self.choices.get(index)
        if found is None:
            found = Choice(<int>index)
            self.choices[index] = found
        return found

    cdef int start(self, str id, str model) except -1:
        self.started = True
        return self.open(id, model)

    cdef int open(self, str id, str model) except -1:
        """The upstream names its answer, of which nothing has come yet: what follows may still be an error in its place."""
        if self.begun:
            return 0
        self.begun = True
        self.id = id
        if not self.named_model:
            self.model = model
        self.encoder.begin()
        return 0

    cdef inline int text(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        if n == 0:
            return 0
        choice.spoke = True
        choice.chars += characters(p, n)
        return self.encoder.text(choice, p, n)

    cdef int logprobs(self, Choice choice, object told) except -1:
        """The log probabilities of the text that the same event brings: the encoder takes them along with it."""
        if type(told) is list and told:
            choice.logprobs = <list>told
        return 0

    cdef int logprobs_end(self, Choice choice) except -1:
        """The event is over: what no text took along goes on its own."""
        if choice.logprobs is not None:
            self.encoder.logprobs(choice)
            choice.logprobs = None
        return 0

    cdef int text_str(self, Choice choice, object s) except -1:
        cdef bytes b
        if type(s) is str and s:
            b = escaped(<str>s)
            self.text(choice, PyBytes_AS_STRING(b), PyBytes_GET_SIZE(b))
        return 0

    cdef inline int reasoning(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        return self.encoder.reasoning(choice, p, n) if n else 0

    cdef int reasoning_str(self, Choice choice, object s) except -1:
        cdef bytes b
        if type(s) is str and s:
            b = escaped(<str>s)
            self.encoder.reasoning(choice, PyBytes_AS_STRING(b), PyBytes_GET_SIZE(b))
        return 0

    cdef int refusal_str(self, Choice choice, object s) except -1:
        cdef bytes b
        if type(s) is str and s:
            choice.spoke = True
            b = escaped(<str>s)
            self.encoder.refusal(choice, PyBytes_AS_STRING(b), PyBytes_GET_SIZE(b))
        return 0

    cdef int signature(self, Choice choice, str vendor, object value, bint redacted) except -1:
        if type(value) is str and value:
            self.encoder.signature(choice, vendor, (<str>value).encode("utf-8", "replace"), redacted)
        return 0

    cdef Call new_call(self, Choice choice):
        cdef Call call = Call()
        call.choice = choice.index
        call.index = len(choice.calls)
        call.id = call.name = ""
        choice.calls.append(call)
        if len(choice.calls) > MAX_CALLS:
            raise _Overlong(f"more than {MAX_CALLS} tool calls in one answer")
        return call

    cdef int name_call(self, Choice choice, Call call, str id, str name, bint generate) except -1:
        """Tell what is known of a call; it starts once its name and id are. generate: make the id up if there is none."""
        if call.started:
            return 0
        if id and not call.id:
            call.id = id
        if name and not call.name:
            call.name = name
        if not call.name or not (call.id or generate):
            return 0
        if not call.id:
            call.id = self.make_id("call_", 24)
        call.name = self.tool_names.get(call.name, call.name)
        call.started = True
        call.answer = call.name == self.json_tool and self.json_tool != ""
        if not call.answer:
            # the index counts what the client sees
            call.index = sum([1 for other in choice.calls if (<Call>other).started and not (<Call>other).answer]) - 1
            call.muted = self.single and call.index > 0
            if not call.muted:
                self.encoder.call_start(choice, call)
        if call.early is not None:
            early, call.early = call.early, None
            self.call_arguments(choice, call, early.p, early.n)
        return 0

    cdef int call_arguments(self, Choice choice, Call call, const char* p, Py_ssize_t n) except -1:
        if n == 0 or call.stopped or call.muted:
            return 0
        if not call.started:
            if not call.name:
                if call.early is None:
                    call.early = Buffer()
                self.hold(n)
                return call.early.put(p, n)
            self.name_call(choice, call, "", "", True)
            if call.muted:
                return 0
        if call.answer:
            return self.text(choice, p, n)
        if not call.written and not blank(p, n):
            call.written = True
        call.track(p, n)
        return self.encoder.call_arguments(choice, call, p, n)

    cdef int call_arguments_str(self, Choice choice, Call call, object s) except -1:
        cdef bytes b
        if type(s) is str and s:
            b = escaped(<str>s)
            self.call_arguments(choice, call, PyBytes_AS_STRING(b), PyBytes_GET_SIZE(b))
        elif type(s) is dict or type(s) is list:
            b = escaped(dumped(s).decode())
            self.call_arguments(choice, call, PyBytes_AS_STRING(b), PyBytes_GET_SIZE(b))
        return 0

    cdef int call_stop(self, Choice choice, Call call) except -1:
        if call.stopped:
            return 0
        if not call.started:
            self.name_call(choice, call, "", "", True)
        call.stopped = True
        if call.started and not call.answer and not call.muted:
            self.encoder.call_stop(choice, call)
        return 0

    cdef int finish(self, Choice choice, str reason) except -1:
        """The upstream says why it stopped; the first word stands."""
        if choice.reason is None:
            choice.reason = reason
        return 0

    cdef bint called(self, Choice choice):
        return any([(<Call>call).started and not (<Call>call).answer for call in choice.calls])

    cdef str final_reason(self, Choice choice):
        cdef bint called = self.called(choice)
        cdef str reason = choice.reason
        if reason is None:
            return "tool_calls" if called else "stop"
        if reason == "stop" and called:
            return "tool_calls"
        if reason == "tool_calls" and not called:
            return "stop"
        return reason

    cdef int end(self) except -1:
        """The upstream is done, and well."""
        if self.over:
            return 0
        self.start("", "")
        for choice in list(self.choices.values()):
            for call in (<Choice>choice).calls:
                self.call_stop(<Choice>choice, <Call>call)
        self.over = True
        self.encoder.end()
        self.finished = True
        return 0

    cdef int fail(self, Fault fault, bytes raw) except -1:
        if self.over:
            return 0
        self.over = True
        self.fault = fault
        self.error = raw if raw is not None else dumped({"error": fault.chat()})
        self.encoder.fail(fault)
        return 0

    cdef int cut_short(self) except -1:
        """The input ended before the answer did."""
        if not self.over:
            self.truncated = True
            self.fail(Fault(502, "The upstream's answer stops short.", "server_error", "upstream_error", None), None)
        return 0
