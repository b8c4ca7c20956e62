"""Translated chats by the compiled path and by the gateway's stages: the same bytes to both sides, rows and metrics."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from switchgear.config.load import load
from switchgear.providers.registry import provider_types
from switchgear.server.app import App
from switchgear.server.worker import Worker
from tests.dialects.wires import PROVIDERS, WHOLE, answer, told
from tests.support.metered import usage
from tests.support.processes import KEY
from tests.support.scripted import Asked, ScriptedUpstream, Told, scripted

WIRES = ("anthropic", "gemini", "ollama", "responses")
SYSTEM, USER = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße? 😀"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA, "strict": True}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln"}'}}
REQUESTS: dict[str, dict[str, Any]] = {
    "texts": {"messages": [SYSTEM, USER], "temperature": 1.5, "max_tokens": 64},
    "turns": {"messages": [SYSTEM, USER, {"role": "assistant", "content": "Hm."}, USER], "n": 1, "stream": False},
    "same role twice": {"messages": [USER, USER], "top_p": 0.5},
    "dropped": {"messages": [{**USER, "name": "ann"}], "seed": 3, "logit_bias": {"5": 1}, "extra": True},
    "tools": {"messages": [USER], "tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
    "results": {
        "messages": [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        ],
        "tools": [TOOL],
    },
    "schema": {
        "messages": [USER],
        "response_format": {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}},
    },
    "legacy": {"messages": [USER], "functions": [{"name": "weather", "parameters": SCHEMA}]},
}
REFUSED: dict[str, dict[str, Any]] = {
    "role": {"messages": [{"role": "robot", "content": "x"}]},
    "limit": {"messages": [USER], "max_tokens": 0},
    "type": {"messages": [USER], "temperature": "hot"},
}
RARELY = 8  # how seldom the compiled path may decline: a lease to renew, no idle connection left on a busy machine
PRICE = {"input": 1000.0, "output": 2000.0}


class Served:
    """One worker in this process, its requests counted by whether its stages handled them from the start."""

    def __init__(self, folder: Path, origin: str, learns: bool, cases: list[str]):
        folder.mkdir()
        self.path = folder / "gateway.yaml"
        self.learns = learns
        self.handled = 0
        models = {
            f"{wire}-{case}": {"targets": [{"provider": wire, "model": case}], "retries": {"attempts": 1}}
            for wire in WIRES
            for case in cases
        }
        for wire in WIRES:
            for case in ("status-500", "garbage"):
                spare = {"provider": "spare", "model": "text", "tier": 1}
                models[f"{wire}-{case}-again"] = {"targets": [{"provider": wire, "model": case}, spare]}
        providers: dict[str, dict[str, Any]] = {
            wire: {
                "type": PROVIDERS[wire][0],
                "base_url": origin + PROVIDERS[wire][1],
                "credentials": [f"sk-upstream-{wire}-0000"],
            }
            for wire in WIRES
        }
        providers["responses"]["responses"] = "always"
        config = {
            "providers": {**providers, "spare": providers["anthropic"]},
            "models": models,
            "keys": [
                {
                    "name": "ci",
                    "value": KEY,
                    "limits": [{"resource": "requests", "capacity": 1_000_000, "window": "hour"}],
                }
            ],
            "prices": {f"{name}/*": PRICE for name in (*providers, "spare")},
            "database": {"url": f"sqlite:///{folder / 'ledger.db'}"},
            "ledger": {"path": str(folder / "ledger")},
            "defaults": {"retries": {"backoff": "1ms"}},
        }
        self.path.write_text(json.dumps(config))
        self.worker = Worker(load(self.path, provider_types()), None, folder, "0")
        self.app = App(self.worker)

    async def start(self) -> None:
        await self.worker.start()
        gateway = self.worker.gateway
        handle = gateway.handle

        async def counted(*args: Any) -> None:
            self.handled += 1
            await handle(*args)

        gateway.handle = counted  # type: ignore[method-assign]  # to see which way a request took

    async def ask(self, body: bytes, request_id: str, **extra: bytes) -> list[dict[str, Any]]:
        """What the ASGI server is told."""
        if not self.learns:
            self.worker.gateway.lanes.fast.forget()
        sent: list[dict[str, Any]] = []
        headers = [
            (b"content-type", b"application/json"),
            (b"authorization", b"Bearer " + KEY.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", request_id.encode()),
            *((name.replace("_", "-").encode(), value) for name, value in extra.items()),
        ]

        bodies = [body]

        async def receive() -> dict[str, Any]:
            if not bodies:
                await asyncio.Event().wait()  # the client stays
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        path = "/v1/chat/completions"
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        await self.app(scope, receive, send)
        return sent

    def metrics(self) -> list[str]:
        """Of requests, attempts and tokens; times are left out."""
        text = self.worker.metrics.render()[1].decode()
        counted = ("switchgear_requests", "switchgear_upstream", "switchgear_tokens")
        return [line for line in text.splitlines() if line.startswith(counted) and "seconds" not in line]

    def rows(self) -> list[dict[str, Any]]:
        """Of the ledger, without times."""
        rows = [{k: v for k, v in row.items() if not k.endswith(("_ms", "_at", "time"))} for row in usage(self)]  # type: ignore[arg-type]  # only its path is looked at
        return sorted(rows, key=lambda row: (row["request_id"], row["attempt"]))


def tell(asked: Asked) -> Told:
    model = asked.target.partition("/models/")[2].partition(":")[0] or asked.json["model"]
    return told(b"<html>") if model == "garbage" else answer(asked)


def kept(upstream: ScriptedUpstream) -> list[tuple[Any, ...]]:
    found = [(one.target, one.headers, one.body) for one in upstream.requests]
    upstream.requests.clear()
    return found


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Time and chance, the same for both ways."""

    def stop() -> None:
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now)
        monkeypatch.setattr(secrets, "token_hex", lambda size: "0" * 2 * size)

    return stop


async def test_both_ways_are_the_same(tmp_path: Path, still: Callable[[], None]) -> None:
    whole = [case for case in WHOLE["anthropic"] if all(case in WHOLE[wire] for wire in WIRES)]
    cases = [*whole, "status-429", "status-400", "status-500", "garbage"]
    assert {"text", "tools"} <= set(whole)
    with scripted(tell) as upstream:
        compiled = Served(tmp_path / "compiled", upstream.origin, True, cases)
        stages = Served(tmp_path / "stages", upstream.origin, False, cases)
        await compiled.start()
        await stages.start()
        still()
        for served in (compiled, stages):  # the first good answer teaches a model
            for wire in WIRES:
                for case in whole:
                    body = {"model": f"{wire}-{case}", **REQUESTS["texts"]}
                    await served.ask(json.dumps(body).encode(), f"first-{wire}-{case}")
        learnt = [f"{wire}-{case}" for wire in WIRES for case in whole]
        assert all(compiled.worker.gateway.lanes.fast.knows("chat.completions", model) for model in learnt)
        upstream.requests.clear()
        compiled.handled = stages.handled = 0
        for model in learnt:
            for name, fields in REQUESTS.items():
                await same(compiled, stages, upstream, {"model": model, **fields}, f"{model}-{name}".replace(" ", "-"))
        assert compiled.handled <= len(learnt) * len(REQUESTS) // RARELY
        assert stages.handled == len(learnt) * len(REQUESTS)
        compiled.handled = 0
        for wire in WIRES:
            for name, fields in REFUSED.items():
                found = await same(compiled, stages, upstream, {"model": f"{wire}-text", **fields}, f"{wire}-{name}")
                assert found[0]["status"] == 400
            model = {"model": f"{wire}-text", **REQUESTS["dropped"]}
            found = await same(compiled, stages, upstream, model, f"{wire}-strict", x_switchgear_strict=b"true")
            assert found[0]["status"] == 400
        assert compiled.handled >= len(WIRES) * (len(REFUSED) + 1)
        await compiled.worker.stop()
        await stages.worker.stop()
    assert compiled.metrics() == stages.metrics()
    rows = await asyncio.to_thread(compiled.rows)
    assert rows
    assert rows == await asyncio.to_thread(stages.rows)


async def test_an_answer_that_is_handed_over(tmp_path: Path, still: Callable[[], None]) -> None:
    """Errors, and answers that are none, behind a lane that was learnt: told, counted and failed over alike."""
    with scripted(tell) as upstream:
        compiled = Served(tmp_path / "compiled", upstream.origin, True, ["text", "status-429", "status-400", "garbage"])
        stages = Served(tmp_path / "stages", upstream.origin, False, ["text", "status-429", "status-400", "garbage"])
        await compiled.start()
        await stages.start()
        still()
        models = [f"{wire}-{case}" for wire in WIRES for case in ("status-400", "garbage", "garbage-again")]
        models += [f"{wire}-status-500-again" for wire in WIRES] + [f"{wire}-status-429" for wire in WIRES]
        for served in (compiled, stages):
            upstream.answer = lambda asked: told(WHOLE[wire_of(asked)]["text"])
            for model in models:  # while all is well, the model is learnt
                await served.ask(json.dumps({"model": model, **REQUESTS["texts"]}).encode(), f"well-{model}")
            upstream.answer = tell
        compiled.handled = 0
        upstream.requests.clear()
        for model in models:
            found = await same(compiled, stages, upstream, {"model": model, **REQUESTS["texts"]}, f"bad-{model}")
            assert (found[0]["status"] == 200) is model.endswith("-again"), model
        assert compiled.handled <= len(models) // RARELY
        await compiled.worker.stop()
        await stages.worker.stop()
    assert compiled.metrics() == stages.metrics()
    rows = await asyncio.to_thread(compiled.rows)
    assert rows
    assert rows == await asyncio.to_thread(stages.rows)


def wire_of(asked: Asked) -> str:
    known = {"/v1/messages": "anthropic", "/api/chat": "ollama", "/v1/responses": "responses"}
    return known.get(asked.target, "gemini")


async def same(
    compiled: Served, stages: Served, upstream: ScriptedUpstream, body: dict[str, Any], request_id: str, **extra: bytes
) -> list[dict[str, Any]]:
    """Ask both; what the client and the upstream see is the same."""
    data = json.dumps(body).encode()
    found = await compiled.ask(data, request_id, **extra)
    asked = kept(upstream)
    assert found == await stages.ask(data, request_id, **extra), request_id
    assert asked == kept(upstream), request_id
    return found
