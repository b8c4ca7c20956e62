"""CASE 2 where nobody says how long an answer may get: a budget holds all the same, and little of it lies idle."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cases.client import CHAT, Answer, Open, at_rest, calls, chat, post, until
from tests.support.metered import Got, metered, request, run, settled, spent, statuses, storm, usage
from tests.support.processes import GatewayProcess, SimulatorProcess
from tests.support.redis_server import RedisServer

Start = Callable[[dict[str, Any]], GatewayProcess]
DOLLAR = 1_000_000_000
BOUND = "x-switchgear-max-output-tokens"
PRICES = {"input": 1.0, "output": 20.0}
LENGTHS = {
    "tokens=5": 8,
    "tokens=40": 8,
    "tokens=300": 4,
    "tokens=1500": 2,
    "tokens=9000": 1,
    "tokens=12000;reset-mid-stream": 1,
}
"""What an answer may be like, and how often it is; clients call all of them `smart`."""


def smart(**fields: Any) -> dict[str, Any]:
    targets = [{"provider": "sim", "model": f"sim;{how}", "weight": share} for how, share in LENGTHS.items()]
    return {"smart": {"targets": targets, "max_output_tokens": 12_000, **fields}}


def ask_until_spent(port: int, bodies: list[bytes]) -> list[Got]:
    """Until there is not enough for a single one, and nothing in flight that may give some back."""
    found: list[Got] = []
    while True:
        some = run(storm(port, bodies, 8))
        found += some
        assert set(statuses(some)) <= {200, 402, 429, 502}, statuses(some)
        if set(statuses(some)) == {402}:
            return found


@pytest.mark.parametrize("shared", [True, False], ids=["redis", "memory"])
def test_a_dollar_of_answers_of_any_length(
    start_gateway: Start, sim: SimulatorProcess, redis_server: RedisServer, tmp_path: Path, shared: bool
) -> None:
    """2 cents a thousand output tokens, 24 cents the longest answer; no request says how long its answer may be."""
    config = metered(
        tmp_path,
        sim,
        key={"budget": {"usd": 1, "window": "total", "fail": "closed"}},
        prices={"sim/*": PRICES},
        models=smart(retries={"attempts": 2, "backoff": "1ms"}, breaker={"failures": 100_000}),
        **({"state": {"url": redis_server.url}, "server": {"workers": 4}} if shared else {}),
    )
    gateway = start_gateway(config)
    dice = random.Random(3)  # noqa: S311 - reproducible, not secret
    bodies = [request(chat("smart", stream=dice.random() < 0.2)) for _ in range(400)]
    found = run(storm(gateway.port, bodies, 48))
    until(lambda: at_rest(gateway), "at rest")
    found += ask_until_spent(gateway.port, [request(chat("smart"))] * 16)
    rows = usage(gateway)
    assert 0.95 * DOLLAR <= spent(rows) <= DOLLAR
    if shared:
        assert settled(gateway, "cost")["used"] == spent(rows)
    bounded = [got for got in found if BOUND.encode() in got.headers]
    assert bounded
    cut = 0
    for got in bounded:
        if not got.headers[b"content-type"].startswith(b"application/json") or not got.whole:
            continue
        answer, bound = json.loads(got.body), int(got.headers[BOUND.encode()])
        made = answer["usage"]["completion_tokens"]
        assert made <= bound
        assert (answer["choices"][0]["finish_reason"] == "length") == (made == bound)
        cut += made == bound
    assert cut
    assert "Traceback" not in gateway.output


BODY = b'{ "model":"smart", "messages" : [{"role":"user","content":"Say something."}],  "made_up":{"a":[1, 2]} }\n'


def test_far_from_the_edge_bytes_pass_as_they_came(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    model = {"smart": {"targets": [{"provider": "sim", "model": "smart"}]}}
    config = metered(tmp_path, sim, key={"budget": {"usd": 1000, "window": "day"}}, models=model)
    config["prices"] = {"sim/*": PRICES}
    gateway = start_gateway(config)
    sim.forget()
    for _ in range(3):  # the first through the stages, the others on the compiled path
        answer = post(gateway.origin, BODY)
        assert answer.status == 200
        assert BOUND not in answer.headers
    assert [call["body"].encode() for call in calls(sim)] == [BODY] * 3


def test_close_to_the_edge_the_bound_is_spliced_in(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    """Half of the budget for an answer of which nothing is known yet. The rest of the body stays as it was."""
    model = {"smart": {"targets": [{"provider": "sim", "model": "smart"}]}}
    config = metered(tmp_path, sim, key={"budget": {"usd": 0.04, "window": "day"}}, models=model)
    config["prices"] = {"sim/*": {"input": 0, "output": 20.0}}
    gateway = start_gateway(config)
    sim.forget()
    answer = post(gateway.origin, BODY)
    assert (answer.status, answer.headers[BOUND]) == (200, "1000")
    [call] = calls(sim)
    assert call["body"].encode() == BODY.replace(b" }\n", b' ,"max_tokens":1000}\n')
    sim.forget()
    null = BODY.replace(b'"made_up"', b'"max_tokens":null,"made_up"')
    assert post(gateway.origin, null).status == 200
    [call] = calls(sim)
    sent = json.loads(call["body"])
    assert call["body"].count("max_tokens") == 1
    assert sent == {**json.loads(BODY), "max_tokens": sent["max_tokens"]}
    said = post(gateway.origin, BODY.replace(b'"made_up"', b'"max_tokens":7,"made_up"'))
    assert said.status == 200
    assert BOUND not in said.headers


def test_a_soft_budget_and_a_rate_bound_nothing(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    """Of what waiting brings back only so much is reserved as answers have; a soft limit refuses nothing anyway."""
    limits = [
        {"resource": "output_tokens", "capacity": 5000, "window": "minute"},
        {"resource": "cost", "capacity": 0.01, "window": {"calendar": "day"}, "hard": False},
    ]
    config = metered(tmp_path, sim, key={"limits": limits}, prices={"sim/*": PRICES})
    gateway = start_gateway(config)
    sim.forget()
    for _ in range(3):
        answer = post(gateway.origin, chat("sim;tokens=5"))
        assert answer.status == 200
        assert BOUND not in answer.headers
    assert all("max" not in call["body"] for call in calls(sim))


def test_a_dearer_target_gets_a_shorter_answer(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    """The answer is bounded to what there is for the dearest target that may be asked."""
    targets = [{"provider": "sim", "model": "cheap"}, {"provider": "sim", "model": "dear;tokens=30000", "tier": 1}]
    model = {"smart": {"targets": targets, "retries": {"attempts": 2, "backoff": "1ms"}}}
    prices = {"sim/cheap": {"input": 0, "output": 1.0}, "sim/dear*": {"input": 0, "output": 100.0}}
    key = {"budget": {"usd": 0.5, "window": "total"}}
    gateway = start_gateway(metered(tmp_path, sim, key=key, models=model, prices=prices))
    assert post(gateway.origin, chat("smart", max_tokens=1)).status == 200  # teaches the compiled path
    sim.fault({"match": {"model": "cheap"}, "fault": {"status": 500}})
    sim.forget()
    answer = post(gateway.origin, chat("smart"))
    assert (answer.status, answer.headers["x-switchgear-target"]) == (200, "sim/dear;tokens=30000")
    first, second = calls(sim)
    bound = json.loads(second["body"])["max_tokens"]
    assert json.loads(first["body"])["max_tokens"] == bound
    assert answer.headers[BOUND] == str(bound)
    assert answer.json["usage"]["completion_tokens"] == bound
    assert 0 < spent(usage(gateway)) <= DOLLAR // 2


def test_money_that_is_only_reserved_is_worth_another_try(
    start_gateway: Start, sim: SimulatorProcess, tmp_path: Path
) -> None:
    """429 and a second while others hold it; 402 when it is gone."""
    key = {"budget": {"usd": 0.1, "window": "total"}}
    gateway = start_gateway(metered(tmp_path, sim, key=key, prices={"sim/*": {"input": 0, "output": 1000.0}}))
    with Open(gateway.origin, CHAT, chat("sim;tokens=60;gap=20ms", stream=True, max_tokens=60)) as stream:
        stream.read_until(b"data: ")
        refused = post(gateway.origin, chat("sim", max_tokens=60))
        assert (refused.status, refused.headers["retry-after"]) == (429, "1"), refused
        assert refused.error["code"] == "rate_limit_exceeded"
        assert "x-should-retry" not in refused.headers
        stream.rest()
    until(lambda: at_rest(gateway), "at rest")
    refused = post(gateway.origin, chat("sim", max_tokens=60))
    assert (refused.status, refused.error["code"]) == (402, "insufficient_quota"), refused
    assert refused.headers["x-should-retry"] == "false"


CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (CHAT, chat()),
    "completions": ("/v1/completions", {"prompt": "Say something."}),
    "responses": ("/v1/responses", {"input": "Say something."}),
    "gemini": (
        "/v1beta/models/{model}:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Say something."}]}]},
    ),
}
WIRES = ("vllm", "openai", "mistral", "deepseek", "anthropic", "gemini", "ollama")


@pytest.fixture(scope="module")
def tight(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A model per kind of provider, whose answers have 20,000 tokens, and a key for each test, with two cents."""
    folder = tmp_path_factory.mktemp("tight")
    config = metered(folder, simulator)
    config["providers"] = {
        wire: {
            "type": wire,
            "base_url": simulator.origin if wire in ("anthropic", "gemini", "ollama") else simulator.url,
            "credentials": ["sk-upstream-0000"],
            "repair": wire == "mistral",
        }
        for wire in WIRES
    }
    config["models"] = {wire: {"targets": [{"provider": wire, "model": "sim;tokens=20000"}]} for wire in WIRES}
    config["prices"] = {f"{wire}/*": {"input": 0, "output": 20.0} for wire in WIRES}
    budget = {"usd": 0.04, "window": "total"}
    config["keys"] = [
        {"name": name, "value": f"sk-{name}-0123456789abcdef", "budget": budget}
        for name in (f"{client}-{wire}-{how}" for client in CLIENTS for wire in WIRES for how in ("whole", "stream"))
    ]
    with ExitStack() as stack:
        process = GatewayProcess(config, folder)
        stack.callback(process.stop)
        yield process.ready()


def bound_of(call: dict[str, Any]) -> int | None:
    """What a provider was told of the answer's length."""
    body = json.loads(call["body"])
    if "generationConfig" in body:
        found = body["generationConfig"].get("maxOutputTokens")
    elif "options" in body:
        found = body["options"].get("num_predict")
    else:
        [found] = [body[name] for name in ("max_completion_tokens", "max_tokens", "max_output_tokens") if name in body]
    return int(found) if found is not None else None


def ended_by_length(client: str, answer: Answer) -> bool:
    return {"responses": b'"max_output_tokens"', "gemini": b'"MAX_TOKENS"'}.get(client, b'"length"') in answer.body


@pytest.mark.parametrize("how", ["whole", "stream"])
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("client", CLIENTS)
def test_every_dialect_has_a_bound(
    tight: GatewayProcess, simulator: SimulatorProcess, client: str, wire: str, how: str
) -> None:
    path, body = CLIENTS[client]
    simulator.forget()
    body = {name: value for name, value in body.items() if name != "model"}
    if client == "gemini":
        path = path.replace("{model}", wire)
        if how == "stream":
            path = path.replace("generateContent", "streamGenerateContent") + "?alt=sse"
    else:
        body = {"model": wire, **body, **({"stream": True} if how == "stream" else {})}
    answer = Open(tight.origin, path, body, key=f"sk-{client}-{wire}-{how}-0123456789abcdef").answer()
    assert answer.status == 200, answer
    assert answer.headers[BOUND] == "1000"
    [call] = calls(simulator)
    assert bound_of(call) == 1000
    assert ended_by_length(client, answer), answer.body[-600:]
    rows = usage(tight, "--key", f"{client}-{wire}-{how}")
    assert [row["output_tokens"] for row in rows] == [1000]
    assert spent(rows) == 20_000_000
