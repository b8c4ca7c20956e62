"""What callers are told: formats of headers, which error, and that the OpenAI SDK's own back-off follows them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import openai
import pytest

from switchgear.config.load import loads
from switchgear.errors import BudgetExhausted, GatewayError, RateLimited, RequestTooLarge
from switchgear.hotpath._ratelimit import go_duration, rfc3339
from switchgear.limits.limits import Limits
from switchgear.server.render import error_answer
from switchgear.state.memory import MemoryStore
from switchgear.types import Principal

CI = Principal("ci", "key")
NOW_MS = 1_800_000_000_000  # 2027-01-15T08:00:00Z


def config(own: str) -> Any:
    return loads(
        f"providers: {{openai: {{credentials: [sk-x]}}}}\nkeys: [{{name: ci, value: sk-0123456789abcdef, {own}}}]"
    )


async def refused(own: str, *amounts: int, after: int = 0, spent: int | None = None) -> tuple[Limits, GatewayError]:
    """The error of a request after so many others of the same kind.

    spent: what each of them cost, nano-dollars; None where they have not ended.
    """
    limits = Limits(asyncio.get_running_loop(), config(own), MemoryStore(lambda: NOW_MS))
    await limits.start()
    plan = limits.plan(CI, "m")
    kept = [await limits.take_slowly(plan, *amounts) for _ in range(after)]
    if spent is not None:
        for held in kept:
            held.settle(0, 0, spent)
    with pytest.raises(GatewayError) as caught:
        await limits.take_slowly(plan, *amounts)
    for held in kept:
        held.release()
    await limits.stop()
    return limits, caught.value


def headers_of(error: GatewayError, dialect: Any = "openai") -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in error_answer(error, dialect, "r")[1]}


async def test_a_rate_limit() -> None:
    _, error = await refused("limits: [{resource: requests, capacity: 3, window: minute}]", 1, 0, 0, 0, after=3)
    assert isinstance(error, RateLimited)
    assert error.message == (
        "Rate limit reached for key ci: requests per minute. Limit 3, used 3, requested 1. Please try again in 20s."
    )
    status, _, body = error_answer(error)
    assert status == 429
    assert json.loads(body)["error"] == {
        "message": error.message,
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert headers_of(error) == {
        "content-type": "application/json",
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
        "retry-after": "20",
    }
    assert headers_of(error, "anthropic") == {
        "content-type": "application/json",
        "request-id": "r",
        "anthropic-ratelimit-requests-limit": "3",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2027-01-15T08:01:00Z",
        "retry-after": "20",
    }


async def test_a_budget() -> None:
    _, error = await refused("budget: {usd: 1, window: day}", 1, 0, 0, 400_000_000, after=2, spent=400_000_000)
    assert isinstance(error, BudgetExhausted)
    assert error.message == (
        "The daily budget of key ci is used up: limit $1.00, used $0.80, this request may cost $0.40. "
        "It resets at 2027-01-16T00:00:00Z."
    )
    status, _, body = error_answer(error)
    assert status == 402
    assert json.loads(body)["error"]["code"] == json.loads(body)["error"]["type"] == "insufficient_quota"
    assert json.loads(body)["error"]["param"] is None
    assert headers_of(error)["x-should-retry"] == "false"
    assert headers_of(error)["retry-after"] == str(16 * 3600)


@pytest.mark.parametrize("window", ["day", "total"])
async def test_a_budget_that_is_only_reserved(window: str) -> None:
    """What requests in flight do not use comes back: soon, and not when the window ends."""
    _, error = await refused(f"budget: {{usd: 1, window: {window}}}", 1, 0, 0, 400_000_000, after=2)
    assert isinstance(error, RateLimited)
    period = {"day": "daily", "total": "total"}[window]
    assert error.message == (
        f"What is left of the {period} budget of key ci is reserved for requests that have not ended: limit $1.00, "
        "used $0.00, reserved $0.80, requested $0.40. Please try again in 1s."
    )
    status, _, body = error_answer(error)
    assert status == 429
    assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"
    assert headers_of(error)["retry-after"] == "1"
    assert "x-should-retry" not in headers_of(error)


async def test_tokens_of_a_day_that_are_only_reserved() -> None:
    own = "limits: [{resource: tokens, capacity: 100, window: day}]"
    _, error = await refused(own, 1, 30, 30, 0, after=1)
    assert (error.status, error.retry_after_s) == (429, 1.0)
    assert "used 0, reserved 60, requested 60" in error.message


async def test_what_one_more_would_overshoot_is_spent() -> None:
    """Money is left, but not for this request, whatever those in flight give back."""
    _, error = await refused("budget: {usd: 1, window: day}", 1, 0, 0, 400_000_000, after=2, spent=350_000_000)
    assert isinstance(error, BudgetExhausted)
    assert "used $0.70, this request may cost $0.40" in error.message


async def test_a_request_larger_than_the_limit() -> None:
    _, error = await refused("limits: [{resource: tokens, capacity: 100, window: minute}]", 1, 90, 20, 0)
    assert isinstance(error, RequestTooLarge)
    assert (error.status, error.code, error.retry_after_s) == (400, "request_exceeds_limit", None)
    assert "Limit 100, requested 110" in error.message
    assert headers_of(error)["x-should-retry"] == "false"
    _, error = await refused("budget: {usd: 0, window: total}", 1, 90, 20, 1)
    assert isinstance(error, BudgetExhausted)
    assert error.message == "This request may cost $0.000000001, and the whole total budget of key ci is $0.00."


async def test_concurrency_and_totals() -> None:
    _, error = await refused("limits: [{resource: concurrent, capacity: 2}]", 1, 0, 0, 0, after=2)
    assert error.message == "Too many concurrent requests for key ci: limit 2. Please try again in 1s."
    _, error = await refused("limits: [{resource: requests, capacity: 2, window: total}]", 1, 0, 0, 0, after=2)
    assert error.retry_after_s is None
    assert error.message.endswith("It does not reset.")
    assert headers_of(error)["x-should-retry"] == "false"


async def test_headers_of_an_answer_tell_of_the_tightest() -> None:
    own = (
        "limits: [{resource: requests, capacity: 100, window: hour}, {resource: requests, capacity: 10, window: day},"
        " {resource: input_tokens, capacity: 1000, window: minute}, {resource: cost, capacity: 5, window: minute}]"
    )
    limits = Limits(asyncio.get_running_loop(), config(own), MemoryStore(lambda: NOW_MS))
    await limits.start()
    plan = limits.plan(CI, "m")
    held = await limits.take_slowly(plan, 1, 100, 5, 1000)
    assert dict(limits.headers(plan, "openai")) == {
        b"x-ratelimit-limit-requests": b"10",
        b"x-ratelimit-remaining-requests": b"9",
        b"x-ratelimit-reset-requests": b"16h0m0s",
        b"x-ratelimit-limit-tokens": b"1000",
        b"x-ratelimit-remaining-tokens": b"900",
        b"x-ratelimit-reset-tokens": b"6s",
    }
    assert limits.headers(plan, "gemini") == []
    held.release()
    await limits.stop()


def test_formats() -> None:
    times = {
        0: "0s",
        0.02: "20ms",
        0.0004: "1ms",
        1: "1s",
        17.399: "17.399s",
        360: "6m0s",
        3600: "1h0m0s",
        90.5: "1m30.5s",
    }
    assert {seconds: go_duration(seconds) for seconds in times} == times
    assert rfc3339(1_780_944_343.2) == "2026-06-08T18:45:44Z"


class _Limited(BaseHTTPRequestHandler):
    """Answers a 429 of ours once, then a completion."""

    answers: list[tuple[int, list[tuple[bytes, bytes]], bytes]]
    seen: list[float]

    def do_POST(self) -> None:
        import time

        self.seen.append(time.monotonic())
        self.rfile.read(int(self.headers["content-length"]))
        status, headers, body = self.answers.pop(0)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name.decode(), value.decode())
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Limited)
    made.daemon_threads = True
    thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


async def test_the_openai_sdk_waits_as_told_and_recovers(server: ThreadingHTTPServer) -> None:
    _, error = await refused("limits: [{resource: concurrent, capacity: 1}]", 1, 0, 0, 0, after=1)
    completion = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    }
    good = (200, [(b"content-type", b"application/json")], json.dumps(completion).encode())
    _Limited.answers, _Limited.seen = [error_answer(error), good, error_answer(error)], []

    def ask(retries: int) -> str:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        with openai.OpenAI(api_key="sk-x", base_url=url, max_retries=retries) as client:
            answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
            return str(answer.choices[0].message.content)

    assert await asyncio.to_thread(ask, 2) == "hello"
    first, second = _Limited.seen
    assert second - first >= 1.0  # `retry-after: 1`
    with pytest.raises(openai.RateLimitError) as caught:
        await asyncio.to_thread(ask, 0)
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.type == "requests"
