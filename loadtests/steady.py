"""Steady load: each user asks four times a second; mostly chat, some streams, embeddings and lists of models."""

from __future__ import annotations

from locust import constant_throughput, task

from common import GatewayUser


class SteadyUser(GatewayUser):
    wait_time = constant_throughput(4)

    @task(16)
    def ask(self) -> None:
        self.chat()

    @task(2)
    def read_along(self) -> None:
        self.stream()

    @task(2)
    def embed_texts(self) -> None:
        self.embed()

    @task(1)
    def look_around(self) -> None:
        self.list_models()
