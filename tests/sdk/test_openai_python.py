"""The openai SDK in front of the gateway: every endpoint, errors, retries, time limits, many streams at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.conftest import basic_config
from tests.sdk.script import MESSAGES, STEPS, Script, same
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess


@pytest.fixture
async def client(gateway: GatewayProcess, sim: SimulatorProcess) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=gateway.url, api_key=KEY, max_retries=0, timeout=20) as made:
        yield made


@pytest.fixture
async def direct(sim: SimulatorProcess) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=sim.url, api_key="sk-direct", max_retries=0, timeout=20) as made:
        yield made


@pytest.mark.parametrize("step", STEPS)
async def test_the_same_as_without_the_gateway(step: str, client: AsyncOpenAI, direct: AsyncOpenAI) -> None:
    through = await getattr(Script(client), step)()
    without = await getattr(Script(direct), step)()
    assert same(through) == same(without)


async def test_what_the_provider_was_sent(client: AsyncOpenAI, sim: SimulatorProcess) -> None:
    """The body as the SDK wrote it, the provider's credential, none of the client's."""
    await Script(client).unknown_fields()
    [record] = sim.requests()
    assert '"vendor_option":{"deep":[1,null]}' in record["body"]
    assert record["credential"] == "sk-upstream-sim-000000"
    assert KEY not in str(record)


async def test_a_model_under_two_names(client: AsyncOpenAI) -> None:
    for name in ("sim", "sim/sim"):
        answer = await client.chat.completions.create(model=name, messages=MESSAGES)
        assert answer.model == name
        stream = await client.chat.completions.create(model=name, messages=MESSAGES, stream=True)
        assert {chunk.model async for chunk in stream} == {name}


async def test_models(client: AsyncOpenAI, direct: AsyncOpenAI) -> None:
    listed = [model.id async for model in client.models.list()]
    known = [model.id async for model in direct.models.list()]
    assert listed == [name for model in known for name in (model, f"sim/{model}")]
    for name in ("sim", "sim/sim"):
        assert (await client.models.retrieve(name)).id == name
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("sim/not/there")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_request_ids(client: AsyncOpenAI, sim: SimulatorProcess) -> None:
    ours = await client.chat.completions.create(model="sim", messages=MESSAGES)
    assert ours._request_id is not None
    assert ours._request_id.startswith("req_")
    own = await client.chat.completions.create(model="sim", messages=MESSAGES, extra_headers={"x-request-id": "mine-1"})
    assert own._request_id == "mine-1"
    assert dict(sim.requests()[-1]["headers"])["x-request-id"] == "mine-1"
    raw = await client.chat.completions.with_raw_response.create(model="sim", messages=MESSAGES)
    assert raw.headers["x-switchgear-target"] == "sim/sim"
    assert raw.headers["x-switchgear-attempts"] == "1"
    assert raw.headers["x-switchgear-upstream-request-id"]
    assert raw.headers["x-ratelimit-limit-requests"] == "10000"


@pytest.fixture(scope="module")
def one_attempt(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that does not retry, and does not leave out a target or credential that failed."""
    defaults = {"retries": {"attempts": 1}, "breaker": {"failures": 1000}, "timeouts": {"first_token": "500ms"}}
    config = basic_config(simulator, defaults=defaults)
    config["providers"]["sim"]["credentials"] = [f"sk-upstream-{number}-000000" for number in range(50)]
    process = GatewayProcess(config, tmp_path_factory.mktemp("one-attempt"))
    yield process.ready()
    process.stop()


FAULTS: list[tuple[int, dict[str, Any], type[openai.APIStatusError], int, dict[str, Any]]] = [
    # upstream status, its fault, the SDK's exception, status for the client, fields
    (400, {"error-code": "invalid_value", "message": "No."}, openai.BadRequestError, 400, {"code": "invalid_value"}),
    (401, {}, openai.InternalServerError, 502, {"code": "upstream_authentication_error", "type": "server_error"}),
    (403, {"message": "Not you."}, openai.PermissionDeniedError, 403, {}),
    (404, {"error-code": "model_not_found"}, openai.NotFoundError, 404, {"code": "model_not_found"}),
    (409, {}, openai.ConflictError, 409, {}),
    (413, {}, openai.APIStatusError, 413, {}),
    (422, {}, openai.UnprocessableEntityError, 422, {}),
    (429, {"retry-after": "7"}, openai.RateLimitError, 429, {}),
    (500, {}, openai.InternalServerError, 500, {"type": "server_error"}),
    (503, {"retry-after": "3"}, openai.InternalServerError, 503, {}),
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("status", "fault", "kind", "expected", "fields"), FAULTS, ids=[str(row[0]) for row in FAULTS])
async def test_errors_of_the_provider(
    status: int,
    fault: dict[str, Any],
    kind: type[openai.APIStatusError],
    expected: int,
    fields: dict[str, Any],
    streamed: bool,
    one_attempt: GatewayProcess,
    sim: SimulatorProcess,
) -> None:
    sim.fault({"fault": {"status": status, **fault}})
    async with AsyncOpenAI(base_url=one_attempt.url, api_key=KEY, max_retries=0) as client:
        with pytest.raises(kind) as caught:
            await client.chat.completions.create(model="sim", messages=MESSAGES, stream=streamed)
    error = caught.value
    assert error.status_code == expected
    for name, value in fields.items():
        assert getattr(error, name) == value
    assert error.request_id is not None
    assert error.request_id == error.response.headers["x-request-id"]
    assert error.response.headers.get("retry-after") == fault.get("retry-after")
    if "message" in fault:
        assert fault["message"] in error.message


async def test_errors_of_the_gateway(gateway: GatewayProcess, client: AsyncOpenAI) -> None:
    async with AsyncOpenAI(base_url=gateway.url, api_key="sk-wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.chat.completions.create(model="sim", messages=MESSAGES)
    assert (refused.value.code, refused.value.type) == ("invalid_api_key", "invalid_request_error")
    with pytest.raises(openai.BadRequestError) as empty:
        await client.chat.completions.create(model="sim", messages=[])
    assert (empty.value.code, empty.value.param) == ("empty_array", "messages")
    with pytest.raises(openai.APIStatusError) as large:
        await client.chat.completions.create(model="sim", messages=[{"role": "user", "content": "x" * (17 << 20)}])
    assert (large.value.status_code, large.value.code) == (413, "request_too_large")


async def test_declared_models(sim: SimulatorProcess, start_gateway: Callable[..., GatewayProcess]) -> None:
    models = {"org/smart:free": {"targets": [{"provider": "sim", "model": "gpt-x"}]}}
    gateway = start_gateway(basic_config(sim, models=models))
    async with AsyncOpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        assert [model.id async for model in client.models.list()] == ["org/smart:free"]
        assert (await client.models.retrieve("org/smart:free")).id == "org/smart:free"
        assert (
            await client.chat.completions.create(model="org/smart:free", messages=MESSAGES)
        ).model == "org/smart:free"
        assert '"model":"gpt-x"' in sim.requests()[-1]["body"]
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.chat.completions.create(model="gpt-y", messages=MESSAGES)
        assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")


async def test_a_key_for_one_model(sim: SimulatorProcess, start_gateway: Callable[..., GatewayProcess]) -> None:
    config = basic_config(sim)
    config["keys"].append({"name": "narrow", "value": "sk-narrow-0123456789", "models": ["sim"]})
    gateway = start_gateway(config)
    async with AsyncOpenAI(base_url=gateway.url, api_key="sk-narrow-0123456789", max_retries=0) as client:
        await client.chat.completions.create(model="sim", messages=MESSAGES)
        assert [model.id async for model in client.models.list()] == ["sim"]
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await client.chat.completions.create(model="sim/sim", messages=MESSAGES)
        assert caught.value.code == "model_not_allowed"
        with pytest.raises(openai.PermissionDeniedError):
            await client.files.list()


async def test_the_sdk_retries_as_the_headers_say(
    sim: SimulatorProcess, one_attempt: GatewayProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway gives up at once; the SDK reads its Retry-After, waits that long and succeeds."""
    waits: list[float] = []
    sleep = asyncio.sleep

    async def slept(seconds: float, *rest: Any) -> None:
        waits.append(seconds)
        await sleep(min(seconds, 0.4))

    sim.fault({"fault": {"status": 503, "retry-after-ms": "350"}, "times": 1})
    async with AsyncOpenAI(base_url=one_attempt.url, api_key=KEY, max_retries=2) as client:
        with monkeypatch.context() as patched:
            patched.setattr("anyio.sleep", slept)
            answer = await client.chat.completions.create(model="sim", messages=MESSAGES)
    assert answer.choices[0].finish_reason == "stop"
    assert waits == [0.35]
    assert [record["status"] for record in sim.requests()] == [503, 200]


async def test_the_gateway_retries_so_that_the_sdk_need_not(client: AsyncOpenAI, sim: SimulatorProcess) -> None:
    sim.fault({"fault": {"status": 500}, "times": 2})
    raw = await client.chat.completions.with_raw_response.create(model="sim", messages=MESSAGES)
    assert raw.headers["x-switchgear-attempts"] == "3"
    assert [record["status"] for record in sim.requests()] == [500, 500, 200]


async def test_the_clients_own_time_limit(client: AsyncOpenAI, sim: SimulatorProcess, gateway: GatewayProcess) -> None:
    """A client that gives up is gone for the provider as well."""
    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=0.3).chat.completions.create(model="sim;first=20s", messages=MESSAGES)
    async with asyncio.timeout(5):
        while not (records := sim.requests()) or records[-1]["client_closed_at"] is None:
            await asyncio.sleep(0.02)
    assert sim.stats()["in_flight"] == 0


async def test_the_gateways_time_limit(sim: SimulatorProcess, one_attempt: GatewayProcess) -> None:
    async with AsyncOpenAI(base_url=one_attempt.url, api_key=KEY, max_retries=0) as client:
        for streamed in (False, True):
            with pytest.raises(openai.InternalServerError) as caught:
                await client.chat.completions.create(
                    model="sim;stall-before-headers", messages=MESSAGES, stream=streamed
                )
            assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")


async def test_a_stream_that_breaks_off(client: AsyncOpenAI) -> None:
    """The SDK raises the error event; it never takes half an answer for a whole one."""
    for fault in ("close-mid-stream=3", "reset-mid-stream=3", "truncate-chunked=3"):
        stream = await client.chat.completions.create(model=f"sim;{fault}", messages=MESSAGES, stream=True)
        seen = []
        with pytest.raises(openai.APIError) as caught:  # noqa: PT012 - the error comes out of the loop
            async for chunk in stream:
                seen.append(chunk)
        assert seen, fault
        assert caught.value.code == "upstream_protocol_error", fault


async def test_fifty_streams_at_once(client: AsyncOpenAI) -> None:
    async def one(number: int) -> str:
        stream = await client.chat.completions.create(
            model="sim;tokens=40;gap=2ms", messages=[{"role": "user", "content": f"question {number}"}], stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    texts = await asyncio.gather(*(one(number) for number in range(50)))
    assert {len(text.split()) for text in texts} == {40}
    whole = await client.chat.completions.create(
        model="sim;tokens=40", messages=[{"role": "user", "content": "question 7"}]
    )
    assert whole.choices[0].message.content == texts[7]
