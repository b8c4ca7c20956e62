"""CASES 9, 23, 24: what the gateway does not act on arrives unchanged, in both directions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cases.client import CHAT, Answer, calls, chat, events, post
from tests.hotpath.upstream import Peer, chunk, serving
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]


def _call(index: int, *, function: dict[str, Any], **identity: Any) -> dict[str, Any]:
    return {"index": index, **identity, "function": function}


TOOL_EVENTS: list[dict[str, Any]] = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [_call(0, id="call_a", type="function", function={"name": "f", "arguments": ""})],
    },
    {"tool_calls": [_call(0, function={"arguments": '{"city": "Z\\u00fcr'})]},
    {"tool_calls": [_call(1, id="call_b", type="function", function={"name": "g", "arguments": "{"})]},
    {
        "tool_calls": [
            _call(0, function={"arguments": 'ich", "model": "inner"}'}),
            _call(1, function={"arguments": '"usage": 1}'}),
        ]
    },
    {
        "tool_calls": [_call(1, id="", function={"name": None, "arguments": ""})],
        "extra_content": {"google": {"thought_signature": "AbC="}},
    },
]
REASONING_EVENTS: list[dict[str, Any]] = [
    {
        "role": "assistant",
        "content": "",
        "reasoning_content": "Let ",
        "reasoning": "Let ",
        "vendor": {"a": [1.50, 1e3]},
    },
    {
        "content": None,
        "reasoning_content": 'think: "model": \u2028 \U0001f600',
        "reasoning_details": [{"type": "reasoning.text", "index": 0}],
    },
    {"content": "42", "annotations": [{"type": "url_citation"}], "audio": {"data": "//8="}},
]


def stream_of(deltas: list[dict[str, Any]], model: str) -> bytes:
    """A vendor's stream: fields OpenAI does not have, at every level, and its own spacing."""
    parts = []
    for number, delta in enumerate(deltas):
        finish = "tool_calls" if number == len(deltas) - 1 else None
        event = {
            "id": "x",
            "model": model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "stop_id": 7}],
            "x_vendor": {"citations": ["https://a.example"], "nested": {"model": "kept"}},
        }
        parts.append(b"data: %b\n\n" % json.dumps(event, ensure_ascii=number % 2 == 0).encode())
    return b"".join(parts) + b"data: [DONE]\n\n"


def through(start_gateway: Start, sent: bytes, body: Any, *, renamed: bool) -> tuple[bytes, Answer]:
    """(what the upstream was sent, what the client got) for one request to an upstream that sends `sent`."""
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        peer.write(sent)
        await peer.closed()

    async def run() -> Answer:
        async with serving(script) as upstream:
            config: dict[str, Any] = {
                "providers": {"up": {"base_url": f"http://127.0.0.1:{upstream.port}/v1", "models": ["m"]}},
                "keys": [{"name": "test", "value": KEY}],
            }
            if renamed:
                config["models"] = {"alias": {"targets": [{"provider": "up", "model": "m"}]}}
            gateway = await asyncio.to_thread(start_gateway, config)
            return await asyncio.to_thread(post, gateway.origin, body)

    answer = asyncio.run(run())
    return seen[0].split(b"\r\n\r\n", 1)[1], answer


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("deltas", [TOOL_EVENTS, REASONING_EVENTS], ids=["tools", "reasoning"])
@pytest.mark.parametrize("renamed", [False, True], ids=["same name", "renamed"])
def test_stream(start_gateway: Start, deltas: list[dict[str, Any]], renamed: bool) -> None:
    sent = stream_of(deltas, "m")
    name = "alias" if renamed else "m"
    _, answer = through(
        start_gateway, STREAM_HEAD + chunk(sent) + b"0\r\n\r\n", chat(name, stream=True), renamed=renamed
    )
    assert answer.status == 200
    expected = sent.replace(b'"model": "m"', b'"model": "alias"') if renamed else sent
    assert answer.body == expected
    received = [json.loads(event)["choices"][0]["delta"] for event in events(answer.body)[:-1]]
    assert received == deltas


@pytest.mark.parametrize("renamed", [False, True], ids=["same name", "renamed"])
def test_whole(start_gateway: Start, renamed: bool) -> None:
    message = {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hm.",
        "tool_calls": TOOL_EVENTS[0]["tool_calls"],
    }
    sent = json.dumps(
        {
            "id": "x",
            "vendor": {"model": "kept", "usage": {"n": 1.50}},
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls", "stop_reason": 3}],
            "model": "m",
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 1e-7},
            "time_info": None,
        },
        indent=1,
    ).encode()
    raw = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(sent), sent)
    _, answer = through(start_gateway, raw, chat("alias" if renamed else "m"), renamed=renamed)
    expected = sent.replace(b'"model": "m"', b'"model": "alias"') if renamed else sent
    assert (answer.status, answer.body) == (200, expected)


ODD = (
    b'{ "temperature" : 1e0,\t"model":"NAME" , "top_k":40,"messages":[{"role":"user","content":"\\u00fc\\ud83d\\ude00",'
    b'"cache_control":{"type":"ephemeral"}}], "thinking":{"type":"enabled"},"x":[1.0,-0,1E+2,null,true],'
    b'"n":null,"user":null,"seed":123456789012345678901234567890, "logit_bias":{"50256":-100},'
    b'"max_tokens":-5,"tools":"none","temperature":7.000, "stream":false}'
)


@pytest.mark.parametrize("renamed", [False, True], ids=["same name", "renamed"])
def test_request(start_gateway: Start, renamed: bool) -> None:
    """Parameters the gateway does not know, and values no model takes: the upstream decides (24)."""
    body = b'{"choices":[]}'
    raw = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    seen, answer = through(start_gateway, raw, ODD.replace(b"NAME", b"alias" if renamed else b"m"), renamed=renamed)
    assert (answer.status, answer.body) == (200, body)
    assert seen == ODD.replace(b"NAME", b"m")


def test_streamed_request_differs_by_the_question_for_usage_alone(start_gateway: Start) -> None:
    sent = stream_of(REASONING_EVENTS, "m")
    raw = STREAM_HEAD + chunk(sent) + b"0\r\n\r\n"
    wanted = ODD.replace(b'"stream":false', b'"stream":true').replace(b"NAME", b"m")
    seen, _ = through(start_gateway, raw, wanted, renamed=False)
    assert seen == wanted[:-1] + b',"stream_options":{"include_usage":true}}'


def test_a_coding_nobody_asked_for_is_undone(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    answer = post(gateway.origin, chat("sim;gzip"))
    assert answer.status == 200
    assert "content-encoding" not in answer.headers
    assert answer.json["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 5},
        {"temperature": "warm"},
        {"top_p": -1},
        {"n": 0},
        {"logprobs": "yes"},
        {"max_tokens": 0},
        {"parallel_tool_calls": 3},
    ],
    ids=json.dumps,
)
def test_the_upstream_refuses(
    gateway: GatewayProcess, sim: SimulatorProcess, fields: dict[str, Any], stream: bool
) -> None:
    """The refusal is the upstream's, word for word."""
    direct = post(sim.origin, chat(**fields, stream=stream))
    sim.forget()
    answer = post(gateway.origin, chat(**fields, stream=stream))
    assert direct.status == 400
    assert (answer.status, answer.body) == (400, direct.body)
    assert len(calls(sim)) == 1


def test_the_simulators_tool_calls(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": name, "parameters": schema}} for name in ("first", "second")]
    for stream in (True, False):
        wanted = chat(tools=tools, tool_choice="required", stream=stream)
        direct, answer = post(sim.origin, wanted, CHAT), post(gateway.origin, wanted, CHAT)
        assert _calls(answer, stream) == _calls(direct, stream)


def _calls(answer: Answer, stream: bool) -> list[Any]:
    """All pieces of tool calls, without their identifiers, which count up from request to request."""
    if stream:
        deltas = [json.loads(event)["choices"][0]["delta"] for event in events(answer.body)[:-1]]
        found = [call for delta in deltas for call in delta.get("tool_calls", [])]
    else:
        found = answer.json["choices"][0]["message"]["tool_calls"]
    assert found
    return [{key: value for key, value in call.items() if key != "id"} for call in found]
