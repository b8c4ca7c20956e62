# To OpenAI Responses events (TRANSLATION §15.3).
#
# The last events repeat everything that was sent, so text and arguments are kept: at most Turn.max_held bytes a stream.

cdef dict responses_usage(Counts c):
    return {
        "input_tokens": max(c.prompt, 0),
        "input_tokens_details": {"cached_tokens": max(c.cached, 0), "cache_write_tokens": max(c.written, 0)},
        "output_tokens": max(c.completion, 0),
        "output_tokens_details": {"reasoning_tokens": max(c.reasoning, 0)},
        "total_tokens": c.sum(),
    }


_RESPONSE_DEFAULTS = {
    "instructions": None, "max_output_tokens": None, "parallel_tool_calls": True, "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None}, "store": False, "temperature": None,
    "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": None, "truncation": "disabled",
    "user": None, "metadata": {},
}


cdef enum:
    NO_LOGPROBS = 12        # length of `[],"delta":"`
    ITEM = 512              # what an output item or a part of one costs beside its text, bytes


cdef class Item:
    cdef str kind           # message, reasoning or function_call
    cdef bytes id
    cdef int index          # output_index
    cdef Buffer text        # of the open part, or the arguments
    cdef list parts         # finished content parts, JSON
    cdef list cites         # of the open part, JSON
    cdef list logprobs      # of the open part, JSON
    cdef bint refusing      # the open part is a refusal
    cdef bint part          # a part is open
    cdef bint closed
    cdef bytes signature    # packed, for encrypted_content
    cdef bytes delta        # up to the delta of the open part, sequence_number left out


cdef class ToResponses(Encoder):
    cdef long long sequence
    cdef dict base          # the response object's fields but status, output, usage
    cdef list done          # finished items, JSON by output_index
    cdef int count          # items so far
    cdef Item message
    cdef Item thought
    cdef object echo        # fields of the request that the response repeats

    cdef int event(self, bytes type) except -1:
        """The start of an event, up to and including its sequence number."""
        self.out.put(b"event: ", 7)
        self.out.add(type)
        self.out.put(b'\ndata: {"type":"', 16)
        self.out.add(type)
        self.out.put(b'","sequence_number":', 20)
        self.out.number(self.sequence)
        self.sequence += 1
        return 0

    cdef int whole(self, bytes type, dict status, list output) except -1:
        cdef dict response = dict(self.base)
        cdef bytes text
        response.update(status)
        text = dumped(response)
        self.event(type)
        self.out.put(b',"response":', 12)
        self.out.put(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text) - 1)
        self.out.put(b',"output":[', 11)
        self.out.add(b",".join(output))
        return self.out.add(b"]}}\n\n")

    cdef int begin(self) except -1:
        cdef Turn turn = self.turn
        cdef str id = turn.id
        if not id.startswith("resp_"):
            id = "resp_" + turn.seed
        self.done = []
        self.base = {
            "id": id, "object": "response", "created_at": turn.created, "status": "in_progress", "error": None,
            "incomplete_details": None, "model": turn.model, **_RESPONSE_DEFAULTS, **(self.echo or {}),
        }
        self.base["usage"] = None
        self.whole(b"response.created", {}, [])
        return self.whole(b"response.in_progress", {}, [])

    # items -----------------------------------------------------------------------------------------------------------

    cdef Item add(self, str kind, str prefix, bytes extra):
        cdef Item item = Item()
        self.turn.hold(ITEM)
        item.kind = kind
        item.id = self.turn.make_id(prefix, 32).encode()
        item.index = self.count
        item.text = Buffer()
        item.parts = []
        item.cites = []
        item.logprobs = []
        self.count += 1
        self.done.append(b"")
        self.event(b"response.output_item.added")
        self.out.put(b',"output_index":', 16)
        self.out.number(item.index)
        self.out.add(b',"item":{"id":"' + item.id + b'","type":"' + kind.encode() + b'",' + extra + b"}}\n\n")
        return item

    cdef int where(self, Item item) except -1:
        self.out.put(b',"item_id":"', 12)
        self.out.add(item.id)
        self.out.put(b'","output_index":', 17)
        return self.out.number(item.index)

    cdef int close(self, Item item, bytes whole) except -1:
        item.closed = True
        self.done[item.index] = whole
        self.event(b"response.output_item.done")
        self.out.put(b',"output_index":', 16)
        self.out.number(item.index)
        return self.out.add(b',"item":' + whole + b"}\n\n")

    cdef int keep(self, Item item, const char* p, Py_ssize_t n) except -1:
        self.turn.hold(n)
        return item.text.put(p, n)

    # message ---------------------------------------------------------------------------------------------------------

    cdef int open_part(self, bint refusing) except -1:
        cdef Item item = self.message
        if item is None:
            self.close_thought()
            item = self.message = self.add("message", "msg_", b'"status":"in_progress","role":"assistant","content":[]')
        if item.part and item.refusing != refusing:
            self.close_part(item)
        if not item.part:
            item.part = True
            item.refusing = refusing
            self.event(b"response.content_part.added")
            self.where(item)
            self.out.put(b',"content_index":', 17)
            self.out.number(len(item.parts))
            if refusing:
                self.out.add(b',"part":{"type":"refusal","refusal":""}}\n\n')
            else:
                self.out.add(b',"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}\n\n')
            item.delta = (b',"item_id":"' + item.id + b'","output_index":' + str(item.index).encode() + b',"content_index":'
                          + str(len(item.parts)).encode() + (b',"delta":"' if refusing else b',"logprobs":[],"delta":"'))
        return 0

    cdef int close_part(self, Item item) except -1:
        cdef bytes text
        cdef bytes part
        if not item.part:
            return 0
        item.part = False
        text = item.text.take()
        self.event(b"response.refusal.done" if item.refusing else b"response.output_text.done")
        self.where(item)
        self.out.put(b',"content_index":', 17)
        self.out.number(len(item.parts))
        if item.refusing:
            self.out.add(b',"refusal":"' + text + b'"}\n\n')
            part = b'{"type":"refusal","refusal":"' + text + b'"}'
        else:
            logprobs = b",".join(item.logprobs)
            self.out.add(b',"text":"' + text + b'","logprobs":[' + logprobs + b"]}\n\n")
            part = (b'{"type":"output_text","text":"' + text + b'","annotations":[' + b",".join(item.cites) + b'],"logprobs":['
                    + logprobs + b"]}")
        self.event(b"response.content_part.done")
        self.where(item)
        self.out.put(b',"content_index":', 17)
        self.out.number(len(item.parts))
        self.out.add(b',"part":' + part + b"}\n\n")
        item.parts.append(part)
        item.cites = []
        item.logprobs = []
        return 0

    cdef int close_message(self, bytes status) except -1:
        cdef Item item = self.message
        if item is None:
            return 0
        self.close_part(item)
        self.message = None
        return self.close(item, b'{"id":"' + item.id + b'","type":"message","status":"' + status
                          + b'","role":"assistant","content":[' + b",".join(item.parts) + b"]}")

    cdef int text(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        if self.message is None or not self.message.part or self.message.refusing:
            self.open_part(False)
        self.keep(self.message, p, n)
        self.event(b"response.output_text.delta")
        if choice.logprobs is not None:
            self.delta_logprobs(choice)
        else:
            self.out.add(self.message.delta)
        self.out.put(p, n)
        return self.out.put(b'"}\n\n', 4)

    cdef int delta_logprobs(self, Choice choice) except -1:
        """What stands before the text of a delta that has log probabilities; the part repeats them at its end."""
        cdef bytes told = dumped(choice.logprobs)
        cdef bytes start = self.message.delta
        told = told[1 : len(told) - 1]
        choice.logprobs = None
        self.turn.hold(len(told))
        self.message.logprobs.append(told)
        return self.out.add(start[: len(start) - NO_LOGPROBS] + b"[" + told + b'],"delta":"')

    cdef int logprobs(self, Choice choice) except -1:
        return self.text(choice, NULL, 0)

    cdef int refusal(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        self.open_part(True)
        self.keep(self.message, p, n)
        self.event(b"response.refusal.delta")
        self.out.add(self.message.delta)
        self.out.put(p, n)
        return self.out.put(b'"}\n\n', 4)

    cdef int annotation(self, Choice choice, dict cite) except -1:
        self.open_part(False)
        note = dumped({"type": "url_citation", "url": cite["url"], "title": cite["title"], "start_index": cite["start"],
                       "end_index": cite["end"]})
        self.turn.hold(len(note))
        self.event(b"response.output_text.annotation.added")
        self.where(self.message)
        self.out.put(b',"content_index":', 17)
        self.out.number(len(self.message.parts))
        self.out.put(b',"annotation_index":', 20)
        self.out.number(len(self.message.cites))
        self.out.add(b',"annotation":' + note + b"}\n\n")
        self.message.cites.append(note)
        return 0

    cdef int media(self, Choice choice, str mime, str data) except -1:
        self.turn.drop("images" if mime.startswith("image/") else "audio")
        return 0

    # reasoning -------------------------------------------------------------------------------------------------------

    cdef int open_thought(self) except -1:
        if self.thought is None:
            self.close_message(b"completed")
            self.thought = self.add("reasoning", "rs_", b'"status":"in_progress","summary":[]')
        return 0

    cdef int reasoning(self, Choice choice, const char* p, Py_ssize_t n) except -1:
        cdef Item item
        if self.thought is None or not self.thought.part:
            self.open_thought()
            item = self.thought
            item.part = True
            self.event(b"response.reasoning_summary_part.added")
            self.where(item)
            self.out.add(b',"summary_index":0,"part":{"type":"summary_text","text":""}}\n\n')
            item.delta = b',"item_id":"' + item.id + b'","output_index":' + str(item.index).encode() + b',"summary_index":0,"delta":"'
        self.keep(self.thought, p, n)
        self.event(b"response.reasoning_summary_text.delta")
        self.out.add(self.thought.delta)
        self.out.put(p, n)
        return self.out.put(b'"}\n\n', 4)

    cdef int reasoning_end(self, Choice choice) except -1:
        return self.close_thought()

    cdef int signature(self, Choice choice, str vendor, bytes value, bint redacted) except -1:
        if redacted or self.thought is None or self.thought.signature is not None:
            self.close_thought()
            self.open_thought()
        self.thought.signature = value.rpartition(b"~")[2] if vendor == "openai" else pack_signature(vendor, value, redacted)
        self.turn.hold(len(value))
        return self.close_thought() if redacted else 0

    cdef int close_thought(self) except -1:
        cdef Item item = self.thought
        cdef bytes text
        cdef bytes summary = b""
        cdef bytes secret = b""
        if item is None:
            return 0
        self.thought = None
        if item.part:
            item.part = False
            text = item.text.take()
            summary = b'{"type":"summary_text","text":"' + text + b'"}'
            self.event(b"response.reasoning_summary_text.done")
            self.where(item)
            self.out.add(b',"summary_index":0,"text":"' + text + b'"}\n\n')
            self.event(b"response.reasoning_summary_part.done")
            self.where(item)
            self.out.add(b',"summary_index":0,"part":' + summary + b"}\n\n")
        if item.signature is not None:
            secret = b',"encrypted_content":"' + escaped(item.signature.decode()) + b'"'
        return self.close(item, b'{"id":"' + item.id + b'","type":"reasoning","status":"completed","summary":[' + summary + b"]"
                          + secret + b"}")

    # calls -----------------------------------------------------------------------------------------------------------

    cdef bytes call_item(self, Item item, Call call, bytes arguments, bytes status):
        return (b'{"id":"' + item.id + b'","type":"function_call","status":"' + status + b'","call_id":"' + escaped(call.id)
                + b'","name":"' + escaped(call.name) + b'","arguments":"' + arguments + b'"}')

    cdef int call_start(self, Choice choice, Call call) except -1:
        cdef Item item
        if call.signature is not None:
            self.signature(choice, "gemini", call.signature, False)
        self.close_thought()
        self.close_message(b"completed")
        item = self.add("function_call", "fc_", b'"status":"in_progress","call_id":"' + escaped(call.id) + b'","name":"'
                        + escaped(call.name) + b'","arguments":""')
        item.delta = b',"item_id":"' + item.id + b'","output_index":' + str(item.index).encode() + b',"delta":"'
        call.item = item
        return 0

    cdef int call_arguments(self, Choice choice, Call call, const char* p, Py_ssize_t n) except -1:
        cdef Item item = <Item>call.item
        self.keep(item, p, n)
        self.event(b"response.function_call_arguments.delta")
        self.out.add(item.delta)
        self.out.put(p, n)
        return self.out.put(b'"}\n\n', 4)

    cdef int call_stop(self, Choice choice, Call call) except -1:
        cdef Item item = <Item>call.item
        cdef bytes arguments
        if not call.written:
            call.written = True
            item.text.clear()
            self.call_arguments(choice, call, b"{}", 2)
        arguments = item.text.take()
        self.event(b"response.function_call_arguments.done")
        self.where(item)
        self.out.add(b',"name":"' + escaped(call.name) + b'","arguments":"' + arguments + b'"}\n\n')
        status = b"incomplete" if choice.reason == "length" and not call.complete() and call.depth else b"completed"
        return self.close(item, self.call_item(item, call, arguments, status))

    # the end ---------------------------------------------------------------------------------------------------------

    cdef int end(self) except -1:
        cdef Turn turn = self.turn
        cdef str reason = turn.final_reason(turn.first)
        cdef bint cut = reason == "length" or reason == "content_filter"
        cdef dict status = {"status": "incomplete" if cut else "completed"}
        self.close_thought()
        self.close_message(b"incomplete" if cut else b"completed")
        if cut:
            status["incomplete_details"] = {"reason": "max_output_tokens" if reason == "length" else "content_filter"}
        if turn.counts.known:
            status["usage"] = responses_usage(turn.counts)
        return self.whole(b"response.incomplete" if cut else b"response.completed", status, self.done)

    cdef int fail(self, Fault fault) except -1:
        if self.base is None:
            self.begin()
        self.event(b"error")
        self.out.add(b"," + dumped({
            "code": fault.code, "message": fault.message, "param": fault.param, "error": fault.chat(),
        })[1:] + b"\n\n")
        return self.whole(b"response.failed", {
            "status": "failed", "error": {"code": fault.code or fault.type, "message": fault.message},
        }, [one for one in self.done if one])
