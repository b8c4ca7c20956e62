"""Folds a client-side stream into the answer a client ends up with, as strictly as the strictest SDK.

Each fold checks the grammar of its dialect (TRANSLATION §7, §14.3, §15.3) with assertions and returns
`{"choices": {index: {text, reasoning, refusal, calls, finish}}, "usage": …, "error": …}`; `calls` are (id, name,
arguments).
"""

import json
from typing import Any

Fold = dict[str, Any]


def events(body: bytes) -> list[tuple[str, str]]:
    """(event name, data) of a stream as we write it: LF, one data line, a blank line after each."""
    assert b"\r" not in body
    assert body == b"" or body.endswith(b"\n\n")
    found = []
    for block in body.decode().split("\n\n")[:-1]:
        lines = block.split("\n")
        name = ""
        if lines[0].startswith("event: "):
            name = lines.pop(0)[7:]
        assert len(lines) == 1, block
        assert lines[0].startswith("data: "), block
        found.append((name, lines[0][6:]))
    return found


def _choice() -> dict[str, Any]:
    return {
        "text": "",
        "reasoning": "",
        "refusal": "",
        "calls": [],
        "finish": None,
        "signatures": [],
        "annotations": [],
        "media": [],
    }


def fold_chat(body: bytes, *, include_usage: bool = True) -> Fold:
    choices: dict[int, dict[str, Any]] = {}
    answer: Fold = {"choices": choices, "usage": None, "error": None, "id": None, "model": None}
    roles: set[int] = set()
    items = events(body)
    done = False
    frame = None
    for name, data in items:
        assert name == ""
        assert not done, "something after [DONE]"
        assert answer["error"] is None, "something after an error"
        if data == "[DONE]":
            done = True
            continue
        chunk = json.loads(data)
        if "error" in chunk:
            assert {"message", "type", "param", "code"} <= set(chunk["error"])
            assert chunk["error"]["code"] is None or type(chunk["error"]["code"]) is str
            answer["error"] = chunk["error"]
            continue
        this = (chunk["id"], chunk["created"], chunk["model"], chunk["object"])
        frame = frame or this
        assert this == frame
        assert chunk["object"] == "chat.completion.chunk"
        answer["id"], answer["model"] = chunk["id"], chunk["model"]
        if not chunk["choices"]:
            assert include_usage
            assert answer["usage"] is None
            answer["usage"] = chunk["usage"]
            assert answer["usage"] is not None
            continue
        assert answer["usage"] is None, "a choice after the usage"
        assert ("usage" in chunk) == include_usage
        assert chunk.get("usage") is None
        for one in chunk["choices"]:
            index, delta = one["index"], one["delta"]
            choice = choices.setdefault(index, _choice())
            assert choice["finish"] is None, "something after finish_reason"
            if "role" in delta:
                assert index not in roles
                assert delta["role"] == "assistant"
                roles.add(index)
            assert index in roles
            for value in delta.values():
                if type(value) is list:
                    assert all(type(entry["index"]) is int for entry in value)
            assert delta.get("content") is None or type(delta["content"]) is str
            choice["text"] += delta.get("content") or ""
            choice["reasoning"] += delta.get("reasoning_content") or ""
            choice["refusal"] += delta.get("refusal") or ""
            choice["annotations"] += delta.get("annotations") or []
            choice["media"] += delta.get("images") or []
            for entry in delta.get("reasoning_details") or []:
                if entry.get("signature") or entry.get("data"):
                    choice["signatures"].append(
                        (entry["format"], entry.get("signature") or entry["data"], entry.get("text"))
                    )
            for entry in delta.get("tool_calls") or []:
                if entry["index"] == len(choice["calls"]):
                    assert entry["type"] == "function"
                    assert entry["id"]
                    assert entry["function"]["name"]
                    choice["calls"].append([entry["id"], entry["function"]["name"], entry["function"]["arguments"]])
                    google = entry.get("extra_content", {}).get("google")
                    if google:
                        choice["signatures"].append(("call", google["thought_signature"], None))
                else:
                    assert 0 <= entry["index"] < len(choice["calls"])
                    assert "id" not in entry
                    assert "type" not in entry
                    assert set(entry["function"]) == {"arguments"}
                    choice["calls"][entry["index"]][2] += entry["function"]["arguments"]
            assert "finish_reason" in one
            if one["finish_reason"] is not None:
                assert delta == {}
                choice["finish"] = one["finish_reason"]
    assert done == (answer["error"] is None and bool(items))
    if done:
        assert all(choice["finish"] for choice in choices.values())
    return answer


def fold_anthropic(body: bytes) -> Fold:
    choice = _choice()
    answer: Fold = {"choices": {0: choice}, "usage": None, "error": None, "blocks": []}
    state = "start"
    block: dict[str, Any] = {}
    for name, data in events(body):
        event = json.loads(data)
        assert event["type"] == name
        assert state not in ("stop", "error"), "something after the end"
        if name == "message_start":
            assert state == "start"
            assert event["message"]["usage"]["input_tokens"] >= 0
            assert event["message"]["content"] == []
            answer["id"], answer["model"] = event["message"]["id"], event["message"]["model"]
            state = "between"
        elif name == "content_block_start":
            assert state == "between"
            assert event["index"] == len(answer["blocks"])
            block = event["content_block"]
            answer["blocks"].append(block["type"])
            if block["type"] == "tool_use":
                assert block["input"] == {}
                assert block["id"].replace("_", "a").replace("-", "a").isalnum()
                choice["calls"].append([block["id"], block["name"], ""])
            elif block["type"] == "redacted_thinking":
                choice["signatures"].append(("redacted", block["data"], None))
            state = "block"
        elif name == "content_block_delta":
            assert state == "block"
            assert event["index"] == len(answer["blocks"]) - 1
            delta = event["delta"]
            if delta["type"] == "text_delta":
                assert block["type"] == "text"
                assert delta["text"]
                choice["text"] += delta["text"]
            elif delta["type"] == "thinking_delta":
                assert block["type"] == "thinking"
                choice["reasoning"] += delta["thinking"]
            elif delta["type"] == "input_json_delta":
                assert block["type"] == "tool_use"
                choice["calls"][-1][2] += delta["partial_json"]
            elif delta["type"] == "signature_delta":
                assert block["type"] == "thinking"
                choice["signatures"].append(("thinking", delta["signature"], None))
            else:
                assert delta["type"] == "citations_delta"
                assert block["type"] == "text"
                choice["annotations"].append(delta["citation"])
        elif name == "content_block_stop":
            assert state == "block"
            assert event["index"] == len(answer["blocks"]) - 1
            state = "between"
        elif name == "message_delta":
            assert state == "between"
            choice["finish"] = event["delta"]["stop_reason"]
            assert choice["finish"]
            answer["usage"] = event["usage"]
            assert event["usage"]["output_tokens"] >= 0
            state = "ended"
        elif name == "message_stop":
            assert state == "ended"
            state = "stop"
        else:
            assert name == "error"
            assert {"type", "message"} <= set(event["error"])
            answer["error"] = event["error"]
            state = "error"
    assert state in ("stop", "error") or body == b""
    for call in choice["calls"]:
        call[2] = call[2] or "{}"
    return answer


def fold_responses(body: bytes) -> Fold:
    choice = _choice()
    answer: Fold = {"choices": {0: choice}, "usage": None, "error": None, "response": None}
    items: dict[int, dict[str, Any]] = {}
    parts: dict[tuple[int, int], dict[str, Any]] = {}
    closed: set[int] = set()
    over = False
    for number, (name, data) in enumerate(events(body)):
        event = json.loads(data)
        assert event["type"] == name
        assert event["sequence_number"] == number
        assert not over
        if number == 0:
            assert name == "response.created"
        at = event.get("output_index", -1)
        if "item_id" in event:
            assert items[at]["id"] == event["item_id"]
            assert at not in closed
        if name in ("response.created", "response.in_progress"):
            assert event["response"]["status"] == "in_progress"
            assert event["response"]["output"] == []
        elif name == "response.output_item.added":
            assert at == len(items)
            items[at] = event["item"]
            if event["item"]["type"] == "function_call":
                choice["calls"].append([event["item"]["call_id"], event["item"]["name"], ""])
                items[at]["call"] = choice["calls"][-1]
        elif name == "response.content_part.added":
            assert (at, event["content_index"]) not in parts
            parts[at, event["content_index"]] = {**event["part"], "said": "", "notes": []}
        elif name == "response.output_text.delta":
            parts[at, event["content_index"]]["said"] += event["delta"]
            choice["text"] += event["delta"]
        elif name == "response.refusal.delta":
            parts[at, event["content_index"]]["said"] += event["delta"]
            choice["refusal"] += event["delta"]
        elif name == "response.output_text.annotation.added":
            notes = parts[at, event["content_index"]]["notes"]
            assert event["annotation_index"] == len(notes)
            notes.append(event["annotation"])
            choice["annotations"].append(event["annotation"])
        elif name in ("response.output_text.done", "response.refusal.done"):
            assert (event.get("text") or event.get("refusal") or "") == parts[at, event["content_index"]]["said"]
        elif name == "response.content_part.done":
            part = parts[at, event["content_index"]]
            assert event["part"]["type"] == part["type"]
            assert (event["part"].get("text") or event["part"].get("refusal") or "") == part["said"]
            assert event["part"].get("annotations", []) == part["notes"]
        elif name == "response.function_call_arguments.delta":
            items[at]["call"][2] += event["delta"]
        elif name == "response.function_call_arguments.done":
            assert event["arguments"] == items[at]["call"][2]
        elif name == "response.reasoning_summary_part.added":
            items[at]["said"] = ""
        elif name == "response.reasoning_summary_text.delta":
            items[at]["said"] += event["delta"]
            choice["reasoning"] += event["delta"]
        elif name in ("response.reasoning_summary_text.done", "response.reasoning_summary_part.done"):
            assert (event.get("text") or event["part"]["text"]) == items[at]["said"]
        elif name == "response.output_item.done":
            assert at not in closed
            closed.add(at)
            item = event["item"]
            assert item["id"] == items[at]["id"]
            assert item["type"] == items[at]["type"]
            if item.get("encrypted_content"):
                choice["signatures"].append(("reasoning", item["encrypted_content"], None))
            items[at]["final"] = item
        elif name in ("response.completed", "response.incomplete", "response.failed"):
            over = True
            response = event["response"]
            answer["response"] = response
            if name != "response.failed":
                assert closed == set(items)
                assert response["output"] == [items[i]["final"] for i in range(len(items))]
                choice["finish"] = (
                    response["status"]
                    if response["status"] == "completed"
                    else response["incomplete_details"]["reason"]
                )
                answer["usage"] = response["usage"]
            else:
                assert answer["error"]
                assert response["error"]["message"]
            assert {
                "id",
                "object",
                "created_at",
                "status",
                "error",
                "incomplete_details",
                "instructions",
                "max_output_tokens",
                "model",
                "parallel_tool_calls",
                "previous_response_id",
                "reasoning",
                "store",
                "temperature",
                "text",
                "tool_choice",
                "tools",
                "top_p",
                "truncation",
                "usage",
                "user",
                "metadata",
            } <= set(response)
        else:
            assert name == "error", name
            assert event["message"] == event["error"]["message"]
            answer["error"] = event["error"]
    assert over or body == b""
    return answer


def fold_gemini(body: bytes, *, array: bool = False) -> Fold:
    answer: Fold = {"choices": {}, "usage": None, "error": None}
    chunks = json.loads(body or b"[]") if array else [json.loads(data) for name, data in events(body)]
    for chunk in chunks:
        assert answer["error"] is None
        if "error" in chunk:
            assert {"code", "message", "status"} <= set(chunk["error"])
            answer["error"] = chunk["error"]
            continue
        answer["usage"] = chunk.get("usageMetadata", answer["usage"])
        answer["id"], answer["model"] = chunk.get("responseId"), chunk.get("modelVersion")
        for candidate in chunk["candidates"]:
            choice = answer["choices"].setdefault(candidate.get("index", 0), _choice())
            assert choice["finish"] is None
            for part in candidate["content"]["parts"]:
                # what Google documents for a call that its model did not make is no signature
                if (
                    part.get("thoughtSignature", "skip_thought_signature_validator")
                    != "skip_thought_signature_validator"
                ):
                    choice["signatures"].append(
                        ("call" if "functionCall" in part else "part", part["thoughtSignature"], None)
                    )
                if "functionCall" in part:
                    call = part["functionCall"]
                    assert type(call["args"]) is dict
                    choice["calls"].append([call.get("id", ""), call["name"], json.dumps(call["args"])])
                elif "inlineData" in part:
                    choice["media"].append(part["inlineData"])
                elif part.get("thought"):
                    choice["reasoning"] += part["text"]
                elif "text" in part:
                    choice["text"] += part["text"]
            for ground in candidate.get("groundingMetadata", {}).get("groundingChunks", []):
                choice["annotations"].append(ground.get("web"))
            choice["finish"] = candidate.get("finishReason", choice["finish"])
    if answer["error"] is None and body:
        assert all(choice["finish"] for choice in answer["choices"].values())
    return answer


def fold_ollama(body: bytes) -> Fold:
    choice = _choice()
    answer: Fold = {"choices": {0: choice}, "usage": None, "error": None}
    assert body == b"" or body.endswith(b"\n")
    lines = body.decode().splitlines()  # as httpx cuts them
    assert len(lines) == body.count(b"\n")
    for line in (json.loads(line) for line in lines):
        assert answer["error"] is None
        assert choice["finish"] is None, "something after the last line"
        if "error" in line:
            assert type(line["error"]) is str
            answer["error"] = {"message": line["error"]}
            continue
        assert line["created_at"]
        answer["model"] = line["model"]
        message = line.get("message") or {"role": "assistant", "content": line.get("response"), **line}
        assert message["role"] == "assistant"
        choice["text"] += message["content"]
        choice["reasoning"] += message.get("thinking", "")
        choice["media"] += message.get("images", [])
        for call in message.get("tool_calls", []):
            assert type(call["function"]["arguments"]) is dict
            arguments = json.dumps(call["function"]["arguments"])
            choice["calls"].append([call.get("id", ""), call["function"]["name"], arguments])
        if line["done"]:
            choice["finish"] = line["done_reason"]
            if "eval_count" in line:
                answer["usage"] = {name: line.get(name, 0) for name in ("prompt_eval_count", "eval_count")}
    assert choice["finish"] or answer["error"] or body == b""
    return answer


def fold(client: str, body: bytes) -> Fold:
    """The fold of `client`'s dialect; chat with the usage chunk asked for."""
    if client == "chat":
        return fold_chat(body)
    if client == "anthropic":
        return fold_anthropic(body)
    if client == "responses":
        return fold_responses(body)
    if client in ("ollama", "ollama-generate"):
        return fold_ollama(body)
    return fold_gemini(body, array=client == "gemini-array")
