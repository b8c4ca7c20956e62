"""One conversation with tools and thinking, answered by another vendor at each turn, through a gateway process.

The upstreams are the simulator's, which checks the signatures that it issued: each vendor's are good at that vendor
alone. So every answer of 200 says that no foreign signature was sent; that the vendor's own came back is looked up in
what the simulator recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conformance.dialect_expected import objects
from tests.dialects.wires import CLIENTS, question
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

# Each vendor answers a user's turn (and calls tools) as well as a tool's, before and after each other one.
ORDER = ("anthropic", "chat", "gemini", "anthropic", "responses", "gemini", "responses", "anthropic", "chat", "gemini",
         "gemini", "responses", "anthropic", "anthropic", "responses", "responses", "gemini", "chat")  # fmt: skip
MODELS = {
    "anthropic": "claude-sonnet-4-5;reasoning=6",
    "gemini": "gemini-3-pro;reasoning=6",
    "responses": "gpt-5;reasoning=6",
    "chat": "gpt-4o;reasoning=6",
}
PATHS = {"/v1/messages": "anthropic", "/v1/responses": "responses", "/v1/chat/completions": "chat"}
THINKING: dict[str, dict[str, Any]] = {
    "chat": {"reasoning_effort": "low"},
    "responses": {
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    },
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000},
    "gemini": {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024}}},
    "ollama": {"think": True},
}
HISTORY = {
    "chat": "messages",
    "responses": "input",
    "anthropic": "messages",
    "gemini": "contents",
    "ollama": "messages",
}


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, SimulatorProcess]]:
    folder = tmp_path_factory.mktemp("vendors")
    simulator = SimulatorProcess(folder, "--first-token", "0ms", "--gap", "0ms")
    key = ["sk-upstream-0000000"]
    config = {
        "providers": {
            "anthropic": {"type": "anthropic", "base_url": simulator.origin, "credentials": key},
            "gemini": {"type": "gemini", "base_url": simulator.origin, "credentials": key},
            "responses": {"type": "openai", "base_url": simulator.url, "credentials": key, "responses": "always"},
            "chat": {"type": "groq", "base_url": simulator.url, "credentials": key},
        },
        "models": {
            name: {"targets": [{"provider": name, "model": model}], "retries": {"attempts": 1}}
            for name, model in MODELS.items()
        },
        "keys": [{"name": "test", "value": KEY}],
    }
    gateway = GatewayProcess(config, folder)
    try:
        yield gateway.ready(), simulator
    finally:
        gateway.stop()
        simulator.stop()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("client", CLIENTS)
def test_the_conversation_goes_on(vendors: tuple[GatewayProcess, SimulatorProcess], client: str, stream: bool) -> None:
    gateway, simulator = vendors
    simulator.forget()
    history: list[Any] = []
    tools_due = False
    called = 0
    for number, vendor in enumerate(ORDER):
        if not tools_due:
            history.append(user(client, f"Question {number}: what is the weather in Köln?"))
        path, headers, body = question(client, vendor, stream=stream)
        body |= THINKING[client] | {HISTORY[client]: history}
        answer = httpx.post(gateway.origin + path, headers=headers, json=body, timeout=30)
        assert answer.status_code == 200, (number, vendor, answer.text)
        turn = assembled(client, answer.content) if stream else whole(client, answer.json())
        history += turn
        results = results_of(client, turn)
        history += results
        tools_due = bool(results)
        called += tools_due
        check_last(simulator.requests()[-1], vendor)
    assert called >= 6
    if client == "ollama":  # it has no place for a signature: each vendor is told a history without any
        assert not any(
            signatures(vendor, json.loads(record["body"]))
            for record, vendor in zip(simulator.requests(), ORDER, strict=True)
        )
        return
    check_signatures(simulator.requests())


def check_last(record: Any, vendor: str) -> None:
    """The turn reached its vendor in its format, without a mark of ours."""
    path = record["path"]
    assert PATHS.get(path, "gemini" if ":" in path else path) == vendor
    assert "swg." not in record["body"]
    assert "c3dnL" not in record["body"]  # the mark once more in base64


def check_signatures(records: list[Any]) -> None:
    """How many of its own signatures each vendor got back, turn by turn."""
    assert len(records) == len(ORDER)
    before = dict.fromkeys(MODELS, 0)
    came_back = dict.fromkeys(MODELS, 0)
    for record, vendor in zip(records, ORDER, strict=True):
        found = signatures(vendor, json.loads(record["body"]))
        assert len(found) == len(set(found))
        assert len(found) <= before[vendor]
        if before[vendor]:
            assert found or vendor == "chat", f"{vendor} got none of its {before[vendor]} signatures back"
        came_back[vendor] = max(came_back[vendor], len(found))
        before[vendor] += 1
    assert came_back["chat"] == 0
    assert came_back["responses"] >= 3


def signatures(vendor: str, body: Any) -> list[str]:
    """The proofs of reasoning in what a vendor was sent; Gemini's stand-in is none."""
    found = []
    for one in objects(body):
        if one.get("type") == "thinking":
            found.append(one["signature"])
        for name in ("encrypted_content", "thoughtSignature", "thought_signature"):
            if one.get(name) and one[name] != "skip_thought_signature_validator":
                found.append(one[name])
    if vendor == "chat":
        assert "reasoning_details" not in json.dumps(body)
        assert "thinking_blocks" not in json.dumps(body)
    return found


# what a client keeps ------------------------------------------------------------------------------------------------


def user(client: str, text: str) -> Any:
    return {"role": "user", "parts": [{"text": text}]} if client == "gemini" else {"role": "user", "content": text}


def whole(client: str, body: Any) -> list[Any]:
    if client == "anthropic":
        return [{"role": "assistant", "content": body["content"]}]
    if client == "gemini":
        return [body["candidates"][0]["content"]]
    if client == "responses":
        return list(body["output"])
    if client == "ollama":
        return [_shown(body["message"])]
    return [body["choices"][0]["message"]]


def _shown(message: Any) -> Any:
    """What the SDK lets a program see of a message: no ids of calls."""
    calls = [{"function": call["function"]} for call in message.get("tool_calls") or ()]
    return {**message, **({"tool_calls": calls} if calls else {})}


def results_of(client: str, turn: list[Any]) -> list[Any]:
    if client == "anthropic":
        uses = [block for block in turn[0]["content"] if block["type"] == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": use["id"], "content": "Sunny."} for use in uses]
        return [{"role": "user", "content": results}] if results else []
    if client == "gemini":
        calls = [part["functionCall"] for part in turn[0]["parts"] if "functionCall" in part]
        parts = [
            {
                "functionResponse": {
                    "name": call["name"],
                    "response": {"output": "Sunny."},
                    **({"id": call["id"]} if call.get("id") else {}),
                }
            }
            for call in calls
        ]
        return [{"role": "user", "parts": parts}] if parts else []
    if client == "responses":
        calls = [item for item in turn if item["type"] == "function_call"]
        return [{"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny."} for call in calls]
    if client == "ollama":
        calls = [call["function"] for call in turn[0].get("tool_calls") or ()]
        return [{"role": "tool", "tool_name": call["name"], "content": "Sunny."} for call in calls]
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": "Sunny."} for call in turn[0].get("tool_calls") or ()
    ]


def assembled(client: str, body: bytes) -> list[Any]:
    """The turn that a stream tells, as its client would keep it: with every signature where it came."""
    if client == "ollama":
        return _ollama([json.loads(line)["message"] for line in body.decode().splitlines()])
    lines = body.decode().replace("\r\n", "\n").split("\n")
    told = [json.loads(line[5:]) for line in lines if line.startswith("data:") and "[DONE]" not in line]
    return ASSEMBLE[client](told)


def _ollama(messages: list[Any]) -> list[Any]:
    said = {name: "".join(message.get(name, "") for message in messages) for name in ("content", "thinking")}
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    return [_shown({"role": "assistant", **said, "tool_calls": calls})]


def _responses(events: list[Any]) -> list[Any]:
    assert events[-1]["type"] == "response.completed"
    return list(events[-1]["response"]["output"])


def _anthropic(events: list[Any]) -> list[Any]:
    blocks: list[Any] = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            for name in ("text", "thinking", "signature"):
                if name in delta:
                    block[name] = block.get(name, "") + delta[name]
            if "partial_json" in delta:
                block["input"] = (block["input"] or "") + delta["partial_json"]
    for block in blocks:
        if isinstance(block.get("input"), str):
            block["input"] = json.loads(block["input"] or "{}")
    return [{"role": "assistant", "content": blocks}]


def _gemini(chunks: list[Any]) -> list[Any]:
    parts = [part for chunk in chunks for part in chunk["candidates"][0].get("content", {}).get("parts", ())]
    return [{"role": "model", "parts": [part for part in parts if part != {"text": ""}]}]


def _chat(chunks: list[Any]) -> list[Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "", "reasoning_content": ""}
    calls: list[Any] = []
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["reasoning_content"] += delta.get("reasoning_content") or ""
            for detail in delta.get("reasoning_details") or ():
                message.setdefault("reasoning_details", []).append(detail)
            for call in delta.get("tool_calls") or ():
                if call["index"] == len(calls):
                    calls.append({name: value for name, value in call.items() if name != "index"})
                else:
                    calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    return [message | ({"tool_calls": calls} if calls else {})]


ASSEMBLE = {"responses": _responses, "anthropic": _anthropic, "gemini": _gemini, "chat": _chat}
