# From OpenAI Responses events (TRANSLATION §15.3, read the other way round).

cdef class FromResponses(Decoder):
    cdef dict items         # output_index (or item_id) -> Call, or the set of what was said of the item

    def __cinit__(self):
        self.items = {}

    cdef int event(self, const char* p, Py_ssize_t n, bint named_error) except -1:
        cdef Field f[12]
        cdef int i, count
        cdef int kind = 0
        cdef int delta = -1
        cdef long long index = -1
        count = members(p, n, f, 12)
        for i in range(count):
            if named(&f[i], b"type", 4):
                if kind < 0:
                    break
                if valued(&f[i], b"response.output_text.delta", 26):
                    kind = 1
                elif valued(&f[i], b"response.function_call_arguments.delta", 38):
                    kind = 2
                elif valued(&f[i], b"response.reasoning_summary_text.delta", 37) or valued(&f[i], b"response.reasoning_text.delta", 29):
                    kind = 3
            elif named(&f[i], b"delta", 5):
                delta = i
            elif named(&f[i], b"output_index", 12):
                index = integer(&f[i])
            elif named(&f[i], b"logprobs", 8) and f[i].n > 2:
                kind = -1
        if kind > 0 and delta >= 0 and index >= 0 and f[delta].kind == 34 and copyable(f[delta].p, f[delta].n):
            item = self.items.get(index)
            if type(item) is set:
                if kind == 1:
                    (<set>item).add("text")
                    return self.turn.text(self.turn.first, f[delta].p, f[delta].n)
                if kind == 3:
                    (<set>item).add("reasoning")
                    return self.turn.reasoning(self.turn.first, f[delta].p, f[delta].n)
            elif type(item) is Call and kind == 2:
                return self.turn.call_arguments(self.turn.first, <Call>item, f[delta].p, f[delta].n)
        return self.slow(as_dict(decode(p, n)), p, n, named_error)

    cdef object item(self, dict e):
        key = as_key(e.get("output_index", e.get("item_id")))
        found = self.items.get(key)
        if found is None:
            if len(self.items) > MAX_CALLS * 8:
                raise _Overlong("too many output items")
            found = self.items[key] = set()
        return found

    cdef int slow(self, dict e, const char* p, Py_ssize_t n, bint named_error) except -1:
        cdef Turn turn = self.turn
        cdef Choice choice = turn.first
        cdef str type_ = as_str(e.get("type"))
        cdef dict response = as_dict(e.get("response"))
        if type_ == "error" or named_error or (not type_ and e.get("error")):
            return self.report(e, p, n)
        if type_ == "response.failed" or type_ == "response.cancelled":
            self.usage(response)
            return self.report(response if response.get("error") else {"error": {"message": "The upstream's answer failed."}}, p, n)
        if type_ == "response.created" or type_ == "response.in_progress" or type_ == "response.queued":
            return turn.open(as_str(response.get("id")), as_str(response.get("model")))
        if type_ == "response.completed" or type_ == "response.incomplete" or type_ == "response.done":
            return self.last(response)
        if not type_ and e.get("object") == "response":
            return self.last(e)
        if not type_.startswith("response."):
            return 0
        turn.start("", "")
        if type_ == "response.output_item.added":
            return self.added(e, as_dict(e.get("item")))
        if type_ == "response.output_item.done":
            return self.item_done(e, as_dict(e.get("item")))
        if type_ == "response.output_text.annotation.added":
            return self.annotation(as_dict(e.get("annotation")))
        said = self.item(e)
        if type(said) is Call:
            if type_ == "response.function_call_arguments.delta":
                return turn.call_arguments_str(choice, <Call>said, e.get("delta"))
            if type_ == "response.function_call_arguments.done" and not (<Call>said).opened:
                return turn.call_arguments_str(choice, <Call>said, e.get("arguments"))
            return 0
        if type_ == "response.output_text.delta":
            said.add("text")
            turn.logprobs(choice, e.get("logprobs"))
            turn.text_str(choice, e.get("delta"))
            return turn.logprobs_end(choice)
        if type_ == "response.refusal.delta":
            said.add("refusal")
            return turn.refusal_str(choice, e.get("delta"))
        if type_ == "response.reasoning_summary_text.delta" or type_ == "response.reasoning_text.delta":
            said.add("reasoning")
            return turn.reasoning_str(choice, e.get("delta"))
        if type_ == "response.reasoning_summary_part.added" and "reasoning" in said:
            return turn.reasoning_str(choice, "\n\n")
        return 0

    cdef int added(self, dict e, dict item) except -1:
        cdef Turn turn = self.turn
        cdef Choice choice = turn.first
        cdef Call call
        said = self.item(e)
        type_ = item.get("type")
        if type_ == "function_call" and type(said) is not Call:
            call = turn.new_call(choice)
            self.items[as_key(e.get("output_index", e.get("item_id")))] = call
            turn.name_call(choice, call, as_str(item.get("call_id")) or as_str(item.get("id")), as_str(item.get("name")), False)
            turn.call_arguments_str(choice, call, item.get("arguments"))
        elif type_ == "message" or type_ == "reasoning":
            turn.encoder.touch(choice)
        elif type(type_) is str:
            turn.drop(type_)
        return 0

    cdef int item_done(self, dict e, dict item) except -1:
        """What the item holds and was not said in deltas is said now."""
        cdef Turn turn = self.turn
        cdef Choice choice = turn.first
        cdef Call call
        said = self.item(e)
        type_ = item.get("type")
        if type_ == "function_call":
            if type(said) is not Call:
                self.added(e, {**item, "arguments": ""})
                said = self.items[as_key(e.get("output_index", e.get("item_id")))]
            call = <Call>said
            turn.name_call(choice, call, as_str(item.get("call_id")), as_str(item.get("name")), True)
            if not call.opened:
                turn.call_arguments_str(choice, call, item.get("arguments"))
            return turn.call_stop(choice, call)
        if type(said) is not set or "done" in said:
            return 0
        said.add("done")
        if type_ == "message":
            for part in as_list(item.get("content")):
                part = as_dict(part)
                if part.get("type") == "output_text" and "text" not in said:
                    turn.logprobs(choice, part.get("logprobs"))
                    turn.text_str(choice, part.get("text"))
                    turn.logprobs_end(choice)
                elif part.get("type") == "refusal" and "refusal" not in said:
                    turn.refusal_str(choice, part.get("refusal"))
        elif type_ == "reasoning":
            if "reasoning" not in said:
                for part in as_list(item.get("content")) + as_list(item.get("summary")):
                    turn.reasoning_str(choice, as_dict(part).get("text"))
            if as_str(item.get("encrypted_content")):
                turn.signature(choice, "openai", openai_signature(as_str(item.get("id")), item["encrypted_content"]), False)
            turn.encoder.reasoning_end(choice)
        return 0

    cdef int annotation(self, dict note) except -1:
        if as_str(note.get("url")):
            self.turn.encoder.annotation(self.turn.first, {
                "url": note["url"], "title": as_str(note.get("title")), "start": max(as_int(note.get("start_index")), 0),
                "end": max(as_int(note.get("end_index")), 0), "cited": "",
            })
        return 0

    cdef int usage(self, dict response) except -1:
        cdef dict u = as_dict(response.get("usage"))
        if u:
            read_chat_usage(self.turn.counts, {
                "prompt_tokens": u.get("input_tokens"), "completion_tokens": u.get("output_tokens"),
                "total_tokens": u.get("total_tokens"), "prompt_tokens_details": u.get("input_tokens_details"),
                "completion_tokens_details": u.get("output_tokens_details"),
            })
        if as_str(response.get("service_tier")):
            self.turn.service_tier = response["service_tier"]
        return 0

    cdef int last(self, dict response) except -1:
        cdef Turn turn = self.turn
        turn.start(as_str(response.get("id")), as_str(response.get("model")))
        self.usage(response)
        if response.get("error") or response.get("status") in ("failed", "cancelled"):
            return self.report(response, b"{}", 2)
        for index, item in enumerate(as_list(response.get("output"))):
            if index not in self.items:
                self.item_done({"output_index": index}, as_dict(item))
        if response.get("status") == "incomplete":
            reason = as_dict(response.get("incomplete_details")).get("reason")
            turn.finish(turn.first, "content_filter" if reason == "content_filter" else "length")
        else:
            turn.finish(turn.first, "stop")
        return turn.end()

    cdef int done(self) except -1:
        return 0  # some send [DONE] after response.completed; before it, it is no end
