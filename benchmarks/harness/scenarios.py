"""What is measured: the scenarios, and the requests that they send."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPLY_TOKENS = 24  # the simulator's answer is then about 700 bytes long
MANY_MODELS = 1000
QUESTION = (
    "Explain in one sentence what a circuit breaker does in a distributed system, and what it costs when it is open."
)


@dataclass(frozen=True)
class Timing:
    """Of a simulated stream. `grammar` is how the simulator is asked for it, in the model's name."""

    first_ms: int
    gap_ms: int
    tokens: int

    @property
    def grammar(self) -> str:
        return f"sim;first={self.first_ms}ms;gap={self.gap_ms}ms;tokens={self.tokens}"

    @property
    def schedule(self) -> str:
        """For loadclient, in µs."""
        return f"{self.first_ms * 1000},{self.gap_ms * 1000}"

    @property
    def length_s(self) -> float:
        """Events go out at first + i x gap: role, tokens, finish."""
        return (self.first_ms + self.gap_ms * (self.tokens + 1)) / 1000

    @property
    def events(self) -> int:
        return self.tokens + 2


RELAYED = Timing(first_ms=20, gap_ms=20, tokens=100)
HELD = Timing(first_ms=20, gap_ms=5000, tokens=100)
UNARY_MODEL = "sim-unary"


@dataclass(frozen=True)
class Scenario:
    """mode: loadclient's. kind: which request. models: how many names the requests go through in turn.

    rate: requests per second, whatever the server does; 0 is a closed loop.
    """

    name: str
    about: str
    mode: str
    connections: int
    kind: str = "chat"
    models: int = 1
    timing: Timing | None = None
    rate: int = 0

    @property
    def path(self) -> str:
        return "/v1/embeddings" if self.kind == "embeddings" else "/v1/chat/completions"

    @property
    def simulated(self) -> bool:
        """The canned upstream speaks chat only."""
        return self.kind == "embeddings"

    @property
    def per(self) -> str:
        """What CPU is divided by."""
        return "request" if self.mode == "unary" else "event"

    @property
    def upstream_model(self) -> str:
        """The name that the simulator is asked for."""
        return self.timing.grammar if self.timing else UNARY_MODEL


SCENARIOS = (
    Scenario("unary_1", "chat, 1 connection", "unary", 1),
    Scenario("unary_32", "chat, 32 connections", "unary", 32),
    Scenario("unary_256", "chat, 256 connections", "unary", 256),
    Scenario("paced_1000", "chat, 1,000 requests/s of one key", "unary", 32, rate=1000),
    Scenario("prompt_64k", "chat with a 64 KiB prompt, 32 connections", "unary", 32, kind="prompt"),
    Scenario("embeddings_256", "embeddings, batches of 256, 32 connections", "unary", 32, kind="embeddings"),
    Scenario("models_1000", "chat over 1,000 models, 32 connections", "unary", 32, models=MANY_MODELS),
    Scenario("stream_64", "64 streams, 100 events, 20 ms apart", "stream", 64, timing=RELAYED),
    Scenario("stream_512", "512 streams, 100 events, 20 ms apart", "stream", 512, timing=RELAYED),
    Scenario("memory", "idle, then 2,000 open streams", "hold", 2000, timing=HELD),
)


def chat_body(model: str, stream: bool) -> bytes:
    """About 260 bytes."""
    body = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a terse assistant."},
            {"role": "user", "content": QUESTION},
        ],
        "max_tokens": 64,
    }
    return json.dumps({**body, "stream": True} if stream else body).encode()


def prompt_body(model: str, size: int = 64 * 1024) -> bytes:
    """A chat of turns of about 1 KiB, `size` bytes in all."""
    text = (QUESTION + ' He said "no".\n') * 8
    messages: list[dict[str, str]] = []
    while len(messages) * len(text) < size:
        messages.append({"role": "assistant" if len(messages) % 2 else "user", "content": text})
    return json.dumps({"model": model, "messages": messages, "max_tokens": 64}).encode()


def embeddings_body(model: str) -> bytes:
    """256 short texts, base64 as the OpenAI SDK asks by default."""
    texts = [f"{number}: {QUESTION}" for number in range(256)]
    return json.dumps({"model": model, "input": texts, "encoding_format": "base64"}).encode()


def write_requests(scenario: Scenario, folder: Path, key: str | None, models: Sequence[str]) -> list[Path]:
    """Request files for loadclient, one for each model's name."""
    folder.mkdir(parents=True, exist_ok=True)
    authorization = f"Authorization: Bearer {key}\n" if key else ""
    head = (
        f"POST {scenario.path}\n{authorization}Content-Type: application/json\n"
        "Accept: application/json\nUser-Agent: OpenAI/Python 2.0.0\n\n"
    ).encode()
    paths = []
    for number, model in enumerate(models):
        if scenario.kind == "prompt":
            body = prompt_body(model)
        elif scenario.kind == "embeddings":
            body = embeddings_body(model)
        else:
            body = chat_body(model, stream=scenario.mode != "unary")
        path = folder / f"{scenario.name}-{number}.http"
        path.write_bytes(head + body)
        paths.append(path)
    return paths
