"""Every recorded exchange in the OpenAI dialect, replayed behind the gateway: clients receive what the provider sent.

A simulator answers with the recorded bytes; the gateway has a provider of the recorded kind, base path and version; the
client sends what the recorded client sent. Status and body must be the provider's own, byte for byte, or differ in one
of the ways of `changes.py`. The sums are printed by provider and api.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.changes import OWN, USAGE, change_of, expected_body
from tests.conformance.exchanges import PATHS, Exchange, load, waves
from tests.conformance.views import chat_view, responses_view
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess, get_json

AT_ONCE = 8
Failures = list[str]


def configuration(exchanges: list[Exchange], origin: str, *, declare: bool) -> dict[str, Any]:
    """Providers for all; with `declare`, each model under its provider's own name, so that nothing is rewritten."""
    config: dict[str, Any] = {
        "providers": {exchange.entry: exchange.provider_entry(origin) for exchange in exchanges},
        "keys": [{"name": "test", "value": KEY}],
        "defaults": {"retries": {"attempts": 1}},
    }
    if declare:
        config["models"] = {
            exchange.model: {"targets": [{"provider": exchange.entry, "model": exchange.model}]}
            for exchange in exchanges
            if exchange.model
        }
    return config


async def ask(client: httpx.AsyncClient, exchange: Exchange, *, model: str | None = None) -> httpx.Response:
    """Send the recorded request; `model` in place of its own."""
    body, content_type = exchange.body()
    if model is not None:
        own, given = (f'"model": {json.dumps(name, ensure_ascii=False)}'.encode() for name in (exchange.model, model))
        changed = body.replace(own, given, 1).replace(own.replace(b": ", b":"), given, 1)
        assert changed != body, exchange.id
        body = changed
    headers = {"content-type": content_type, "x-sim-recording": exchange.id}
    if exchange.model is None:
        headers["x-switchgear-provider"] = exchange.entry
    return await client.post("/v1" + PATHS[exchange.api], content=body, headers=headers)


async def each(
    gateway: GatewayProcess, exchanges: list[Exchange], check: Callable[[httpx.AsyncClient, Exchange], Any]
) -> Failures:
    """Run `check` for every exchange, some at a time, and collect what fails."""
    failures: Failures = []
    slots = asyncio.Semaphore(AT_ONCE)
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=gateway.origin, headers=headers, timeout=30) as client:

        async def one(exchange: Exchange) -> None:
            async with slots:
                try:
                    await check(client, exchange)
                except (AssertionError, httpx.HTTPError, ValueError, KeyError) as error:
                    failures.append(f"{exchange.id}: {type(error).__name__}: {str(error)[:600]}")

        await asyncio.gather(*(one(exchange) for exchange in exchanges))
    return failures


@pytest.fixture(scope="module")
def exchanges(recordings: Path) -> list[Exchange]:
    return load(recordings)


@pytest.fixture(scope="module")
def views(recordings: Path) -> dict[str, Any]:
    """The expected view of each chat exchange, by id."""
    path = recordings / "EXPECTED.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {line["id"]: line["view"] for line in map(json.loads, lines)}


def view(exchange: Exchange, body: bytes) -> Any:
    return (responses_view if exchange.api == "responses" else chat_view)(body, exchange.stream)


def compare(exchange: Exchange, answer: httpx.Response, views: dict[str, Any]) -> None:
    """Status, content type, body and view of an answer under the model's own name."""
    status, body = expected_body(exchange)
    assert answer.status_code == status, answer.text
    assert answer.content == body
    if status == exchange.response.status and "content-type" in exchange.response.headers and status < 300:
        assert answer.headers["content-type"] == exchange.response.headers["content-type"]
    if status < 300:
        assert answer.headers["x-switchgear-attempts"] == "1"
    if exchange.id in views and status < 300:
        compare_views(exchange, answer.content, views[exchange.id])


def compare_views(exchange: Exchange, body: bytes, expected: Any) -> None:
    got = view(exchange, body)
    if change_of(exchange) == USAGE:
        got, expected = {**got, "usage": None}, {**expected, "usage": None}
    assert got == expected


@pytest.mark.parametrize("split", [0, 7])
async def test_every_exchange_arrives_as_it_was_sent(
    exchanges: list[Exchange],
    views: dict[str, Any],
    recordings: Path,
    split: int,
    start_simulator: Callable[..., SimulatorProcess],
    start_gateway: Callable[..., GatewayProcess],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not exchanges:
        return
    simulator = start_simulator("--recordings", str(recordings), "--replay-split", str(split))
    failures: Failures = []
    chosen = exchanges if split == 0 else [exchange for exchange in exchanges if exchange.stream]
    for wave in waves(chosen):
        gateway = start_gateway(configuration(wave, simulator.origin, declare=True))

        async def check(client: httpx.AsyncClient, exchange: Exchange) -> None:
            compare(exchange, await ask(client, exchange), views)

        failures += await each(gateway, wave, check)
        gateway.stop()
    if split == 0:
        with capsys.disabled():
            report(exchanges)
    assert not failures, f"{len(failures)} of {len(chosen)} differ:\n" + "\n".join(sorted(failures))


async def test_streams_cut_into_single_bytes(
    exchanges: list[Exchange],
    views: dict[str, Any],
    recordings: Path,
    start_simulator: Callable[..., SimulatorProcess],
    start_gateway: Callable[..., GatewayProcess],
) -> None:
    """The two shortest streams of each provider and api: the answer does not depend on how the bytes arrive."""
    groups: dict[tuple[str, str], list[Exchange]] = {}
    for exchange in sorted(exchanges, key=lambda one: len(one.response.body)):
        if exchange.stream:
            groups.setdefault((exchange.provider, exchange.api), []).append(exchange)
    sample = [exchange for group in groups.values() for exchange in group[:2]]
    if not sample:
        return
    simulator = start_simulator("--recordings", str(recordings), "--replay-split", "1")
    failures: Failures = []
    for wave in waves(sample):
        gateway = start_gateway(configuration(wave, simulator.origin, declare=True))

        async def check(client: httpx.AsyncClient, exchange: Exchange) -> None:
            compare(exchange, await ask(client, exchange), views)

        failures += await each(gateway, wave, check)
        gateway.stop()
    assert not failures, "\n".join(sorted(failures))


async def test_every_answer_under_a_name_of_our_own(
    exchanges: list[Exchange],
    views: dict[str, Any],
    recordings: Path,
    start_simulator: Callable[..., SimulatorProcess],
    start_gateway: Callable[..., GatewayProcess],
) -> None:
    """All providers in one gateway, models as `provider/model`: the client reads its own name, and the same answer.

    What reached the provider is what the recorded client sent, to the recorded path: but for the question for usage.
    """
    chosen = [exchange for exchange in exchanges if exchange.model and exchange.body()[0].startswith(b"{")]
    chosen = [exchange for exchange in chosen if change_of(exchange) != OWN]
    if not chosen:
        return
    simulator = start_simulator("--recordings", str(recordings))
    gateway = start_gateway(configuration(chosen, simulator.origin, declare=False))
    sent: dict[str, Any] = {}

    async def check(client: httpx.AsyncClient, exchange: Exchange) -> None:
        name = f"{exchange.entry}/{exchange.model}"
        answer = await ask(client, exchange, model=name)
        assert answer.status_code == expected_body(exchange)[0], answer.text
        if answer.status_code >= 300:
            return
        assert {model for model in models_in(exchange, answer.content) if model} <= {name}
        if exchange.id in views:
            compare_views(exchange, answer.content, views[exchange.id])

    failures: Failures = []
    for start in range(0, len(chosen), 100):  # the simulator remembers a limited number of requests
        failures += await each(gateway, chosen[start : start + 100], check)
        for record in get_json(f"{simulator.origin}/_sim/requests"):
            sent[dict(record["headers"]).get("x-sim-recording", "")] = record
        simulator.forget()
    failures += [line for exchange in chosen if exchange.response.status < 300 for line in differences(exchange, sent)]
    assert not failures, f"{len(failures)} differ:\n" + "\n".join(sorted(failures))


async def test_lists_of_models(
    recordings: Path, start_simulator: Callable[..., SimulatorProcess], start_gateway: Callable[..., GatewayProcess]
) -> None:
    """No models are declared: the recorded lists are merged, each as `provider/model`, alone also by its name."""
    lists = {  # nothing else runs while these are read
        path.parent.parent.name: json.loads(path.read_text("utf-8"))
        for path in recordings.glob("*/models/*.json")  # noqa: ASYNC240 - see above
    }
    if not lists:
        return
    simulator = start_simulator("--recordings", str(recordings))
    providers = {
        name: {
            "type": name,
            "base_url": simulator.origin + recorded["request"]["path"].removesuffix("/models"),
            "credentials": ["sk-upstream-0123456789"],
            "headers": {"x-sim-recording": recorded["id"]},
        }
        for name, recorded in lists.items()
    }
    gateway = start_gateway({"providers": providers, "keys": [{"name": "test", "value": KEY}]})
    answer = get_json(f"{gateway.url}/models", headers={"authorization": f"Bearer {KEY}"})
    names = {
        name: [model["id"] for model in json.loads(one["response"]["body"])["data"]] for name, one in lists.items()
    }
    owners = Counter(model for models in names.values() for model in models)
    expected = {f"{name}/{model}" for name, models in names.items() for model in models}
    expected |= {model for model, count in owners.items() if count == 1}
    assert {model["id"] for model in answer["data"]} == expected
    assert {model["object"] for model in answer["data"]} == {"model"}


def models_in(exchange: Exchange, body: bytes) -> set[Any]:
    """The names of models that a client reads."""
    if not exchange.stream:
        return {json.loads(body).get("model")} if body.lstrip()[:1] == b"{" else set()
    found = set()
    for line in body.splitlines():
        if line.startswith(b"data: {"):
            chunk = json.loads(line[6:])
            found.add((chunk.get("response") or {}).get("model") if exchange.api == "responses" else chunk.get("model"))
    return found


def differences(exchange: Exchange, sent: dict[str, Any]) -> list[str]:
    """How the request that reached the provider differs from the recorded one."""
    record = sent.get(exchange.id)
    if record is None:
        return [f"{exchange.id}: did not reach the provider"]
    found = []
    if record["path"] != exchange.request.path or record["query"] != exchange.request.query:
        found.append(f"{exchange.id}: sent to {record['path']}?{record['query']}")
    if record["body_bytes"] != len(record["body"].encode()):
        return found  # longer than what the simulator keeps
    got, asked = json.loads(record["body"]), json.loads(exchange.body()[0])
    for body in (got, asked) if exchange.stream and exchange.api in ("chat.completions", "completions") else ():
        options = body.get("stream_options") or {}
        options.pop("include_usage", None)  # asked by the client, else by the gateway
        if not options:
            body.pop("stream_options", None)
    if got != asked:
        found.append(f"{exchange.id}: the provider was sent another body")
    return found


def report(exchanges: list[Exchange]) -> None:
    """Counts by provider and api: all, and those that the gateway changes."""
    total = Counter((exchange.provider, exchange.api) for exchange in exchanges)
    changed = Counter((exchange.provider, exchange.api) for exchange in exchanges if change_of(exchange))
    print(f"\n{'provider':<16}{'api':<22}{'exchanges':>10}{'changed':>9}")  # noqa: T201 - the table is the point
    for key in sorted(total):
        print(f"{key[0]:<16}{key[1]:<22}{total[key]:>10}{changed[key] or '':>9}")  # noqa: T201 - a table for whoever reads the output
    print(f"{'':<38}{sum(total.values()):>10}{sum(changed.values()):>9}")  # noqa: T201 - a table for whoever reads the output
