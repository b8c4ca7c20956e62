"""What the load tests share: the user, its requests, and the checks on the answers.

The gateway's address is Locust's host. The key and the models' names come from the environment, where run.py puts
them: SWITCHGEAR_KEY, SWITCHGEAR_MODEL (answers in one piece), SWITCHGEAR_STREAM_MODEL, SWITCHGEAR_EMBEDDING_MODEL.

Every answer is looked at: a status other than 200, a body that is not what was asked for, or a stream without [DONE]
is a failure in Locust's statistics.
"""

from __future__ import annotations

import json
import os
import random
import time
from typing import Any

from locust import FastHttpUser

KEY = os.environ.get("SWITCHGEAR_KEY", "")
MODEL = os.environ.get("SWITCHGEAR_MODEL", "load-chat")
STREAM_MODEL = os.environ.get("SWITCHGEAR_STREAM_MODEL", "load-stream")
EMBEDDING_MODEL = os.environ.get("SWITCHGEAR_EMBEDDING_MODEL", "load-embedding")

QUESTIONS = (
    "What is a load balancer?",
    "Explain back-pressure to a child.",
    "Why do circuit breakers open?",
    "Write a haiku about a queue that is never empty.",
)


class GatewayUser(FastHttpUser):
    """A client of the OpenAI endpoints over geventhttpclient, with keep-alive."""

    abstract = True
    connection_timeout = 10.0
    network_timeout = 60.0

    def headers(self, **more: str) -> dict[str, str]:
        """Of every request."""
        return {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **more}

    def _post(self, path: str, body: dict[str, Any], name: str, **options: Any) -> Any:
        headers = options.pop("headers", None) or self.headers()
        return self.client.post(path, data=json.dumps(body), headers=headers, name=name, catch_response=True, **options)

    def chat(self, model: str = MODEL, name: str = "chat") -> None:
        """One completion in one piece."""
        body = {"model": model, "messages": [{"role": "user", "content": random.choice(QUESTIONS)}], "max_tokens": 64}
        with self._post("/v1/chat/completions", body, name) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}: {(answer.text or '')[:200]}")
                return
            reply = answer.json()
            if reply.get("model") != model or not reply["choices"][0]["message"]["content"]:
                answer.failure("not the completion that was asked for")

    def embed(self, model: str = EMBEDDING_MODEL, name: str = "embeddings") -> None:
        """Embeddings of a handful of texts."""
        body = {"model": model, "input": list(QUESTIONS), "encoding_format": "base64"}
        with self._post("/v1/embeddings", body, name) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}: {(answer.text or '')[:200]}")
            elif len(answer.json()["data"]) != len(QUESTIONS):
                answer.failure("not as many embeddings as texts")

    def list_models(self) -> None:
        """The list of models."""
        with self.client.get("/v1/models", headers=self.headers(), name="models", catch_response=True) as answer:
            if answer.status_code != 200 or answer.json().get("object") != "list":
                answer.failure(f"status {answer.status_code}: {(answer.text or '')[:200]}")

    def stream(self, model: str = STREAM_MODEL, name: str = "stream", leave_after: int | None = None) -> None:
        """One streamed completion, its events read as they come.

        Besides the stream itself, the time to its first event with content is entered as `FIRST`. leave_after: close
        the connection after so many events, as a user does who has seen enough.
        """
        body = {"model": model, "messages": [{"role": "user", "content": random.choice(QUESTIONS)}], "stream": True}
        headers = self.headers(**({"Connection": "close"} if leave_after is not None else {}))
        began = time.perf_counter()
        with self._post("/v1/chat/completions", body, name, headers=headers, stream=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}: {(answer.text or '')[:200]}")
                return
            failure, size = self._read_events(answer, name, began, leave_after)
            answer.request_meta["response_time"] = (time.perf_counter() - began) * 1000
            answer.request_meta["response_length"] = size
            if failure:
                answer.failure(failure)

    def _read_events(self, answer: Any, name: str, began: float, leave_after: int | None) -> tuple[str | None, int]:
        """(what is wrong with the stream, its bytes)."""
        events = size = 0
        while event := bytes(answer.stream.readline(b"\n\n")):
            size += len(event)
            if event.startswith(b"data: [DONE]"):
                return (None if events else "no event before [DONE]"), size
            if b'"error"' in event[:32] or event.startswith(b"event: error"):
                return f"error event: {event[:200]!r}", size
            if events == 0:
                self._first(name, began)
            events += 1
            if leave_after is not None and events >= leave_after:
                answer.stream.release()
                return None, size
        return f"ended without [DONE] after {events} events", size

    def _first(self, name: str, began: float) -> None:
        self.environment.events.request.fire(
            request_type="FIRST",
            name=f"{name}: first event",
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            exception=None,
            context={},
        )
