"""CASES 8: a stream's usage is asked of the upstream, hidden from who did not ask, estimated when the client leaves."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.cases.client import CHAT, RESPONSES, Open, calls, chat, events, post, total, until
from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]
COMPLETIONS = "/v1/completions"
ENDPOINTS = pytest.mark.parametrize("path", [CHAT, COMPLETIONS])


def body(**fields: Any) -> dict[str, Any]:
    return {**chat(stream=True, **fields), "prompt": "Say something."}


def without_numbers(stream: bytes) -> bytes:
    """Identifiers and times differ between two requests."""
    return re.sub(rb'"created":\d+', b'"created":0', re.sub(rb"-[0-9a-f]{29}", b"-ID", stream))


def asked(sim: SimulatorProcess) -> Any:
    return json.loads(calls(sim)[-1]["body"]).get("stream_options")


@ENDPOINTS
def test_hidden_from_who_did_not_ask(gateway: GatewayProcess, sim: SimulatorProcess, path: str) -> None:
    """The very bytes that the upstream sends to a client that did not ask: no usage key in any event."""
    direct = post(sim.origin, body(), path)
    through = post(gateway.origin, body(), path)
    assert asked(sim) == {"include_usage": True}
    assert b'"usage"' not in through.body
    assert without_numbers(through.body) == without_numbers(direct.body)


@ENDPOINTS
def test_shown_to_who_asked(gateway: GatewayProcess, sim: SimulatorProcess, path: str) -> None:
    wanted = body(stream_options={"include_usage": True})
    direct = post(sim.origin, wanted, path)
    through = post(gateway.origin, wanted, path)
    assert without_numbers(through.body) == without_numbers(direct.body)
    assert json.loads(events(through.body)[-2])["usage"]["completion_tokens"] == 16


@ENDPOINTS
@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (None, {"include_usage": True}),
        ({}, {"include_usage": True}),
        ({"include_usage": False}, {"include_usage": True}),
        ({"include_obfuscation": False}, {"include_obfuscation": False, "include_usage": True}),
    ],
)
def test_other_options_stay(
    gateway: GatewayProcess, sim: SimulatorProcess, path: str, options: Any, sent: dict[str, Any]
) -> None:
    answer = post(gateway.origin, body(stream_options=options), path)
    assert answer.status == 200
    assert b'"usage"' not in answer.body
    assert asked(sim) == sent


def test_usage_in_the_finishing_event_is_cut_out(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    answer = post(gateway.origin, body(model="sim;usage-in-finish"))
    assert b'"usage"' not in answer.body
    last = json.loads(events(answer.body)[-2])
    assert last["choices"][0]["finish_reason"] == "stop"


def test_not_asked_without_a_stream(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    post(gateway.origin, chat())
    assert asked(sim) is None


def test_the_sdk_sees_usage_only_when_it_asks(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    with openai.OpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "x"}]
        plain = list(client.chat.completions.create(model="sim", messages=messages, stream=True))
        full = list(
            client.chat.completions.create(
                model="sim", messages=messages, stream=True, stream_options={"include_usage": True}
            )
        )
    assert [chunk.usage for chunk in plain] == [None] * len(plain)
    assert all(chunk.choices for chunk in plain)
    assert full[-1].choices == []
    assert full[-1].usage is not None
    assert full[-1].usage.completion_tokens == 16


def tokens(gateway: GatewayProcess, kind: str) -> float:
    return total(gateway.metrics(), "switchgear_tokens_total", **{"class": kind})


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, RESPONSES])
def test_counted(start_gateway: Start, sim: SimulatorProcess, path: str) -> None:
    gateway = start_gateway(basic_config(sim))
    for stream in (True, False):
        before = tokens(gateway, "input"), tokens(gateway, "output")
        wanted = {
            "model": "sim",
            "stream": stream,
            "messages": chat()["messages"],
            "input": "abcdefgh",
            "prompt": "abc",
        }
        answer = post(gateway.origin, wanted, path)
        assert answer.status == 200
        record = calls(sim)[-1]
        assert record["path"] == path
        until(lambda before=before: tokens(gateway, "output") == before[1] + 16, "output counted")  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        assert tokens(gateway, "input") > before[0]


def access_lines(gateway: GatewayProcess) -> list[dict[str, Any]]:
    found = (json.loads(line) for line in gateway.output.splitlines() if line.startswith("{"))
    return [line for line in found if line.get("event") == "request"]


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, RESPONSES])
def test_a_disconnect_is_not_free(start_gateway: Start, sim: SimulatorProcess, path: str) -> None:
    """What was streamed until the client left is estimated, and the estimate says that it is one."""
    gateway = start_gateway(basic_config(sim, logging={"access": 1.0}))
    wanted = {
        "model": "sim;stall-mid-stream=8",
        "stream": True,
        "messages": chat()["messages"],
        "input": "abcdefgh",
        "prompt": "abc",
    }
    with Open(gateway.origin, path, wanted) as client:
        got = b""
        while got.count(b"data: ") < 8:
            got += client.piece()
    until(lambda: len(access_lines(gateway)) == 1, "access line")
    line = access_lines(gateway)[0]
    assert (line["error"], line["tokens"]["estimated"]) == ("client_disconnected", True)
    assert line["tokens"]["output"] == 8
    assert line["tokens"]["input"] > 0
    assert (tokens(gateway, "input"), tokens(gateway, "output")) == (line["tokens"]["input"], 8)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(
    "provider", [{}, {"transport": "httpx"}, {"type": "anthropic"}], ids=["native", "httpx", "translated"]
)
def test_a_disconnect_before_the_first_token_is_not_free(
    start_gateway: Start, sim: SimulatorProcess, provider: dict[str, str], stream: bool
) -> None:
    """The upstream has read the prompt."""
    config = basic_config(sim, logging={"access": 1.0})
    config["providers"]["sim"].update(provider)
    gateway = start_gateway(config)
    with Open(gateway.origin, CHAT, chat("sim;stall-before-headers", stream=stream)):
        until(lambda: len(calls(sim)) == 1, "request at the upstream")
    until(lambda: len(access_lines(gateway)) == 1, "access line")
    line = access_lines(gateway)[0]
    assert (line["status"], line["error"]) == (499, "client_disconnected")
    assert line["tokens"]["estimated"] is True
    assert (line["tokens"]["input"], line["tokens"]["output"]) == (tokens(gateway, "input"), 0)
    assert line["tokens"]["input"] > 0


@pytest.mark.parametrize("transport", ["native", "httpx"])
def test_a_disconnect_before_anything_was_sent_is_free(
    start_gateway: Start, sim: SimulatorProcess, transport: str
) -> None:
    """Here at an address that takes nobody in: nobody has read anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        config = basic_config(sim, logging={"access": 1.0}, defaults={"timeouts": {"connect": "60s"}})
        port = full.getsockname()[1]
        config["providers"]["sim"].update(transport=transport, base_url=f"http://127.0.0.1:{port}/v1", models=["sim"])
        gateway = start_gateway(config)
        with Open(gateway.origin, CHAT, chat("sim")):
            until(lambda: total(gateway.metrics(), "switchgear_in_flight") == 2)  # the scrape is the other one
        until(lambda: len(access_lines(gateway)) == 1, "access line")
        line = access_lines(gateway)[0]
        assert (line["error"], line["attempts"]) == ("client_disconnected", 1)
        assert "tokens" not in line


def test_the_usage_of_a_finished_stream_is_no_estimate(start_gateway: Start, sim: SimulatorProcess) -> None:
    gateway = start_gateway(basic_config(sim, logging={"access": 1.0}))
    post(gateway.origin, chat(stream=True))
    until(lambda: len(access_lines(gateway)) == 1, "access line")
    assert access_lines(gateway)[0]["tokens"]["estimated"] is False
