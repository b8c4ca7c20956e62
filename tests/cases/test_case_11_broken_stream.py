"""CASES 11: a truncated stream ends with an error event and no [DONE]; a truncated answer is a 502."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.cases.client import CHAT, RESPONSES, Answer, Open, calls, chat, events, post
from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]
StartSimulator = Callable[..., SimulatorProcess]
COMPLETIONS = "/v1/completions"

CUTS = ["close-mid-stream=3", "truncate-chunked=3", "reset-mid-stream=3"]
BROKEN_OFF = {"type": "server_error", "param": None, "code": "upstream_protocol_error"}


def ask(origin: str, path: str, fault: str, *, stream: bool = True) -> Answer:
    wanted = {"model": f"sim;{fault}", "messages": chat()["messages"], "prompt": "x", "input": "x", "stream": stream}
    return post(origin, wanted, path)


@pytest.mark.parametrize("fault", CUTS)
@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_chat_dialect(gateway: GatewayProcess, sim: SimulatorProcess, path: str, fault: str) -> None:
    answer = ask(gateway.origin, path, fault)
    assert answer.status == 200
    *before, last = events(answer.body)
    assert [json.loads(event)["object"] for event in before] == [json.loads(before[0])["object"]] * 3
    error = json.loads(last)
    assert list(error) == ["error"]
    assert {**error["error"], "message": ""} == {"message": "", **BROKEN_OFF}
    assert b"[DONE]" not in answer.body
    assert answer.body.endswith(b"\n\n")
    assert len(calls(sim)) == 1  # the client has seen some of it: no other attempt


@pytest.mark.parametrize("fault", CUTS)
def test_responses_dialect(gateway: GatewayProcess, sim: SimulatorProcess, fault: str) -> None:
    answer = ask(gateway.origin, RESPONSES, fault)
    assert answer.status == 200
    name, data = answer.body.decode().rstrip("\n").rsplit("\n\n", 1)[1].split("\n")
    assert name == "event: error"
    event = json.loads(data.removeprefix("data: "))
    assert (event["type"], event["code"], event["param"]) == ("error", "upstream_protocol_error", None)
    assert event["message"] == event["error"]["message"] != ""
    for end in (b"response.completed", b"response.failed", b"[DONE]"):
        assert end not in answer.body


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_an_error_event_is_forwarded_and_nothing_follows(
    gateway: GatewayProcess, sim: SimulatorProcess, path: str
) -> None:
    direct, answer = (ask(origin, path, "error-event=3") for origin in (sim.origin, gateway.origin))
    assert events(answer.body)[-1] == events(direct.body)[-1]
    assert "error" in json.loads(events(answer.body)[-1])
    assert len(events(answer.body)) == 4
    assert b"[DONE]" not in answer.body


def test_an_error_event_of_a_response(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    direct, answer = (ask(origin, RESPONSES, "error-event=3") for origin in (sim.origin, gateway.origin))
    last, expected = (json.loads(events(each.body)[-1]) for each in (answer, direct))
    assert last["type"] == "response.failed"
    assert last["response"]["error"] == expected["response"]["error"]
    assert len(events(answer.body)) == len(events(direct.body))
    assert b"response.completed" not in answer.body


def test_a_stream_without_done_that_had_finished_is_whole(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """Some servers never send [DONE]: the finish_reason says that the answer is complete."""
    answer = ask(gateway.origin, CHAT, "no-done")
    assert events(answer.body)[-1] == b"[DONE]"
    assert json.loads(events(answer.body)[-2])["choices"][0]["finish_reason"] == "stop"


def test_garbage_between_events(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """An event that is not JSON goes on to the client, which decides; the stream's end is told as it was."""
    answer = ask(gateway.origin, CHAT, "garbage-sse")
    assert b"data: {not json\n\n" in answer.body
    assert events(answer.body)[-1] == b"[DONE]"


@pytest.mark.parametrize("fault", [*CUTS, "error-event=3"])
def test_the_sdk_raises(gateway: GatewayProcess, sim: SimulatorProcess, fault: str) -> None:
    messages: Any = [{"role": "user", "content": "x"}]
    with openai.OpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        stream = client.chat.completions.create(model=f"sim;{fault}", messages=messages, stream=True)
        assert [next(stream).object for _ in range(3)] == ["chat.completion.chunk"] * 3
        with pytest.raises(openai.APIError):
            next(stream)


@pytest.mark.parametrize("fault", CUTS)
def test_the_sdk_raises_on_a_response(gateway: GatewayProcess, sim: SimulatorProcess, fault: str) -> None:
    with openai.OpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        stream = client.responses.create(model=f"sim;{fault}", input="x", stream=True)
        with pytest.raises(openai.APIError):
            for _ in stream:
                pass


# fault -> the error that all attempts ending so leave the client with
WHOLE = {
    "truncated-json": "upstream_protocol_error",
    "wrong-content-length=long": "upstream_protocol_error",
    "wrong-content-length=short": "upstream_protocol_error",
    "close-mid-stream": "upstream_protocol_error",
    "truncate-chunked": "upstream_protocol_error",
    "reset-mid-stream": "upstream_protocol_error",
    "malformed-http=status-line": "upstream_protocol_error",
    "malformed-http=header": "upstream_protocol_error",
    "malformed-http=content-length": "upstream_protocol_error",
    "malformed-http=chunk-size": "upstream_protocol_error",
    "header-bomb": "upstream_protocol_error",
    "reset-after-headers": "upstream_protocol_error",
    "reset-before-headers": "upstream_unreachable",
}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess) -> Any:
    """A gateway whose model is served by the session's simulator, then by a healthy one; and that one."""
    folder = tmp_path_factory.mktemp("two")
    other = SimulatorProcess(folder)
    targets = [{"provider": "sim", "model": "m", "tier": 0}, {"provider": "sim2", "model": "m", "tier": 1}]
    limits = {"breaker": {"failures": 1000}, "retries": {"backoff": "1ms"}}
    models = {"smart": {"targets": targets, **limits}, "alone": {"targets": targets[:1], **limits}}
    gateway = GatewayProcess(basic_config(simulator, other, models=models), folder).ready()
    yield gateway, other
    gateway.stop()
    other.stop()


@pytest.mark.parametrize("fault", WHOLE)
def test_a_whole_answer_that_breaks_off(two: Any, sim: SimulatorProcess, fault: str) -> None:
    gateway, other = two
    key, _, value = fault.partition("=")
    sim.fault({"fault": {key: value or True}})
    alone = post(gateway.origin, chat("alone"))
    assert (alone.status, alone.error["type"], alone.error["code"]) == (502, "server_error", WHOLE[fault])
    assert len(calls(sim)) >= 3  # each attempt; one more where a kept connection broke before any answer
    other.forget()
    saved = post(gateway.origin, chat("smart"))
    assert (saved.status, saved.json["choices"][0]["finish_reason"]) == (200, "stop")
    assert saved.headers["x-switchgear-target"] == "sim2/m"
    assert len(calls(other)) == 1


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (path, fault)
        for path in (CHAT, RESPONSES)
        for fault in ("close-mid-stream=0", "truncate-chunked=0", "reset-mid-stream=0")
    ]
    + [(CHAT, "error-event=0")],
)
def test_a_stream_that_breaks_before_its_first_event_is_tried_elsewhere(
    two: Any, sim: SimulatorProcess, fault: str, path: str
) -> None:
    gateway, _ = two
    key, _, value = fault.partition("=")
    sim.fault({"fault": {key: value}})
    wanted = {"messages": chat()["messages"], "input": "x", "stream": True}
    alone = post(gateway.origin, {"model": "alone", **wanted}, path)
    assert alone.status >= 500
    assert alone.headers["content-type"] == "application/json"
    assert alone.error["message"]
    saved = post(gateway.origin, {"model": "smart", **wanted}, path)
    assert (saved.status, saved.headers["x-switchgear-target"]) == (200, "sim2/m")
    assert b"error" not in saved.body.replace(b'"error":null', b"")


def test_a_binary_body_that_breaks_off_is_seen_to(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """Its head is out: the connection is cut, so that nobody takes what came for the whole."""
    sim.fault({"fault": {"reset-mid-stream": 1}})
    with Open(gateway.origin, "/v1/audio/speech", {"model": "sim", "input": "x" * 100, "voice": "alloy"}) as client:
        assert client.response.status == 200
        with pytest.raises(http.client.IncompleteRead):
            client.rest()
