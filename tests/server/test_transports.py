"""How the gateway reaches a provider: HTTPS with a CA of its own, IPv6, the httpx transport, an HTTP proxy."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess
from tests.support.relays import proxy, relay

CHAT: dict[str, Any] = {"model": "sim", "messages": [{"role": "user", "content": "hi"}]}
TRANSPORTS = pytest.mark.parametrize("transport", ["native", "httpx"])
Start = Callable[..., GatewayProcess]


def http(gateway: GatewayProcess, **options: Any) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {KEY}"}
    return httpx.AsyncClient(base_url=gateway.origin, headers=headers, timeout=20, trust_env=False, **options)


def through(
    sim: SimulatorProcess, *, base_url: str | None = None, defaults: Any = None, **provider: Any
) -> dict[str, Any]:
    config = basic_config(sim, defaults=defaults or {"retries": {"attempts": 1}, "breaker": {"failures": 1000}})
    config["providers"]["sim"].update({"base_url": base_url or sim.url, **provider})
    return config


async def ask(client: httpx.AsyncClient, model: str = "sim", *, stream: bool = False) -> httpx.Response:
    return await client.post("/v1/chat/completions", json={**CHAT, "model": model, "stream": stream})


async def works(client: httpx.AsyncClient) -> None:
    """A whole answer and a stream, with the same text."""
    whole = await ask(client)
    assert whole.status_code == 200, whole.text
    streamed = await ask(client, stream=True)
    assert streamed.status_code == 200, streamed.text
    events = [line[6:] for line in streamed.text.split("\n\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    text = "".join(
        choice["delta"].get("content") or "" for event in events[:-1] for choice in json.loads(event)["choices"]
    )
    assert text == whole.json()["choices"][0]["message"]["content"]


def authority(folder: Path) -> tuple[trustme.CA, str]:
    ca = trustme.CA()
    path = folder / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, str(path)


def certified(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


@TRANSPORTS
async def test_https_with_a_ca_of_its_own(
    transport: str, sim: SimulatorProcess, start_gateway: Start, tmp_path: Path
) -> None:
    ca, path = authority(tmp_path)
    with relay(sim.port, context=certified(ca, "127.0.0.1")) as secure:
        url = f"https://127.0.0.1:{secure.port}/v1"
        trusting = start_gateway(through(sim, base_url=url, transport=transport, tls={"ca": path}))
        strict = start_gateway(through(sim, base_url=url, transport=transport))
        lax = start_gateway(through(sim, base_url=url, transport=transport, tls={"verify": False}))
        for gateway in (trusting, lax):
            async with http(gateway) as client:
                await works(client)
        async with http(strict) as client:
            answer = await ask(client)
            assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")


@TRANSPORTS
async def test_the_certificates_name(
    transport: str, sim: SimulatorProcess, start_gateway: Start, tmp_path: Path
) -> None:
    """A certificate for another name is refused, unless that name is the one to expect."""
    ca, path = authority(tmp_path)
    with relay(sim.port, context=certified(ca, "llm.example")) as secure:
        url = f"https://127.0.0.1:{secure.port}/v1"
        refused = start_gateway(through(sim, base_url=url, transport=transport, tls={"ca": path}))
        named = start_gateway(
            through(sim, base_url=url, transport=transport, tls={"ca": path, "server_name": "llm.example"})
        )
        async with http(refused) as client:
            assert (await ask(client)).status_code == 502
        async with http(named) as client:
            await works(client)


@TRANSPORTS
async def test_ipv6(transport: str, sim: SimulatorProcess, start_gateway: Start) -> None:
    with relay(sim.port, host="::1") as six:
        gateway = start_gateway(through(sim, base_url=f"http://[::1]:{six.port}/v1", transport=transport))
        async with http(gateway) as client:
            await works(client)
    assert dict(sim.requests()[-1]["headers"])["host"] == f"[::1]:{six.port}"


@TRANSPORTS
async def test_errors_aborts_and_time_limits(transport: str, sim: SimulatorProcess, start_gateway: Start) -> None:
    """Both transports tell the client the same."""
    limits = {
        "retries": {"attempts": 1},
        "breaker": {"failures": 1000},
        "timeouts": {"first_token": "1s", "idle": "500ms"},
    }
    gateway = start_gateway(through(sim, transport=transport, defaults=limits))
    async with http(gateway) as client:
        await works(client)
        for model, status, code in (
            ("sim;status=400;error-code=no", 400, "no"),
            ("sim;status=500", 500, None),
            ("sim;reset-before-headers", 502, "upstream_unreachable"),
            ("sim;malformed-http", 502, "upstream_protocol_error"),
            ("sim;truncated-json", 502, "upstream_protocol_error"),
            ("sim;wrong-content-length=long", 502, "upstream_protocol_error"),
            ("sim;stall-before-headers", 504, "upstream_timeout"),
            ("sim;stall-after-headers", 504, "upstream_timeout"),
        ):
            answer = await ask(client, model)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), model
        for fault, code in (
            ("close-mid-stream=3", "upstream_protocol_error"),
            ("reset-mid-stream=3", "upstream_protocol_error"),
            ("truncate-chunked=3", "upstream_protocol_error"),
            ("stall-mid-stream=3", "upstream_timeout"),
        ):
            broken = await ask(client, f"sim;{fault}", stream=True)
            assert broken.status_code == 200
            last = broken.text.strip().split("\n\n")[-1]
            assert json.loads(last.removeprefix("data: "))["error"]["code"] == code, fault
        sim.forget()
        for model, stream in (("sim;first=20s", False), ("sim;tokens=10000;gap=20ms", True)):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    await ask(client, model, stream=stream)
        async with asyncio.timeout(5):
            while sim.stats()["in_flight"]:
                await asyncio.sleep(0.02)
        assert all(record["client_closed_at"] for record in sim.requests())


async def test_a_proxy(sim: SimulatorProcess, start_gateway: Start, tmp_path: Path) -> None:
    """HTTP through a proxy in absolute form, HTTPS through a tunnel; the proxy never sees what is in the tunnel."""
    ca, path = authority(tmp_path)
    with proxy() as between, relay(sim.port, context=certified(ca, "127.0.0.1")) as secure:
        address = f"http://127.0.0.1:{between.port}"
        plain = start_gateway(through(sim, transport="httpx", proxy=address))
        async with http(plain) as client:
            await works(client)
        assert {target.split(":")[0] for target in between.targets} == {"POST http"}
        between.targets.clear()
        url = f"https://127.0.0.1:{secure.port}/v1"
        tunnelled = start_gateway(through(sim, base_url=url, transport="httpx", proxy=address, tls={"ca": path}))
        async with http(tunnelled) as client:
            await works(client)
        assert set(between.targets) == {f"CONNECT 127.0.0.1:{secure.port}"}


async def test_serving_tls(sim: SimulatorProcess, start_gateway: Start, tmp_path: Path) -> None:
    """The gateway's own certificate: HTTPS works, plain HTTP does not, and the key file may have a password."""
    ca, path = authority(tmp_path)
    certificate = ca.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(chain), append=True)
    certificate.private_key_pem.write_to_path(str(key))
    context = ssl.create_default_context(cafile=path)
    config = basic_config(sim, server={"tls": {"certificate": str(chain), "key": str(key)}})
    gateway = start_gateway(config)
    async with http(gateway, verify=context) as client:
        await works(client)
    async with httpx.AsyncClient(trust_env=False) as stranger:
        with pytest.raises(httpx.HTTPError):
            await stranger.get(f"https://127.0.0.1:{gateway.port}/health")
        with pytest.raises(httpx.HTTPError):
            await stranger.get(f"http://127.0.0.1:{gateway.port}/health")
    async with http(gateway, verify=context) as client:
        await works(client)
