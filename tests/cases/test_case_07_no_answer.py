"""CASES 7: a 200 without an answer in it is a failed attempt, where the answer has to be JSON or events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cases.client import CHAT, RESPONSES, chat, post
from tests.conftest import basic_config
from tests.support.processes import GatewayProcess, SimulatorProcess
from tests.support.scripted import Asked, ScriptedUpstream, Told, scripted

EMBEDDINGS = "/v1/embeddings"
PAGE = b"<html><body>Welcome to the hotel's network. Please sign in.</body></html>"
TOLD = {
    "empty": Told([b""]),
    "no content": Told([], status=204),
    "web page": Told([PAGE], content_type="text/html"),
    "web page called JSON": Told([PAGE]),
    "text": Told([b"ok"], content_type="text/plain"),
    "list": Told([b"[]"]),
    "number": Told([b"1"]),
    "binary": Told([b"\x00\xff" * 64], content_type="application/octet-stream"),
    "huge web page": Told([b"<p>" * 100_000] * 30, content_type="text/html"),
}
WANTED: dict[str, dict[str, Any]] = {
    CHAT: chat("m"),
    "/v1/completions": {"model": "m", "prompt": "x"},
    RESPONSES: {"model": "m", "input": "x"},
    EMBEDDINGS: {"model": "m", "input": "x"},
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with scripted(lambda asked: TOLD["empty"]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(
    upstream: ScriptedUpstream, simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """`m` at the scripted upstream, then at a healthy one; `alone` at the scripted one only, `mend` with repairs."""
    limits = {"breaker": {"failures": 1000}, "retries": {"attempts": 2, "backoff": "1ms"}}
    targets = [{"provider": "odd", "model": "m", "tier": 0}, {"provider": "sim", "model": "m", "tier": 1}]
    config = basic_config(
        simulator,
        models={
            "m": {"targets": targets, **limits},
            "alone": {"targets": targets[:1], **limits},
            "mend": {"targets": [{"provider": "mended", "model": "m"}], **limits},
        },
    )
    url = f"{upstream.origin}/v1"
    config["providers"]["odd"] = {"type": "openai", "base_url": url, "credentials": ["sk-odd-000000"]}
    config["providers"]["mended"] = {"type": "mistral", "repair": True, "base_url": url, "credentials": ["sk-000000"]}
    process = GatewayProcess(config, tmp_path_factory.mktemp("no-answer"))
    yield process.ready()
    process.stop()


@pytest.mark.parametrize("what", TOLD)
@pytest.mark.parametrize("path", WANTED)
def test_no_answer_in_a_200(gateway: GatewayProcess, upstream: ScriptedUpstream, path: str, what: str) -> None:
    upstream.answer = lambda asked: TOLD[what]
    saved = post(gateway.origin, WANTED[path], path)
    assert (saved.status, saved.headers["x-switchgear-target"]) == (200, "sim/m")
    alone = post(gateway.origin, {**WANTED[path], "model": "alone"}, path)
    assert (alone.status, alone.error["type"], alone.error["code"]) == (502, "server_error", "upstream_protocol_error")
    assert alone.error["message"] == "The upstream's answer is not a JSON object."


@pytest.mark.parametrize("what", ["empty", "web page", "huge web page"])
def test_of_a_provider_that_is_repaired(gateway: GatewayProcess, upstream: ScriptedUpstream, what: str) -> None:
    upstream.answer = lambda asked: TOLD[what]
    answer = post(gateway.origin, chat("mend"))
    assert (answer.status, answer.error["code"]) == (502, "upstream_protocol_error")


def test_an_object_is_an_answer_whatever_it_is_called(gateway: GatewayProcess, upstream: ScriptedUpstream) -> None:
    body = b'{"id":"1","object":"chat.completion","choices":[]}'
    upstream.answer = lambda asked: Told([body], content_type="text/plain")
    answer = post(gateway.origin, chat("alone"))
    assert (answer.status, answer.body) == (200, body)


def test_where_anything_may_come_it_passes(gateway: GatewayProcess, upstream: ScriptedUpstream) -> None:
    """Sound, transcripts as text, lists of a reranker: nothing here reads them."""

    def answer(asked: Asked) -> Told:
        return Told([b""]) if asked.target.endswith("/speech") else Told([b"[]"])

    upstream.answer = answer
    assert post(gateway.origin, {"model": "alone", "input": "x", "voice": "a"}, "/v1/audio/speech").body == b""
    assert post(gateway.origin, {"model": "alone", "query": "x", "documents": ["y"]}, "/v1/rerank").body == b"[]"
